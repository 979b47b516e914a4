"""Every kind of media that a studio may hand over, made by FFmpeg: one small file for each way to write it."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image


class Made(NamedTuple):
    """A file to be made, and what FFmpeg is to be told about it."""

    name: str
    told: str


_TONE = "sine=440:r={rate}:d=2,aformat=channel_layouts={layout}"
_FILM = "testsrc2=s={size}:r={rate}:d=2"

# Frames that last differently long: each second of the film loses another part of its frames.
_VARYING = "select='not(mod(n,3))+lt(mod(n,30),15)'"

SOUNDS: tuple[Made, ...] = (
    Made("mono_24k.wav", "-map 0"),
    Made("stereo_48k.wav", "-map 1"),
    Made("mono_48k.wav", "-map 0 -ar 48000"),
    Made("deep.wav", "-map 1 -c:a pcm_s24le"),
    Made("float.wav", "-map 1 -c:a pcm_f32le"),
    Made("telephone.wav", "-map 0 -ar 8000 -c:a pcm_mulaw"),
    Made("sixty_four.wav", "-map 1 -rf64 always"),
    Made("broadcast.wav", "-map 1 -write_bext 1 -metadata time_reference=172800000"),
    Made("constant.mp3", "-map 0 -b:a 48k"),
    Made("variable.mp3", "-map 1 -q:a 4"),
    Made("bare.mp3", "-map 1 -b:a 128k -write_xing 0"),
    Made("bare_untagged.mp3", "-map 0 -ar 22050 -b:a 32k -write_xing 0 -id3v2_version 0"),
    Made("old_tag.mp3", "-map 1 -b:a 96k -write_xing 0 -write_id3v1 1 -metadata title=x"),
    Made("mono.m4a", "-map 0 -c:a aac"),
    Made("stereo.m4a", "-map 1 -c:a aac -movflags +faststart"),
    Made("lossless.m4a", "-map 1 -c:a alac"),
    Made("vorbis.ogg", "-map 1 -c:a libvorbis"),
    Made("opus.ogg", "-map 1 -c:a libopus"),
    Made("opus_mono.opus", "-map 0 -c:a libopus"),
    Made("mono.flac", "-map 0"),
    Made("stereo.flac", "-map 1"),
    Made("sound_only.webm", "-map 1 -c:a libopus"),
)
"""From a mono tone at 24 kHz (0) and a stereo one at 48 kHz (1)."""

_X264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"

FILMS: tuple[Made, ...] = (
    Made("silent_24.mp4", f"-map 0 {_X264}"),
    Made("silent_30.mp4", f"-map 1 {_X264}"),
    Made("spoken_30.mp4", f"-map 1 -map 3 {_X264} -c:a aac"),
    Made("mono_30.mp4", f"-map 1 -map 4 {_X264} -c:a aac"),
    Made("faststart.mp4", f"-map 0 -map 3 {_X264} -c:a aac -movflags +faststart"),
    Made("ntsc.mp4", f"-map 2 {_X264}"),
    Made("cinema.mp4", f"-map 2 -r 24000/1001 {_X264}"),
    Made("coarse_clock.mp4", f"-map 2 {_X264} -video_track_timescale 600"),
    Made("reordered.mp4", "-map 0 -c:v libx264 -bf 2 -pix_fmt yuv420p"),
    Made("hevc.mp4", "-map 0 -c:v libx265 -x265-params log-level=none -preset ultrafast -tag:v hvc1"),
    Made("varying.mp4", f"-map 1 -vf {_VARYING} -vsync vfr {_X264}"),
    Made("varying_spoken.mp4", f"-map 1 -map 3 -vf {_VARYING} -vsync vfr {_X264} -c:a aac -movflags +faststart"),
    Made("long_sound.mp4", f"-map 0 -map 3 -t 2 -frames:v 24 {_X264} -c:a aac"),
    Made("pcm.mov", f"-map 0 -map 3 {_X264} -c:a pcm_s16le"),
    Made("prores.mov", "-map 0 -c:v prores"),
    Made("timecode.mov", f"-map 0 {_X264} -timecode 01:00:00:00"),
    Made("timecode_faststart.mov", f"-map 0 {_X264} -timecode 10:00:01:12 -movflags +faststart"),
    Made("timecode_drop.mov", f"-map 2 {_X264} -timecode 01:00:00;00"),
    Made("timecode.mp4", f"-map 0 {_X264} -timecode 00:59:58:00"),
    Made("fragmented.mp4", f"-map 1 -map 3 {_X264} -c:a aac -movflags +frag_keyframe+empty_moov"),
    Made("indexed_fragments.mp4", f"-map 1 {_X264} -movflags +dash+global_sidx+frag_keyframe"),
    Made("small_fragments.mp4", f"-map 0 -vf scale=64:36 {_X264} -movflags +frag_keyframe+empty_moov"),
    Made("vp8.webm", "-map 0 -vf scale=160:90 -c:v libvpx -deadline realtime -cpu-used 16"),
    Made("vp9.webm", "-map 1 -map 3 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus"),
    Made("ntsc.webm", "-map 2 -vf scale=160:90 -c:v libvpx -deadline realtime -cpu-used 16"),
    Made("spoken.mkv", f"-map 1 -map 3 {_X264} -c:a aac"),
)
"""From films of 24 (0), 30 (1) and 29.97 (2) frames a second, a stereo tone (3) and a mono one at 44.1 kHz (4)."""

COPIES: tuple[tuple[str, Made], ...] = (
    ("silent_24.mp4", Made("turned_90.mp4", "-c copy -metadata:s:v rotate=90")),
    ("silent_24.mp4", Made("turned_180.mov", "-c copy -metadata:s:v rotate=180")),
    ("silent_24.mp4", Made("turned_270.mp4", "-c copy -metadata:s:v rotate=270")),
    ("reordered.mp4", Made("trimmed.mp4", "-c copy -avoid_negative_ts disabled")),
    ("spoken_30.mp4", Made("rewrapped.mov", "-c copy")),
    ("spoken_30.mp4", Made("rewrapped.mkv", "-c copy")),
    ("vp8.webm", Made("streamed.webm", "-c copy -f webm -live 1")),
)

STILLS: tuple[Made, ...] = (
    Made("still.png", "-frames:v 1"),
    Made("still.jpg", "-frames:v 1"),
    Made("still.webp", "-frames:v 1 -c:v libwebp"),
    Made("lossless.webp", "-frames:v 1 -c:v libwebp -lossless 1"),
    Made("still.gif", "-frames:v 1"),
    Made("moving.gif", "-frames:v 3"),
    Made("frame.png", "-frames:v 1 -s 320x180"),
)


OTHERS: tuple[str, ...] = (
    "piped.wav",
    "joined.mp3",
    "covered.mp3",
    "covered_bare.mp3",
    "covered.flac",
    "colours.jpg",
    "half_clear.webp",
    "half_clear.png",
    "square.png",
    "moving.webp",
    *(f"photo_{orientation}.jpg" for orientation in range(1, 9)),
)
"""Not FFmpeg's alone: streamed, joined, with a large cover, held upright."""


def make_all(home: Path) -> dict[str, Path]:
    """Every file by its name; some four seconds."""
    tone, film = _tone(24_000, "mono"), _film("320x180", "24")
    _run(home, [tone, _tone(48_000, "stereo")], SOUNDS)
    _run(home, [film, _film("320x180", "30"), _film("320x180", "30000/1001"), _tone(48_000, "stereo"),
                _tone(44_100, "mono")], FILMS)  # fmt: skip
    _run(home, [_film("333x187", "24")], STILLS)
    for source, made in COPIES:
        _run(home, [["-i", str(home / source)]], [made])
    (home / "joined.mp3").write_bytes((home / "constant.mp3").read_bytes() * 2)
    (home / "piped.wav").write_bytes(_piped(home / "stereo_48k.wav"))
    _pictures(home)
    _with_a_large_cover(home)
    return {path.name: path for path in sorted(home.iterdir()) if path.suffix != ".cover"}


def _tone(rate: int, layout: str) -> list[str]:
    return ["-f", "lavfi", "-i", _TONE.format(rate=rate, layout=layout)]


def _film(size: str, rate: str) -> list[str]:
    return ["-f", "lavfi", "-i", _FILM.format(size=size, rate=rate)]


def _run(home: Path, inputs: Sequence[Sequence[str]], outputs: Sequence[Made]) -> None:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
    command += [word for source in inputs for word in source]
    for made in outputs:
        command += made.told.split()
        command += [str(home / made.name)]
    subprocess.run(command, check=True, timeout=120)


def _piped(source: Path) -> bytes:
    """As a service streams it: nobody goes back to fill in the sizes."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(source), "-f", "wav", "-"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout


def _pictures(home: Path) -> None:
    with Image.open(home / "still.jpg") as still:
        for orientation in range(1, 9):
            exif = still.getexif()
            exif[0x0112] = orientation
            still.save(home / f"photo_{orientation}.jpg", exif=exif, progressive=orientation % 2 == 0)
        still.save(home / "colours.jpg", icc_profile=bytes(range(256)) * 600)
        half_clear = still.convert("RGBA")
        half_clear.putalpha(127)
        half_clear.save(home / "half_clear.webp")
        half_clear.save(home / "half_clear.png")
        still.resize((180, 180)).save(home / "square.png")
        still.save(home / "moving.webp", save_all=True, append_images=[still.rotate(90)])


def _with_a_large_cover(home: Path) -> None:
    noise = Image.effect_noise((400, 400), 90)
    noise.save(home / "noise.cover", format="png")
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(home / "bare.mp3"), "-i", str(home / "noise.cover")]
    command += ["-map", "0", "-map", "1", "-c", "copy"]
    for name in ("covered.mp3", "covered_bare.mp3"):
        xing = "1" if name == "covered.mp3" else "0"
        subprocess.run([*command, "-write_xing", xing, str(home / name)], check=True, timeout=60)
    flac = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(home / "stereo.flac"), "-i", str(home / "noise.cover")]
    flac += ["-map", "0", "-map", "1", "-c", "copy", "-disposition:v", "attached_pic", str(home / "covered.flac")]
    subprocess.run(flac, check=True, timeout=60)
