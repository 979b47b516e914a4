"""An operator may have the checksums of projects believed; a wrong one tells whether they were."""

import json

import pytest

from tests.worker.stand import Stand, only_embedded

WRONG = 7
SIZE_BYTES = 300_000
"""Small files are read with what stands beside them in any case."""


@only_embedded
@pytest.mark.parametrize("trusted", [False, True])
async def test_checksums_are_believed_only_where_the_operator_says_so(trusted: bool, stand: Stand) -> None:
    project = stand.project(sentences=0, big=1)
    clip = project["sections"][0]["sentences"][0]["video"]
    (stand.media / clip["uri"]).write_bytes(bytes(SIZE_BYTES))
    clip["crc32"] = WRONG
    async with stand.working(trusted_checksums=trusted):
        await stand.ask("e1", project)
        end = await stand.ended("e1")
    manifest = json.loads((stand.folder(end) / "manifest.json").read_bytes())
    assert (int(manifest["files"][0]["crc32"], 16) == WRONG) is trusted
    assert (end.document["warnings"] == []) is trusted
