"""The groups of the data path, in the order in which they are measured."""

from collections.abc import Callable, Mapping

from bench.archives import archive, whole
from bench.folders import film, huge_file, small_files
from bench.memory import layout, memory
from bench.plant import Plant
from bench.ranges import ranges
from bench.reflink import reflink
from bench.report import Group

GROUPS: Mapping[str, Callable[[Plant], Group]] = {
    "small": small_files,
    "memory": memory,
    "layout": layout,
    "folder": film,
    "huge": huge_file,
    "zip": archive,
    "whole": whole,
    "ranges": ranges,
    "reflink": reflink,
}
"""Those with very many files first: what the others remove would slow them down."""
