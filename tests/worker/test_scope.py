"""A project may name its own media only, where the operator says so."""

import pytest

from service.settings import checked_scope
from tests.broker.commands import export_start
from tests.worker.stand import Stand, only_embedded


@only_embedded
async def test_files_within_the_scope_are_exported(stand: Stand) -> None:
    async with stand.working(media_scope="story/"):
        await stand.ask("e1")
        end = await stand.ended("e1")
    assert end.document["outcome"] == "complete"


@only_embedded
@pytest.mark.parametrize("scope", ["projects/{project_id}/", "{tenant}/", "stor/"])
async def test_a_file_outside_the_scope_is_refused_by_name(stand: Stand, scope: str) -> None:
    async with stand.working(media_scope=scope):
        await stand.ask("e1")
        error = await stand.failed("e1")
    assert error["code"] == "reference_refused"
    assert "sentence 1" in error["detail"]
    assert "where this project's files must be" in error["detail"]


@only_embedded
async def test_a_tenant_may_name_what_is_its_own(stand: Stand) -> None:
    async with stand.working(media_scope="{tenant}/"):
        message = {**await _message(stand), "requested_by": {"tenant": "story"}}
        await stand.rabbit.send("export.start", message)
        await stand.ended("e1")


async def _message(stand: Stand) -> dict[str, object]:
    return export_start("e1", stand.project(), {})


@pytest.mark.parametrize("scope", ["projects", "/projects/", "{project}/", "a/{tenant", "{}/"])
def test_a_scope_that_would_let_pass_what_it_should_not_is_no_scope(scope: str) -> None:
    with pytest.raises(ValueError, match="is no scope"):
        checked_scope(scope)
