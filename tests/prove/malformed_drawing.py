"""What malformed messages are drawn from: examples of the contract, and hostile values."""

import json
import random
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple, Self

EXAMPLES = Path(__file__).parents[2] / "contracts" / "examples"
START = "export.start"
COMMANDS = (START, "export.cancel", "export.delete")


class Message(NamedTuple):
    """What is sent."""

    number: int
    kind: str
    key: str
    body: bytes
    headers: Mapping[str, Any] = {}
    properties: Mapping[str, Any] = {}
    whole: bytes | None = None
    """The body that this one is the beginning of."""

    @property
    def own_id(self) -> str:
        """What it was called before something was done to it; no other message was."""
        return own_id(self.number)


class Encoded(bytes):
    """The value of a header as it is on the wire, its type before it."""


class Octets(str):
    """A text whose bytes are no UTF-8."""

    octets: bytes

    def __new__(cls, octets: bytes) -> Self:
        text = super().__new__(cls, "?")
        text.octets = octets
        return text

    def encode(self, *_: object) -> bytes:
        return self.octets


def own_id(number: int) -> str:
    return f"m-{number}"


Place = tuple[int | str, ...]

WRONG: tuple[Any, ...] = (
    None, True, False, 0, 7, -1, 1.5, 1e300, 2**63, 10**400, "", "x", "\0", [], {}, [[]], [None], {"a": 1}, {"": 0},
)  # fmt: skip
TEXTS = (
    "\0", "a\0b", "\x1b[31m", "\r\nerror: forged", "\u202egpj.exe", "\u2066\u2069", "\ufeff", "\uffff", "..", ".", "~",
    "../../etc/passwd", "/etc/passwd", "\\\\host\\share", "C:\\x", "con", "file:///etc/shadow", "asset:../x",
    "http://127.0.0.1/", "%2e%2e%2f", "a" * 300, "é" * 2100, "x" * 200_000, "'; drop table", "{{7*7}}", "${jndi:x}",
    " ", "\t", "\uff11",
)  # fmt: skip
IDS = (
    "", " ", "..", "../../etc", "a/b", "a\0b", "A", "é", "a_b", "a" * 65, "-" * 64, "_owed", ".", "a\n", "m-1 ", "null",
)  # fmt: skip
VERSIONS: tuple[Any, ...] = (0, -1, 2, 3, 99, 10**30, 10**4000, "1", "x", 1.0, 2.5, True, None, [], {})


class Draw(NamedTuple):
    """Where a message is drawn from."""

    drawn: random.Random
    kind: str
    number: int

    def document(self, key: str | None = None) -> tuple[str, dict[str, Any]]:
        """A valid example under an id of its own, and the key it is sent with."""
        key = key or self.drawn.choices(COMMANDS, (8, 1, 1))[0]
        document = json.loads(self.drawn.choice(_EXAMPLES[key]))
        return key, document | {"export_id": own_id(self.number)}

    def sent(self, key: str, body: Any, **more: Any) -> Message:
        content = body if isinstance(body, bytes) else written(body)
        headers = {"ce-case": str(self.number)} | dict(more.pop("headers", {}))
        if self.drawn.random() < 0.1:
            headers.setdefault("ce-subject", own_id(self.number))
        return Message(self.number, self.kind, key, content, headers, **more)


_EXAMPLES = {key: [file.read_text() for file in sorted((EXAMPLES / key / "v1").glob("*.json"))] for key in COMMANDS}


def written(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def places(document: Any, path: Place = ()) -> Iterator[Place]:
    """Every path of a document but its root."""
    children = document.items() if isinstance(document, dict) else enumerate(document)
    for name, child in children:
        yield (*path, name)
        if isinstance(child, dict | list):
            yield from places(child, (*path, name))


def put(document: Any, path: Place, value: Any) -> Any:
    for name in path[:-1]:
        document = document[name]
    document[path[-1]] = deepcopy(value)


def get(document: Any, path: Place) -> Any:
    for name in path:
        document = document[name]
    return document
