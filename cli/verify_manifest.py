"""What a manifest says of an export's files, read with distrust: names that the service never gives are refused."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from contracts.base import Bytes, Moment
from contracts.faults import first_fault
from service.contents import MANIFEST
from service.model import FOLDERS
from service.segments import Written

_NAME = "[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}"


class _Text(BaseModel):
    """A file as the manifest lists it."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(pattern=f"^{_NAME}$")]
    size_bytes: Bytes
    crc32: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]


class _Media(_Text):
    name: Annotated[str, StringConstraints(pattern=f"^({'|'.join(FOLDERS.values())})/{_NAME}$")]


class Manifest(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    requested_at: Annotated[Moment, Field(strict=False)]
    files: tuple[_Media, ...]
    texts: tuple[_Text, ...]

    @property
    def sums(self) -> dict[str, Written]:
        return {file.name: Written(file.size_bytes, int(file.crc32, 16)) for file in (*self.files, *self.texts)}


def understood(manifest: bytes) -> Manifest | str:
    """What the manifest promises, or a sentence when it cannot be understood."""
    try:
        return Manifest.model_validate_json(manifest)
    except ValidationError as fault:
        return f"{MANIFEST}: cannot be understood: {first_fault(fault)}"
