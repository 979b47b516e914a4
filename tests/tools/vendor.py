"""Fetches the page's modules with npm, in the versions given here, and notes what they are: `make vendor`."""

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

VENDOR = Path(__file__).parents[2] / "gateway/web/vendor"
WANTED = {
    "preact": ("11.2.0", {"dist/preact.mjs": "preact.js", "LICENSE": "preact.LICENSE"}),
    "htm": ("3.1.1", {"dist/htm.mjs": "htm.js", "LICENSE": "htm.LICENSE"}),
}


def main() -> None:
    lock = []
    for package, (version, files) in WANTED.items():
        with TemporaryDirectory() as place:
            packed = _packed(f"{package}@{version}", place)
            with tarfile.open(Path(place) / packed["filename"]) as archive:
                for inside, name in files.items():
                    member = archive.extractfile(f"package/{inside}")
                    assert member is not None, inside
                    (VENDOR / name).write_bytes(_without_map(member.read()))
        sums = {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in sorted(files.values())}
        lock.append({"package": package, "version": version, "integrity": packed["integrity"], "sha256": sums})
    (VENDOR / "lock.json").write_text(json.dumps(lock, indent=2) + "\n")


def _packed(what: str, place: str) -> dict[str, str]:
    said = subprocess.run(["npm", "pack", what, "--json"], cwd=place, capture_output=True, check=True)
    packed: dict[str, str] = json.loads(said.stdout)[0]
    return packed


def _without_map(content: bytes) -> bytes:
    """The map is not vendored, and a browser's tools would ask for it."""
    return b"".join(line for line in content.splitlines(keepends=True) if not line.startswith(b"//# sourceMappingURL"))


if __name__ == "__main__":
    main()
