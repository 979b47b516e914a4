"""Stand-ins for narration: a small melody with one plucked note per word, as PCM and as WAV.

Pure: the same text always sounds the same, byte for byte.
"""

import math
import struct
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
_PARTIALS = ((1, 1.0, 0.30), (4, 0.25, 0.08))
"""Multiple of the pitch, loudness, and seconds until it has faded to 1/e: roughly a marimba."""


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
    [('Almost', 2, 0, 210), ('home.', 0, 210, 760)]
    """
    words = text.split()
    degrees = [*list(_walk(words))[:-1], 0]
    lengths_ms = [150 + 60 * min(2, len(word) // 4) for word in words[:-1]] + [550]
    # No words: no notes, not even the last one; hence not strict.
    times_ms = pairwise(accumulate(lengths_ms, initial=0))
    return tuple(
        Note(word, degree, start_ms, end_ms)
        for word, degree, (start_ms, end_ms) in zip(words, degrees, times_ms, strict=False)
    )


def play(notes: tuple[Note, ...]) -> bytes:
    """The melody's samples, 16 bit mono, little-endian; a whole number of milliseconds."""
    return b"".join(_pluck(note.degree, note.end_ms - note.start_ms) for note in notes)


def wav(pcm: bytes) -> bytes:
    """A WAV file of these samples."""
    sample_bytes, channels, plain_pcm = 2, 1, 1
    per_second = SAMPLES_PER_SECOND * sample_bytes * channels
    form = struct.pack("<HHIIHH", plain_pcm, channels, SAMPLES_PER_SECOND, per_second, sample_bytes, 8 * sample_bytes)
    chunks = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(pcm)) + pcm
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def _walk(words: list[str]) -> Iterator[int]:
    """Small steps up and down the scale, led by the letters."""
    degree = 4
    for word in words:
        step = _STEPS[sum(word.encode()) % len(_STEPS)]
        degree += step if 0 <= degree + step < len(_SCALE) else -step
        yield degree


@cache
def _pluck(degree: int, length_ms: int) -> bytes:
    """One note that starts and ends in silence, so that joined notes do not click."""
    pitch_hz = _LOWEST_HZ * 2 ** (_SCALE[degree] / 12)
    length = length_ms * _SAMPLES_PER_MS
    total = [0.0] * length
    for multiple, loudness, fade_seconds in _PARTIALS:
        turn = math.tau * pitch_hz * multiple / SAMPLES_PER_SECOND
        fade = math.exp(-1 / (fade_seconds * SAMPLES_PER_SECOND))
        # e^(-t/fade) · sin(turn · t) is the imaginary part of a number that is multiplied at every step.
        step = complex(fade * math.cos(turn), fade * math.sin(turn))
        point = complex(14_000 * loudness)
        for index in range(length):
            total[index] += point.imag
            point *= step
    attack, release = 4 * _SAMPLES_PER_MS, 30 * _SAMPLES_PER_MS
    samples = (
        round(sample * min(1.0, index / attack, (length - 1 - index) / release)) for index, sample in enumerate(total)
    )
    return struct.pack(f"<{length}h", *samples)
