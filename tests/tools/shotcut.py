"""Opens the demo's `timeline.mlt` in Shotcut, on a screen that nobody sees, and takes a picture of it for the docs.

apt-get install -y --no-install-recommends shotcut xvfb ffmpeg
python -m tests.tools.shotcut docs/pictures/shotcut.png
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from contracts.messages import Timeline
from service.timelines import TIMELINES
from tests.editors.lighthouse import lighthouse

WIDTH, HEIGHT = 1280, 720
DRAWN_AFTER_SECONDS = 25.0
MAY_WEIGH_BYTES = 150_000


def main(to: Path) -> None:
    with TemporaryDirectory() as place, ExitStack() as running:
        home = Path(place, "home")
        home.mkdir(mode=0o700)
        folder = lighthouse(Path(place, "work"))
        screen = running.enter_context(unseen_screen())
        alone = {"DISPLAY": screen, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "SDL_AUDIODRIVER": "dummy"}
        timeline = folder / TIMELINES[Timeline.MLT].name
        running.enter_context(
            started(
                ["shotcut", str(timeline)],
                {**os.environ, **alone, "LIBGL_ALWAYS_SOFTWARE": "1"},
            )
        )
        time.sleep(DRAWN_AFTER_SECONDS)
        picture = smaller(shot(screen))
    if len(picture) > MAY_WEIGH_BYTES:
        raise SystemExit(f"{to} would weigh {len(picture)} bytes")
    to.write_bytes(picture)


@contextmanager
def unseen_screen() -> Iterator[str]:
    """The name of an X server's display; the server takes a free number, and says it on a pipe."""
    reading, writing = os.pipe()
    size = f"{WIDTH}x{HEIGHT}x24"
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", size, "-nolisten", "tcp"]
    with started(command, pass_fds=(writing,)), os.fdopen(reading) as number:
        os.close(writing)
        yield f":{number.readline().strip()}"


@contextmanager
def started(
    command: Sequence[str], environment: dict[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, pass_fds=pass_fds, stdout=quiet, stderr=quiet) as program:
        try:
            yield
        finally:
            program.kill()


def shot(screen: str) -> bytes:
    grab = ["-f", "x11grab", "-video_size", f"{WIDTH}x{HEIGHT}", "-i", screen, "-frames:v", "1"]
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", *grab, "-f", "image2pipe", "-c:v", "png", "-"]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def smaller(picture: bytes) -> bytes:
    """In 256 colours, without the black rim that no window manager has filled."""
    packed, whole = BytesIO(), Image.open(BytesIO(picture)).convert("RGB")
    whole.crop(whole.getbbox()).quantize(256, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return packed.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
