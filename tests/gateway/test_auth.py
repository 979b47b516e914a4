"""Who may do what: tokens of every kind that somebody could come with, tickets, and signed links."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr, ValidationError

from gateway.auth import Auth, CannotTell, Principal, Unauthenticated
from gateway.keys import KeySet, NoKeys, UnknownKey
from gateway.settings import GatewaySettings
from tests.gateway.replicas import House, asked, ended, house
from tests.gateway.tokens import SETTINGS, SHARED, bearer, claims, key_set, private_key, token

KEYS = {algorithm: private_key(algorithm) for algorithm in ("RS256", "ES256", "EdDSA")}


def settings(place: Path, **changed: Any) -> GatewaySettings:
    given = {"broker_url": SecretStr("amqp://127.0.0.1:1/"), "media_root": place, "exports_root": place, **SHARED}
    return GatewaySettings(**{**given, **changed})


@pytest.fixture
def auth(tmp_path: Path) -> Auth:
    return Auth(settings(tmp_path))


def with_keys(place: Path, **keys: tuple[str, Any]) -> Auth:
    (place / "keys.json").write_bytes(key_set(**keys))
    return Auth(settings(place, jwt_key=None, jwt_algorithms=tuple(KEYS), jwt_jwks_file=place / "keys.json"))


async def principal(auth: Auth, text: str) -> Principal:
    return await auth.principal([(b"authorization", f"Bearer {text}".encode())])


async def test_without_tokens_a_gateway_listens_to_this_machine_only_and_does_not_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValidationError, match="for loopback addresses only"):
        settings(tmp_path, gateway_auth="none", gateway_host="0.0.0.0")  # noqa: S104, which is refused
    caplog.set_level("INFO", "gateway.auth")
    async with Auth(settings(tmp_path, gateway_auth="none")).refreshing():
        (told,) = caplog.records
    assert (told.levelname, "only this machine" in told.message) == ("INFO", True)


# ---- tokens


async def test_a_good_token_says_who_asks(auth: Auth) -> None:
    assert await principal(auth, token()) == Principal("ada", "north", None)
    assert await principal(auth, token(projects=["story"])) == Principal("ada", "north", frozenset({"story"}))
    assert await principal(auth, token(projects=None, tenant=None)) == Principal("ada", None, frozenset())


@pytest.mark.parametrize("algorithm", KEYS)
async def test_every_algorithm_that_is_accepted_is(tmp_path: Path, algorithm: str) -> None:
    auth = with_keys(tmp_path, first=(algorithm, KEYS[algorithm]))
    assert (await principal(auth, token(KEYS[algorithm], algorithm, "first"))).subject == "ada"
    assert (await principal(auth, token(KEYS[algorithm], algorithm))).subject == "ada"  # there is one key only


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": None},
        {"exp": int(time.time()) - 3600},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 3600},
        {"sub": None},
        {"sub": ""},
        {"sub": "s" * 300},
        {"tenant": 7},
        {"tenant": "t" * 200},
    ],
)
async def test_a_token_that_says_too_little_or_wrong_things_is_refused(auth: Auth, changed: dict[str, Any]) -> None:
    with pytest.raises((Unauthenticated, TypeError)):
        await principal(auth, token(**changed))


@pytest.mark.parametrize("projects", [7, {"story": True}, "story", None])
async def test_a_claim_of_projects_that_is_not_understood_gives_none(auth: Auth, projects: Any) -> None:
    assert not (await principal(auth, token(projects=projects))).may("story")


async def test_an_algorithm_is_never_chosen_by_the_token(tmp_path: Path, auth: Auth) -> None:
    """`none`, and a public key that is taken for a shared secret: the two classics."""
    unsigned = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims())]
    without = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in unsigned) + "."
    public = KEYS["RS256"].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    confused = _signed_with_what_is_public(public)
    for one in (auth, with_keys(tmp_path, first=("RS256", KEYS["RS256"]))):
        for text in (without, confused, token(KEYS["ES256"], "ES256", "first")):
            with pytest.raises(Unauthenticated):
                await principal(one, text)


def _signed_with_what_is_public(key: bytes) -> str:
    """By hand: no library does this any more."""
    parts = ({"alg": "HS256", "typ": "JWT", "kid": "first"}, claims())
    said = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(hmac.digest(key, said, "sha256")).rstrip(b"=")
    return (said + b"." + signature).decode()


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "é", "x" * 100_000, ".." * 50, "eyJhbGciOiJIUzI1NiJ9.e30.x"])
async def test_rubbish_is_refused(auth: Auth, tmp_path: Path, text: str) -> None:
    for one in (auth, with_keys(tmp_path, first=("RS256", KEYS["RS256"]))):
        with pytest.raises(Unauthenticated):
            await one.principal([(b"authorization", b"Bearer " + text.encode())])


async def test_two_tokens_are_none(auth: Auth) -> None:
    header = (b"authorization", f"Bearer {token()}".encode())
    with pytest.raises(Unauthenticated):
        await auth.principal([header, header])


async def test_a_cookie_is_a_token_only_where_it_may_be(tmp_path: Path, auth: Auth) -> None:
    cookie = [(b"cookie", f"a=b; session={token()}".encode())]
    with pytest.raises(Unauthenticated):
        await auth.principal(cookie)
    assert (await Auth(settings(tmp_path, jwt_cookie="session")).principal(cookie)).subject == "ada"


# ---- keys that are published


class Shelf:
    """Publishes keys, or does not."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        if self.content is None:
            raise OSError("away")
        return self.content


async def test_a_new_key_is_found_and_an_outage_loses_none() -> None:
    shelf = Shelf()
    shelf.content = key_set(first=("RS256", KEYS["RS256"]))
    keys = KeySet(shelf.read, 0.5)
    await keys.key("first")
    shelf.content = key_set(first=("RS256", KEYS["RS256"]), second=("ES256", KEYS["ES256"]))
    await asyncio.sleep(0.06)  # a tenth of the interval
    assert (await keys.key("second")).key_id == "second"
    shelf.content = None
    await asyncio.sleep(0.06)
    with pytest.raises(UnknownKey):
        await keys.key("third")
    assert (await keys.key("first")).key_id == "first"


async def test_invented_key_ids_make_nobody_fetch_again_and_again() -> None:
    shelf = Shelf()
    shelf.content = key_set(first=("RS256", KEYS["RS256"]))
    keys = KeySet(shelf.read, 300)
    for number in range(50):
        with pytest.raises(UnknownKey):
            await keys.key(f"invented-{number}")
    assert shelf.reads == 1


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "AAAA"}]}'])
async def test_without_any_keys_nobody_is_told_that_their_token_is_bad(content: bytes | None) -> None:
    shelf = Shelf()
    shelf.content = content
    with pytest.raises(NoKeys):
        await KeySet(shelf.read, 300).key("first")


async def test_keys_that_cannot_be_fetched_are_503(tmp_path: Path) -> None:
    away = Auth(settings(tmp_path, jwt_key=None, jwt_algorithms=("RS256",), jwt_jwks_url="http://127.0.0.1:1/"))
    with pytest.raises(CannotTell):
        await principal(away, token(KEYS["RS256"], "RS256", "first"))


# ---- tickets and links


def test_a_ticket_is_good_for_its_origin_only(auth: Auth) -> None:
    ada = Principal("ada", "north", frozenset({"story"}))
    ticket = auth.ticket(ada, "https://studio.example")
    assert auth.redeem(ticket, "https://studio.example") == ada
    for origin in (None, "https://evil.example"):
        with pytest.raises(Unauthenticated):
            auth.redeem(ticket, origin)


def test_a_ticket_that_has_expired_says_so(tmp_path: Path) -> None:
    auth = Auth(settings(tmp_path, ticket_seconds=0.001))
    ticket = auth.ticket(Principal("ada", None, None), None)
    time.sleep(1.1)
    with pytest.raises(Unauthenticated) as refusal:
        auth.redeem(ticket, None)
    assert refusal.value.expired


def test_a_token_is_no_ticket_and_a_ticket_no_token(auth: Auth) -> None:
    with pytest.raises(Unauthenticated):
        auth.redeem(token(), None)


async def test_a_ticket_is_no_token(auth: Auth) -> None:
    with pytest.raises(Unauthenticated):
        await principal(auth, auth.ticket(Principal("ada", None, None), None))


def test_a_link_is_good_for_its_export_until_it_expires(auth: Auth) -> None:
    now = datetime.now(UTC)
    query = auth.sign_link("one", now)
    assert auth.is_signed("one", query, now + timedelta(days=6, hours=23))
    assert not auth.is_signed("one", query, now + timedelta(days=8))
    assert not auth.is_signed("another", query)
    expires = query.partition("&")[0].partition("=")[2]
    assert not auth.is_signed("one", query.replace(expires, str(int(expires) + 3600)))


@pytest.mark.parametrize("query", ["", "expires=1", "signature=x", "expires=9&expires=8&signature=x", "&" * 5000])
def test_what_is_no_link_is_none(auth: Auth, query: str) -> None:
    assert not auth.is_signed("one", query)


# ---- settings


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"gateway_auth": "none", "gateway_host": "0.0.0.0"}, "loopback"),  # noqa: S104
        ({"gateway_secret": None}, "EXPORT_GATEWAY_SECRET"),
        ({"gateway_secret": SecretStr("short")}, "fewer than 32"),
        ({"jwt_issuer": None}, "EXPORT_JWT_ISSUER"),
        ({"jwt_key": None}, "exactly one"),
        ({"jwt_algorithms": ("RS256",)}, "HS256"),
        ({"jwt_algorithms": ("HS256", "RS256")}, "HS256"),
    ],
)
def test_a_gateway_that_would_not_be_safe_does_not_start(tmp_path: Path, changed: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        settings(tmp_path, **changed)


def test_a_wrong_setting_shows_no_secret(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as fault:
        settings(tmp_path, jwt_algorithms=("RS256",), jwt_issuer=None)
    for secret in (SETTINGS["gateway_secret"], SHARED["jwt_key"]):
        assert secret.get_secret_value() not in str(fault.value)


# ---- over HTTP


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


async def test_what_is_anothers_is_not_there(home: House, caplog: pytest.LogCaptureFixture) -> None:
    replica = await home.replica(**SHARED)
    await home.worker()
    mine, theirs = bearer(token(projects=["story"])), bearer(token(tenant="south", sub="eve"))
    replica.http.headers.update(mine)
    export_id = await asked(replica, home.project())
    end = await ended(replica, export_id)
    path = f"/api/v1/exports/{export_id}"
    places = ["", "/plan", "/events", "/manifest", "/download", "/thumbnails/1"]
    for place in places:
        assert (await replica.http.get(path + place, headers=theirs)).status_code == 404, place
        assert (await replica.http.get(path + place, headers={"authorization": ""})).status_code == 401, place
    for method, place in (("POST", "/cancel"), ("DELETE", "")):
        assert (await replica.http.request(method, path + place, headers=theirs)).status_code == 404
    other = {**mine, **bearer(token(projects=["another"]))}
    assert (await replica.http.get(path, headers=other)).status_code == 404
    assert (await replica.http.post("/api/v1/projects/another/export", json={})).status_code == 404
    assert (await replica.http.get("/api/v1/projects/story/exports", headers=theirs)).json()["exports"] == []
    link = end["links"]["download"]
    assert (await replica.http.get(link, headers={"authorization": ""})).status_code == 200
    assert (await replica.http.get(link[:-3] + "AAA", headers={"authorization": ""})).status_code == 401
    assert (await replica.http.get(f"{path}/manifest?{link.partition('?')[2]}", headers=theirs)).status_code == 404
    for secret in (mine["authorization"].split()[1], link.partition("signature=")[2]):
        assert secret not in caplog.text


async def test_the_worker_is_told_for_whom_it_works(home: House) -> None:
    replica = await home.replica(**SHARED)
    replica.http.headers.update(bearer(token()))
    export_id = await asked(replica, home.project())
    command = replica.gateway.parts.ledger.command(export_id)
    assert command is not None
    assert command.requested_by is not None
    assert (command.requested_by.tenant, command.requested_by.subject) == ("north", "ada")


async def test_a_socket_is_opened_by_a_ticket_and_only_by_one_that_is_good(home: House) -> None:
    replica = await home.replica(**SHARED)
    replica.http.headers.update(bearer(token()))
    export_id = await asked(replica, home.project())
    ticket = (await replica.http.post("/api/v1/tickets")).json()["ticket"]
    async with replica.socket(export_id, ticket=ticket) as socket:
        assert (await socket.state())["state"] == "queued"
    for wrong in ({}, {"ticket": "x"}, {"ticket": token()}, {"ticket": 7}):
        async with replica.bare_socket() as socket:
            await socket.say(type="hello", exports=[], **wrong)
            assert await socket.closed() == 4501
    foreign = replica.gateway.parts.auth.ticket(Principal("eve", "south", None), None)
    async with replica.socket(export_id, ticket=foreign) as socket:
        assert (await socket.hear())["type"] == "missing"


async def test_a_socket_outlives_its_authority_by_a_new_ticket_only(home: House) -> None:
    replica = await home.replica(**SHARED, socket_authority_seconds=0.8, socket_heartbeat_seconds=0.3)
    replica.http.headers.update(bearer(token()))

    async def ticket() -> str:
        found: str = (await replica.http.post("/api/v1/tickets")).json()["ticket"]
        return found

    async with replica.socket(ticket=await ticket()) as kept, replica.socket(ticket=await ticket()) as lost:
        for _ in range(3):
            await asyncio.sleep(0.5)
            await kept.say(type="ticket", ticket=await ticket())
        await kept.say(type="ping")
        assert (await kept.hear())["type"] == "pong"
        assert await lost.closed() == 4001


async def test_sockets_of_one_subject_are_counted(home: House) -> None:
    replica = await home.replica(**SHARED, sockets_per_subject=1)
    auth = replica.gateway.parts.auth
    ticket = auth.ticket(Principal("ada", "north", None), None)
    async with replica.socket(ticket=ticket):
        async with replica.bare_socket() as second:
            await second.say(type="hello", ticket=ticket, exports=[])
            assert await second.closed() == 4029
        async with replica.socket(ticket=auth.ticket(Principal("bob", "north", None), None)):
            pass
    async with replica.socket(ticket=ticket):
        pass
