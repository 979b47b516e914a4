"""The groups of the data path, in the order in which they are measured, and those that are asked for by name."""

from collections.abc import Callable, Mapping

from bench.archives import archive, whole
from bench.broker import broker
from bench.copying import constants
from bench.folders import film, huge_file, small_files
from bench.memory import layout, memory
from bench.plant import Plant
from bench.ranges import ranges
from bench.reflink import reflink
from bench.report import BEGIN_BROKER, BEGIN_TEXTS, Group
from bench.texts import texts

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

APART: Mapping[str, Callable[[Plant], Group]] = {"texts": texts, "broker": broker, "constants": constants}
"""Of no media; in need of RabbitMQ; and why a constant is what it is."""

PARTS: Mapping[str, str] = {"texts": BEGIN_TEXTS, "broker": BEGIN_BROKER}
"""Those with a part of their own in docs/performance.md, and how it begins."""
