"""What a loss of power may leave: states that are built, never waited for.

Of the operations before the cut, what was synced stays; of the rest a seeded chance keeps this and loses that, as one
of the models has it. Knows nothing of exports.
"""

import os
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.engine.power_model import Change, Empty, FileSystem, Grow, Inode, Node, OfFile, Put, Stamp, State, Tree

Keeps = Callable[[Change], bool]


def in_order(system: FileSystem, chance: random.Random) -> Keeps:
    """A journal: names, times and sizes up to a point after the last sync; the bytes up to another one before that.

    Whether a file whose bytes did not come has its size already (XFS, zeros) or not (ext4's delayed allocation) is
    drawn too.
    """
    metadata = chance.randint(system.synced, system.count)
    data = chance.randint(0, metadata)
    late = Put if chance.random() < 0.5 else (Put, Grow, Empty)
    return lambda change: change.number < (data if isinstance(change, late) else metadata)


def nothing_more(system: FileSystem, chance: random.Random) -> Keeps:
    """Only what was synced: legal in both models, and never drawn often enough."""
    return lambda change: False


def reordered(system: FileSystem, chance: random.Random) -> Keeps:
    """POSIX: whatever was not synced is there or not, each by itself."""
    names, times = chance.choice((0.0, 0.5, 0.9, 1.0)), chance.choice((0.0, 0.5, 1.0))
    # All files in one manner, or each in its own.
    ways = _MANNERS if chance.random() < 0.5 else [chance.choice(_MANNERS)]
    manners: dict[Inode, Keeps] = defaultdict(lambda: chance.choice(ways)(system, chance))

    def keeps(change: Change) -> bool:
        if isinstance(change, OfFile) and not isinstance(change, Stamp):
            return manners[change.inode](change)
        return chance.random() < (times if isinstance(change, Stamp) else names)

    return keeps


_MANNERS: Sequence[Callable[[FileSystem, random.Random], Keeps]] = (
    nothing_more,
    lambda system, chance: lambda change: True,
    lambda system, chance: lambda change: not isinstance(change, Put),  # its size, and zeros
    lambda system, chance: lambda change: isinstance(change, Grow) or chance.random() < 0.5,
    in_order,
)
"""How a file comes out of it whose bytes were not synced."""

MODELS: Mapping[str, Callable[[FileSystem, random.Random], Keeps]] = {
    "in order": in_order,
    "reordered": reordered,
    "nothing more": nothing_more,
}


def after_the_cut(system: FileSystem, model: str, seed: int) -> Tree:
    """A state that the disk may have when the power is gone after the last operation."""
    # The count too: one seed would lose the same of neighbouring cuts.
    return kept(system, MODELS[model](system, random.Random(f"{model} {system.count} {seed}")))


def kept(system: FileSystem, keeps: Keeps) -> Tree:
    """What was synced, and of the rest what `keeps` says."""
    state = State()
    for change in system.changes:
        if not change.waits_for or keeps(change):
            change.apply(state)
    identities: dict[Inode, int] = {}
    return {
        path: Node(
            identities.setdefault(inode, len(identities)),
            None if inode.is_directory else bytes(state.contents[inode]),
            state.moments.get(inode),
        )
        for path, inode in state.below(system.root)
    }


def materialise(tree: Tree, root: Path) -> None:
    """Makes it in an empty directory. What has no time of its own gets that of now."""
    made: dict[int, Path] = {}
    for path, node in tree.items():
        place = root / path
        if node.content is None:
            place.mkdir()
        elif node.identity in made:
            place.hardlink_to(made[node.identity])
        else:
            place.write_bytes(node.content)
        made.setdefault(node.identity, place)
    for path, node in reversed(tree.items()):
        if node.moment_ns is not None:
            os.utime(root / path, ns=(node.moment_ns, node.moment_ns))
