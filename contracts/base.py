"""What every model of the contract has in common: frozen, tolerant of new fields, quiet about bad input."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from contracts.limits import (
    MAX_EXPORT_ID_CHARACTERS,
    MAX_ID_CHARACTERS,
    MAX_MILLISECONDS,
    MAX_REFERENCE_CHARACTERS,
)


class Contract(BaseModel):
    """Frozen; unknown fields are ignored, so that a publisher may be newer than its reader.

    `hide_input_in_errors` keeps a bad 8 MB message from becoming an 80 MB log line. Infinity and NaN are no JSON.
    What the service writes has every field, and the schemas of events say so.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        json_schema_serialization_defaults_required=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )


def _written_out(moment: object) -> object:
    """pydantic would take numbers, also in quotes, for seconds since 1970."""
    if isinstance(moment, datetime) or (isinstance(moment, str) and moment[4:5] == "-"):
        return moment
    raise ValueError("is no time in ISO 8601, such as 2026-11-23T18:42:20Z")


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the years 1 to 9999 in UTC") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_utc)]
"""An instant, ISO 8601 with an offset; kept and written in UTC (`…Z`)."""

# Rust's regex has no look-around and its `$` never matches before a trailing newline, unlike Python's.
ExportId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$", max_length=MAX_EXPORT_ID_CHARACTERS)]
"""Chosen by who asks for the export; the key of everything that is known of it. Safe as a path part."""

ProjectId = Annotated[
    str,
    StringConstraints(pattern=r"^\.*[^.\x00-\x1f\x7f/\\][^\x00-\x1f\x7f/\\]*$", max_length=MAX_ID_CHARACTERS),
]
"""The project's id in its own service: any printable text without slashes, but not dots alone. Case matters."""

ItemId = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=MAX_ID_CHARACTERS)]
"""The id of a section or a sentence in its own service; only ever repeated, never used as a name."""

Reference = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=MAX_REFERENCE_CHARACTERS)]
"""Where an asset is: `asset:KEY`, `file:///…` under a configured root, or a path relative to the media root."""

Milliseconds = Annotated[int, Field(ge=0, le=MAX_MILLISECONDS)]
Bytes = Annotated[int, Field(ge=0, le=2**63 - 1)]
Count = Annotated[int, Field(ge=0)]
Crc32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""CRC-32 as in ZIP and gzip (ISO 3309), as an unsigned number."""
