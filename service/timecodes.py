"""How a moment of the timeline is written for people. Pure."""

from service.cut import Cut


def has_times(cut: Cut) -> bool:
    """Whether the length of anything in it is known; else all its times are only laid out."""
    return any(clip.media_frames is not None for clip in cut.clips)


def timecode(cut: Cut, frame: int) -> str:
    """`HH:MM:SS:FF`, counted in frames as an editor's ruler does (at 29.97 without dropping numbers).

    >>> from fractions import Fraction
    >>> timecode(Cut(Fraction(30000, 1001), 0, 0, (), (), ()), 1800)
    '00:01:00:00'
    """
    base = -(-cut.rate.numerator // cut.rate.denominator)
    seconds, frames = divmod(frame, base)
    digits = len(str(base - 1))
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frames:0{max(digits, 2)}}"


def milliseconds(cut: Cut, frame: int) -> int:
    """The first whole millisecond in which the frame is shown.

    Rounded up, so that an editor lands on this very frame whether it rounds to the nearest or cuts the rest off.
    """
    return -(-1000 * frame * cut.rate.denominator // cut.rate.numerator)


def clock(seconds: int) -> str:
    """`MM:SS`, and `H:MM:SS` from an hour on.

    >>> clock(0), clock(754), clock(3600), clock(36_061)
    ('00:00', '12:34', '1:00:00', '10:01:01')
    """
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"
