"""Makes the ZIP of a finished export as the service does: `python -m bench.pack FOLDER OUT.zip` tells its seconds.

The CRC-32s are known since the copying; here they come from the manifest.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from time import monotonic

from isal.isal_zlib import crc32

from service.references import EXPORTS, Source
from service.segments import Extent
from service.storage.local import LocalStorage
from service.streaming_zip import Entry, ZipPlan, plan_zip

MANIFEST = "manifest.json"
_FOLDERS = ("audio/", "images/", "videos/")


def pack(folder: Path, target: Path) -> None:
    """Lays the archive out, then writes it; byte for byte the ZIP that the export had, or would have had."""
    # Both beneath one exports root, as in the service: what is beneath it is known to be the service's own.
    top = Path(os.path.commonpath([folder.absolute(), target.absolute()]))
    storage = LocalStorage({}, top)
    try:
        planned = _laid_out(folder, str(folder.absolute().relative_to(top)), storage)
        written = storage.assemble(str(target.absolute().relative_to(top)), planned.segments, 0, lambda _: None)
    finally:
        storage.close()
    if written != (planned.size_bytes, planned.crc32):
        raise SystemExit(f"{target} is not what was planned")


def _laid_out(folder: Path, place: str, storage: LocalStorage) -> ZipPlan:
    manifest = (folder / MANIFEST).read_bytes()
    content = json.loads(manifest)
    media = {file["name"]: int(file["crc32"], 16) for file in content["files"]}
    texts = {file["name"]: int(file["crc32"], 16) for file in content["texts"]} | {MANIFEST: crc32(manifest)}
    return plan_zip(
        _entries(folder.name, place, media, texts, storage), datetime.fromisoformat(content["requested_at"])
    )


def _entries(
    top: str, place: str, media: Mapping[str, int], texts: Mapping[str, int], storage: LocalStorage
) -> Iterator[Entry]:
    """In the order of the service, which the first run of the bench is verified by."""
    groups = [("", sorted(texts)), *((name, [key for key in media if key.startswith(name)]) for name in _FOLDERS)]
    for group, names in groups:
        yield Entry(f"{top}/{group}")
        for name in names:
            key = f"{place}/{name}"
            version = storage.look(Source(EXPORTS, key))
            extent = Extent(EXPORTS, key, 0, version.size_bytes, version)
            yield Entry(f"{top}/{name}", extent, texts[name] if name in texts else media[name])


if __name__ == "__main__":
    began = monotonic()
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
    print(json.dumps({"timings_seconds": {"packing": monotonic() - began}}))
