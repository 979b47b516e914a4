"""What goes beyond a limit is answered with its name, its value and what was found; no limit is without a test."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from contracts import ErrorCode, ExportCancel, ExportCompleted, ExportStart, PendingAsset, Sentence, limits
from contracts.faults import LIMITS, first_fault
from contracts.golden import golden_examples
from contracts.messages import MESSAGES, ProjectRef
from service.errors import Verdict
from service.intake import _read_project, read_message
from service.outcome import completed
from service.references import MEDIA
from service.room import Allowance
from service.storage.local import LocalStorage
from tests.core.projects import completed as asset
from tests.core.projects import draft, found, plan, project, section

NAMES = {name: value for name, value in vars(limits).items() if name.startswith("MAX_")}


def start(told: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"export_id": "e-1", "requested_at": "2026-11-23T18:42:20Z", "project": told, **fields}


def of(*sentences: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "p", "sections": [{"sentences": list(sentences)}], **fields}


def spoken(**fields: Any) -> dict[str, Any]:
    return {"audio": {"status": "completed", "uri": "a.wav", **fields}}


def text(count: int) -> str:
    return "x" * count


WORD = {"word": "x", "start_ms": 0, "end_ms": 1}
# A message with so much of it, and how that is called.
BY_NAME: dict[str, tuple[Callable[[int], dict[str, Any]], str]] = {
    "MAX_MESSAGE_BYTES": (
        lambda n: start(of(), padding=text(n - len(json.dumps(start(of(), padding=""))))),
        "the message has {:,} bytes",
    ),
    "MAX_SECTIONS": (lambda n: start({"id": "p", "sections": [{}] * n}), "has {:,} entries"),
    "MAX_SENTENCES": (
        lambda n: start({"id": "p", "sections": [{"sentences": [{}] * count} for count in (n // 2, n - n // 2)]}),
        "has {:,} sentences",
    ),
    "MAX_WORD_TIMINGS": (lambda n: start(of({"word_timings": [WORD] * n})), "has {:,} entries"),
    "MAX_TITLE_CHARACTERS": (lambda n: start(of(name=text(n))), "has {:,} characters"),
    "MAX_TEXT_CHARACTERS": (lambda n: start(of({"text": text(n)})), "has {:,} characters"),
    "MAX_WORD_CHARACTERS": (lambda n: start(of({"word_timings": [WORD | {"word": text(n)}]})), "has {:,} characters"),
    "MAX_ERROR_CHARACTERS": (
        lambda n: start(of({"image": {"status": "failed", "error": text(n)}})),
        "has {:,} characters",
    ),
    "MAX_EXPORT_ID_CHARACTERS": (lambda n: start(of(), export_id=text(n)), "has {:,} characters"),
    "MAX_ID_CHARACTERS": (lambda n: start(of({"id": text(n)})), "has {:,} characters"),
    "MAX_REFERENCE_CHARACTERS": (lambda n: start(of(spoken(uri=text(n)))), "has {:,} characters"),
    "MAX_ETAG_CHARACTERS": (lambda n: start(of(spoken(etag=text(n)))), "has {:,} characters"),
    "MAX_LANGUAGE_CHARACTERS": (lambda n: start(of(language=text(n))), "has {:,} characters"),
    "MAX_FRAME_RATE": (lambda n: start(of(frame_rate=n)), "is {:,}"),
    "MAX_MILLISECONDS": (lambda n: start(of(spoken(duration_ms=n))), "is {:,}"),
    "MAX_RETAIN_SECONDS": (lambda n: start(of(), options={"retain_seconds": n}), "is {:,}"),
    "MAX_MEDIA_ROOT_CHARACTERS": (
        lambda n: start(of(), options={"media_root": "/" + text(n - 1)}),
        "has {:,} characters",
    ),
    "MAX_TENANT_CHARACTERS": (lambda n: start(of(), requested_by={"tenant": text(n)}), "has {:,} characters"),
    "MAX_SUBJECT_CHARACTERS": (lambda n: start(of(), requested_by={"subject": text(n)}), "has {:,} characters"),
    "MAX_REASON_CHARACTERS": (lambda n: {"export_id": "e-1", "reason": text(n)}, "has {:,} characters"),
    "MAX_CHOICES": (lambda n: start(of(), options={"include": {"kinds": ["audio"] * n}}), "has {:,} entries"),
}
# Not of a command: each has a test of its own below.
OTHERS = {"MAX_PROJECT_BYTES", "MAX_OMISSIONS_IN_MESSAGE", "MAX_WARNINGS_IN_MESSAGE"}


def test_no_limit_is_without_a_test() -> None:
    assert BY_NAME.keys() | OTHERS == NAMES.keys()


def read(name: str, much: int) -> None:
    message = BY_NAME[name][0](much)
    read_message(json.dumps(message).encode(), ExportCancel if "reason" in message else ExportStart)


@pytest.mark.parametrize("name", BY_NAME)
def test_beyond_a_limit_is_said_by_how_much_and_which_it_is(name: str) -> None:
    with pytest.raises(Verdict) as caught:
        read(name, NAMES[name] + 1)
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED
    said = BY_NAME[name][1].format(NAMES[name] + 1)
    assert f"{said}; {name} is {NAMES[name]:,}" in caught.value.detail
    assert len(caught.value.detail) < 300, "what was found is never repeated"


@pytest.mark.parametrize("name", BY_NAME)
def test_what_just_keeps_to_a_limit_is_read(name: str) -> None:
    read(name, NAMES[name])


def test_a_project_behind_a_reference_may_be_so_large_and_no_larger(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    with (tmp_path / "media" / "project.json").open("wb") as file:
        file.truncate(limits.MAX_PROJECT_BYTES + 1)  # a hole: nobody may read it
    storage = LocalStorage({MEDIA: tmp_path / "media"}, tmp_path / "media")
    try:
        with pytest.raises(Verdict) as caught:
            _read_project(ProjectRef(uri="project.json", sha256=hashlib.sha256().hexdigest()), storage)
    finally:
        storage.close()
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED
    assert caught.value.detail == "the project has 134,217,729 bytes; MAX_PROJECT_BYTES is 134,217,728"


# ---- what the service itself says is cut, and never in silence


@pytest.mark.parametrize("field", ["omissions", "warnings"])
def test_an_event_with_too_many_of_a_kind_is_none_of_ours(field: str) -> None:
    event = next(one for one in golden_examples().values() if isinstance(one, ExportCompleted) and one.omissions)
    document = event.model_dump(mode="json")
    many = [document["omissions"][0] if field == "omissions" else "a warning"] * 101
    with pytest.raises(ValidationError) as caught:
        ExportCompleted.model_validate(document | {field: many})
    assert first_fault(caught.value) == f"{field}: has 101 entries; MAX_{field.upper()}_IN_MESSAGE is 100"


def test_omissions_that_a_message_has_no_room_for_are_counted() -> None:
    told = plan(project(section(*[Sentence(image=PendingAsset(status="pending"))] * 130)))
    event = completed(told, {}, None, 1, {}, told.draft.requested_at)
    assert (len(event.omissions), event.omissions_total) == (limits.MAX_OMISSIONS_IN_MESSAGE, 130)


def test_warnings_that_a_message_has_no_room_for_are_counted_in_its_last() -> None:
    told = replace(plan(project()), warnings=tuple(f"warning {number}" for number in range(130)))
    event = completed(told, {}, None, 1, {}, told.draft.requested_at)
    assert event.warnings[:99] == told.warnings[:99]
    assert event.warnings[99] == "and 31 more, which manifest.json lists: MAX_WARNINGS_IN_MESSAGE is 100"


# ---- what an operator limits


def test_an_operator_may_limit_the_assets_of_an_export() -> None:
    told = draft(project(section(*[Sentence(image=asset(f"{number}.png")) for number in range(4)])))
    Allowance(assets=4).insist_on_few(told)
    with pytest.raises(Verdict, match=r"^4 finished assets are asked for; EXPORT_MAX_EXPORT_ASSETS is 3$") as caught:
        Allowance(assets=3).insist_on_few(told)
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED


def test_an_operator_may_limit_the_bytes_of_an_export() -> None:
    told = plan(project(section(Sentence(image=asset("a.png")))), {"a.png": found("a.png", 2_000)})
    Allowance(size_bytes=2_000).insist_on_small(told)
    with pytest.raises(Verdict, match=r"^the media have 2,000 bytes; EXPORT_MAX_EXPORT_BYTES is 1,999$") as caught:
        Allowance(size_bytes=1_999).insist_on_small(told)
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED


# ---- nothing is without a name


def test_every_bound_of_a_message_is_a_limit_with_a_name() -> None:
    found = {bound for kind in MESSAGES.values() for bound in bounds(kind.model_json_schema())}
    named = {(bound, value) for value in NAMES.values() for bound in BOUNDS}
    what_a_number_can_hold = {("maximum", 2**32 - 1), ("maximum", 2**63 - 1)}
    assert found - named - what_a_number_can_hold == set()


BOUNDS = ("maxLength", "maxItems", "maximum")


def bounds(schema: object) -> Iterator[tuple[str, int]]:
    match schema:
        case dict():
            yield from ((bound, schema[bound]) for bound in BOUNDS if isinstance(schema.get(bound), int | float))
            for part in schema.values():
                yield from bounds(part)
        case list():
            for part in schema:
                yield from bounds(part)
        case _:
            return


def test_every_name_that_an_error_gives_is_one_of_a_limit() -> None:
    given = {name for fields in LIMITS.values() for name in fields.values()}
    assert given <= NAMES.keys()
