"""The earlier export that `--since` names: by its id, or by its folder, whose manifest says the id."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cli.errors import UsageError
from cli.stored import content_of
from contracts.base import ExportId
from service.contents import MANIFEST
from service.errors import Trouble
from service.ledger import Ledger
from service.storage.local import LocalStorage

_EXPORT_ID: TypeAdapter[str] = TypeAdapter(ExportId)


def since_of(args: Namespace) -> str | None:
    """The id, or nothing. Raises UsageError for what is neither an id nor a folder of an export."""
    named: str | None = args.since
    if named is None or _is_id(named):
        return named
    for folder in _folders(named, args):
        if (found := _id_in(folder)) is not None:
            return found
    raise UsageError(f"--since {named}: is neither the id of an export, as `run` prints it last, nor its folder")


def _is_id(text: str) -> bool:
    try:
        _EXPORT_ID.validate_python(text)
    except ValidationError:
        return False
    return True


def _folders(named: str, args: Namespace) -> Iterator[Path]:
    """No name of a folder is an id as well: it has underscores."""
    yield Path(named)
    if getattr(args, "to", None) is not None:
        yield args.to / named


class _Manifest(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    export_id: ExportId


def _id_in(folder: Path) -> str | None:
    with closing(LocalStorage({}, folder)) as storage:
        try:
            return _Manifest.model_validate_json(content_of(storage, folder / MANIFEST, MANIFEST)).export_id
        except (OSError, ValidationError):
            return None


def insist_on_root(ledger: Ledger, root: Path) -> None:
    """Raises UsageError for a directory in which no earlier export can be looked up."""
    try:
        ledger.open()
    except Trouble:
        raise UsageError(f"--to {root}: is no exports root, so no earlier export is known there") from None
