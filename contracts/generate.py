"""Writes what follows from the models and the topology: `python -m contracts.generate [--check]`."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from contracts.base import Contract
from contracts.golden import INBOUND, MODELS, as_written, golden_examples
from contracts.messages import CONTRACT_VERSION
from contracts.topology import definitions

HERE = Path(__file__).parent
GENERATED_DIRECTORIES = ("examples", "schemas")
DEFINITIONS = "../deploy/rabbitmq/definitions.json"
"""For operators, not for importers: beside the package, in no wheel."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m contracts.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    if not parser.parse_args(arguments).check:
        write(HERE)
    elif differing := differences(HERE):
        raise SystemExit("differs from `python -m contracts.generate`: " + ", ".join(differing))


def write(directory: Path) -> None:
    """Makes `directory` hold the generated files, and no older ones beside them."""
    files = generated_files()
    for name in _present(directory) - files.keys():
        (directory / name).unlink()
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(text.encode())


def differences(directory: Path) -> list[str]:
    """Names of the files that are missing, superfluous, or not what would be written."""
    files = generated_files()
    present = _present(directory)
    changed = {name for name in present & files.keys() if (directory / name).read_bytes() != files[name].encode()}
    return sorted(changed | present ^ files.keys())


def generated_files() -> dict[str, str]:
    """The text of every file, by its path from here."""
    schemas = {f"schemas/{name}.json": _pretty(schema_of(name, model)) for name, model in MODELS.items()}
    examples = {f"examples/{name}.json": as_written(example) for name, example in golden_examples().items()}
    return schemas | examples | {DEFINITIONS: _pretty(definitions())}


def schema_of(name: str, model: type[Contract]) -> dict[str, Any]:
    """What the service accepts, of what others send; what others may count on, of what the service sends."""
    schema = model.model_json_schema(mode=mode_of(model), schema_generator=WithoutFieldTitles)
    head = {"$schema": GenerateJsonSchema.schema_dialect, "$id": f"urn:export-service:{name}:{CONTRACT_VERSION}"}
    return head | schema | {"title": name}


def mode_of(model: type[Contract]) -> JsonSchemaMode:
    return "validation" if issubclass(model, INBOUND) else "serialization"


class WithoutFieldTitles(GenerateJsonSchema):
    """`export_id` says it all; a title `Export Id` beside it is noise."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def _pretty(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _present(directory: Path) -> set[str]:
    deployed = {DEFINITIONS} if (directory / DEFINITIONS).is_file() else set()
    return deployed | {
        file.relative_to(directory).as_posix()
        for generated in GENERATED_DIRECTORIES
        for file in (directory / generated).rglob("*")
        if file.is_file()
    }


if __name__ == "__main__":
    main()
