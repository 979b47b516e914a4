"""The manifest tells of every file and every omission, and is as long before the copying as after it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

from hypothesis import given, settings

from contracts import Layout, Sentence
from service.contents import MANIFEST, OTIOZ_CONTENT, SCRIPT
from service.manifest import plan_hash, write_manifest
from service.model import Plan
from service.packing import archive_size_bytes, lay_out, tree_of
from service.script import write_script
from service.segments import Extent, Version, Written
from service.streaming_zip import ZipPlan
from service.texts import content_of_otioz, texts_of
from tests.core.projects import FOLDER, PENDING, Case, cases, completed, part, plan, project, section

few = settings(max_examples=20)


def copied(planned: Plan) -> dict[str, Written]:
    """As the copying would tell of it, each file with a checksum of its own."""
    return {copy.name: Written(copy.size_bytes, crc32(copy.name.encode())) for copy in planned.copies}


def written(pieces: Iterable[bytes]) -> Written:
    body = b"".join(pieces)
    return Written(len(body), crc32(body))


def manifest(planned: Plan, media: Mapping[str, Written] | None = None) -> bytes:
    script = written([write_script(planned).encode()])
    return b"".join(write_manifest(planned, copied(planned) if media is None else media, {SCRIPT: script}))


def read(planned: Plan) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(manifest(planned))
    return told


def archive(planned: Plan) -> ZipPlan:
    """Laid out as the worker does it once every file is there."""
    media, texts = copied(planned), {name: written(pieces) for name, pieces in texts_of(planned)}
    texts[MANIFEST] = written(write_manifest(planned, media, texts))
    if planned.layout is Layout.OTIOZ:
        texts[OTIOZ_CONTENT] = written(content_of_otioz(planned))
    sizes = {name: one.size_bytes for name, one in {**media, **texts}.items()}

    def extent(name: str) -> Extent:
        return Extent("exports", f"tree/{name}", 0, sizes[name], Version(sizes[name], 1, 2))

    return lay_out(planned, tree_of(planned, {**media, **texts}), extent)


# ---- the manifest ----------------------------------------------------------------------------------


def test_a_manifest_looks_like_this() -> None:
    told = project(
        section(
            Sentence(id="a-1", audio=part(0, 1000)),
            Sentence(audio=part(1000, 5000), image=PENDING),
            id="s-1",
            audio=completed("n.wav", size_bytes=1),
        ),
        name="The «Lighthouse»",
    )
    first = {"name": "audio/001_intro_audio.wav", "kind": "audio", "seq": 1, "size_bytes": 2044, "crc32": "6e49e7eb"}
    second = {"name": "audio/002_intro_audio.wav", "kind": "audio", "seq": 2, "size_bytes": 8044, "crc32": "3dd3bc6f"}
    heard = {"sample_rate_hz": 1000, "channels": 1}
    planned = plan(told)
    assert read(planned) == {
        "contract_version": 1,
        "export_id": "e-1",
        "project": {"id": "p", "name": "The «Lighthouse»"},
        "requested_at": "2026-03-01T12:00:00Z",
        "outcome": "partial",
        "plan_sha256": "cd796c68b454d9b90f70700a788b7aac0309f57aea4df4d05a375233908ca175",
        "files": [
            {**first, "source": "n.wav", "section_id": "s-1", "sentence_id": "a-1", "duration_ms": 1000, **heard},
            {**second, "source": "n.wav", "section_id": "s-1", "duration_ms": 4000, **heard},
        ],
        "texts": [{"name": "script.txt", "size_bytes": 236, "crc32": "aca1fbe7"}],
        "omissions": [{"kind": "image", "seq": 2, "reason": "pending", "section_id": "s-1"}],
        "warnings": list(planned.warnings),
    }


def test_a_manifest_has_one_line_for_each_file() -> None:
    lines = manifest(plan(project(section(*[Sentence(image=completed("a.png"))] * 3)))).decode().split("\n")
    assert [json.loads(line.rstrip(","))["seq"] for line in lines if '"image"' in line] == [1, 2, 3]


@few
@given(cases)
def test_a_manifest_lists_every_copy_and_omission_in_story_order(case: Case) -> None:
    planned = case.plan()
    told = read(planned)
    assert [file["name"] for file in told["files"]] == [copy.name for copy in planned.copies]
    assert [file["size_bytes"] for file in told["files"]] == [copy.size_bytes for copy in planned.copies]
    assert [(one["seq"], one["kind"], one["reason"]) for one in told["omissions"]] == [
        (one.spot.seq, one.spot.kind, one.reason) for one in planned.omissions
    ]
    assert told["warnings"] == list(planned.warnings)
    assert told["project"] == {"id": case.project.id, "name": case.project.name}


def test_a_manifest_of_thousands_of_files_is_one_json_too() -> None:
    planned = plan(project(section(*[Sentence(image=completed("a.png"), video=PENDING)] * 1001)))
    told = read(planned)
    assert [file["seq"] for file in told["files"]] == list(range(1, 1002))
    assert len(told["omissions"]) == 1001


@few
@given(cases)
def test_no_checksum_changes_a_length(case: Case) -> None:
    planned = case.plan()
    for crc in (0, 2**32 - 1):
        media = {copy.name: Written(copy.size_bytes, crc) for copy in planned.copies}
        assert len(manifest(planned, media)) == len(manifest(planned))


def test_another_cut_of_the_same_length_is_another_plan() -> None:
    def cut(start_ms: int) -> Plan:
        parts = [completed("own.wav"), part(start_ms, start_ms + 1000), completed("own.wav")]
        return plan(project(section(*(Sentence(audio=one) for one in parts), audio=completed("n.wav"))))

    assert plan_hash(cut(1000)) == plan_hash(cut(1000))
    assert plan_hash(cut(1000)) != plan_hash(cut(1001))


# ---- the archive -----------------------------------------------------------------------------------


@few
@given(cases)
def test_the_size_of_the_archive_is_known_before_anything_was_copied(case: Case) -> None:
    planned = case.plan()
    assert archive_size_bytes(planned) == archive(planned).size_bytes


def test_the_archive_is_the_folder_with_its_texts_first() -> None:
    sentence = Sentence(audio=completed("a.wav"), image=completed("a.png"), video=completed("a.mp4"))
    laid_out = archive(plan(project(section(sentence, sentence))))
    headers = b"".join(one for one in laid_out.segments if isinstance(one, bytes))
    names = ["", "captions.srt", "index.csv", "index.html", "manifest.json", "metadata.json", "script.txt"]
    names += ["timeline.fcpxml", "timeline.otio", "audio/", "audio/001_intro_audio.wav", "audio/002_intro_audio.wav"]
    names += ["images/", "images/001_intro_image.png", "images/002_intro_image.png", "videos/"]
    positions = [headers.index(f"{FOLDER}/{name}".encode()) for name in names]
    assert positions == sorted(positions)
    assert laid_out.entries == 22
