"""What a media file says of itself, in its own bytes. Pure; what is not known is None, here and in every output."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class Container(StrEnum):
    """What the bytes are, whatever the file is called."""

    WAV = "wav"
    MP3 = "mp3"
    M4A = "m4a"
    OGG = "ogg"
    FLAC = "flac"
    PNG = "png"
    JPEG = "jpg"
    WEBP = "webp"
    GIF = "gif"
    MP4 = "mp4"
    MOV = "mov"
    WEBM = "webm"
    MKV = "mkv"


@dataclass(frozen=True, slots=True)
class Sound:
    """An audio track."""

    sample_rate_hz: int | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A still, or a video track."""

    width: int | None = None
    height: int | None = None
    """As it is shown, in pixels: a film that is to be turned by 90° has them exchanged."""
    rotation: int = 0
    """Degrees clockwise by which a player turns it: 0, 90, 180 or 270."""
    frame_rate: Fraction | None = None
    """Of a video, frames per second: the average, where it varies."""
    is_variable: bool | None = None
    """Whether a video's frames last differently long (VFR)."""


@dataclass(frozen=True, slots=True)
class Media:
    """The facts of one file. A still has no duration; a file without sound has no `sound`."""

    container: Container | None = None
    duration: Fraction | None = None
    """Seconds."""
    picture: Picture | None = None
    sound: Sound | None = None
    start: Fraction | None = None
    """Seconds; the start timecode that is embedded in the file (`tmcd`, BWF), where it is not zero."""
    faults: tuple[str, ...] = ()
    """What is wrong with the file's own header, each as half a sentence: `its header promises 4,294,967,295 bytes`."""


UNKNOWN = Media()
"""Of a file that says nothing that is understood."""
