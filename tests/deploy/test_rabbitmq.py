"""What operators give to RabbitMQ: definitions without a secret, passwords from files, a configuration with reasons."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from contracts import topology
from contracts.limits import MAX_MESSAGE_BYTES
from tests.house.repository import ROOT

RABBITMQ = ROOT / "deploy/rabbitmq"
README = (RABBITMQ / "README.md").read_text()
SET_PASSWORDS = RABBITMQ / "set_passwords.py"


def definitions() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((RABBITMQ / "definitions.json").read_text())
    return loaded


# ---- definitions.json


def test_the_definitions_hold_no_secret() -> None:
    for user in definitions()["users"]:
        assert user["password_hash"] == ""
        assert user.keys() == {"name", "password_hash", "hashing_algorithm", "tags"}


def test_no_user_is_more_than_a_user() -> None:
    assert {user["tags"] for user in definitions()["users"]} == {""}


def test_everything_is_durable() -> None:
    entities = definitions()["exchanges"] + definitions()["queues"]
    assert {(entity["durable"], entity["auto_delete"]) for entity in entities} == {(True, False)}


# ---- passwords


def test_a_password_is_hashed_as_rabbitmq_does() -> None:
    """The example of rabbitmq.com/docs/passwords."""
    program = (
        f"import runpy; print(runpy.run_path({str(SET_PASSWORDS)!r})['hash_of']('test12', b'\\x90\\x8d\\xc6\\x0a'))"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR\n"


def test_who_has_no_file_gets_no_password(tmp_path: Path) -> None:
    (tmp_path / "export-worker").write_text("secret\n")
    assert set_passwords(tmp_path).returncode == 0

    loaded = json.loads((tmp_path / "definitions.json").read_text())
    hashes = {user["name"]: user.pop("password_hash") for user in loaded["users"]}
    expected = definitions()
    for user in expected["users"]:
        del user["password_hash"]
    assert [name for name, value in hashes.items() if value] == ["export-worker"]
    assert loaded == expected


def test_an_empty_password_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "export-worker").write_text("\n")
    ran = set_passwords(tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.endswith("export-worker is empty: a password was expected\n")
    assert not (tmp_path / "definitions.json").exists()


def test_the_same_password_twice_is_not_seen_in_the_file(tmp_path: Path) -> None:
    for name in ("export-worker", "export-gateway"):
        (tmp_path / name).write_text("secret")
    set_passwords(tmp_path)
    hashes = {user["password_hash"] for user in json.loads((tmp_path / "definitions.json").read_text())["users"]}
    assert len(hashes) == 3


def set_passwords(directory: Path) -> subprocess.CompletedProcess[str]:
    words = [SET_PASSWORDS, RABBITMQ / "definitions.json", directory, directory / "definitions.json"]
    return subprocess.run([sys.executable, "-I", *words], capture_output=True, text=True, check=False)


# ---- rabbitmq.conf


def settings(name: str) -> dict[str, str]:
    lines = [line for line in (RABBITMQ / name).read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split(" = ") for line in lines)


def test_each_line_of_the_configuration_has_its_reason() -> None:
    for name in ("rabbitmq.conf", "compose.conf"):
        text = (RABBITMQ / name).read_text()
        assert len(re.findall(r"^# .+\n[a-z_.]+ = ", text, re.MULTILINE)) == len(settings(name))


def test_a_message_may_be_unacknowledged_for_a_day() -> None:
    assert int(settings("rabbitmq.conf")["consumer_timeout"]) == 24 * 60 * 60 * 1000


def test_a_message_that_is_too_large_is_answered_by_a_worker_not_by_the_node() -> None:
    assert int(settings("rabbitmq.conf")["max_message_size"]) > MAX_MESSAGE_BYTES


def test_the_configuration_for_any_node_loads_no_definitions() -> None:
    assert "load_definitions" not in settings("rabbitmq.conf")
    assert settings("compose.conf").keys() == {"load_definitions"}


# ---- README.md


def test_the_readme_says_what_each_queue_is_for() -> None:
    assert [queue.name for queue in topology.QUEUES if f"`{queue.name}`" not in README] == []


def test_the_queue_for_results_that_the_readme_shows_is_that_of_the_contract() -> None:
    [block] = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    shown, queue = json.loads(block), topology.results_queue("studio")
    assert [(one["name"], one["arguments"]) for one in shown["queues"]] == [(queue.name, queue.arguments)]
    bound = [(one["source"], one["destination"], one["routing_key"]) for one in shown["bindings"]]
    assert bound == [(queue.exchange, queue.name, key) for key in queue.keys]
    [permissions] = shown["permissions"]
    assert re.search(permissions["read"], queue.name)
    assert not re.search(permissions["read"], "export.results.studio2")
    assert all(re.search(shown["topic_permissions"][0]["write"], command) for command in topology.COMMANDS)
