"""Draws a lighthouse with a number in its sky: as planes of samples, and as PNG.

Pure: the same scene always gives the same bytes. Everything is an outline, in units of which a picture is 16 wide
and 9 high; so one short rasteriser, with smooth edges, serves every size.
"""

import math
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

Colour = tuple[int, int, int]
"""Red, green, blue: 0 to 255."""
Point = tuple[float, float]
Outline = tuple[Point, ...]
"""A closed line, clockwise as seen."""

UNITS_WIDE = 16
UNITS_HIGH = 9


@dataclass(frozen=True, slots=True)
class Mood:
    """The colours of an hour of the day."""

    zenith: Colour
    horizon: Colour
    shallows: Colour
    deep: Colour
    land: Colour


@dataclass(frozen=True, slots=True)
class Shape:
    """All that is inside any of the outlines, in one colour."""

    outlines: tuple[Outline, ...]
    colour: Colour
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Stops of a vertical gradient, and what is painted on it, in that order."""

    backdrop: tuple[tuple[float, Colour], ...]
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture as planes of `width * height` samples, one for each channel that `channels` makes of a colour."""

    width: int
    height: int
    channels: Callable[[Colour], tuple[float, ...]]
    planes: tuple[bytes, ...]


def lighthouse(mood: Mood) -> Scene:
    """The sample's only motif: sky, sea and tower."""
    horizon = 6.6
    return Scene(
        backdrop=((0, mood.zenith), (horizon, mood.horizon), (horizon, mood.shallows), (UNITS_HIGH, mood.deep)),
        shapes=(_stars(), _waves(mood), *_tower(mood)),
    )


def numeral(number: int) -> tuple[Shape, ...]:
    """A large number in the sky, with a shadow."""
    size, middle_x, middle_y = 2.5, 5.0, 3.6
    advance = 1.32 * size
    left = middle_x - (advance * len(str(number)) - 0.32 * size) / 2
    top = middle_y - size * _DIGIT_HEIGHT / 2
    strokes = [
        [(left + advance * place + x * size, top + y * size) for x, y in stroke]
        for place, digit in enumerate(str(number))
        for stroke in _DIGITS[digit]
    ]
    ink = tuple(_ribbon(stroke, 0.125 * size) for stroke in strokes)
    shadow = tuple(tuple((x + 0.09, y + 0.09) for x, y in outline) for outline in ink)
    return Shape(shadow, (12, 14, 34), 0.55), Shape(ink, _PAPER)


def beam(degrees: float) -> tuple[Shape, ...]:
    """The light of the lamp, brighter in its middle; the angle counts clockwise from the right, as seen."""
    return tuple(Shape((_cone(_LAMP, degrees, spread),), _WARM, 0.16) for spread in (9.0, 6.0, 3.0))


def render(
    scene: Scene, width: int, height: int, channels: Callable[[Colour], tuple[float, ...]] = lambda colour: colour
) -> Canvas:
    """The scene at this size; its channels are red, green and blue unless told otherwise."""
    planes = _gradient(scene.backdrop, width, height, channels)
    return paint(Canvas(width, height, channels, planes), scene.shapes)


def paint(canvas: Canvas, shapes: Iterable[Shape]) -> Canvas:
    """The canvas with more shapes on it."""
    planes = tuple(map(bytearray, canvas.planes))
    for shape in shapes:
        tables = [_blend(value, shape.opacity) for value in canvas.channels(shape.colour)]
        for row, steps in _rows(shape, canvas.width, canvas.height):
            _fill_row(planes, tables, row * canvas.width, steps)
    return replace(canvas, planes=tuple(map(bytes, planes)))


def png(canvas: Canvas) -> bytes:
    """A canvas of red, green and blue as a PNG file."""
    lines = bytearray()
    for start in range(0, canvas.width * canvas.height, canvas.width):
        line = bytearray(3 * canvas.width)
        for channel, plane in enumerate(canvas.planes):
            line[channel::3] = plane[start : start + canvas.width]
        lines += b"\0" + line  # 0: no filter
    header = struct.pack(">IIBBBBB", canvas.width, canvas.height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(lines, 6)), _chunk(b"IEND", b""))
    )


def _chunk(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


# ---- from outlines to samples ----------------------------------------------------------------------

_SUBROWS = 2
"""Across, the edges are exact; down, two looked like four and took two thirds of the time."""
_DITHER = ((1, 9, 3, 11), (13, 5, 15, 7), (4, 12, 2, 10), (16, 8, 14, 6))
"""Bayer's order: hides the bands of a slow gradient, and repeats, so that it still compresses."""


def _gradient(
    stops: tuple[tuple[float, Colour], ...],
    width: int,
    height: int,
    channels: Callable[[Colour], tuple[float, ...]],
) -> tuple[bytes, ...]:
    planes = [bytearray() for _ in channels(stops[0][1])]
    for row in range(height):
        y = (row + 0.5) * UNITS_HIGH / height
        (above, first), (below, second) = next(pair for pair in pairwise(stops) if pair[0][0] <= y < pair[1][0])
        part = (y - above) / (below - above)
        for plane, start, end in zip(planes, channels(first), channels(second), strict=True):
            value = start + (end - start) * part
            pattern = bytes(int(value + threshold / 17) for threshold in _DITHER[row % 4])
            plane.extend((pattern * (width // 4 + 1))[:width])
    return tuple(map(bytes, planes))


@cache
def _blend(value: float, opacity: float) -> bytes:
    """What becomes of each sample under a colour: a table for `bytes.translate`."""
    return bytes(round(old + (value - old) * opacity) for old in range(256))


def _rows(shape: Shape, width: int, height: int) -> Iterator[tuple[int, dict[int, float]]]:
    """For each row that the shape touches: at which pixel how much more, or less, of it is covered.

    The running sum of these steps is the number of outlines around a pixel: 1 inside, a fraction on an edge,
    more where outlines overlap.
    """
    scale = width / UNITS_WIDE
    rows: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for outline in shape.outlines:
        for (x0, y0), (x1, y1) in pairwise((*outline, outline[0])):
            upward = y1 < y0
            top, low = sorted(math.ceil(y * scale * _SUBROWS - 0.5) for y in (y0, y1))
            slope = (x1 - x0) / (y1 - y0) if top != low else 0.0
            weight = (1 if upward else -1) / _SUBROWS
            for subrow in range(max(0, top), min(height * _SUBROWS, low)):
                x = (x0 - y0 * slope) * scale + (subrow + 0.5) / _SUBROWS * slope
                x = min(max(x, 0.0), float(width))
                pixel = int(x)
                steps = rows[subrow // _SUBROWS]
                steps[pixel] += weight * (1 - x + pixel)
                steps[pixel + 1] += weight * (x - pixel)
    yield from rows.items()


def _fill_row(planes: tuple[bytearray, ...], tables: list[bytes], start: int, steps: dict[int, float]) -> None:
    covered = 0.0
    for (x, step), (next_x, _) in pairwise(sorted(steps.items())):
        covered += step
        if covered > 0.99:
            run = slice(start + x, start + next_x)
            for plane, table in zip(planes, tables, strict=True):
                plane[run] = plane[run].translate(table)
        elif covered > 0.01:
            _mix(planes, tables, range(start + x, start + next_x), covered)


def _mix(planes: tuple[bytearray, ...], tables: list[bytes], run: range, covered: float) -> None:
    """A part of the full colour: an edge."""
    for plane, table in zip(planes, tables, strict=True):
        for at in run:
            old = plane[at]
            plane[at] = round(old + (table[old] - old) * covered)


# ---- what is in the scene --------------------------------------------------------------------------

_LAMP: Point = (12.5, 2.62)
_WARM: Colour = (255, 236, 179)
_PAPER: Colour = (250, 246, 236)
_RED: Colour = (196, 61, 58)
_STARS = ((0.9, 0.8), (1.5, 2.7), (3.1, 0.5), (6.9, 0.7), (8.3, 2.1), (9.6, 0.9), (11.0, 1.7), (14.9, 1.1))
_WAVES = ((1.2, 7.1, 1.3), (6.8, 7.0, 0.8), (3.9, 7.6, 1.7), (9.3, 8.1, 1.6), (0.8, 8.3, 1.1), (13.6, 8.0, 0.9))


def _stars() -> Shape:
    return Shape(tuple(_disc(star, 0.035 + 0.02 * (index % 3)) for index, star in enumerate(_STARS)), _PAPER, 0.8)


def _waves(mood: Mood) -> Shape:
    return Shape(tuple(_ribbon(((x, y), (x + length, y)), 0.035) for x, y, length in _WAVES), mood.horizon, 0.45)


def _tower(mood: Mood) -> Iterator[Shape]:
    x, _ = _LAMP
    rock, foam = _arc((x, 7.5), 3.0, 0.85, 180, 360), _ribbon(((x - 3.1, 7.5), (x + 3.1, 7.5)), 0.045)
    yield Shape((rock,), mood.land)
    yield Shape((foam,), mood.horizon)
    yield Shape((_trapezium(x, 3.1, 7.1, 0.55, 0.97),), _PAPER)
    yield Shape(tuple(_trapezium(x, 3.1 + top, 3.9 + top, *_widths(top)) for top in (0.0, 1.6, 3.2)), _RED)
    yield Shape((((x + 0.14, 3.1), (x + 0.55, 3.1), (x + 0.97, 7.1), (x + 0.24, 7.1)),), mood.land, 0.28)
    gallery, roof = _trapezium(x, 2.98, 3.14, 0.85, 0.85), _trapezium(x, 1.62, 2.30, 0.0, 0.58)
    yield Shape((gallery, roof, _ribbon(((x, 1.3), (x, 1.7)), 0.04)), mood.land)
    yield Shape((_trapezium(x, 2.30, 2.98, 0.42, 0.42),), _WARM)
    yield Shape((_disc(_LAMP, 0.24),), (255, 255, 255))
    yield from (Shape((_disc(_LAMP, radius),), _WARM, 0.13) for radius in (1.5, 1.1, 0.75))


def _widths(below_top: float) -> tuple[float, float]:
    """Half the tower's width at the upper and the lower edge of a stripe of 0.8."""
    return 0.55 + 0.105 * below_top, 0.55 + 0.105 * (below_top + 0.8)


# ---- outlines --------------------------------------------------------------------------------------


def _arc(middle: Point, across: float, down: float, start_degrees: float, end_degrees: float) -> Outline:
    """Points on an oval; angles count clockwise from the right, as seen."""
    steps = max(2, math.ceil(abs(end_degrees - start_degrees) / 12))
    turns = [start_degrees + (end_degrees - start_degrees) * step / steps for step in range(steps + 1)]
    return tuple(
        (middle[0] + across * math.cos(math.radians(turn)), middle[1] + down * math.sin(math.radians(turn)))
        for turn in turns
    )


def _disc(middle: Point, radius: float) -> Outline:
    return _arc(middle, radius, radius, 0, 360)


def _cone(tip: Point, degrees: float, spread_degrees: float) -> Outline:
    """From `tip` to beyond the picture's edge."""
    return (tip, *_arc(tip, 20, 20, degrees - spread_degrees, degrees + spread_degrees))


def _ribbon(line: Sequence[Point], radius: float) -> Outline:
    """A smooth line drawn with a round pen; sharp corners need a new line."""
    ahead, behind = (*line[1:], line[-1]), (line[0], *line[:-1])
    courses = [math.degrees(math.atan2(y1 - y0, x1 - x0)) for (x0, y0), (x1, y1) in zip(behind, ahead, strict=True)]
    points = list(zip(line, courses, strict=True))
    return (
        *(_toward(point, course - 90, radius) for point, course in points),
        *_arc(line[-1], radius, radius, courses[-1] - 90, courses[-1] + 90),
        *(_toward(point, course + 90, radius) for point, course in reversed(points)),
        *_arc(line[0], radius, radius, courses[0] + 90, courses[0] + 270),
    )


def _toward(point: Point, degrees: float, distance: float) -> Point:
    return point[0] + distance * math.cos(math.radians(degrees)), point[1] + distance * math.sin(math.radians(degrees))


def _trapezium(middle: float, top: float, low: float, half_top: float, half_low: float) -> Outline:
    return ((middle - half_top, top), (middle + half_top, top), (middle + half_low, low), (middle - half_low, low))


_DIGIT_HEIGHT = 1.6
_SIX = (_arc((0.5, 1.13), 0.38, 0.37, 0, 360), _arc((0.86, 1.13), 0.74, 1.05, 180, 262))
_DIGITS: dict[str, tuple[Outline, ...]] = {
    "0": (_arc((0.5, 0.8), 0.38, 0.70, 0, 360),),
    "1": (((0.22, 0.38), (0.56, 0.10)), ((0.56, 0.10), (0.56, 1.50))),
    "2": (_arc((0.5, 0.48), 0.36, 0.38, 190, 395), ((0.795, 0.698), (0.14, 1.50)), ((0.14, 1.50), (0.88, 1.50))),
    "3": (_arc((0.46, 0.45), 0.34, 0.35, 205, 450), _arc((0.46, 1.15), 0.40, 0.35, -90, 155)),
    "4": (((0.68, 1.50), (0.68, 0.10)), ((0.68, 0.10), (0.10, 1.08)), ((0.10, 1.08), (0.92, 1.08))),
    "5": (((0.82, 0.10), (0.24, 0.10)), ((0.24, 0.10), (0.177, 0.732)), _arc((0.46, 1.05), 0.40, 0.45, -135, 148)),
    "6": _SIX,
    "7": (((0.12, 0.10), (0.88, 0.10)), ((0.88, 0.10), (0.40, 1.50))),
    "8": (_arc((0.5, 0.45), 0.33, 0.35, 0, 360), _arc((0.5, 1.15), 0.39, 0.35, 0, 360)),
    "9": tuple(tuple((1 - x, _DIGIT_HEIGHT - y) for x, y in stroke) for stroke in _SIX),
}
"""The pen's strokes for each digit, in a box that is 1 wide."""
