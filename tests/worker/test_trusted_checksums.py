"""An operator may have the checksums of projects believed; what comes of it: tests/engine/test_trusted_checksums.py."""

from pathlib import Path

import pytest

from service.ledger import Ledger
from service.settings import StorageSettings
from service.storage.local import LocalStorage
from service.stores import opened_storage


@pytest.mark.parametrize("trusted", [False, True])
async def test_checksums_are_believed_only_where_the_operator_says_so(trusted: bool, tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "exports").mkdir()
    Ledger(LocalStorage({}, tmp_path / "exports")).open_or_make()
    settings = StorageSettings(
        media_root=tmp_path / "media", exports_root=tmp_path / "exports", trusted_checksums=trusted
    )
    async with opened_storage(settings) as ledger:
        assert set(ledger.storage.trusted) == ({"media"} if trusted else set())
