"""Makes the ZIP of a finished export as the service does: `python -m bench.pack FOLDER OUT.zip` tells its seconds.

The CRC-32s are known since the copying; here they come from the manifest.
"""

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from time import monotonic

from isal.isal_zlib import crc32

from service.manifest import MANIFEST
from service.model import Written
from service.packing import lay_out_folder
from service.references import EXPORTS, Source
from service.segments import Extent
from service.storage.local import LocalStorage
from service.streaming_zip import ZipPlan


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
    media, texts = _written(content["files"]), _written(content["texts"])
    files = {**texts, **media, MANIFEST: Written(len(manifest), crc32(manifest))}

    def body(name: str) -> Extent:
        key = f"{place}/{name}"
        version = storage.look(Source(EXPORTS, key))
        return Extent(EXPORTS, key, 0, version.size_bytes, version)

    return lay_out_folder(folder.name, datetime.fromisoformat(content["requested_at"]), list(media), files, body)


def _written(files: Sequence[dict[str, str]]) -> dict[str, Written]:
    return {file["name"]: Written(int(file["size_bytes"]), int(file["crc32"], 16)) for file in files}


if __name__ == "__main__":
    began = monotonic()
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
    print(json.dumps({"timings_seconds": {"packing": monotonic() - began}}))
