"""The disk is reached through service/storage only: nothing else so much as names a function for it, without a reason.

A name is enough, no call is asked for: disk functions are handed to worker threads (`run_sync(os.unlink, …)`). The
service and whatever deals with exports has no reason; test_moves.py watches them at work.
"""

import ast
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest

from tests.house.repository import modules_of, text_of

# What of `os` knows nothing of a disk; all else does, or need not be in the service.
PURE_OS = {
    *("PathLike", "SEEK_CUR", "SEEK_END", "SEEK_SET", "_exit", "cpu_count", "environ"),
    *("fsdecode", "fsencode", "fspath", "getenv", "getpid", "getuid", "path"),
}
PURE_OS_PATH = {"basename", "commonpath", "dirname", "isabs", "join", "normpath", "split", "splitext"}
DISK_MODULES = {"aiofiles", "ctypes", "fcntl", "fileinput", "glob", "mmap", "shutil", "tempfile"}
DISK_NAMES = {
    *("anyio.NamedTemporaryFile", "anyio.Path", "anyio.SpooledTemporaryFile", "anyio.TemporaryDirectory"),
    *("anyio.TemporaryFile", "anyio.mkdtemp", "anyio.mkstemp", "anyio.open_file"),
    *("builtins.open", "io.FileIO", "io.open", "io.open_code"),
    *("bz2.open", "gzip.open", "lzma.open", "tarfile.open", "wave.open", "zipfile.ZipFile"),
}
# What a Path can and a PurePath cannot, but for what strings, dictionaries, matches and loggers can too.
PATH_METHODS = set(dir(Path)) - set(dir(PurePath)) - {"copy", "group", "info", "move", "replace"}


def disk_names(source: str) -> list[str]:
    """Every name in `source` by which the disk is reached, in the order of the lines."""
    tree = ast.parse(source)
    imported = dict(imports(tree))
    imports_path = "pathlib.Path" in imported.values() or "pathlib" in imported.values()
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = full_name(node, imported)
            if is_of_the_disk(name) or (imports_path and isinstance(node, ast.Attribute) and node.attr in PATH_METHODS):
                found.append((node.lineno, ast.unparse(node)))
    return [f"line {line}: {name}" for line, name in sorted(found)]


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each imported name as it is used, and what it is in full."""
    yield "open", "builtins.open"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                package = name.name.split(".")[0]  # `import os.path` makes the name `os`
                yield (name.asname, name.name) if name.asname else (package, package)
        if isinstance(node, ast.ImportFrom):
            yield from ((name.asname or name.name, f"{node.module}.{name.name}") for name in node.names)


def full_name(node: ast.expr, imported: dict[str, str]) -> str:
    """`path.join` is `os.path.join` where `path` was imported from `os`; nothing, where no import is behind it."""
    match node:
        case ast.Name(id=name):
            return imported.get(name, "")
        case ast.Attribute(value=value, attr=attribute):
            owner = full_name(value, imported)
            return f"{owner}.{attribute}" if owner else ""
        case _:
            return ""


def is_of_the_disk(name: str) -> bool:
    match name.split("."):
        case ["os", "path", function, *_]:
            return function not in PURE_OS_PATH
        case ["os", function, *_]:
            return function not in PURE_OS
        case [module, *_]:
            return module in DISK_MODULES or name in DISK_NAMES
        case _:
            return False


def test_only_storage_names_the_disk() -> None:
    others = [module for module in modules_of("service") if module.parts[1] != "storage"]
    assert [f"{module} {name}" for module in others for name in disk_names(text_of(module))] == []


# Verbs of the port and of what stands on it, which are called as those of a Path are.
OF_THE_PORT = {"ledger.open", "storage.rename"}

# What a gateway and the commands do with files that are no media and no exports, or only to see whether they are there.
REASONS: dict[str, tuple[str, set[str]]] = {
    "cli/answer.py": (
        "puts /dev/null in the place of a standard output that nobody reads any more",
        {"os.O_WRONLY", "os.close", "os.devnull", "os.dup2", "os.open"},
    ),
    "cli/check_roots.py": (
        "looks for an exports root, and makes one, and for any file of the media; both are tried through the port",
        {
            *("exports.is_dir", "exports.mkdir", "exports.resolve", "media.resolve"),
            *("place.is_dir", "place.is_file", "place.is_symlink"),
        },
    ),
    "cli/demo_directory.py": (
        "makes a directory of its own, and holds it for one demo",
        {
            *("directory.exists", "directory.iterdir", "directory.mkdir", "exports.mkdir"),
            *("fcntl", "fcntl.LOCK_EX", "fcntl.LOCK_NB", "fcntl.flock", "mark.exists", "mark.open"),
        },
    ),
    "cli/demonstrate.py": (
        "looks what exports there are, and says where they are",
        {"exports.absolute", "exports.glob", "sample.project.absolute"},
    ),
    "cli/ending.py": (
        "looks whether what was exported is there",
        {"(root / event.archive.name).is_file", "(root / event.folder.name).is_dir"},
    ),
    "cli/fetch.py": (
        "writes what came over HTTP to where a person wants it, which is neither root",
        {
            *("fcntl", "fcntl.LOCK_EX", "fcntl.LOCK_NB", "fcntl.flock", "os.fsync"),
            *("part.open", "part.rename", "part.unlink", "target.exists", "target.stat", "to.is_dir"),
        },
    ),
    "cli/projects.py": ("reads the project that a person names", {"path.read_bytes"}),
    "cli/run.py": (
        "looks whether the roots are directories, and makes an exports root",
        {"args.media.exists", "args.media.is_dir", "directory.mkdir"},
    ),
    "cli/secrets.py": ("looks whether there are secrets", {"_SECRETS.is_dir"}),
    "cli/verify.py": (
        "looks what was named and which of it are links; bytes and names come through the port, also for zipfile",
        {
            *("file.stat", "path.exists", "path.is_dir", "path.is_file", "path.is_symlink", "path.resolve"),
            "zipfile.ZipFile",
        },
    ),
    "cli/verify_bundle.py": ("is handed an archive, whose bytes come through the port", {"zipfile.ZipFile"}),
    "cli/watch.py": ("looks whether the folder is there", {"(found.root / event.folder.name).is_dir"}),
    "gateway/keys.py": ("reads the keys that tokens are signed with", {"path.read_bytes"}),
    "gateway/openapi.py": ("runs at build time, on a directory of its own", {"TemporaryDirectory"}),
    "gateway/page.py": (
        "reads the page's own files, which are part of the program",
        {"(WEB / 'index.html').read_text", "WEB.rglob", "path.read_bytes"},
    ),
    "gateway/sources.py": ("reads the project that another service wrote into a directory", {"path.open"}),
}


def test_gateway_and_commands_name_the_disk_only_for_what_is_neither_media_nor_an_export() -> None:
    named = {str(module): names_without_lines(module) for module in modules_of("gateway", "cli")}
    assert {module: names for module, names in named.items() if names} == {
        module: names for module, (_, names) in REASONS.items()
    }


def names_without_lines(module: Path) -> set[str]:
    return {name.partition(": ")[2] for name in disk_names(text_of(module))} - OF_THE_PORT


@pytest.mark.parametrize(
    "source",
    [
        "open('x')",
        "import os\nos.open('x', 0)",
        "import os\nos.rename('x', 'y')",
        "import os as system\nsystem.unlink('x')",
        "import os\nawait_in_a_thread(os.unlink, 'x')",
        "from os import replace as put\nput('x', 'y')",
        "import os.path\nos.path.exists('x')",
        "from os import path\npath.getsize('x')",
        "import shutil\nshutil.copy('x', 'y')",
        "from shutil import copytree\ncopytree('x', 'y')",
        "from tempfile import mkdtemp\nmkdtemp()",
        "import io\nio.open('x')",
        "import zipfile\nzipfile.ZipFile('x')",
        "import ctypes\nctypes.CDLL(None).unlink(b'x')",
        "import anyio\nanyio.Path('x')",
        "from pathlib import Path\nPath('x').read_text()",
        "from pathlib import Path\ndef put(to: Path): to.write_bytes(b'')",
        "import pathlib\npathlib.Path('x').open()",
    ],
)
def test_a_name_of_the_disk_would_be_found(source: str) -> None:
    last_line = len(source.splitlines())
    assert [name for name in disk_names(source) if name.startswith(f"line {last_line}: ")]


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['X'], os.getpid(), os.path.join('a', 'b')",
        "from pathlib import PurePosixPath\nPurePosixPath('a').with_suffix('.b')",
        "from pathlib import Path\nroot = Path('a') / 'b'",
        "class Ledger:\n    def open(self): ...\n    def start(self): self.open()",
        "async def survey(store): await store.stat('x')",
    ],
)
def test_what_only_looks_like_the_disk_is_left_alone(source: str) -> None:
    assert disk_names(source) == []
