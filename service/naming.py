"""What files and folders are called, and how text from outside is made plain. Pure.

Nothing that comes from outside is part of a name unless it was made safe here: names are ASCII, and no title, id or
key can make one that is empty, hidden, reserved, or a path.
"""

import hashlib
import re
from datetime import UTC, datetime

from slugify import slugify

SLUG_CHARACTERS = 48
"""At most so many in a slug: it must still be readable in an editor's media bin."""

_TITLE_CHARACTERS = 1_000
"""What of a title is looked at. Putting combining marks in order is quadratic: 10,000 of them 150 ms, 1,000 2 ms."""

_ID_CHARACTERS = 64
"""What of a project's id stands in a folder's name."""

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: reserved with any extension and in any case. COM¹ is
# com1 by the time it is a slug; `conin$` and `conout$` lose their `$`. COM0 and LPT0 are avoided too.
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})

# Written out: with IGNORECASE, `[a-z]` also matches the Kelvin sign.
_EXTENSION = re.compile(r"[^/:]\.([A-Za-z0-9]{1,8})\Z")
_UNSAFE_IN_ID = re.compile(r"[^A-Za-z0-9_-]")

# The newline functions of The Unicode Standard, section 5.8; a title pasted from slides may hold a vertical tab.
_LINE_BREAK = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# C0 but tab and newline, DEL, C1; bidi embeddings, overrides and isolates; the byte order mark, and the
# two noncharacters that no XML may hold.
_NOT_PLAIN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")


def slug(title: str, fallback: str) -> str:
    """The title as `[a-z0-9]` words joined by single dashes, 1 to `SLUG_CHARACTERS` characters.

    It is cut between words, or within the first one if that alone is too long. A title without any letter or digit
    is called `fallback`, as it is given; so `fallback` must be a short slug itself, such as `section-4`. A Windows
    device name (Microsoft, "Naming Files, Paths, and Namespaces") is never the whole slug: `fallback` follows it.

    Only the first 1,000 characters count. The rest could only matter to a title of which these do not fill a slug:
    one that begins with hundreds of emoji.

    >>> slug("Chapter 1: What is «deep» learning?", "section-1")
    'chapter-1-what-is-deep-learning'
    >>> slug("第一章 开始", "section-1"), slug("🎬🎬", "section-2"), slug("Aux", "section-3")
    ('di-yi-zhang-kai-shi', 'section-2', 'aux-section-3')
    """
    words = slugify(
        title[:_TITLE_CHARACTERS],
        max_length=SLUG_CHARACTERS,
        word_boundary=True,
        # Without it a long word is left out and the shorter ones after it are taken: "a" * 60 + " bb" gives "bb".
        save_order=True,
        # By default Unidecode where it happens to be installed, and other names for the same titles.
        backend="text-unidecode",
    )
    if words in _DEVICES:
        return f"{words}-{fallback}"
    return words or fallback


def sequence_width(highest: int) -> int:
    """Digits of every sequence number of an export whose highest is `highest`: at least three.

    With one width for all, every file manager and editor sorts the names into story order.

    >>> sequence_width(7), sequence_width(999), sequence_width(1000)
    (3, 3, 4)
    """
    return max(3, len(str(highest)))


def asset_name(seq: int, width: int, section_slug: str, kind_word: str, ext: str) -> str:
    """The name of a copied asset. `kind_word` is `audio`, `image`, `video` or `section_audio`; `ext` has no dot.

    The leading number keeps it from being hidden, an option, a formula or a device, whatever the slug is.

    >>> asset_name(3, 3, "introduction", "audio", "wav")
    '003_introduction_audio.wav'
    """
    return f"{seq:0{width}}_{section_slug}_{kind_word}.{ext}"


def extension(key: str) -> str:
    """The asset's own extension, lower-cased and without its dot, from the last part of a key or a URI.

    1 to 8 of `[a-z0-9]`; `bin` where there is none, or one that is not of this form.

    >>> extension("asset:projects/p.1/Scene 3.WAV"), extension("backup.tar.gz")
    ('wav', 'gz')
    >>> extension("v1.0/narration"), extension("takes/.wav"), extension("clip.")
    ('bin', 'bin', 'bin')
    """
    found = _EXTENSION.search(key)
    return found[1].lower() if found else "bin"


def folder_name(project_id: str, requested_at: datetime) -> str:
    """The name of an export's folder; `requested_at` is aware, and is written in UTC without its fraction.

    At most 64 characters of the id stand in it, in their own case; what is not `[A-Za-z0-9_-]` becomes a dash. Two
    ids, or two requests of one second, may so share a name: see `folder_name_beside`.

    >>> folder_name("Demo 7", datetime.fromisoformat("2026-03-01T10:15:30.900+02:00"))
    'export_Demo-7_20260301T081530Z'
    """
    safe_id = _UNSAFE_IN_ID.sub("-", project_id[:_ID_CHARACTERS])
    moment = requested_at.astimezone(UTC)
    # glibc's %Y does not pad a year to four digits.
    return f"export_{safe_id}_{moment.year:04}{moment:%m%dT%H%M%SZ}"


def folder_name_beside(name: str, export_id: str) -> str:
    """Where the export goes whose folder's `name` is taken: always the same for the same `export_id`.

    >>> folder_name_beside("export_demo_20260301T081530Z", "e-1")
    'export_demo_20260301T081530Z_b94f5231'
    """
    return f"{name}_{hashlib.sha256(export_id.encode()).hexdigest()[:8]}"


def plain_text(text: str) -> str:
    r"""The text without what a terminal or an editor would obey instead of show; every line break is `\n`.

    Removed are control characters but tab and newline, byte order marks, and the bidi embeddings, overrides and
    isolates (U+202A to U+202E, U+2066 to U+2069), which reorder what stands around them. Kept are the joiners
    (Persian, Indic scripts and emoji need them), the marks U+061C, U+200E and U+200F (Arabic and Hebrew place
    punctuation by them; they reverse nothing), and the author's own normalisation: NFC would replace some
    ideographs by others for good.

    >>> plain_text("a\x00b\r\nc\u202ed\u2028e")
    'ab\ncd\ne'
    """
    return _NOT_PLAIN.sub("", _LINE_BREAK.sub("\n", text))


def one_line(text: str) -> str:
    r"""Plain text with every run of whitespace as one space, none at the ends: for headers.

    >>> one_line("  Part 1:\n\tthe\u3000start ")
    'Part 1: the start'
    """
    return " ".join(plain_text(text).split())
