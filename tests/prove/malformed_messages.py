"""Commands as nobody should send them, each drawn from a seed and a number: a kind is a way to be wrong.

What becomes of a message is not decided here: tests/prove/malformed_oracle.py.
"""

import json
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from contracts.limits import MAX_MESSAGE_BYTES
from tests.prove.malformed_drawing import (
    COMMANDS,
    IDS,
    START,
    TEXTS,
    VERSIONS,
    WRONG,
    Draw,
    Encoded,
    Message,
    Octets,
    get,
    places,
    put,
    written,
)


def messages(seed: int, count: int) -> Iterator[Message]:
    """One of each kind first, then kinds as they are drawn."""
    for number in range(count):
        yield message(seed, number)


def message(seed: int, number: int) -> Message:
    drawn = random.Random(f"{seed} {number}")
    kind = list(KINDS)[number] if number < len(KINDS) else drawn.choices(list(KINDS), WEIGHTS)[0]
    return KINDS[kind].make(Draw(drawn, kind, number))


# ---- ways to be wrong ---------------------------------------------------------------------------------------------


def cut_off(draw: Draw) -> Message:
    key, document = draw.document()
    whole = written(document)
    return draw.sent(key, whole[: draw.drawn.randrange(len(whole))], whole=whole)


def a_byte_is_another(draw: Draw) -> Message:
    key, document = draw.document()
    body = bytearray(written(document))
    for _ in range(draw.drawn.choice((1, 1, 1, 5))):
        body[draw.drawn.randrange(len(body))] = draw.drawn.randrange(256)
    return draw.sent(key, bytes(body))


def a_piece_is_lost_or_twice(draw: Draw) -> Message:
    key, document = draw.document()
    body = written(document)
    start, end = sorted(draw.drawn.sample(range(len(body)), 2))
    return draw.sent(key, body[:start] + draw.drawn.choice((b"", body[start:end] * 2)) + body[end:])


def no_json_at_all(draw: Draw) -> Message:
    size = draw.drawn.choice((1, 10, 1000, 100_000))
    junk = (
        b"", b" ", b"\n\n", b"\0" * size, draw.drawn.randbytes(size), b"null", b"7", b'"x"', b"true", b"[]", b"{}",
        b"[" * size, b'{"":' * size, b"<xml/>", b"\x1f\x8b\x08\x00", b"%PDF-1.7", b'{"a":1}' * size,
    )  # fmt: skip
    return draw.sent(draw.drawn.choice(COMMANDS), draw.drawn.choice(junk))


def in_another_encoding(draw: Draw) -> Message:
    key, document = draw.document()
    text = json.dumps(document, ensure_ascii=False)
    return draw.sent(key, text.encode(draw.drawn.choice(("utf-16", "utf-8-sig", "utf-32", "utf-7", "utf-16-le"))))


def no_utf8_in_a_text(draw: Draw) -> Message:
    bad = (
        b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe6\x97", b"\\ud800", b"\\x00",
    )  # fmt: skip
    key, document = draw.document()
    put(document, draw.drawn.choice(list(places(document))), "HERE")
    return draw.sent(key, written(document).replace(b"HERE", draw.drawn.choice(bad)))


def a_value_that_json_has_not(draw: Draw) -> Message:
    key, document = draw.document()
    put(document, draw.drawn.choice(list(places(document))), "HERE")
    values = (
        b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"0x10", b"01", b"+1", b".5", b"1.", b"'x'", b"None",
        b"undefined", b"9" * 5000, b"-" + b"9" * 4000, b"1e-99999", b"/* */", b"1,", b"", b"\\",
    )  # fmt: skip
    return draw.sent(key, written(document).replace(b'"HERE"', draw.drawn.choice(values)))


def very_deep(draw: Draw) -> Message:
    key, document = draw.document()
    put(document, draw.drawn.choice(list(places(document))), "HERE")
    depth = draw.drawn.choice((50, 199, 201, 1000, 100_000))
    opened, closed = draw.drawn.choice(((b"[", b"]"), (b'{"a":', b"}")))
    tail = draw.drawn.choice((closed * depth, b""))
    return draw.sent(key, written(document).replace(b'"HERE"', opened * depth + b"0" + tail))


def a_key_twice(draw: Draw) -> Message:
    key, document = draw.document()
    name = draw.drawn.choice([*document, "export_id", "version", "project", "requested_at"])
    again = b"{" + written(name) + b": " + written(draw.drawn.choice((*WRONG, *IDS))) + b", "
    body = written(document)
    return draw.sent(key, draw.drawn.choice((again + body[1:], body[:-1] + b", " + again[1:-2] + b"}")))


def a_wrong_type(draw: Draw) -> Message:
    key, document = draw.document()
    for _ in range(draw.drawn.choice((1, 1, 2, 4))):
        put(document, draw.drawn.choice(list(places(document))), draw.drawn.choice(WRONG))
    return draw.sent(key, document)


def a_field_is_missing(draw: Draw) -> Message:
    key, document = draw.document()
    path = draw.drawn.choice([path for path in places(document) if isinstance(path[-1], str)])
    del get(document, path[:-1])[path[-1]]
    return draw.sent(key, document)


def fields_that_nobody_knows(draw: Draw) -> Message:
    """Which is allowed; beside them something is not."""
    key, document = draw.document()
    objects = [path for path in [(), *places(document)] if isinstance(get(document, path), dict)]
    for _ in range(draw.drawn.choice((1, 10, 1000))):
        get(document, draw.drawn.choice(objects))[draw.drawn.choice(TEXTS[:20]) + str(draw.drawn.random())] = 0
    put(document, draw.drawn.choice(list(places(document))), draw.drawn.choice(WRONG))
    return draw.sent(key, document)


def a_hostile_text(draw: Draw) -> Message:
    key, document = draw.document()
    texts = [path for path in places(document) if isinstance(get(document, path), str)]
    put(document, draw.drawn.choice(texts), draw.drawn.choice(TEXTS))
    return draw.sent(key, document)


def a_hostile_id(draw: Draw) -> Message:
    key, document = draw.document()
    return draw.sent(key, document | {"export_id": draw.drawn.choice((*IDS, *WRONG))})


def a_version_of_its_own(draw: Draw) -> Message:
    key, document = draw.document()
    document["version"] = draw.drawn.choice(VERSIONS)
    if draw.drawn.random() < 0.5:
        put(document, draw.drawn.choice(list(places(document))), draw.drawn.choice(WRONG))
    return draw.sent(key, document)


def a_reference_out_of_bounds(draw: Draw) -> Message:
    key, document = draw.document(START)
    uris = [path for path in places(document) if path[-1] == "uri"]
    put(document, draw.drawn.choice(uris), draw.drawn.choice(TEXTS))
    return draw.sent(key, document)


def too_many_items(draw: Draw) -> Message:
    """Some 200,000 of them, bad or good, in any list."""
    key, document = draw.document(START)
    document.pop("project_ref", None)
    document["project"] = {"id": "p", "sections": [{"sentences": [{"word_timings": []}]}]}
    document["options"] = {"timelines": [], "captions": [], "include": {"kinds": [], "sections": []}}
    lists = [path for path in places(document) if isinstance(get(document, path), list)]
    put(document, draw.drawn.choice(lists), ["HERE"])
    item = draw.drawn.choice((b"7", b"{}", b"null", b'"audio"', b"[]", b'{"sentences":[{}]}'))
    items = b",".join([item] * draw.drawn.choice((10_001, 200_000)))
    return draw.sent(key, written(document).replace(b'"HERE"', items))


def too_large(draw: Draw) -> Message:
    """The id stands at its beginning, or behind all that is too much."""
    key, document = draw.document(START)
    padding = {"padding": "海" * (MAX_MESSAGE_BYTES // 3 + 1)}
    return draw.sent(key, draw.drawn.choice((document | padding, padding | document)))


# ---- and beside the body ------------------------------------------------------------------------------------------


def odd_properties(draw: Draw) -> Message:
    odd: tuple[dict[str, Any], ...] = (
        {"content_type": "application/x-python-pickle"}, {"content_type": "application/msgpack"}, {"app_id": "\r\n"},
        {"content_type": "application/json; charset=utf-16"}, {"content_encoding": "gzip"}, {"reply_to": START},
        {"correlation_id": "é" * 127}, {"message_id": "../.."}, {"message_type": "export.completed"}, {"priority": 255},
        {"timestamp": 2**40}, {"delivery_mode": 1}, {"content_type": "text"},
    )  # fmt: skip
    return _beside(draw, {}, draw.drawn.choice(odd))


def unreadable_properties(draw: Draw) -> Message:
    """A timestamp in nanoseconds, a text in Latin-1."""
    unreadable: tuple[dict[str, Any], ...] = (
        {"timestamp": 1_764_000_000_000_000_000}, {"timestamp": 2**64 - 1}, {"message_id": Octets(b"\xe9")},
        {"content_type": Octets(b"\xff\xfe")}, {"correlation_id": Octets(b"\xc3")}, {"app_id": Octets(b"\x80" * 200)},
    )  # fmt: skip
    return _beside(draw, {}, draw.drawn.choice(unreadable))


def odd_headers(draw: Draw) -> Message:
    """Of every type that there is, forged marks of travel, and a lot. (A NaN ends the sender's connection already.)"""
    odd: tuple[Any, ...] = (
        Encoded(b"d" + struct.pack(">d", 1e300)), Encoded(b"t\x02"), Encoded(b"D\xff\xff\xff\xff\xff"), Encoded(b"V"),
        Encoded(b"S\0\0\0\x02\xff\xfe"), Encoded(b"x\0\0\0\x02\xff\xfe"), Encoded(b"T" + struct.pack(">Q", 2**33)),
        Encoded(b"T" + struct.pack(">Q", 2**63)), Encoded(b"l" + struct.pack(">q", -(2**63))), [[[[[[[1]]]]]]],
        {"a": {"b": [None]}}, "x" * 30_000, "é" * 600, "\r\nforged: 1", "", 2**62, True, -1,
    )  # fmt: skip
    names = (
        "x-own", "ce-id", "ce-subject", "ce-type", "traceparent", "x-delivery-count", "x-death", "x-reason",
        "x-revived", "x-detail", "content-type", "é" * 60, "x-first-death-queue",
    )  # fmt: skip
    return _beside(draw, {draw.drawn.choice(names): draw.drawn.choice(odd) for _ in range(3)}, {})


def _beside(draw: Draw, headers: dict[str, Any], properties: dict[str, Any]) -> Message:
    """What stands beside a body that is wrong, too."""
    key, document = draw.document()
    body = draw.drawn.choice((b"not JSON", written(document | {"version": 0}), written(document | {"export_id": 7})))
    return draw.sent(key, body, headers=headers, properties=properties)


class Kind(NamedTuple):
    make: Callable[[Draw], Message]
    weight: int


_ALL = (
    Kind(cut_off, 100), Kind(a_byte_is_another, 100), Kind(a_piece_is_lost_or_twice, 80), Kind(no_json_at_all, 60),
    Kind(in_another_encoding, 30), Kind(no_utf8_in_a_text, 60), Kind(a_value_that_json_has_not, 60),
    Kind(very_deep, 40), Kind(a_key_twice, 60), Kind(a_wrong_type, 200), Kind(a_field_is_missing, 40),
    Kind(fields_that_nobody_knows, 30), Kind(a_hostile_text, 20), Kind(a_hostile_id, 60),
    Kind(a_version_of_its_own, 40), Kind(a_reference_out_of_bounds, 10), Kind(too_many_items, 3), Kind(too_large, 1),
    Kind(odd_properties, 40), Kind(unreadable_properties, 30), Kind(odd_headers, 60),
)  # fmt: skip
KINDS = {kind.make.__name__: kind for kind in _ALL}
WEIGHTS = [kind.weight for kind in _ALL]
