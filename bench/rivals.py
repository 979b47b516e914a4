"""What one would take instead to make a stored ZIP of a folder: commands, and what Python and Node offer.

`python -m bench.rivals zipfile|zipstream FOLDER OUT.zip` runs Python's.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from zipstream import ZipStream

ZIP = "zip -0 -r"
CAT = "cat FILES > FILE"

# Run beside the folder FOLDER, to make OUT.
_COMMANDS: Mapping[str, Sequence[str]] = {
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


@dataclass(frozen=True, slots=True)
class Rival:
    """A program that is here, and where it must be started."""

    name: str
    words: Sequence[str]
    start_in: Path

    def command(self, folder: Path, target: Path) -> list[str]:
        places = {"OUT": str(target), "FOLDER": str(folder) if self.start_in != folder.parent else folder.name}
        return [places.get(word, word) for word in self.words]


def rivals(folder: Path, node_modules: Path | None) -> list[Rival]:
    """Those that are installed."""
    here = [
        Rival(name, words, folder.parent) for name, words in _COMMANDS.items() if shutil.which(words[0]) is not None
    ]
    if node_modules is not None and shutil.which("node") is not None:
        here.append(Rival("archiver (Node)", ("node", "-e", _ARCHIVER, "FOLDER", "OUT"), node_modules.parent))
    return here


def absent(node_modules: Path | None) -> list[str]:
    """Those that are not."""
    missing = [name for name, words in _COMMANDS.items() if shutil.which(words[0]) is None]
    return missing if node_modules is not None else [*missing, "archiver (Node; --npm installs it)"]


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
