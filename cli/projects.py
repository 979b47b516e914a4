"""Reads a project file, in the contract's form or the studio's, and says in one sentence what is wrong with it."""

import json
from pathlib import Path

from pydantic import ValidationError

from cli.errors import UsageError
from contracts import Project
from contracts.faults import first_fault
from service.studio import from_studio, is_studio_project


def read_project(path: Path) -> Project:
    """Raises UsageError that names the file, and the field where there is one."""
    document = _json(path)
    if not isinstance(document, dict):
        raise UsageError(f"{path}: is not a project: a JSON object is expected")
    try:
        return from_studio(document) if is_studio_project(document) else Project.model_validate(document)
    except ValidationError as fault:
        raise UsageError(f"{path}: {first_fault(fault)}") from None
    except ValueError as fault:
        raise UsageError(f"{path}: {fault}") from None


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except OSError as fault:
        raise UsageError(f"{path}: {(fault.strerror or 'cannot be read').lower()}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not UTF-8 text") from None
    except json.JSONDecodeError as fault:
        raise UsageError(f"{path}: is not JSON: {fault.msg.lower()} in line {fault.lineno}") from None
    except ValueError as fault:  # a number of thousands of digits
        raise UsageError(f"{path}: cannot be read: {str(fault).partition(';')[0].lower()}") from None
    except RecursionError:
        raise UsageError(f"{path}: is not a project: nested too deeply") from None
