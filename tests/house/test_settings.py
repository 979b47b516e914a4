"""What an operator can set, and what it says when it is set wrongly."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from service.settings import WorkerSettings, first_fault_of
from tests.house.repository import ROOT


def test_the_page_of_settings_is_made_from_them() -> None:
    made = subprocess.run([sys.executable, "-m", "gateway.settings"], capture_output=True, check=True, cwd=ROOT)
    assert made.stdout == (ROOT / "docs" / "settings.md").read_bytes(), "make contracts"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("EXPORT_BROKER_URL", "http://me:hush@there/", "is no address such as amqp://"),
        ("EXPORT_PREFETCH", "0", "greater than or equal to 1"),
        ("EXPORT_HEALTH_PORT", "port", "valid integer"),
        ("EXPORT_PATIENCE_SECONDS", "-1", "greater than 0"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_never_shown(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, good in {"EXPORT_MEDIA_ROOT": ".", "EXPORT_EXPORTS_ROOT": ".", variable: value}.items():
        monkeypatch.setenv(name, good)
    with pytest.raises(ValidationError) as caught:
        WorkerSettings()
    sentence = first_fault_of(caught.value)
    assert sentence.startswith(f"{variable}: ")
    assert said in sentence
    assert "hush" not in sentence


def test_a_worker_must_be_told_its_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPORT_MEDIA_ROOT", raising=False)
    with pytest.raises(ValidationError) as caught:
        WorkerSettings()
    assert first_fault_of(caught.value) == "EXPORT_MEDIA_ROOT: is not set"


def test_the_address_carries_the_heartbeat_whatever_else_is_in_it() -> None:
    settings = WorkerSettings(
        broker_url="amqp://u:p@host/vhost?connection_timeout=5",  # type: ignore[arg-type]
        media_root=".",  # type: ignore[arg-type]
        exports_root=".",  # type: ignore[arg-type]
        heartbeat_seconds=7,
    )
    assert settings.address("x") == "amqp://u:p@host/vhost?connection_timeout=5&heartbeat=7&name=export-service+x"
