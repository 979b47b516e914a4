"""Is there room for an export? Asked before a byte of it is copied. Synchronous: call it from a thread."""

from collections.abc import Iterable, Iterator, Sequence

from contracts import ErrorCode
from service.attempt import Attempt
from service.errors import Trouble
from service.model import Copy
from service.segments import BLOCK_BYTES, Extent, whole_file
from service.streaming_zip import ALIGNED_FROM_BYTES

SPARE_BYTES = 16 * 1024 * 1024
"""Left free for texts, journal and whatever else lives on the disk."""


def insist_on_room(attempt: Attempt, copies: Sequence[Copy], packed: Sequence[Copy], archive_bytes: int) -> None:
    """Raises Trouble(no_space) when the exports root has no room for these copies, and for an archive of `packed`.

    Blocks that are shared with other files take no room. Whether they can be is tried only where room is short.
    """
    needed = sum(copy.size_bytes for copy in copies) + archive_bytes + SPARE_BYTES
    free = attempt.storage.free_bytes()
    if needed > free:
        needed -= sum(_shared_with_sources(attempt, copies))
        needed -= sum(_shared_with_the_folder(attempt, packed)) if archive_bytes else 0
    if needed > free:
        raise Trouble(
            ErrorCode.NO_SPACE, f"the export needs {needed:,} bytes of space and the exports root has {free:,}"
        )


def _shared_with_sources(attempt: Attempt, copies: Iterable[Copy]) -> Iterator[int]:
    by_root: dict[str, list[Extent]] = {}
    for copy in copies:
        if (extent := whole_file(copy.segments)) is not None:
            by_root.setdefault(extent.root, []).append(extent)
    for extents in by_root.values():
        if attempt.shares_blocks_with(extents[0]):
            yield from (extent.size_bytes for extent in extents)


def _shared_with_the_folder(attempt: Attempt, packed: Iterable[Copy]) -> Iterator[int]:
    if attempt.shares_blocks_with(attempt.facts_file()):
        for copy in packed:
            if copy.size_bytes >= ALIGNED_FROM_BYTES:
                yield copy.size_bytes // BLOCK_BYTES * BLOCK_BYTES
