"""What other services may rely on: the committed schemas and examples, and that bad input is cheap."""

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from jsonschema import Draft202012Validator
from pydantic import StringConstraints, ValidationError

import contracts
from contracts import (
    ErrorCode,
    ExportCancel,
    ExportProgress,
    ExportStart,
    Kind,
    Outcome,
    Reason,
    Stage,
    State,
    generate,
)
from contracts.base import Contract
from contracts.golden import INBOUND, MODELS, as_written, golden_examples
from contracts.messages import Archive, Caption, Message, Timeline

HERE = Path(contracts.__file__).parent
PROMISES = [HERE, *sorted((HERE / "released").glob("*/"))]
"""Directories with schemas and examples: today's, and those of every release."""
EXAMPLES = golden_examples()


# ---- committed files -------------------------------------------------------------------------------


def test_the_committed_schemas_and_examples_are_those_of_the_models() -> None:
    assert generate.differences(HERE) == []


def test_a_check_names_each_file_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "HERE", tmp_path)
    generate.main([])
    generate.main(["--check"])
    (tmp_path / "schemas/project.json").write_text("{}\n")
    (tmp_path / "schemas/export.start.json").unlink()
    (tmp_path / "examples/export.start/v1/of_yesterday.json").write_text("{}\n")

    with pytest.raises(SystemExit) as stopped:
        generate.main(["--check"])

    assert str(stopped.value.code).split(": ")[1].split(", ") == [
        "examples/export.start/v1/of_yesterday.json",
        "schemas/export.start.json",
        "schemas/project.json",
    ]


def test_generating_again_mends_what_differs_and_removes_what_is_no_longer_made(tmp_path: Path) -> None:
    generate.write(tmp_path)
    (tmp_path / "schemas/project.json").write_text("{}\n")
    (tmp_path / "schemas/export.pause.json").write_text("{}\n")

    generate.write(tmp_path)

    assert generate.differences(tmp_path) == []


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_names_itself_without_a_host_and_explains_itself(name: str) -> None:
    schema = json.loads((HERE / f"schemas/{name}.json").read_text())

    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:export-service:{name}:1"
    assert schema["title"] == name
    assert schema["description"]


def test_every_word_of_every_enumeration_is_in_an_example() -> None:
    seen = {word for example in EXAMPLES.values() for word in words(example.model_dump(mode="json"))}
    enumerations: list[type[StrEnum]] = [Archive, Caption, ErrorCode, Kind, Outcome, Reason, Stage, State, Timeline]
    # A command parks or prints these; what a worker waits out is never announced.
    never_announced = {ErrorCode.CONFLICT, ErrorCode.NO_SPACE, ErrorCode.IO_ERROR}

    assert {word for enumeration in enumerations for word in enumeration} - seen == never_announced


def test_a_project_ref_has_the_hash_of_the_project_file() -> None:
    reference = json.loads((HERE / "examples/export.start/v1/project_ref.json").read_text())["project_ref"]

    assert reference["sha256"] == hashlib.sha256((HERE / "examples/project/v1/full.json").read_bytes()).hexdigest()


def test_times_are_written_in_utc() -> None:
    command = ExportStart.model_validate_json(body(requested_at="2025-03-14T10:26:53+01:00"))

    assert json.loads(command.model_dump_json())["requested_at"] == "2025-03-14T09:26:53Z"


def test_each_json_block_of_the_readme_is_a_message_without_a_slip() -> None:
    text = (HERE / "README.md").read_text()
    blocks = re.findall(r"^```json (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    assert len(blocks) == text.count("```json") >= 3
    for name, block in blocks:
        assert list(surprises(HERE, name, json.loads(block))) == []
        assert sent_again(MODELS[name].model_validate_json(block)) == json.loads(block)


# ---- rules of change -------------------------------------------------------------------------------


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
def test_what_was_promised_still_holds(promise: Path) -> None:
    assert list(broken(promise)) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_fields_of_the_future_are_ignored(name: str) -> None:
    example = EXAMPLES[name]
    from_the_future = with_a_new_field(json.loads(as_written(example)))

    assert type(example).model_validate(from_the_future) == example


class _CancelWithUrgency(ExportCancel):
    urgency: int


class _CancelWithShortReason(ExportCancel):
    reason: Annotated[str, StringConstraints(max_length=5)] = ""


class _CancelWithRenamedReason(Message):
    type: ClassVar[str] = "export.cancel"
    why: str = ""


@pytest.mark.parametrize(
    "changed", [_CancelWithUrgency, _CancelWithShortReason, _CancelWithRenamedReason], ids=lambda model: model.__name__
)
def test_a_change_that_would_refuse_or_lose_what_publishers_send_is_noticed(changed: type[Contract]) -> None:
    (complaint, *_) = broken(HERE, models=MODELS | {"export.cancel": changed})

    assert complaint.startswith("examples/export.cancel/v1/")


@pytest.mark.parametrize(
    "change",
    [{"state": "daydreaming"}, {"eta_seconds": "soon"}, {"percent": 101}, {"files": {"done": 1}}, {"by_kind": None}],
    ids=str,
)
def test_an_event_that_would_surprise_its_consumers_is_noticed(change: dict[str, Any]) -> None:
    event = json.loads((HERE / "examples/export.progress/v1/copying.json").read_text())

    assert list(surprises(HERE, "export.progress", event)) == []
    assert list(surprises(HERE, "export.progress", event | change)) != []


@pytest.mark.parametrize("field", ExportProgress.model_fields)
def test_an_event_that_lost_a_field_is_noticed(field: str) -> None:
    event = json.loads((HERE / "examples/export.progress/v1/copying.json").read_text())
    del event[field]

    assert list(surprises(HERE, "export.progress", event)) == [f"'{field}' is a required property"]


# ---- bad input -------------------------------------------------------------------------------------


MANY = 200_000
FLOODS: dict[str, dict[str, Any]] = {
    "sections": {"project": {"id": "p", "sections": [3] * MANY}},
    "sentences": {"project": {"id": "p", "sections": [{"sentences": [3] * MANY}]}},
    "sentences within the limit": {"project": {"id": "p", "sections": [{"sentences": [3] * 99_999}]}},
    "word timings": {"project": {"id": "p", "sections": [{"sentences": [{"word_timings": [3] * MANY}]}]}},
    "kinds": {"options": {"include": {"kinds": ["x"] * MANY}}},
    "good kinds": {"options": {"include": {"kinds": ["audio"] * MANY}}},
    "chosen sections": {"options": {"include": {"sections": [3] * MANY}}},
    "timelines": {"options": {"timelines": ["x"] * MANY}},
    "captions": {"options": {"captions": ["x"] * MANY}},
    "a million sentences": {"project": {"id": "p", "sections": [{"sentences": [{}] * 100_000}] * 10}},
    "a status of a megabyte": {"project": {"id": "p", "sections": [{"audio": {"status": "x" * 1_000_000}}]}},
    "a title of a megabyte": {"project": {"id": "p", "sections": [{"title": "x" * 1_000_000}]}},
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_bad_input_is_refused_soon_and_in_few_words(flood: str) -> None:
    message = body(**FLOODS[flood])
    started = time.process_time()

    with pytest.raises(ValidationError) as refused:
        ExportStart.model_validate_json(message)

    assert len(str(refused.value)) < 2_000
    assert time.process_time() - started < 1


@pytest.mark.parametrize("field", ["omissions", "warnings"])
def test_a_flood_in_a_terminal_event_is_refused_in_few_words(field: str) -> None:
    event = json.loads((HERE / "examples/export.completed/v1/empty.json").read_text()) | {field: [3] * MANY}

    with pytest.raises(ValidationError, match=f"{field}.0") as refused:
        contracts.ExportCompleted.model_validate(event)

    assert len(str(refused.value)) < 2_000


def with_asset(**asset: object) -> dict[str, Any]:
    return {"project": {"id": "p", "sections": [{"sentences": [{"audio": asset}]}]}}


def with_section(**section: object) -> dict[str, Any]:
    return {"project": {"id": "p", "sections": [section]}}


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("export_id", {"export_id": "abc\n"}),
    ("export_id", {"export_id": "abc\0"}),
    ("export_id", {"export_id": ""}),
    ("export_id", {"export_id": "../a"}),
    ("export_id", {"export_id": "A"}),
    ("export_id", {"export_id": "a" * 65}),
    ("requested_at", {"requested_at": "2025-03-14T09:26:53"}),
    ("requested_at", {"requested_at": "0001-01-01T00:00:00+14:00"}),
    ("requested_at", {"requested_at": "9999-12-31T23:59:59-14:00"}),
    ("requested_at", {"requested_at": None}),
    ("version", {"version": 0}),
    ("version", {"version": -1}),
    ("project and project_ref", {"project": None}),
    ("project and project_ref", {"project_ref": {"uri": "asset:p.json", "sha256": "0" * 64}}),
    ("project_ref.uri", {"project": None, "project_ref": {"uri": "asset:\0", "sha256": "0" * 64}}),
    ("project_ref.sha256", {"project": None, "project_ref": {"uri": "asset:p.json", "sha256": "0" * 64 + "\n"}}),
    ("project.id", {"project": {"id": "p\n", "sections": []}}),
    ("project.id", {"project": {"id": "p\x1f", "sections": []}}),
    ("project.id", {"project": {"id": "a/b", "sections": []}}),
    ("project.id", {"project": {"id": "..", "sections": []}}),
    ("project.id", {"project": {"id": "", "sections": []}}),
    ("project.id", {"project": {"id": "p" * 129, "sections": []}}),
    ("project.frame_rate", {"project": {"id": "p", "sections": [], "frame_rate": -25}}),
    ("project.frame_rate", {"project": {"id": "p", "sections": [], "frame_rate": float("nan")}}),
    ("sections.0.id", with_section(id="s\n")),
    ("sections.0.sentences.0.id", with_section(sentences=[{"id": "s\0"}])),
    ("image cannot have a slice", with_section(sentences=[{"image": {"status": "completed", "uri": "a", "slice":
        {"start_ms": 0, "end_ms": 1}}}])),
    ("audio.completed.uri", with_asset(status="completed", uri="a\0.wav")),
    ("audio.completed.uri", with_asset(status="completed", uri="a.wav\n")),
    ("audio.completed.uri", with_asset(status="completed", uri="a\x7f.wav")),
    ("audio.completed.uri", with_asset(status="completed", uri="")),
    ("needs a uri", with_asset(status="completed")),
    ("sentences.0.audio has a slice", with_asset(status="completed", slice={"start_ms": 0, "end_ms": 1})),
    ("audio.completed.size_bytes", with_asset(status="completed", uri="a", size_bytes=-1)),
    ("audio.completed.crc32", with_asset(status="completed", uri="a", crc32=2**32)),
    ("audio.completed.duration_ms", with_asset(status="completed", uri="a", duration_ms=-1)),
    ("audio.completed.slice.start_ms", with_asset(status="completed", uri="a", slice={"start_ms": -1, "end_ms": 1})),
    ("end_ms must be greater", with_asset(status="completed", uri="a", slice={"start_ms": 1, "end_ms": 1})),
    ("audio\n  status must be one of", with_asset(status="finished", uri="a")),
    ("audio\n  status must be one of", with_asset(uri="a")),
    ("options.archive", {"options": {"archive": "rar"}}),
    ("options.retain_seconds", {"options": {"retain_seconds": -1}}),
    ("options.since", {"options": {"since": "abc\n"}}),
    ("options.include.sections.0", {"options": {"include": {"sections": ["s\0"]}}}),
]  # fmt: skip


@pytest.mark.parametrize(("named", "changes"), REFUSED, ids=str)
def test_what_is_wrong_is_refused_and_named(named: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=re.escape(named)):
        ExportStart.model_validate_json(body(**changes))


def test_numbers_below_zero_are_refused_in_events() -> None:
    event = json.loads((HERE / "examples/export.progress/v1/copying.json").read_text())

    with pytest.raises(ValidationError, match=r"files\.done\n(.|\n)*eta_seconds\n"):
        ExportProgress.model_validate(event | {"files": {"done": -1, "total": 1}, "eta_seconds": -1})


# ---- a bare environment ----------------------------------------------------------------------------


def test_the_contracts_need_pydantic_and_nothing_else() -> None:
    script = """
import sys
before = set(sys.modules)
import contracts.generate, contracts.golden
print(*{name.partition(".")[0] for name in sys.modules.keys() - before} - sys.stdlib_module_names)
"""
    run = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)

    pydantic = {"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}
    # The interpreter's own facts about its platform have no name in sys.stdlib_module_names.
    loaded = {name for name in run.stdout.split() if not name.startswith("_sysconfigdata_")}
    assert loaded - pydantic == {"contracts"}


# ---- helpers ---------------------------------------------------------------------------------------


def broken(promise: Path, models: Mapping[str, type[Contract]] = MODELS) -> Iterator[str]:
    """What was promised in that directory and is not kept: examples first, then events that no old schema allows."""
    for file in sorted((promise / "examples").glob("*/*/*.json")):
        try:
            model = models[file.parts[-3]].model_validate_json(file.read_bytes())
        except ValidationError as refusal:
            yield f"{file.relative_to(promise)}: {refusal}"
            continue
        if sent_again(model) != json.loads(file.read_bytes()):
            yield f"{file.relative_to(promise)}: read with a loss"
        if type(model).model_validate_json(model.model_dump_json()) != model:
            yield f"{file.relative_to(promise)}: not the same when written and read again"
    for name, example in EXAMPLES.items():
        if promise is HERE or not isinstance(example, INBOUND):
            yield from surprises(promise, name.partition("/")[0], json.loads(as_written(example)))


def surprises(promise: Path, name: str, document: object) -> Iterator[str]:
    for error in validator_of(promise, name).iter_errors(document):
        yield error.message


def validator_of(promise: Path, name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((promise / f"schemas/{name}.json").read_text()))


def sent_again(model: Contract) -> object:
    """What was read and understood of a message; fields that came later than it are not in it."""
    return json.loads(model.model_dump_json(exclude_unset=True))


def with_a_new_field(value: Any, name: str = "") -> Any:
    """The same with one more field in every object, but not in the maps, whose keys are data."""
    if isinstance(value, list):
        return [with_a_new_field(item) for item in value]
    if not isinstance(value, dict):
        return value
    grown = {key: with_a_new_field(item, key) for key, item in value.items()}
    return grown if name in {"by_kind", "counts", "timings_seconds"} else grown | {"of_the_future": {"a": [1]}}


def words(value: Any) -> Iterator[str]:
    """Every string in a JSON value, keys included."""
    if isinstance(value, dict):
        yield from value
        yield from words(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from words(item)
    elif isinstance(value, str):
        yield value


def body(**changes: object) -> str:
    project = {"id": "p", "sections": []}
    return json.dumps({"export_id": "a-1", "requested_at": "2025-03-14T09:26:53Z", "project": project} | changes)
