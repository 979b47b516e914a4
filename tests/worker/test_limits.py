"""What an operator limits is decided before a byte is copied, in words that name the setting."""

from typing import Any

import pytest

from tests.worker.stand import Stand, only_embedded


@only_embedded
@pytest.mark.parametrize(
    ("setting", "value", "detail"),
    [
        ("max_export_assets", 5, "6 finished assets are asked for; EXPORT_MAX_EXPORT_ASSETS is 5"),
        ("max_export_bytes", 119_999, "the media have 120,000 bytes; EXPORT_MAX_EXPORT_BYTES is 119,999"),
    ],
)
async def test_an_export_that_is_too_large_is_failed_before_anything_is_copied(
    setting: str, value: int, detail: str, stand: Stand
) -> None:
    limited: dict[str, Any] = {setting: value}
    async with stand.working(**limited):
        await stand.ask("e1")
        error = await stand.failed("e1")
        await stand.ask("e2", stand.project(1, name="small"))
        await stand.ended("e2")
    assert (error["code"], error["stage"], error["detail"]) == ("limit_exceeded", "planning", detail)
    assert not error["retryable"]
    assert [folder.name for folder in stand.exports.glob("export_*")] == ["export_small_20261123T184220Z"]


@only_embedded
async def test_an_export_that_just_keeps_to_the_limits_is_made(stand: Stand) -> None:
    async with stand.working(max_export_assets=6, max_export_bytes=120_000):
        await stand.ask("e1")
        await stand.ended("e1")
