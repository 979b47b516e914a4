"""Looks into a file as the survey does, counts what that takes; and asks ffprobe the same."""

import json
import subprocess
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from service.media import Media
from service.probe import probe


class Look(NamedTuple):
    media: Media
    reads: list[int]
    """Bytes of each."""


def look(path: Path) -> Look:
    reads: list[int] = []

    def read(start: int, stop: int) -> bytes:
        assert 0 <= start < stop <= path.stat().st_size
        with path.open("rb") as file:
            file.seek(start)
            held = file.read(stop - start)
        reads.append(len(held))
        return held

    return Look(probe(read, path.stat().st_size), reads)


def look_at(content: bytes) -> Media:
    return probe(lambda start, stop: content[start:stop], len(content))


class Oracle(NamedTuple):
    """What ffprobe says of it."""

    told: Mapping[str, Any]

    @property
    def film(self) -> Mapping[str, Any] | None:
        return next((s for s in self.told["streams"] if s["codec_type"] == "video" and not _is_cover(s)), None)

    @property
    def sound(self) -> Mapping[str, Any] | None:
        return next((stream for stream in self.told["streams"] if stream["codec_type"] == "audio"), None)

    @property
    def seconds(self) -> float | None:
        """Of the picture where there is one, as a timeline's clip has it; its container's where it does not say."""
        main = self.film or self.sound or {}
        told = main.get("duration", self.told["format"].get("duration"))
        return None if told is None else float(told)

    @property
    def frame_rate(self) -> float:
        return float(Fraction((self.film or {})["avg_frame_rate"]))

    @property
    def is_variable(self) -> bool:
        film = self.film or {}
        return abs(Fraction(film["r_frame_rate"]) - Fraction(film["avg_frame_rate"])) > Fraction(1, 20)

    @property
    def rotation(self) -> int:
        turned = [side["rotation"] for side in (self.film or {}).get("side_data_list", []) if "rotation" in side]
        return -int(turned[0]) % 360 if turned else 0

    @property
    def timecode(self) -> str | None:
        return next((s["tags"]["timecode"] for s in self.told["streams"] if "timecode" in s.get("tags", {})), None)


def ask_ffprobe(path: Path) -> Oracle:
    command = ["ffprobe", "-v", "quiet", "-of", "json", "-show_format", "-show_streams", str(path)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout
    return Oracle(json.loads(told))


def _is_cover(stream: Mapping[str, Any]) -> bool:
    return bool(stream["disposition"]["attached_pic"])
