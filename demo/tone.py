"""Stand-ins for narration: a small melody with one plucked note per word, as PCM and as WAV.

Pure: the same text always sounds the same, byte for byte.
"""

import io
import math
import wave
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise

SAMPLES_PER_SECOND = 24_000
_SAMPLES_PER_MS = SAMPLES_PER_SECOND // 1000

_SCALE = (0, 2, 4, 7, 9, 12, 14, 16, 19)
"""Semitones above the lowest note: a pentatonic scale, in which no two notes clash."""
_LOWEST_HZ = 261.63
_STEPS = (-2, -1, 1, 2)
_PARTIALS = ((1, 1.0, 0.30), (2, 0.35, 0.16), (4, 0.12, 0.07))
"""Multiple of the pitch, loudness, and seconds until it has faded to 1/e: roughly a kalimba."""


@dataclass(frozen=True, slots=True)
class Note:
    """One word of a melody; times count from the melody's beginning."""

    word: str
    degree: int
    """Which note of the scale."""
    start_ms: int
    end_ms: int


def melody(text: str) -> tuple[Note, ...]:
    """A note for each word: longer for longer words, and the last one comes home and rings out.

    >>> [(note.word, note.degree, note.start_ms, note.end_ms) for note in melody("Almost home.")]
    [('Almost', 5, 0, 222), ('home.', 0, 222, 772)]
    """
    words = text.split()
    degrees = [*list(_walk(words))[:-1], 0]
    lengths_ms = [120 + 17 * len(word) for word in words[:-1]] + [550]
    times_ms = pairwise(accumulate(lengths_ms, initial=0))
    return tuple(
        Note(word, degree, start_ms, end_ms)
        for word, degree, (start_ms, end_ms) in zip(words, degrees, times_ms, strict=False)
    )


def play(notes: tuple[Note, ...]) -> array[int]:
    """The melody's samples, 16 bit mono; a whole number of milliseconds."""
    samples = array("h")
    for note in notes:
        samples += _pluck(note.degree, note.end_ms - note.start_ms)
    return samples


def wav(samples: array[int]) -> bytes:
    """A WAV file of these samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, samples.itemsize, SAMPLES_PER_SECOND, len(samples), "NONE", ""))
        writer.writeframes(samples.tobytes())
    return file.getvalue()


def _walk(words: list[str]) -> Iterator[int]:
    """Small steps up and down the scale, led by the letters."""
    degree = 4
    for word in words:
        step = _STEPS[sum(word.encode()) % len(_STEPS)]
        degree += step if 0 <= degree + step < len(_SCALE) else -step
        yield degree


@cache
def _pluck(degree: int, length_ms: int) -> array[int]:
    """One note that starts and ends in silence, so that joined notes do not click."""
    pitch_hz = _LOWEST_HZ * 2 ** (_SCALE[degree] / 12)
    length = length_ms * _SAMPLES_PER_MS
    total = [0.0] * length
    for multiple, loudness, fade_seconds in _PARTIALS:
        turn = math.tau * pitch_hz * multiple / SAMPLES_PER_SECOND
        fade = math.exp(-1 / (fade_seconds * SAMPLES_PER_SECOND))
        # e^(-t/fade) · sin(turn · t) is the imaginary part of a number that is multiplied at every step.
        step = complex(fade * math.cos(turn), fade * math.sin(turn))
        point = complex(9000 * loudness)
        for index in range(length):
            total[index] += point.imag
            point *= step
    attack, release = 4 * _SAMPLES_PER_MS, 30 * _SAMPLES_PER_MS
    return array(
        "h",
        (
            round(sample * min(1.0, index / attack, (length - 1 - index) / release))
            for index, sample in enumerate(total)
        ),
    )
