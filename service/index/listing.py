"""What an index lists of an export: all that is in it, all that is not, and where it stands in the timelines. Pure."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from heapq import merge

from contracts import Kind
from service.cut import Cut, Slot, Track
from service.model import FOLDERS, Copy, Omission, Plan

Asset = Copy | Omission

_KINDS: Mapping[Kind, int] = {kind: order for order, kind in enumerate(FOLDERS)}


def assets(plan: Plan) -> Iterator[Asset]:
    """In story order; a section's narration before its sentences."""
    return merge(plan.copies, plan.omissions, key=_story_order)


def _story_order(asset: Asset) -> tuple[int, int, int, int]:
    spot = asset.spot
    return (spot.section, spot.seq, -1 if spot.in_section is None else spot.in_section, _KINDS[spot.kind])


class Places:
    """Where what stands in the timelines; None where it is not in them."""

    def __init__(self, cut: Cut) -> None:
        self._slots = {(slot.section, slot.in_section): slot for slot in cut.slots}
        self._narrations: dict[str, int] = {}
        for clip in cut.clips:
            if clip.track is Track.NARRATION:
                self._narrations.setdefault(clip.copy.name, clip.start)

    def slot(self, section: int, in_section: int | None) -> Slot | None:
        return self._slots.get((section, in_section))

    def start(self, asset: Asset) -> int | None:
        """The frame at which it begins: its sentence's first, or of a section's narration the first that is heard."""
        if isinstance(asset, Copy) and asset.name in self._narrations:
            return self._narrations[asset.name]
        slot = self.slot(asset.spot.section, asset.spot.in_section)
        return None if slot is None else slot.start


def decimal(number: Fraction | None) -> str:
    """With at most three decimals; empty for what is not known.

    >>> decimal(Fraction(30_000, 1001)), decimal(Fraction(25)), decimal(Fraction(1, 3)), decimal(None)
    ('29.97', '25', '0.333', '')
    """
    if number is None:
        return ""
    thousandths = round(number * 1000)
    return f"{thousandths // 1000}.{thousandths % 1000:03}".rstrip("0").rstrip(".")
