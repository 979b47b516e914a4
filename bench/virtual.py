"""An export of which no ZIP is written, until one can be downloaded: `python -m bench.virtual WORDS…`.

That is `export-service run WORDS…`; then the ZIP is laid out as a gateway does it, so that its length and ETag are
known, and its first and last byte are read. Prints the event, with the seconds of this as one more stage.
"""

import json
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from time import monotonic

import anyio

from cli import main as cli
from contracts import ExportCompleted
from gateway.published import Published, Which
from gateway.states import Head, Snapshot, heard
from service.storage.local import LocalStorage
from service.streaming_zip import ZipPlan


def laid_out(storage: LocalStorage, body: str) -> ZipPlan:
    """The ZIP of the export that this event is about, as a gateway that hears of it has it."""
    event = ExportCompleted.model_validate_json(body)
    head = Head(event.export_id, event.project_id, None, None, None, None)
    shown = Snapshot(head, heard(event, body.encode()), b"")
    return anyio.run(Published(storage).archive, shown, Which.ASKED_FOR).plan


def part(storage: LocalStorage, planned: ZipPlan, start: int, stop: int) -> bytes:
    """These bytes of an archive that was never written."""
    pieces = bytearray()
    for segment in planned.read(start, stop):
        for piece in (segment,) if isinstance(segment, bytes) else storage.read(segment):
            pieces += piece
    return bytes(pieces)


def _laid_out_beneath(root: Path, body: str) -> dict[str, object]:
    storage = LocalStorage({}, root)
    try:
        planned = laid_out(storage, body)
        ends = [part(storage, planned, at, at + 1) for at in (0, planned.size_bytes - 1)]
    finally:
        storage.close()
    if ends != [b"P", b"\0"]:
        raise SystemExit(f"this is no ZIP: it begins with {ends[0]!r} and ends with {ends[1]!r}")
    return {"size_bytes": planned.size_bytes, "etag": planned.etag}


def main(words: list[str]) -> int:
    with redirect_stdout(StringIO()) as said:
        code = cli.main(words)
    began = monotonic()
    archive = _laid_out_beneath(Path(words[words.index("--to") + 1]), said.getvalue())
    event = json.loads(said.getvalue())
    event["timings_seconds"]["layout"] = monotonic() - began
    print(json.dumps({**event, "archive": archive}))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
