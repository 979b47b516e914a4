"""An issuer of tokens, good ones and bad ones."""

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from pydantic import SecretStr

SECRET = SecretStr("a secret of at least thirty-two bytes")
ISSUER, AUDIENCE = "https://issuer.example", "export"
SETTINGS: dict[str, Any] = {
    "gateway_auth": "jwt",
    "gateway_secret": SECRET,
    "jwt_issuer": ISSUER,
    "jwt_audience": AUDIENCE,
}
SHARED_KEY = "a shared key of at least thirty-two bytes"
SHARED: dict[str, Any] = {**SETTINGS, "jwt_key": SecretStr(SHARED_KEY), "jwt_algorithms": ("HS256",)}
"""Settings for tokens that `token` makes."""

_KINDS: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


def private_key(algorithm: str = "RS256") -> Any:
    """A new one."""
    match algorithm:
        case "RS256":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def key_set(**keys: tuple[str, Any]) -> bytes:
    """The JWK set of keys by their ids, each `(algorithm, private key)`."""
    found = []
    for key_id, (algorithm, key) in keys.items():
        public = json.loads(_KINDS[algorithm].to_jwk(key.public_key()))
        found.append({**public, "kid": key_id, "use": "sig", "alg": algorithm})
    return json.dumps({"keys": found}).encode()


def claims(**changed: Any) -> dict[str, Any]:
    """Of a good token, but for what is changed; what is None is left out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": now + 600, "tenant": "north", "projects": "*"}
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def token(key: Any = SHARED_KEY, algorithm: str = "HS256", key_id: str | None = None, **changed: Any) -> str:
    """Signed with the key."""
    headers = {} if key_id is None else {"kid": key_id}
    return jwt.encode(claims(**changed), key, algorithm, headers)


def bearer(text: str) -> dict[str, str]:
    """As a header."""
    return {"authorization": f"Bearer {text}"}
