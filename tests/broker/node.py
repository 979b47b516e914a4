"""A RabbitMQ node of one's own: loopback ports, a directory of its own, nothing shared with another node.

`start`, `stop`, `kill`, `ctl` and what they are used by wait synchronously: in an async test that has something else
to do meanwhile, call them through `asyncio.to_thread`.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import aio_pika
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelClosed

from contracts import topology

KEEPER = Path(__file__).with_name("keeper.py")
SBIN = "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"  # the wrapper on the PATH refuses users other than its own

START_SECONDS = 60
DEFINITIONS_SECONDS = 30
# A quorum queue younger than about a second does not survive a kill of its node: Ra's names.dets is saved every 500 ms.
YOUNG_QUEUE_SECONDS = 2
PASSWORD = "tests"  # noqa: S105 (on loopback, for a minute)
ADMINISTRATOR = "guest"
OUR_QUEUES = tuple(queue.name for queue in topology.QUEUES)

_MISSING = (
    "RabbitMQ is not installed, and these tests are about it: make tools (Debian: apt-get install rabbitmq-server)"
)
_AMQP_HEADER = b"AMQP\x00\x00\x09\x01"


class RabbitMissing(Exception):
    """There is no RabbitMQ on this machine."""

    def __init__(self) -> None:
        super().__init__(_MISSING)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class PrivateNode:
    """One node with its epmd; ports, name and data stay the same over any number of starts."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.sbin = _sbin()
        self.port, self._distribution_port, self._epmd_port = free_ports(3)
        self.log = home / "log.txt"
        self._keeper: subprocess.Popen[str] | None = None

    # ---- life

    def start(self) -> None:
        """Returns when AMQP is answered. With the data of the last time, however that ended."""
        if self._keeper is None:
            self._keeper = self._new_keeper()
        self._order("start")
        self._wait_until_ready()

    def stop(self) -> None:
        """Ends the node in its own way, and epmd with it; no process stays."""
        if self._keeper is None:
            return
        self._order(f"end {signal.SIGTERM}")
        self._keeper.communicate(timeout=20)
        self._keeper = None

    def kill(self) -> None:
        """kill -9; epmd stays, as it does on a server."""
        self._order(f"end {signal.SIGKILL}")

    @property
    def is_running(self) -> bool:
        return self._order("look").startswith("running")

    async def restarted(self) -> None:
        """kill -9, and a new start on what is on the disk."""
        await asyncio.to_thread(self.kill)
        await asyncio.to_thread(self.start)

    @property
    def pid(self) -> int:
        """Of the Erlang machine itself."""
        state, number = self._order("look").split()
        assert state == "running", self.tail()
        return int(number)

    def tail(self) -> str:
        """The last lines of the node's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def _new_keeper(self) -> subprocess.Popen[str]:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "enabled_plugins").write_text("[].\n")
        epmd = shutil.which("epmd")
        if epmd is None:
            raise RabbitMissing
        words = [sys.executable, "-I", "-S", str(KEEPER), str(self.log), epmd, str(self.sbin / "rabbitmq-server")]
        return subprocess.Popen(
            words, env=self._environment(), cwd=self.home, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _order(self, order: str) -> str:
        keeper = self._keeper
        assert keeper is not None, "the node was not started"
        print(order, file=_pipe(keeper.stdin), flush=True)
        return _pipe(keeper.stdout).readline().strip()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            state = self._order("look")
            if not state.startswith("running") or time.monotonic() > deadline:
                raise AssertionError(f"RabbitMQ did not start ({state}):\n{self.tail()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as client:
                client.sendall(_AMQP_HEADER)
                return client.recv(1) == b"\x01"  # a method frame: Connection.Start
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        home = str(self.home)
        return {
            "PATH": os.environ["PATH"],
            "HOME": home,  # the Erlang cookie lies there
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"t{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": f"{home}/db",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbit",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{home}/none",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{home}/generated",
            "RABBITMQ_SCHEMA_DIR": f"{home}/schema",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/enabled_plugins",
            "RABBITMQ_ALLOW_INPUT": "1",  # the script execs: our child is the Erlang machine, and signals reach it
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1} +S 2:2",
        }

    # ---- administration

    def url(self, user: str = ADMINISTRATOR, port: int | None = None) -> str:
        """Where `user` connects to; with `port`, through a proxy."""
        password = ADMINISTRATOR if user == ADMINISTRATOR else PASSWORD
        return f"amqp://{user}:{password}@127.0.0.1:{port or self.port}/"

    def ctl(self, *words: str) -> str:
        """What `rabbitmqctl` says; about a second of CPU each time, so ask for several things at once by `eval`."""
        said = subprocess.run(
            [self.sbin / "rabbitmqctl", "--quiet", *words],
            env=self._environment(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == 0, f"rabbitmqctl {' '.join(words)}: {said.stdout}{said.stderr}"
        return said.stdout.strip()

    def import_definitions(self) -> None:
        """The exchanges, queues, policies and users of the contract; returns when they survive a kill."""
        file = self.home / "definitions.json"
        file.write_text(json.dumps(topology.definitions()))
        self.ctl("import_definitions", str(file))
        # The command returns before it is done.
        _wait_for(self._has_definitions, DEFINITIONS_SECONDS, "the imported policies and queues")
        since = time.monotonic()
        for user in topology.USERS:
            self.ctl("change_password", user.name, PASSWORD)
        time.sleep(max(0.0, YOUNG_QUEUE_SECONDS - (time.monotonic() - since)))

    def _has_definitions(self) -> bool:
        names = self.ctl("eval", _NAMES_OF_POLICIES_AND_QUEUES)
        wanted = [policy.name for policy in topology.POLICIES] + list(OUR_QUEUES)
        return all(f'"{name}"' in names for name in wanted)

    def alarm(self) -> None:
        """Too little memory, as far as the node can see: whoever publishes is stopped."""
        self.ctl("eval", _WATERMARK.format("{absolute, 1000000}"))

    def clear_alarm(self) -> None:
        self.ctl("eval", _WATERMARK.format("0.4"))

    def unacknowledged(self) -> dict[str, int]:
        """Messages that somebody holds, by queue: asked of the queues themselves, so it is true at this moment."""
        counts = re.findall(r"\{\"(.+?)\",(\d+)\}", self.ctl("eval", _CHECKED_OUT))
        return {name: int(count) for name, count in counts}

    # ---- queues

    async def depth(self, queue: str) -> int:
        """Messages that wait in the queue, by a passive declaration: `list_queues` is seconds behind."""
        return (await self.depths([queue]))[queue]

    async def until_depth(self, queue: str, count: int, patience_seconds: float = 10) -> None:
        """After a restart a quorum queue says 0 until it has a leader again."""
        deadline = time.monotonic() + patience_seconds
        while (seen := await self.depth(queue)) != count:
            assert time.monotonic() < deadline, f"{queue} has {seen} message(s), not {count}"
            await asyncio.sleep(0.05)

    async def depths(self, queues: Iterable[str] = OUR_QUEUES) -> dict[str, int]:
        async with self.channel() as channel:
            return {name: await _depth(channel, name) for name in queues}

    async def left_over(self) -> dict[str, int]:
        """Of our queues, those that hold anything, waiting or held."""
        waiting = {name: count for name, count in (await self.depths()).items() if count}
        if waiting:
            return waiting
        held = await asyncio.to_thread(self.unacknowledged)
        return {f"{name} (unacknowledged)": count for name, count in held.items() if count}

    async def purge_all(self) -> None:
        """Our queues are empty; but for what a worker still holds."""
        async with self.channel() as channel:
            for name in OUR_QUEUES:
                queue = await channel.declare_queue(name, passive=True)
                await queue.purge()

    def drop_own_queues(self) -> None:
        """Deletes what workers and gateways declared for themselves; by itself it would go a minute later."""
        self.ctl("eval", _DROP_OWN)

    @asynccontextmanager
    async def channel(self, user: str = ADMINISTRATOR) -> AsyncIterator[AbstractChannel]:
        """A channel for a moment, with confirms; what cannot be routed raises."""
        async with await aio_pika.connect(self.url(user)) as connection:
            yield await connection.channel(on_return_raises=True)


_NAMES_OF_POLICIES_AND_QUEUES = (
    "{[binary_to_list(proplists:get_value(name, P)) || P <- rabbit_policy:list()],"
    " [binary_to_list(element(4, amqqueue:get_name(Q))) || Q <- rabbit_amqqueue:list()]}."
)
# The monitor looks once a second by itself; `update` makes it look now.
_WATERMARK = "vm_memory_monitor:set_vm_memory_high_watermark({}), vm_memory_monitor ! update, ok."
_CHECKED_OUT = (
    "[begin {ok, {_, N}, _} = ra:local_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_checked_out/1),"
    " {binary_to_list(element(4, amqqueue:get_name(Q))), N} end"
    " || Q <- rabbit_amqqueue:list(), amqqueue:get_type(Q) =:= rabbit_quorum_queue]."
)
_DROP_OWN = (
    '[rabbit_amqqueue:delete(Q, false, false, <<"tests">>) || Q <- rabbit_amqqueue:list(),'
    f' string:prefix(element(4, amqqueue:get_name(Q)), "{topology.WORKER_QUEUES}") =/= nomatch orelse'
    f' string:prefix(element(4, amqqueue:get_name(Q)), "{topology.GATEWAY_QUEUES}") =/= nomatch], ok.'
)


async def _depth(channel: AbstractChannel, name: str) -> int:
    try:
        queue = await channel.declare_queue(name, passive=True)
    except ChannelClosed as fault:
        raise AssertionError(f"{name}: {fault}") from None
    return queue.declaration_result.message_count or 0


def _sbin() -> Path:
    found = sorted(Path("/").glob(SBIN))
    if not found:
        raise RabbitMissing
    return found[-1]


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def _wait_for(there: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
