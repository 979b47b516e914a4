"""The directories that the workers' settings name, as far as this machine can see them."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.errors import UsageError
from service.errors import Trouble
from service.ledger import Decision, Ledger
from service.settings import first_fault_of
from service.storage.local import LocalStorage


class Roots(BaseSettings):
    """The two that a worker must have, and a command may."""

    model_config = SettingsConfigDict(env_prefix="EXPORT_", frozen=True, hide_input_in_errors=True)

    media_root: Path | None = None
    exports_root: Path | None = None

    @classmethod
    def set(cls) -> "Roots":
        try:
            return cls()
        except ValidationError as fault:
            raise UsageError(first_fault_of(fault)) from None

    @classmethod
    def of(cls, args: Namespace) -> "Roots":
        """Those of the arguments first."""
        roots = cls.set()
        return cls(media_root=args.media or roots.media_root, exports_root=args.to or roots.exports_root)


class Books(NamedTuple):
    """An exports root that can be looked at, and what is written there of every export."""

    root: Path
    ledger: Ledger

    def decision(self, export_id: str) -> Decision | None:
        """The end of the export, if it is over and can be read."""
        try:
            return self.ledger.decision(export_id)
        except Trouble:
            return None


@contextmanager
def books() -> Iterator[Books | None]:
    """Of EXPORT_EXPORTS_ROOT; nothing where that is not set, or not to be seen from here."""
    root = Roots.set().exports_root
    if root is None:
        yield None
        return
    storage = LocalStorage({}, root)
    try:
        found = Books(root, Ledger(storage))
        yield found if _is_open(found.ledger) else None
    finally:
        storage.close()


def _is_open(ledger: Ledger) -> bool:
    try:
        ledger.open()
    except Trouble:
        return False
    return True
