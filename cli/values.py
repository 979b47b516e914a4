"""The arguments that the contract has a say in: ids and times."""

from argparse import ArgumentTypeError
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from contracts.base import ExportId, ItemId, Moment
from contracts.faults import first_fault
from contracts.limits import MAX_SECTIONS

_Sections = Annotated[tuple[ItemId, ...], Field(max_length=MAX_SECTIONS)]


def export_id(text: str) -> str:
    checked: str = _checked(TypeAdapter(ExportId), text)
    return checked


def moment(text: str) -> datetime:
    checked: datetime = _checked(TypeAdapter(Moment), text)
    return checked


def sections(text: str) -> tuple[str, ...]:
    try:
        return TypeAdapter(_Sections).validate_python(text.split(","))
    except ValidationError:
        raise ArgumentTypeError(f"{text!r} is not a list of ids with commas between them") from None


def _checked(adapter: TypeAdapter[Any], text: str) -> Any:
    try:
        return adapter.validate_python(text)
    except ValidationError as fault:
        raise ArgumentTypeError(f"{text!r}: {first_fault(fault)}") from None
