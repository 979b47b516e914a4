"""May an export be so large, and is there room for it? Asked before a byte of it is copied. Synchronous."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from contracts import ErrorCode
from service.attempt import Attempt
from service.errors import Trouble, Verdict
from service.model import Copy, Draft, Plan
from service.segments import BLOCK_BYTES, Extent, whole_file
from service.streaming_zip import ALIGNED_FROM_BYTES

SPARE_BYTES = 16 * 1024 * 1024
"""Left free for the journal and whatever else lives on the disk."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How large one export may be, as an operator has it; nothing stands for any size."""

    assets: int | None = None
    size_bytes: int | None = None

    def insist_on_few(self, draft: Draft) -> None:
        """Raises Verdict(limit_exceeded), before a file is looked at."""
        found = len(draft.wanted)
        if self.assets is not None and found > self.assets:
            raise _exceeded(f"{found:,} finished assets are asked for; EXPORT_MAX_EXPORT_ASSETS is {self.assets:,}")

    def insist_on_small(self, plan: Plan) -> None:
        """Raises Verdict(limit_exceeded), once the sizes are known."""
        found = plan.size_bytes
        if self.size_bytes is not None and found > self.size_bytes:
            raise _exceeded(f"the media have {found:,} bytes; EXPORT_MAX_EXPORT_BYTES is {self.size_bytes:,}")


def _exceeded(detail: str) -> Verdict:
    return Verdict(ErrorCode.LIMIT_EXCEEDED, detail)


def insist_on_room(
    attempt: Attempt, copies: Sequence[Copy], texts_bytes: int, packed: Sequence[Copy], archive_bytes: int
) -> None:
    """Raises Trouble(no_space) when there is no room for these copies, the texts, and an archive of `packed`.

    Blocks that are shared with other files take no room. Whether they can be is tried only where room is short.
    """
    needed = sum(copy.size_bytes for copy in copies) + texts_bytes + archive_bytes + SPARE_BYTES
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
