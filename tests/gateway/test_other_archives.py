"""Bundles and archives of changes are downloaded as they were made; the whole folder can be had beside them."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.broker.commands import Document
from tests.cli.command import call
from tests.gateway.replicas import House, Replica, house
from tests.gateway.test_downloads import download, folder, made


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


@pytest.fixture
async def replica(home: House) -> Replica:
    await home.worker()
    return await home.replica()


def names_in(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert opened.testzip() is None
        return opened.namelist()


async def test_a_bundle_is_downloaded_under_its_own_name(home: House, replica: Replica) -> None:
    shown = await made(home, replica, home.project(), archive="otioz")
    answer = await replica.http.get(download(shown))
    assert f'filename="{folder(home, shown).name}.otioz"' in answer.headers["content-disposition"]
    assert answer.headers["etag"] == shown["result"]["archive"]["etag"]
    assert names_in(answer.content)[:3] == ["content.otio", "version.txt", "media/"]


async def test_the_whole_folder_can_be_had_beside_it(home: House, replica: Replica) -> None:
    shown = await made(home, replica, home.project(), archive="otioz")
    answer = await replica.http.get(download(shown), params={"which": "folder"})
    name = folder(home, shown).name
    assert f'filename="{name}.zip"' in answer.headers["content-disposition"]
    assert {f"{name}/timeline.otio", f"{name}/manifest.json"} <= set(names_in(answer.content))
    assert answer.headers["etag"] != shown["result"]["archive"]["etag"]


async def test_a_bundle_that_was_removed_leaves_the_folder(home: House, replica: Replica) -> None:
    shown = await made(home, replica, home.project(), archive="otioz")
    (home.exports / f"{folder(home, shown).name}.otioz").unlink()
    answer = await replica.http.get(download(shown))
    assert f'filename="{folder(home, shown).name}.zip"' in answer.headers["content-disposition"]


async def test_only_what_changed_is_downloaded_where_that_was_asked_for(home: House, replica: Replica) -> None:
    project = home.project()
    first = await made(home, replica, project)
    later = await made(home, replica, project, archive="zip", since=first["export_id"])
    assert later["result"]["archive"]["layout"] == "changes"
    content = (await replica.http.get(download(later))).content
    assert not [name for name in names_in(content) if "/" in name and not name.endswith("/")]
    assert "manifest.json" in names_in(content)


async def test_a_signed_link_is_good_for_either(home: House, replica: Replica) -> None:
    shown: Document = await made(home, replica, home.project(), archive="otioz")
    link = str(shown["links"]["download"])
    assert (await replica.http.head(link)).status_code == 200
    assert (await replica.http.head(f"{link}&which=folder")).status_code == 200


async def test_fetch_gives_it_its_own_name_and_verifies_it(home: House, replica: Replica, tmp_path: Path) -> None:
    project = home.project()
    first = await made(home, replica, project)
    for ending, options in (
        (".otioz", {"archive": "otioz"}),
        ("_changes.zip", {"archive": "zip", "since": first["export_id"]}),
    ):
        shown = await made(home, replica, project, **options)
        said = await asyncio.to_thread(call, "fetch", shown["export_id"], "--to", tmp_path, "--gateway", replica.url)
        assert said.code == 0, said
        assert (tmp_path / f"{folder(home, shown).name}{ending}").is_file()


async def test_fetch_tells_where_a_bundle_s_omissions_are_listed_for_it_has_no_manifest(
    home: House, replica: Replica, tmp_path: Path
) -> None:
    project = home.project()
    project["sections"][0]["sentences"].append({"text": "Not yet.", "image": {"status": "pending"}})
    shown = await made(home, replica, project, archive="otioz")
    said = await asyncio.to_thread(call, "fetch", shown["export_id"], "--to", tmp_path, "--gateway", replica.url)
    assert said.code == 3
    assert "whole by its own checksums" in said.out
    assert "not in the export: 1, listed in the folder's manifest.json; red markers" in said.out


async def test_a_plan_says_how_large_the_archive_that_is_asked_for_would_be(home: House, replica: Replica) -> None:
    project = home.project()
    body = {"project": project, "options": {"archive": "otioz"}}
    planned = (await replica.http.post(f"/api/v1/projects/{project['id']}/export/plan", json=body)).json()
    shown = await made(home, replica, project, archive="otioz")
    assert planned["archive"] == "otioz"
    assert planned["archive_size_bytes"] == shown["result"]["archive"]["size_bytes"]


async def planned(replica: Replica, project: Document, **options: Any) -> Document:
    body = {"project": project, "options": options}
    answer = await replica.http.post(f"/api/v1/projects/{project['id']}/export/plan", json=body)
    plan: Document = answer.json()
    return plan


def packed(plan: Document) -> list[str]:
    return [file["name"] for file in plan["tree"] if file["packed"]]


async def test_a_plan_of_what_changed_says_which_media_are_in_the_archive_and_how_large_it_is(
    home: House, replica: Replica
) -> None:
    project = home.project()
    first = await made(home, replica, project)
    project["sections"][0]["sentences"].append(dict(project["sections"][0]["sentences"][0]))
    options = {"archive": "zip", "since": first["export_id"]}
    plan = await planned(replica, project, **options)
    later = await made(home, replica, project, **options)
    assert plan["archive_size_bytes"] == later["result"]["archive"]["size_bytes"]
    content = (await replica.http.get(download(later))).content
    media = [name for name in names_in(content) if "/" in name and not name.endswith("/")]
    assert 0 < len(media) < plan["tree_total"]
    assert sorted(packed(plan)) == sorted(media)
    path = f"/api/v1/exports/{later['export_id']}/plan"
    assert sorted(packed((await replica.http.get(path)).json())) == sorted(media)
    await replica.http.delete(f"/api/v1/exports/{first['export_id']}")
    assert {file["packed"] for file in (await replica.http.get(path)).json()["tree"]} == {None}


@pytest.mark.parametrize("archive", ["none", "zip", "otioz"])
async def test_a_plan_says_of_every_file_that_it_is_in_any_other_archive(
    archive: str, home: House, replica: Replica
) -> None:
    project = home.project()
    plan = await planned(replica, project, archive=archive)
    shown = await made(home, replica, project, archive=archive)
    held = (await replica.http.get(f"/api/v1/exports/{shown['export_id']}/plan")).json()
    assert len(packed(plan)) == len(packed(held)) == plan["tree_total"] > 0
    assert plan["archive_size_bytes"] == held["archive_size_bytes"]


async def test_a_plan_of_a_long_story_says_about_how_large_its_archive_would_be(home: House, replica: Replica) -> None:
    project = home.project()
    [section] = project["sections"]
    section["sentences"] += [{"text": f"Sentence {number}."} for number in range(1200)]
    body = {"project": project, "options": {"archive": "zip"}}
    planned = (await replica.http.post(f"/api/v1/projects/{project['id']}/export/plan", json=body)).json()
    shown = await made(home, replica, project, archive="zip")
    actual = shown["result"]["archive"]["size_bytes"]
    assert actual / 20 < planned["archive_size_bytes"] < actual * 20
