"""What the engine asks of a storage; the only way to a disk or an object store.

Every verb is synchronous and meant to be called from a thread: one hop then carries a whole file and its journal line
(docs/decisions/0002). Keys are relative to the exports root, with `/` between their parts.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol

from service.references import Source
from service.segments import Extent, Segment, Version, Written

Watch = Callable[[int], None]
"""Told how many bytes were just moved, by any thread but by one at a time; fewer than none are taken back, none is a
sign of life. May raise to stop the moving."""


DRAFT = ".new"
"""Ends the name of a file that `create` did not get to finish."""


class SourceFault(Exception):
    """One source file cannot be used; the rest of the export can go on."""


class SourceMissing(SourceFault):
    """There is no such file."""


class SourceUnreadable(SourceFault):
    """It is there but cannot be read, is no regular file, or is not the version that was planned with."""


class Hold(Protocol):
    """A claim on a key that ends with the process that has it, where the store can tell."""

    def release(self) -> None: ...


class Storage(Protocol):
    """Roots that assets are read from, and the one root that exports are written to."""

    @property
    def roots(self) -> Mapping[str, str]:
        """The absolute directory of each readable root, by name, as it was configured."""

    @property
    def real_roots(self) -> Mapping[str, str]:
        """The same without any link; absolute references may be spelled either way."""

    @property
    def scope(self) -> str:
        """What every reference must lie beneath, a template; empty when a project may name any file."""

    @property
    def trusted(self) -> Collection[str]:
        """The roots of which a project's own CRC-32s are believed, so that files need not be read."""

    # ---- sources

    def check_roots(self) -> None:
        """Raises Trouble(storage_unavailable) when a root is not there, or is not the one it was."""

    def look(self, source: Source) -> Version:
        """Raises SourceMissing, SourceUnreadable."""

    def read(self, extent: Extent) -> Iterator[memoryview]:
        """Its bytes, in pieces that are valid until the next one.

        Raises SourceMissing, SourceUnreadable: also when the file is not `extent.version`, before or after.
        """

    def checksum(self, extent: Extent, watch: Watch) -> int:
        """CRC-32 of its bytes. Raises as `read` does."""

    # ---- exports

    def assemble(self, key: str, segments: Iterable[Segment], moment_ns: int, watch: Watch) -> Written:
        """Makes the file of those bytes, whole or not at all; `moment_ns` becomes its modification time.

        Every byte that is exported is moved by this. How, is the store's own affair: by sharing blocks, within the
        kernel, or through memory; the bytes of an extent whose CRC-32 is known need not be read.
        Raises SourceMissing and SourceUnreadable as `read` does.
        """

    def create(self, key: str, body: bytes) -> bool:
        """Makes the file durably unless there is one; whether this call made it. The first wins, whole."""

    def claim(self, key: str) -> bool:
        """Makes the directory unless there is one; whether this call made it."""

    def make_directories(self, key: str) -> None:
        """Makes the directory and those above it, durably; they may be there."""

    def get(self, key: str) -> bytes | None:
        """The whole of a small file, or nothing."""

    def version(self, key: str) -> Version | None:
        """Of a file or directory, or nothing."""

    def names(self, key: str) -> list[str]:
        """What is in a directory, sorted; empty when there is none."""

    def append(self, key: str, line: bytes) -> None:
        """Adds to a file by one write; another process may add at the same time."""

    def link(self, key: str, target: str) -> bool:
        """Gives a finished file a second name; false when it is not there or the name is taken."""

    def start_writeback(self, keys: Iterable[str], watch: Watch) -> None:
        """A hint: these files will have to become durable soon. Says nothing of what went wrong."""

    def make_durable(self, key: str) -> None:
        """A file's or directory's content survives a loss of power. On failure the file is discarded."""

    def set_moment(self, key: str, moment_ns: int) -> None:
        """Sets the modification time of a file or directory."""

    def rename(self, key: str, target: str) -> bool:
        """Moves a file or directory durably to a free name; false when it is gone or the name is taken."""

    def remove(self, key: str) -> None:
        """Removes a file, or a directory with all that is in it; it may be gone already."""

    def hold(self, key: str) -> Hold | None:
        """Holds the key against other processes, or nothing if one of them has it.

        Never is a key free while its holder lives. Where that cannot be told of a dead one either, the key stays held
        and its pulse stands still.
        """

    def beat(self, key: str) -> None:
        """Shows whoever looks at `pulse` that the holder is alive and moving."""

    def pulse(self, key: str) -> int | None:
        """A number that changes with every beat, or nothing if nobody ever held the key."""

    def free_bytes(self) -> int:
        """Room for new files in the exports root."""

    def shares_blocks_with(self, extent: Extent, key: str) -> bool:
        """Whether a copy of this whole file would need no room of its own, as far as a trial at `key` can tell.

        Nothing is left of the trial. Raises as `read` does.
        """

    def boot_id(self) -> str | None:
        """Changes when what was not made durable may have been lost; nothing if that cannot be told."""
