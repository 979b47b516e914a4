"""`python -m bench.probing [NAME …]`: what a look into a media file tells and costs, ours and installed libraries'."""

import importlib
import io
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps

from service.probe import probe
from tests.editors.looking import ask_ffprobe
from tests.editors.media_matrix import make_all

Facts = dict[str, Any]
"""`seconds`, `size`, `rate`, `varies`, `hertz`, `channels`; what is not known is left out, or None."""

STILLS = {".png", ".jpg", ".webp", ".gif"}
SEEDS, DAMAGED, PATIENCE_SECONDS = (1, 2, 3), 1_000, 120

LARGE: Mapping[str, str] = {
    "wav.wav": "-f lavfi -i sine=r=48000:d=600,aformat=channel_layouts=stereo",
    "film.mp4": "-f lavfi -i testsrc2=s=1280x720:r=30:d=40 -f lavfi -i sine=d=40"
    " -c:v libx264 -preset ultrafast -qp 8 -pix_fmt yuv420p -shortest",
}


class Counted(io.RawIOBase):
    """A file that keeps count of what is read of it."""

    def __init__(self, content: bytes) -> None:
        self.held = io.BytesIO(content)
        self.size_bytes, self.reads, self.read_bytes = len(content), 0, 0

    def readinto(self, buffer: Any) -> int:
        got = self.held.readinto(buffer)
        self.reads, self.read_bytes = self.reads + 1, self.read_bytes + got
        return got

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.held.seek(offset, whence)

    def tell(self) -> int:
        return self.held.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def ours(file: Counted) -> Facts:
    def read(start: int, stop: int) -> bytes:
        file.seek(start)
        return file.read(stop - start) or b""

    media = probe(read, file.size_bytes)
    found: Facts = {"seconds": media.duration}
    if media.picture:
        picture = media.picture
        size = (picture.width, picture.height)
        found |= {"size": size, "rate": picture.frame_rate, "varies": picture.is_variable}
    if media.sound:
        found |= {"hertz": media.sound.sample_rate_hz, "channels": media.sound.channels}
    return found


def pymediainfo(file: Counted) -> Facts:
    told = importlib.import_module("pymediainfo").MediaInfo.parse(file, parse_speed=0).to_data()["tracks"]
    film: Facts = next((track for track in told if track["track_type"] in {"Video", "Image"}), {})
    sound: Facts = next((track for track in told if track["track_type"] == "Audio"), {})
    milliseconds, mode = told[0].get("duration"), film.get("frame_rate_mode")
    return {
        "seconds": milliseconds and float(milliseconds) / 1000,
        "size": film.get("width") and (film["width"], film["height"]),
        "rate": film.get("frame_rate"),
        "varies": mode and mode == "VFR",
        "hertz": sound.get("sampling_rate"),
        "channels": sound.get("channel_s"),
    }


def av(file: Counted) -> Facts:
    # It would look at five megabytes otherwise.
    with importlib.import_module("av").open(file, options={"probesize": "65536"}) as opened:
        found: Facts = {"seconds": opened.duration and opened.duration / 1e6}
        for film in opened.streams.video[:1]:
            base, rate = film.base_rate, film.average_rate
            varies = bool(base and rate and abs(base - rate) > 0.05)
            found |= {"size": (film.width, film.height), "rate": rate, "varies": varies}
        for sound in opened.streams.audio[:1]:
            found |= {"hertz": sound.rate, "channels": sound.channels}
    return found


def tinytag(file: Counted) -> Facts:
    tag = importlib.import_module("tinytag").TinyTag.get(filename="x", file_obj=io.BufferedReader(file))
    return {"seconds": tag.duration, "hertz": tag.samplerate, "channels": tag.channels}


def imagesize(file: Counted) -> Facts:
    width, height = importlib.import_module("imagesize").get(file)
    return {"size": (width, height) if width >= 0 else None}


def enzyme(file: Counted) -> Facts:
    told = importlib.import_module("enzyme").MKV(file)
    found: Facts = {"seconds": told.info.duration and told.info.duration.total_seconds()}
    for film in told.video_tracks[:1]:
        found["size"] = (film.width, film.height)
    for sound in told.audio_tracks[:1]:
        found |= {"hertz": sound.sampling_frequency, "channels": sound.channels}
    return found


LOOKS: Mapping[str, Callable[[Counted], Facts]] = {
    look.__name__: look for look in (ours, pymediainfo, av, tinytag, imagesize, enzyme)
}


class Score(NamedTuple):
    right: int
    wrong: list[str]
    asked: int
    milliseconds: float
    """Median of a file."""


def truth(path: Path) -> Facts:
    """As ffprobe has it; of stills as Pillow shows them."""
    if path.suffix in STILLS:
        with Image.open(path) as image:
            return {"size": ImageOps.exif_transpose(image).size}
    told = ask_ffprobe(path)
    found: Facts = {"seconds": told.seconds}
    if told.film:
        size = (told.film["width"], told.film["height"])
        found["size"] = size if told.rotation in {0, 180} else size[::-1]
        # Of a film in fragments ffprobe takes the first frame for longer than it was.
        if path.name != "fragmented.mp4":
            found |= {"rate": told.frame_rate, "varies": told.is_variable}
    if told.sound:
        found |= {"hertz": int(told.sound["sample_rate"]), "channels": told.sound["channels"]}
    return {asked: answer for asked, answer in found.items() if answer is not None}


def score(look: Callable[[Counted], Facts], matrix: Mapping[str, Path], truths: Mapping[str, Facts]) -> Score:
    right, asked, wrong, times = 0, 0, [], []
    for name, path in matrix.items():
        content = path.read_bytes()
        begun = time.perf_counter()
        found = _answer(look, content)
        times.append((time.perf_counter() - begun) * 1000)
        for fact, true in truths[name].items():
            told = found.get(fact)
            asked += 1
            if told is not None and _is_same(fact, told, true):
                right += 1
            elif told is not None:
                wrong.append(f"{name} {fact}")
    return Score(right, wrong, asked, statistics.median(times))


def _answer(look: Callable[[Counted], Facts], content: bytes) -> Facts:
    try:
        return look(Counted(content))
    except Exception:  # noqa: BLE001 - each library has its own ways to give up
        return {}


def _is_same(fact: str, told: Any, true: Any) -> bool:
    match fact:
        case "seconds":
            return bool(abs(float(told) - true) <= 1 / 24)
        case "rate":
            return bool(abs(float(Fraction(told)) - true) <= 0.01)
        case "size":
            # Whether it was turned is another question.
            return tuple(told) in {true, true[::-1]}
        case _:
            return bool(told == true)


def damaged(home: Path, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    files = [path.read_bytes() for path in sorted(home.iterdir()) if path.stat().st_size < 220_000]
    for _ in range(DAMAGED):
        content = bytearray(chance.choice(files))
        for _ in range(chance.choice((1, 3, 10, 50))):
            place = chance.randrange(min(len(content), chance.choice((200, 2_000, len(content)))))
            content[place if chance.random() < 0.6 else -1 - place] = chance.choice((0, 1, 128, 255))
        yield bytes(content[: chance.randrange(1, len(content))] if chance.random() < 0.2 else content)


def survived(name: str, home: Path, seed: int) -> str:
    """In a process of its own, which may end in any way."""
    command = [sys.executable, "-m", "bench.probing", "--damage", name, str(home), str(seed)]
    try:
        done = subprocess.run(command, timeout=PATIENCE_SECONDS, capture_output=True, check=False)
    except subprocess.TimeoutExpired as hung:
        return f"hung at {(hung.stdout or b'').count(b'.')}"
    return "all" if done.returncode == 0 else f"ended by {done.returncode} at {done.stdout.count(b'.')}"


def _damage(name: str, home: Path, seed: int) -> None:
    for content in damaged(home, seed):
        sys.stdout.write(".")
        sys.stdout.flush()
        _answer(LOOKS[name], content)


def _large(home: Path) -> dict[str, bytes]:
    for name, told in LARGE.items():
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *told.split(), str(home / name)], check=True)
    return {name: (home / name).read_bytes() for name in LARGE}


def main() -> None:
    if sys.argv[1:2] == ["--damage"]:
        _damage(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        return
    with tempfile.TemporaryDirectory(prefix="probing-") as name:
        home, large_home = Path(name, "matrix"), Path(name, "large")
        home.mkdir()
        large_home.mkdir()
        matrix, large = make_all(home), _large(large_home)
        truths = {told: truth(path) for told, path in matrix.items()}
        for look_name, look in LOOKS.items():
            if look_name in (sys.argv[1:] or LOOKS) and (look is ours or find_spec(look_name) is not None):
                got = score(look, matrix, truths)
                print(f"{look_name}: {got.right} of {got.asked} right, {len(got.wrong)} wrong, ", end="")
                print(f"{got.milliseconds:.2f} ms a file; wrong: {', '.join(got.wrong) or 'nothing'}")
                print(*(f"  {file}: {_cost(look, content)}" for file, content in large.items()), sep="\n")
                print("  damaged files:", ", ".join(survived(look_name, home, seed) for seed in SEEDS), flush=True)


def _cost(look: Callable[[Counted], Facts], content: bytes) -> str:
    file = Counted(content)
    begun = time.perf_counter()
    try:
        look(file)
    except Exception as refusal:  # noqa: BLE001 - each library has its own ways to give up
        return type(refusal).__name__
    spent = (time.perf_counter() - begun) * 1000
    return f"{file.reads} reads, {file.read_bytes:,} of {len(content):,} bytes, {spent:.1f} ms"


if __name__ == "__main__":
    main()
