"""Says on what was measured, without a name or a path of it."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

_TOOLS = {
    "cp": ("cp", "--version"),
    "rsync": ("rsync", "--version"),
    "zip": ("zip", "-v"),
    "bsdtar": ("bsdtar", "--version"),
    "7z": ("7z",),
    "node": ("node", "--version"),
}
_VERSION = re.compile(r"\d+(?:\.\d+)+")


def machine(place: Path) -> list[str]:
    """Lines of Markdown."""
    kernel = _VERSION.match(os.uname().release)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    where = f"Linux {kernel[0] if kernel else '?'}, {_file_system(place)}"
    return [
        f"- {os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB of memory, {where}",
        f"- Python {platform.python_version()}, isal {version('isal')}, zipstream-ng {version('zipstream-ng')}",
        f"- {', '.join(f'{name} {_tool(words)}' for name, words in _TOOLS.items() if shutil.which(words[0]))}",
    ]


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _file_system(place: Path) -> str:
    return _said("df", "--output=fstype", str(place)).split()[-1]


def _tool(words: tuple[str, ...]) -> str:
    found = _VERSION.search(_said(*words).replace("Copyright (c) 1990-2008", ""))
    return found[0] if found else "of unknown version"


def _said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout
