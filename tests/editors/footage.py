"""A small project with real media, made by ffmpeg, as an export would lie in its folder."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from contracts import Sentence
from contracts.messages import Timeline
from service.cut import Cut, make_cut
from service.media import Container, Media, Picture, Sound
from service.model import Copy, Plan
from service.probe import probe
from service.timelines import TIMELINES, write_timeline
from tests.core.projects import FIVE_SECONDS, PENDING, completed, found, part, plan, project, section

WIDTH, HEIGHT = 192, 108


class Footage(NamedTuple):
    """How ffmpeg makes a file, and what will be true of it."""

    arguments: Sequence[str]
    media: Media


def speech(seconds: str, pitch_hz: int = 440, rate_hz: int = 24_000) -> Footage:
    tone = f"sine=frequency={pitch_hz}:sample_rate={rate_hz}:duration={seconds}"
    sound = Sound(rate_hz, 1)
    return Footage(["-f", "lavfi", "-i", tone], Media(Container.WAV, Fraction(seconds), sound=sound))


def still(colour: str, width: int = WIDTH, height: int = HEIGHT) -> Footage:
    arguments = ["-f", "lavfi", "-i", f"color={colour}:size={width}x{height}", "-frames:v", "1"]
    return Footage(arguments, Media(Container.PNG, picture=Picture(width, height)))


def film(seconds: str, rate: int, pitch_hz: int | None = None) -> Footage:
    moving = f"testsrc=size={WIDTH}x{HEIGHT}:rate={rate}:duration={seconds}"
    arguments = ["-f", "lavfi", "-i", moving]
    if pitch_hz is not None:
        arguments += ["-f", "lavfi", "-i", f"sine=frequency={pitch_hz}:sample_rate=48000:duration={seconds}"]
    picture = Picture(WIDTH, HEIGHT, frame_rate=Fraction(rate))
    sound = None if pitch_hz is None else Sound(48_000, 1)
    arguments += ["-pix_fmt", "yuv420p", "-c:v", "mpeg4", "-bf", "0", "-c:a", "aac"]
    return Footage(arguments, Media(Container.MP4, Fraction(seconds), picture, sound))


FOOTAGE: dict[str, Footage] = {
    "one.wav": speech("2.03"),
    "one.png": still("orange"),
    "two.wav": speech("1.5", rate_hz=22_050),
    "two.png": still("teal", 108, 108),
    "two.mp4": film("3", 24, pitch_hz=880),
    "three.wav": speech("1.77"),
    "three.mp4": film("1", 30),
    "section.ogg": speech("3.4", pitch_hz=330),
    "five.png": still("purple"),
}
"""Twelve seconds of narration, six of film."""

STORY = project(
    section(
        Sentence(text="The lamp is lit.", audio=completed("one.wav"), image=completed("one.png")),
        Sentence(
            text="Ships & <boats> pass.",
            audio=completed("two.wav"),
            image=completed("two.png"),
            video=completed("two.mp4"),
        ),
        Sentence(text="A wave breaks.", audio=completed("three.wav"), video=completed("three.mp4")),
        title="At night",
    ),
    section(
        Sentence(text="Nobody has told this yet.", audio=PENDING),
        title="Still to come",
    ),
    section(
        Sentence(text="Morning.", audio=part(0, 1_200), image=completed("five.png")),
        Sentence(text="The lamp goes out.", audio=part(1_200, 3_400)),
        title="By day",
        audio=completed("section.ogg"),
    ),
    name="The lighthouse",
    frame_rate=30,
)


def story(**options: object) -> Plan:
    """Planned as a worker would, with what a look into each file says."""
    facts = {uri: found(uri, wav="not a WAV" if uri.endswith(".ogg") else FIVE_SECONDS) for uri in FOOTAGE}
    told = plan(STORY, facts, **options)
    return replace(told, copies=tuple(replace(copy, media=FOOTAGE[copy.uri].media) for copy in told.copies))


def shoot(told: Plan, folder: Path) -> None:
    """The media files where the export has them."""
    for copy in told.copies:
        _make(copy, folder / copy.name)


def _make(copy: Copy, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    quiet = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
    subprocess.run([*quiet, *FOOTAGE[copy.uri].arguments, "-flags", "+bitexact", str(path)], check=True, timeout=60)


def probed(told: Plan, folder: Path) -> Plan:
    """The plan with what the files say of themselves."""
    return replace(told, copies=tuple(replace(copy, media=_facts(folder / copy.name)) for copy in told.copies))


def _facts(path: Path) -> Media:
    content = path.read_bytes()
    return probe(lambda start, stop: content[start:stop], len(content))


def assemble(told: Plan, folder: Path) -> Cut:
    """The timelines beside the media."""
    cut = make_cut(told)
    for timeline, (name, _) in TIMELINES.items():
        (folder / name).write_text("".join(write_timeline(told, cut, Timeline(timeline))), newline="")
    return cut
