"""What one would take instead, to copy a folder and to make a stored ZIP of it: commands, Python's and Node's.

`python -m bench.rivals zipfile|zipstream FOLDER OUT.zip` runs Python's.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from zipstream import ZipStream

CP = "cp -r"
CP_DURABLE = "cp -r, sync -f"
CP_NEVER = "cp -r --reflink=never"
RSYNC = "rsync -a -W"
CAT = "cat FILES > FILE"
ZIP = "zip -0 -r"
ARCHIVER = "archiver (Node)"

Commands = Mapping[str, Sequence[str]]
"""By name; in place of the words FOLDER and OUT comes what is read and what is made."""

COPIERS: Commands = {
    CP: ("cp", "-r", "FOLDER", "OUT"),
    CP_DURABLE: ("sh", "-c", 'cp -r "$0" "$1" && sync -f "$1"', "FOLDER", "OUT"),
    CP_NEVER: ("cp", "-r", "--reflink=never", "FOLDER", "OUT"),
    RSYNC: ("rsync", "-a", "-W", "FOLDER", "OUT"),
}

# Run beside the folder: some keep the names in the ZIP as they are given here.
_ZIPPERS: Commands = {
    CAT: ("sh", "-c", 'find "$1" -type f -exec cat {} + > "$0"', "OUT", "FOLDER"),
    ZIP: ("zip", "-0", "-r", "-q", "OUT", "FOLDER"),
    "bsdtar, stored": ("bsdtar", "-c", "--format", "zip", "--options", "zip:compression=store", "-f", "OUT", "FOLDER"),
    "7z a -mx0": ("7z", "a", "-tzip", "-mx0", "-bso0", "-bsp0", "OUT", "FOLDER"),
    "Python zipfile": (sys.executable, "-m", "bench.rivals", "zipfile", "FOLDER", "OUT"),
    "zipstream-ng, as it comes": (sys.executable, "-m", "bench.rivals", "zipstream", "FOLDER", "OUT"),
}

# archiver 8 exports a class, those before it a function.
_ARCHIVER = """
const [folder, target] = process.argv.slice(1);
import('archiver').then((module) => {
  const archive = module.ZipArchive ? new module.ZipArchive({ store: true }) : module.default('zip', { store: true });
  archive.on('error', (error) => { throw error; });
  archive.pipe(require('node:fs').createWriteStream(target));
  archive.directory(folder, require('node:path').basename(folder));
  return archive.finalize();
});
"""
_YAZL = """
const [folder, target] = process.argv.slice(1);
const fs = require('node:fs'), path = require('node:path'), archive = new (require('yazl').ZipFile)();
archive.on('error', (error) => { throw error; });
for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
  const file = path.join(entry.parentPath ?? entry.path, entry.name);
  if (entry.isFile()) archive.addFile(file, path.relative(path.dirname(folder), file), { compress: false });
}
archive.outputStream.pipe(fs.createWriteStream(target));
archive.end();
"""
# Run where their packages are.
_NODE: Commands = {
    ARCHIVER: ("node", "-e", _ARCHIVER, "FOLDER", "OUT"),
    "yazl (Node)": ("node", "-e", _YAZL, "FOLDER", "OUT"),
}
_PACKAGES = ("archiver", "yazl")

# How such services are built today: a copy, and then one of these.
_COPIED_AND_ZIPPED: Commands = {
    ZIP: ("sh", "-c", 'cp -r "$0" "$1" && cd "$1" && zip -0 -r -q "$2" .', "FOLDER", "COPY", "OUT"),
    ARCHIVER: ("sh", "-c", 'cp -r "$0" "$1" && exec node -e "$3" "$1" "$2"', "FOLDER", "COPY", "OUT", _ARCHIVER),
}


@dataclass(frozen=True, slots=True)
class Rival:
    """A program that is here, and where it must be started."""

    name: str
    words: Sequence[str]
    start_in: Path

    def command(self, folder: Path, target: Path, copy: Path | None = None) -> list[str]:
        """`target` is what it makes; `copy` where it copies the folder to before."""
        named = str(folder) if self.start_in != folder.parent else folder.name
        places = {"OUT": str(target), "FOLDER": named, "COPY": str(copy)}
        return [places.get(word, word) for word in self.words]


def copiers(folder: Path, *names: str) -> list[Rival]:
    """Those of them that are installed."""
    return [Rival(name, COPIERS[name], folder.parent) for name in names if _is_here(COPIERS[name])]


def zippers(folder: Path, node_modules: Path | None) -> list[Rival]:
    """Those that are installed."""
    here = [Rival(name, words, folder.parent) for name, words in _ZIPPERS.items() if _is_here(words)]
    if node_modules is not None:
        here += [Rival(name, words, node_modules.parent) for name, words in _NODE.items()]
    return here


def copiers_and_zippers(folder: Path, node_modules: Path | None) -> list[Rival]:
    """A copy of the folder first, and then a ZIP of the copy."""
    start_in = {rival.name: rival.start_in for rival in zippers(folder, node_modules)}
    return [
        Rival(copied_and(name), words, start_in[name]) for name, words in _COPIED_AND_ZIPPED.items() if name in start_in
    ]


def copied_and(name: str) -> str:
    return f"{CP}, {name}"


def absent(node_modules: Path | None) -> list[str]:
    """Those that are not installed."""
    missing = [name for name, words in {**COPIERS, **_ZIPPERS}.items() if not _is_here(words)]
    return missing if node_modules is not None else [*missing, "Node's archiver and yazl (--npm installs them)"]


def install_node_packages(place: Path) -> Path:
    """Their newest versions, by name. Returns the directory that they are in."""
    npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix"]
    subprocess.run([*npm, place, *_PACKAGES], check=True)
    return place / "node_modules"


def versions(node_modules: Path) -> list[str]:
    """Of Node's packages."""
    described = {name: json.loads((node_modules / name / "package.json").read_bytes()) for name in _PACKAGES}
    return [f"{name} {package['version']}" for name, package in described.items()]


def _is_here(words: Sequence[str]) -> bool:
    return shutil.which(words[0]) is not None


def _with_zipfile(folder: Path, target: Path) -> None:
    with ZipFile(target, "w", ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))


def _with_zipstream(folder: Path, target: Path) -> None:
    stock: Any = ZipStream  # our stubs have only what the service uses
    with target.open("wb") as archive:
        archive.writelines(stock.from_path(folder))


if __name__ == "__main__":
    {"zipfile": _with_zipfile, "zipstream": _with_zipstream}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
