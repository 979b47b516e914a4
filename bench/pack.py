"""Makes the ZIP of a finished export as the service does: `python -m bench.pack FOLDER OUT.zip`.

The CRC-32s are known since the copying; here they come from the manifest.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from isal.isal_zlib import crc32

from service.manifest import MANIFEST
from service.model import FOLDERS
from service.references import Source
from service.segments import Extent
from service.storage.local import LocalStorage
from service.streaming_zip import Entry, plan_zip

_ROOT = "finished"


def pack(folder: Path, target: Path) -> None:
    """Lays the archive out, then writes it; byte for byte the ZIP that the export had, or would have had."""
    manifest = (folder / MANIFEST).read_bytes()
    storage = LocalStorage({_ROOT: folder.parent}, target.parent)
    try:
        content = json.loads(manifest)
        crc32s = {file["name"]: int(file["crc32"], 16) for file in (*content["texts"], *content["files"])}
        entries = _entries(folder, crc32s | {MANIFEST: crc32(manifest)}, storage)
        planned = plan_zip(entries, datetime.fromisoformat(content["requested_at"]))
        written = storage.assemble(target.name, planned.segments, 0, lambda _: None)
    finally:
        storage.close()
    if written != (planned.size_bytes, planned.crc32):
        raise SystemExit(f"{target} is not what was planned")


def _entries(folder: Path, crc32s: Mapping[str, int], storage: LocalStorage) -> Iterator[Entry]:
    for group in ("", *(f"{name}/" for name in FOLDERS.values())):
        yield Entry(f"{folder.name}/{group}")
        # In a folder the order of the names is that of the story.
        for name in sorted(name for name in crc32s if name[: name.find("/") + 1] == group):
            yield Entry(f"{folder.name}/{name}", _extent(folder, name, storage), crc32s[name])


def _extent(folder: Path, name: str, storage: LocalStorage) -> Extent:
    key = f"{folder.name}/{name}"
    version = storage.look(Source(_ROOT, key))
    return Extent(_ROOT, key, 0, version.size_bytes, version)


if __name__ == "__main__":
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
