"""The image and the compose file: there is no Docker where the tests run, so what they say is held to what is there."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import GatewaySettings
from service.settings import WorkerSettings
from tests.house.repository import ROOT, text_of

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ["exports-root", "worker"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
SETTINGS = {f"EXPORT_{name}".upper() for name in (*WorkerSettings.model_fields, *GatewaySettings.model_fields)}


def instructions(word: str) -> list[str]:
    """The rest of each line that begins with `word`, in order."""
    return re.findall(rf"^{word} +(.+)$", DOCKERFILE, re.MULTILINE)


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """What is mounted, by where it is."""
    pairs = [mount if isinstance(mount, dict) else short(mount) for mount in service.get("volumes", [])]
    return {pair["target"]: pair["source"] for pair in pairs}


def secrets_of(service: dict[str, Any]) -> dict[str, str]:
    """What each is called inside, by its name outside."""
    given = service.get("secrets", [])
    return {one["source"]: one["target"] for one in given if isinstance(one, dict)} | {
        one: one for one in given if isinstance(one, str)
    }


def short(mount: str) -> dict[str, str]:
    source, target = mount.split(":")[:2]
    return {"source": source, "target": target}


# ---- compose.yaml


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_is_a_setting(name: str) -> None:
    variables = {name for name in SERVICES[name].get("environment", {}) if name.startswith("EXPORT_")}
    assert variables - SETTINGS == set()


@pytest.mark.parametrize("name", OURS)
def test_what_a_worker_cannot_do_without_is_set(name: str) -> None:
    needed = {f"EXPORT_{name}".upper() for name, field in WorkerSettings.model_fields.items() if field.is_required()}
    assert needed - SERVICES[name]["environment"].keys() == set()
    assert [secret.upper() for secret in SERVICES[name]["secrets"]] == ["EXPORT_BROKER_URL"]


def test_a_gateway_has_its_own_rights_at_the_broker_and_a_secret() -> None:
    gateway = SERVICES["gateway"]
    assert set(secrets_of(gateway).values()) == {"export_broker_url", "export_gateway_secret"}
    assert "export_broker_url" not in secrets_of(gateway)
    assert gateway["ports"] == ["127.0.0.1:8080:8080"]
    grace = float(gateway["stop_grace_period"].removesuffix("s"))
    assert grace > GatewaySettings.model_fields["gateway_drain_seconds"].default


@pytest.mark.parametrize("name", SERVICES)
def test_every_file_that_is_mounted_exists(name: str) -> None:
    files = [source for source in mounts(SERVICES[name]).values() if source.startswith(".")]
    assert [file for file in files if not (DEPLOY / file).is_file()] == []


@pytest.mark.parametrize("name", SERVICES)
def test_every_volume_and_secret_is_declared(name: str) -> None:
    volumes = {source for source in mounts(SERVICES[name]).values() if source[0] not in ".$"}
    assert volumes - COMPOSE["volumes"].keys() == set()
    assert set(secrets_of(SERVICES[name])) - COMPOSE["secrets"].keys() == set()


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_no_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", OURS)
def test_the_media_cannot_be_written(name: str) -> None:
    [media] = [mount for mount in SERVICES[name]["volumes"] if mount["target"] == "/media"]
    assert media["read_only"] is True


def test_workers_have_time_to_hand_back_what_they_do_and_a_limit_of_memory() -> None:
    worker = SERVICES["worker"]
    assert float(worker["stop_grace_period"].removesuffix("s")) > WorkerSettings.model_fields["drain_seconds"].default
    assert worker["deploy"]["replicas"] >= 2
    assert worker["mem_limit"]


def test_workers_wait_for_the_broker_and_for_the_exports_root() -> None:
    waited_for = {name: entry["condition"] for name, entry in SERVICES["worker"]["depends_on"].items()}
    assert waited_for == {"broker": "service_healthy", "exports-root": "service_completed_successfully"}
    assert SERVICES["broker"]["healthcheck"]["test"]
    assert SERVICES["exports-root"]["command"] == ["check", "--init"]


def test_every_user_of_the_broker_has_a_password_in_a_file_that_git_does_not_see() -> None:
    users = {user["name"] for user in json.loads((DEPLOY / "rabbitmq/definitions.json").read_text())["users"]}
    assert set(SERVICES["passwords"]["secrets"]) == users
    assert {Path(secret["file"]).parent for secret in COMPOSE["secrets"].values()} == {Path("secrets")}
    assert "deploy/secrets/" in text_of(Path(".gitignore")).splitlines()


def test_images_are_named_without_a_host() -> None:
    images = [service["image"] for service in SERVICES.values()] + re.findall(r"PYTHON_IMAGE=(\S+)\n", DOCKERFILE)
    assert len(images) > len(SERVICES)
    assert [image for image in images if "/" in image] == []


# ---- Dockerfile


def test_everything_that_is_copied_exists_and_is_not_ignored() -> None:
    sources = [word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]
    kept = {line[1:] for line in text_of(Path(".dockerignore")).splitlines() if line.startswith("!")}
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {source.partition("/")[0] for source in sources} == kept


def test_the_wheel_is_built_from_everything_it_packs() -> None:
    project = tomllib.loads(text_of(Path("pyproject.toml")))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = {word for line in instructions("COPY") for word in line.split()[:-1]}
    wanted = [*packages, project["project"]["readme"], *project["project"]["license-files"]]
    assert [name for name in wanted if name not in copied] == []


def test_every_package_is_checked_against_the_lock_and_nothing_is_compiled() -> None:
    installs = [line for line in instructions("RUN") if re.search(r"pip .*\binstall\b.* -r ", line)]
    assert len(installs) == 2
    assert [line for line in installs if "--require-hashes" not in line or "--only-binary :all:" not in line] == []


def test_the_image_runs_a_command_that_there_is_as_nobody_in_particular() -> None:
    [entrypoint] = instructions("ENTRYPOINT")
    assert json.loads(entrypoint)[0] in tomllib.loads(text_of(Path("pyproject.toml")))["project"]["scripts"]
    assert instructions("CMD") == ['["worker"]']
    assert instructions("USER") == ["10001:10001"]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


def test_the_image_sets_what_are_settings() -> None:
    [environment] = instructions("ENV")
    names = {word.partition("=")[0] for word in shlex.split(environment)}
    assert {name for name in names if name.startswith("EXPORT_")} - SETTINGS == set()


def test_the_health_check_is_a_program_that_asks_the_port_of_the_settings() -> None:
    [line] = instructions("HEALTHCHECK")
    program = json.loads(line[line.index("[") :])[2]
    compile(program, "HEALTHCHECK", "exec")
    assert f"'EXPORT_HEALTH_PORT', '{WorkerSettings.model_fields['health_port'].default}'" in program
    assert "/livez" in program
