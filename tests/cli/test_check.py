"""`check` and `setup-broker`: a deployment is made, and what is wrong with one is named with what mends it."""

import asyncio
import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from contracts import topology
from service.storage.disk import Disk
from tests.broker.commands import send
from tests.broker.node import PASSWORD, PrivateNode
from tests.cli.command import Said, call
from tests.cli.conftest import Desk
from tests.cli.mounts import Mounts, mounts_of_one_test
from tests.cli.rabbit import Rabbit
from tests.engine.faulty import SharingDisk


def findings(said: Said, state: str) -> dict[str, dict[str, Any]]:
    return {finding["subject"]: finding for finding in said.json["findings"] if finding["state"] == state}


def problems(said: Said) -> list[str]:
    """What is wrong; each with what mends it."""
    found = findings(said, "problem")
    assert all(finding["detail"] and finding["mend"] for finding in found.values())
    assert (said.code, said.json["sound"]) == ((1, False) if found else (0, True))
    return list(found)


def looked_at(desk: Desk, *more: str) -> Said:
    """The roots only."""
    return call("check", "--no-broker", "--media", desk.media, "--to", desk.exports, "--json", *more)


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    with mounts_of_one_test() as mounts:
        yield mounts


PROBES = ("writes durably", "first name wins", "moves folders", "locks", "times", "clock", "shares blocks")


async def checked(rabbit: Rabbit, desk: Desk, *more: str) -> Said:
    return await rabbit.told("check", "--media", desk.media, "--to", desk.exports, "--json", *more)


# ---- the roots


async def test_a_sound_deployment_has_no_problem(rabbit: Rabbit, desk: Desk) -> None:
    said = await checked(rabbit, desk, "--init")
    assert problems(said) == []
    assert set(findings(said, "ok")) >= {
        *("broker", "media root", "exports root", "exchange export.events", "queue export.cancel"),
        *(f"exports root: {probe}" for probe in PROBES),
        *("clock", "broker: connection", "broker: takes messages"),
    }


async def test_a_person_sees_one_line_for_each_finding(rabbit: Rabbit, desk: Desk) -> None:
    said = await rabbit.told("check", "--media", desk.media, "--to", desk.exports)
    assert said.code == 1
    assert re.search(rf"^problem  exports root +{desk.exports} is not there", said.out, re.MULTILINE)
    assert "export-service check --init" in said.out


async def test_init_makes_a_root_that_run_and_workers_accept(rabbit: Rabbit, desk: Desk) -> None:
    assert problems(await checked(rabbit, desk)) == ["exports root"]
    assert not desk.exports.exists()
    assert problems(await checked(rabbit, desk, "--init")) == []
    store = (desk.exports / ".exports" / "store.json").read_bytes()
    assert problems(await checked(rabbit, desk, "--init")) == []
    assert (desk.exports / ".exports" / "store.json").read_bytes() == store


async def test_a_check_leaves_the_root_as_it_was(rabbit: Rabbit, desk: Desk) -> None:
    await checked(rabbit, desk, "--init")
    before = sorted(path.relative_to(desk.exports) for path in desk.exports.rglob("*"))
    await checked(rabbit, desk)
    after = sorted(path.relative_to(desk.exports) for path in desk.exports.rglob("*"))
    assert [path for path in after if path.name != "_trash"] == before


async def test_a_directory_that_is_no_exports_root_is_not_made_one(rabbit: Rabbit, desk: Desk) -> None:
    desk.exports.mkdir()
    said = await checked(rabbit, desk)
    assert "is it mounted?" in findings(said, "problem")["exports root"]["detail"]
    assert list(desk.exports.iterdir()) == []


async def test_missing_media_are_a_problem_and_none_at_all_a_note(rabbit: Rabbit, desk: Desk) -> None:
    shutil.rmtree(desk.media)
    assert problems(await checked(rabbit, desk, "--init")) == ["media root"]
    desk.media.mkdir()
    said = await checked(rabbit, desk)
    assert problems(said) == []
    assert "is it mounted?" in findings(said, "note")["media root"]["detail"]


@pytest.mark.parametrize("inside", ["media/exports", "media", "."])
async def test_roots_that_overlap_are_a_problem_and_nothing_is_made(inside: str, rabbit: Rabbit, desk: Desk) -> None:
    exports = desk.media.parent / inside
    said = await rabbit.told("check", "--media", desk.media, "--to", exports, "--init", "--json")
    assert problems(said) == ["roots"]
    assert not (exports / ".exports").exists()


async def test_a_link_does_not_hide_that_roots_overlap(rabbit: Rabbit, desk: Desk) -> None:
    link = desk.media.with_name("link")
    link.symlink_to(desk.media)
    said = await rabbit.told("check", "--media", desk.media, "--to", link / "exports", "--init", "--json")
    assert problems(said) == ["roots"]


@pytest.mark.parametrize(
    ("method", "fault", "subject"),
    [
        ("mkdir", errno.EACCES, "exports root: writes durably"),
        ("fsync", errno.EIO, "exports root: writes durably"),
        ("link", errno.EPERM, "exports root: first name wins"),
        ("rename", errno.EIO, "exports root: moves folders"),
        ("lock", errno.EIO, "exports root: locks"),
    ],
)
async def test_a_file_system_that_cannot_do_something_is_found_out(
    method: str, fault: int, subject: str, rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await checked(rabbit, desk, "--init")

    def fail(*_: object) -> None:
        raise OSError(fault, "it fails")

    monkeypatch.setattr(Disk, method, fail)
    said = await checked(rabbit, desk)
    assert problems(said) == [subject]
    is_about_rights = subject.endswith("writes durably")
    assert ("let this user" if is_about_rights else "hard links and locks") in findings(said, "problem")[subject][
        "mend"
    ]


async def test_a_file_system_on_which_the_second_wins_is_found_out(
    rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await checked(rabbit, desk, "--init")
    monkeypatch.setattr(Disk, "link", lambda _, path, target: shutil.copy(path, target))
    assert problems(await checked(rabbit, desk)) == ["exports root: first name wins"]


async def test_a_file_system_without_locks_is_a_note(
    rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await checked(rabbit, desk, "--init")

    def no_locks(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no locks")

    monkeypatch.setattr(Disk, "lock", no_locks)
    said = await checked(rabbit, desk)
    assert problems(said) == []
    assert "exports root: locks" in findings(said, "note")


def test_a_file_system_that_moves_one_folder_over_another_is_found_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at(desk, "--init")

    def replace(_: Disk, path: str, target: str) -> None:
        shutil.rmtree(target, ignore_errors=True)
        Path(path).rename(target)

    monkeypatch.setattr(Disk, "rename", replace)
    assert problems(looked_at(desk)) == ["exports root: moves folders"]


@pytest.mark.parametrize(("second", "state", "words"), [(1, "note", "to the second: "), (2, "note", "2 seconds: ")])
def test_a_file_system_that_keeps_coarse_times_is_a_note(
    second: int, state: str, words: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = second * 10**9
    monkeypatch.setattr(
        Disk, "set_times", lambda _, target, moment_ns: os.utime(target, ns=(0, moment_ns // unit * unit))
    )
    said = looked_at(desk, "--init")
    assert problems(said) == []
    assert words in findings(said, state)["exports root: times"]["detail"]


# ---- real file systems, for whoever may mount


def test_a_root_that_is_mounted_read_only_is_a_problem_and_told_as_one(desk: Desk, mounts: Mounts) -> None:
    mounts.tmpfs(desk.exports, "size=16m")
    assert problems(looked_at(desk, "--init")) == []
    mounts.remount(desk.exports, "ro")
    said = looked_at(desk)
    assert problems(said) == ["exports root: writes durably"]
    assert "mounted read-only" in findings(said, "problem")["exports root: writes durably"]["mend"]


def test_a_root_without_inodes_is_a_problem_however_many_bytes_are_free(desk: Desk, mounts: Mounts) -> None:
    mounts.tmpfs(desk.exports, "size=2g,nr_inodes=60")
    said = looked_at(desk, "--init")
    assert problems(said) == []
    assert "an export has a file for each asset" in findings(said, "note")["exports root: files"]["mend"]
    for number in range(60):
        with suppress(OSError):
            (desk.exports / f"file-{number}").touch()
    said = looked_at(desk)
    assert problems(said) == ["exports root: files"]
    assert "exports root: room" in findings(said, "ok")


def test_a_root_that_is_full_is_a_problem(desk: Desk, mounts: Mounts) -> None:
    mounts.tmpfs(desk.exports, "size=1m")
    looked_at(desk, "--init")
    with suppress(OSError), (desk.exports / "all").open("wb") as file:
        file.write(bytes(2 << 20))
    assert problems(looked_at(desk)) == ["exports root: room"]


def test_nothing_of_a_probe_stays_on_a_root_that_fills_up_under_it(desk: Desk, mounts: Mounts) -> None:
    mounts.tmpfs(desk.exports, "size=1m,nr_inodes=16")
    looked_at(desk, "--init")
    for free in range(8):
        for file in desk.exports.glob("file-*"):
            file.unlink()
        with suppress(OSError):
            for number in range(16 - free):
                (desk.exports / f"file-{number}").touch()
        looked_at(desk)
        assert [path.name for path in (desk.exports / ".exports").iterdir() if path.name.startswith("_probe")] == []


# ---- clocks


def jump(patch: pytest.MonkeyPatch, seconds: int) -> None:
    """This machine's clock; not that of the kernel, which dates files."""
    real, real_ns = time.time, time.time_ns
    patch.setattr(time, "time", lambda: real() + seconds)
    patch.setattr(time, "time_ns", lambda: real_ns() + seconds * 10**9)


@pytest.mark.parametrize(("seconds", "side"), [(3600, "3,600 seconds behind"), (-86_400, "86,400 seconds ahead of")])
def test_a_storage_and_a_machine_that_do_not_agree_on_the_time_are_a_note(
    seconds: int, side: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    jump(monkeypatch, seconds)
    said = looked_at(desk, "--init")
    assert problems(said) == []
    finding = findings(said, "note")["exports root: clock"]
    assert finding["detail"] == f"the storage's is {side} this machine's"
    assert "time server" in finding["mend"]


@pytest.mark.parametrize("years", [-56, 80])
def test_a_machine_that_lives_in_another_age_is_a_problem(
    years: int, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    jump(monkeypatch, years * 366 * 86_400)
    assert problems(looked_at(desk, "--init")) == ["clock"]


# ---- shared blocks


@pytest.mark.parametrize(("fault", "answer"), [(None, "yes: "), (errno.EOPNOTSUPP, "no: ")])
async def test_whether_blocks_can_be_shared_is_told(
    fault: int | None, answer: str, rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(*_: object) -> None:
        if fault is not None:
            raise OSError(fault, "cannot")

    monkeypatch.setattr(Disk, "clone", clone)
    monkeypatch.setattr(Disk, "file_system", SharingDisk.file_system)
    said = await checked(rabbit, desk, "--init")
    assert problems(said) == []
    for subject in ("exports root: shares blocks", "roots: shared blocks"):
        assert findings(said, "ok")[subject]["detail"].startswith(answer)


async def test_the_roots_may_come_from_the_environment_or_not_be_looked_at(
    rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = await rabbit.told("check", "--json")
    assert problems(said) == []
    assert "EXPORT_MEDIA_ROOT" in findings(said, "note")["media root"]["detail"]
    monkeypatch.setenv("EXPORT_MEDIA_ROOT", str(desk.media))
    monkeypatch.setenv("EXPORT_EXPORTS_ROOT", str(desk.exports))
    said = await rabbit.told("check", "--json", "--init")
    assert {"media root", "exports root"} <= set(findings(said, "ok"))


def test_init_without_a_place_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPORT_EXPORTS_ROOT", raising=False)
    said = call("check", "--init")
    assert (said.code, said.sentence) == (2, "export-service: --init: say where: --to DIR, or EXPORT_EXPORTS_ROOT")


# ---- without a broker


def test_the_roots_alone_are_looked_at_where_there_is_no_broker(desk: Desk) -> None:
    said = looked_at(desk, "--init")
    assert problems(said) == []
    assert {"media root", "exports root"} <= set(findings(said, "ok"))
    assert not [finding for finding in said.json["findings"] if "broker" in finding["subject"]]


def test_without_broker_and_roots_there_is_nothing_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EXPORT_MEDIA_ROOT", "EXPORT_EXPORTS_ROOT"):
        monkeypatch.delenv(name, raising=False)
    said = call("check", "--no-broker")
    assert said.code == 2
    assert "name the roots: --media DIR, --to DIR" in said.sentence


def test_a_broker_is_named_or_not_wanted_but_not_both() -> None:
    said = call("check", "--no-broker", "--broker", "amqp://127.0.0.1/")
    assert said.code == 2
    assert "not allowed with" in said.sentence


# ---- the broker


def test_roots_are_looked_at_without_a_broker_too(desk: Desk) -> None:
    said = call("check", "--media", desk.media, "--to", desk.exports, "--init", "--json", "--broker",
                "amqp://me:the-secret@127.0.0.1:1/")  # fmt: skip
    assert problems(said) == ["broker"]
    assert "the-secret" not in said.out
    assert "exports root" in findings(said, "ok")


async def test_each_thing_that_is_missing_is_named(rabbit: Rabbit) -> None:
    await rabbit.channel.exchange_delete(topology.DEAD)
    await rabbit.channel.queue_delete(topology.CANCEL)
    said = await rabbit.told("check", "--json")
    assert problems(said) == ["exchange export.dead", "queue export.cancel"]
    assert findings(said, "problem")["queue export.cancel"]["mend"] == "export-service setup-broker"


async def test_a_queue_with_other_arguments_is_a_problem_with_both_sides_told(rabbit: Rabbit) -> None:
    await rabbit.channel.queue_delete(topology.PARKED)
    await rabbit.channel.declare_queue(topology.PARKED, durable=True)
    said = await rabbit.told("check", "--json")
    assert problems(said) == ["queue export.parked"]
    finding = findings(said, "problem")["queue export.parked"]
    assert "inequivalent arg" in finding["detail"]
    assert "x-queue-type=quorum" in finding["mend"]


async def test_commands_may_wait_before_there_is_a_worker(rabbit: Rabbit, desk: Desk) -> None:
    """A deployment begins with `check --init`; it must not stop at what others asked for meanwhile."""
    await rabbit.put(b"{}", exchange=topology.EVENTS)
    assert "queue export.start" in problems(await checked(rabbit, desk))
    assert problems(await checked(rabbit, desk, "--init")) == []


async def test_commands_that_nobody_takes_are_a_problem(rabbit: Rabbit) -> None:
    assert (
        "no worker is there" in findings(await rabbit.told("check", "--json"), "note")["queue export.start"]["detail"]
    )
    await rabbit.told("cancel", "x")
    await rabbit.put(b"{}", exchange=topology.EVENTS, key=topology.START)
    assert problems(await rabbit.told("check", "--json")) == ["queue export.start"]

    async def take(_: object) -> None:
        pass

    queue = await rabbit.channel.declare_queue(topology.START, passive=True)
    tag = await queue.consume(take)
    assert problems(await rabbit.told("check", "--json")) == []
    await queue.cancel(tag)


@pytest.mark.parametrize(
    ("exchange", "words"),
    [
        (topology.PARKED, "dead list"),
        (topology.UNROUTED, "dead list --queue export.unrouted"),
        (topology.DEAD, "worker"),
    ],
)
async def test_messages_that_wait_for_a_person_are_noted(exchange: str, words: str, rabbit: Rabbit) -> None:
    await rabbit.put(b"{}", exchange=exchange)
    said = await rabbit.told("check", "--json")
    assert problems(said) == []
    finding = findings(said, "note")[f"queue {exchange}"]
    assert "1 message" in finding["detail"]
    assert words in finding["mend"]


async def test_what_was_agreed_on_is_told(rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_HEARTBEAT_SECONDS", "7")
    said = await rabbit.told("check", "--json")
    assert "heartbeat 7 s, frames of 131,072 bytes" in findings(said, "ok")["broker: connection"]["detail"]


async def test_what_cannot_be_seen_is_said_with_the_line_that_shows_it(rabbit: Rabbit) -> None:
    notes = findings(await rabbit.told("check", "--json"), "note")
    assert notes["consumer_timeout"]["mend"] == "rabbitmqctl eval 'application:get_env(rabbit, consumer_timeout).'"
    for policy in topology.POLICIES:
        assert policy.without_it in notes[f"policy {policy.name}"]["detail"]


# ---- RabbitMQ itself


@pytest.mark.slow
class TestOnRabbitMQ:
    """What only a real node has: versions, rights, limits and alarms."""

    async def check(self, node: PrivateNode, user: str = "guest") -> Said:
        return await asyncio.to_thread(call, "check", "--json", "--broker", node.url(user))

    @pytest.mark.parametrize("user", [user.name for user in topology.USERS])
    async def test_every_user_of_the_definitions_finds_all_well(self, user: str, node_of_the_run: PrivateNode) -> None:
        said = await self.check(node_of_the_run, user)
        assert problems(said) == []
        assert findings(said, "ok")["broker"]["detail"].startswith("RabbitMQ 3.")

    @pytest.mark.parametrize(
        ("user", "words"),
        [
            ("export-worker", ("a worker may do all that it does", "a gateway may not say export.cancel")),
            ("export-gateway", ("a worker may not take export.start", "a gateway may do all that it does")),
        ],
    )
    async def test_a_user_is_told_what_it_may_be(
        self, user: str, words: tuple[str, ...], node_of_the_run: PrivateNode
    ) -> None:
        detail = findings(await self.check(node_of_the_run, user), "ok")["rights"]["detail"]
        assert [word for word in words if word not in detail] == []

    async def test_a_user_who_may_be_neither_is_a_problem(self, node_of_the_run: PrivateNode) -> None:
        node_of_the_run.ctl("add_user", "lame", PASSWORD)
        node_of_the_run.ctl("set_permissions", "lame", "^$", "^export", "^export")
        try:
            said = await self.check(node_of_the_run, "lame")
        finally:
            node_of_the_run.ctl("delete_user", "lame")
        assert problems(said) == ["rights"]
        assert "have a queue export.worker.* of its own" in findings(said, "problem")["rights"]["detail"]

    async def test_a_look_at_rights_takes_and_leaves_nothing(self, node_of_the_run: PrivateNode) -> None:
        await node_of_the_run.purge_all()
        await send(node_of_the_run, topology.CANCEL, {"version": 1, "export_id": "waiting"})
        before = node_of_the_run.ctl("list_queues", "name")
        await self.check(node_of_the_run, "export-worker")
        async with node_of_the_run.channel() as channel:
            message = await (await channel.get_queue(topology.CANCEL, ensure=False)).get(no_ack=True)
        assert message is not None
        assert not message.redelivered
        assert await node_of_the_run.left_over() == {}
        assert node_of_the_run.ctl("list_queues", "name") == before

    async def test_a_node_that_takes_too_small_messages_is_a_problem(self, node_of_the_run: PrivateNode) -> None:
        node_of_the_run.ctl("eval", "application:set_env(rabbit, max_message_size, 1000000).")
        try:
            said = await self.check(node_of_the_run, "export-worker")
        finally:
            node_of_the_run.ctl("eval", "application:set_env(rabbit, max_message_size, 134217728).")
        assert problems(said) == ["broker: takes messages"]
        finding = findings(said, "problem")["broker: takes messages"]
        assert "8388608 is larger than configured max size 1000000" in finding["detail"]
        assert "max_message_size in rabbitmq.conf" in finding["mend"]

    async def test_a_node_that_is_short_of_memory_is_a_problem_and_all_else_is_told(
        self, node_of_the_run: PrivateNode
    ) -> None:
        await asyncio.to_thread(node_of_the_run.alarm)
        try:
            said = await self.check(node_of_the_run)
        finally:
            await asyncio.to_thread(node_of_the_run.clear_alarm)
        assert problems(said) == ["broker: takes messages"]
        assert "rabbitmq-diagnostics alarms" in findings(said, "problem")["broker: takes messages"]["mend"]
        assert "queue export.parked" in findings(said, "ok")

    def test_the_line_that_shows_the_consumer_timeout_shows_it(self, node_of_the_run: PrivateNode) -> None:
        assert re.fullmatch(
            r"\{ok,\d+\}", node_of_the_run.ctl("eval", "application:get_env(rabbit, consumer_timeout).")
        )


# ---- setup-broker


async def empty(rabbit: Rabbit) -> None:
    for queue in topology.QUEUES:
        await rabbit.channel.queue_delete(queue.name)
    for exchange in topology.EXCHANGES:
        await rabbit.channel.exchange_delete(exchange.name)


async def test_setup_makes_everything_and_finds_it_the_next_time(rabbit: Rabbit) -> None:
    await empty(rabbit)
    said = await rabbit.told("setup-broker")
    entities = len(topology.EXCHANGES) + len(topology.QUEUES)
    assert (said.code, said.out.count("made       ")) == (0, entities)
    said = await rabbit.told("setup-broker")
    assert (said.code, said.out.count("was there  ")) == (0, entities)
    assert problems(await rabbit.told("check", "--json")) == []


async def test_what_setup_made_carries_messages(rabbit: Rabbit, desk: Desk) -> None:
    await empty(rabbit)
    await rabbit.told("setup-broker")
    assert (await rabbit.told("submit", desk.project)).code == 0
    assert (await rabbit.taken(topology.START)).routing_key == topology.START


async def test_setup_says_what_it_cannot_make_and_what_that_costs(rabbit: Rabbit) -> None:
    said = await rabbit.told("setup-broker")
    for policy in topology.POLICIES:
        assert policy.name in said.out
        assert policy.without_it in said.out
    assert "rabbitmqctl import_definitions deploy/rabbitmq/definitions.json" in said.out


async def test_a_service_gets_a_queue_for_its_results(rabbit: Rabbit) -> None:
    assert (await rabbit.told("setup-broker", "--results", "studio", "billing")).code == 0
    for service in ("studio", "billing"):
        await rabbit.put(b"{}", exchange=topology.EVENTS, key="export.failed")
        assert (await rabbit.taken(f"export.results.{service}")).body == b"{}"


async def test_what_differs_is_named_with_both_sides_and_the_rest_is_made(rabbit: Rabbit) -> None:
    await empty(rabbit)
    await rabbit.channel.declare_queue(topology.START, durable=True)
    said = await rabbit.told("setup-broker")
    assert said.code == 1
    assert "differs    queue export.start" in said.out
    assert "x-queue-type" in said.out
    assert "wanted: durable, x-queue-type=quorum, x-dead-letter-exchange=export.dead" in said.out
    assert "made       queue export.unrouted" in said.out


def test_where_a_definition_is_to_be_found_it_is() -> None:
    assert (Path(__file__).parents[2] / "deploy" / "rabbitmq" / "definitions.json").is_file()


def test_the_brokers_address_may_be_a_secret_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "export_broker_url").write_text("amqp://me:hush@127.0.0.1:1/")
    monkeypatch.setattr("cli.secrets._SECRETS", tmp_path)
    monkeypatch.delenv("EXPORT_BROKER_URL", raising=False)
    said = call("cancel", "some-export")
    assert "127.0.0.1:1" in said.err
    assert "hush" not in said.err
