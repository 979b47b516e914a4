"""Where a project's words for a file may lead, and where they never do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import ErrorCode
from service.errors import Verdict
from service.references import Source, resolve

ROOTS = {"media": "/srv/media", "stock": "/srv/media/stock/", "disk": "/media/disk"}


def place(uri: str) -> Source | None:
    """Nothing if it is refused."""
    try:
        return resolve(uri, ROOTS)
    except Verdict:
        return None


# ---- what leads somewhere --------------------------------------------------------------------------

DIALECTS = (
    "projects/p/a.wav",
    "./projects/p/a.wav",
    "/media/projects/p/a.wav",
    "data/projects/p/a.wav",
    "./data/projects/p/a.wav",
    r"data\projects\p\a.wav",
    r".\data\projects\p\a.wav",
    "asset:projects/p/a.wav",
    "/srv/media/projects/p/a.wav",
    r"\srv\media\projects\p\a.wav",
    "file:/srv/media/projects/p/a.wav",
    "file:///srv/media/projects/p/a.wav",
    "file://localhost/srv/media/projects/p/a.wav",
    "file:///srv/media/projects/p/%61.wav",
    "file:///srv/media/projects/p/a.wav?v=3#t=10",
)


def test_every_dialect_names_the_same_place() -> None:
    assert {uri: place(uri) for uri in DIALECTS} == dict.fromkeys(DIALECTS, Source("media", "projects/p/a.wav"))


# By reference: the name of the root, and the key.
PLACES = {
    "/srv/media/stock/a.png": ("stock", "a.png"),
    "file:///srv/media/stock/a.png": ("stock", "a.png"),
    "/srv/media/stocks/a.png": ("media", "stocks/a.png"),
    "/media/disk/a.png": ("disk", "a.png"),
    "/media/disks/a.png": ("media", "disks/a.png"),
    "stock/a.png": ("media", "stock/a.png"),
    "asset:data/a.png": ("media", "data/a.png"),
    "asset:%2e%2e/a.png": ("media", "%2e%2e/a.png"),
    "asset:C:/a.png": ("media", "C:/a.png"),
    r"asset:a\b.png": ("media", r"a\b.png"),
    "file:///srv/media/%252e%252e/a.png": ("media", "%2e%2e/a.png"),
    "/media/100%25/a.png": ("media", "100%25/a.png"),
    "data/data/a.png": ("media", "data/a.png"),
    "p/a.wav?v=3": ("media", "p/a.wav?v=3"),
    "p/..a/...": ("media", "p/..a/..."),
    "p/sound: the start.wav": ("media", "p/sound: the start.wav"),
    "第一章/ü.wav": ("media", "第一章/ü.wav"),
    "/".join(["a" * 255] * 4): ("media", "/".join(["a" * 255] * 4)),
    "ü" * 127 + "a": ("media", "ü" * 127 + "a"),
}


def test_a_place_is_taken_literally_and_beneath_the_longest_root() -> None:
    assert {uri: place(uri) for uri in PLACES} == {uri: Source(*expected) for uri, expected in PLACES.items()}


def test_the_order_of_roots_does_not_matter() -> None:
    turned = dict(reversed([*ROOTS.items()]))
    assert resolve("/srv/media/stock/a.png", turned) == Source("stock", "a.png")


def test_a_root_may_be_spelled_in_more_than_one_way() -> None:
    real = {"media": "/mnt/disk1/media", "stock": "/mnt/disk2"}
    spellings = ("/srv/media/a.png", "/mnt/disk1/media/a.png", "file:///mnt/disk1/media/a.png", "a.png")
    assert {resolve(uri, ROOTS, real) for uri in spellings} == {Source("media", "a.png")}
    assert resolve("/mnt/disk2/a.png", ROOTS, real) == Source("stock", "a.png")
    with pytest.raises(Verdict):
        resolve("/mnt/disk1/a.png", ROOTS, real)


def test_without_a_media_root_only_absolute_paths_lead_anywhere() -> None:
    roots = {"stock": "/srv/stock"}
    assert resolve("/srv/stock/a.png", roots) == Source("stock", "a.png")
    for uri in ("a.png", "asset:a.png", "/media/a.png"):
        with pytest.raises(Verdict):
            resolve(uri, roots)


def test_a_host_in_a_file_url_is_never_part_of_a_path() -> None:
    with pytest.raises(Verdict):
        resolve("file://host/share/a", {"share": "//host/share"})


def test_a_root_may_be_the_whole_file_system() -> None:
    assert resolve("/etc/hosts", {"all": "/"}) == Source("all", "etc/hosts")
    for uri in ("//server/share", "/../etc/hosts", "file:////etc/hosts"):
        with pytest.raises(Verdict):
            resolve(uri, {"all": "/"})


# ---- what is refused -------------------------------------------------------------------------------

# A table, with several references to a line.
# fmt: off
REFUSED = (
    # Not a path to a file
    "", ".", "..", "/", "//", "./", "a/", "a//b", "a/./b", "././a", "/media/", "data/", "/srv/media", "/srv/media/",
    # Upwards, or elsewhere
    "../a", "../../etc/passwd", r"..\..\etc\passwd", "a/../b", "data/../../etc/passwd", "./data/../a", "/a",
    "/etc/passwd", "/media/../etc/passwd", "/data/a.wav", "/srv/media/../a", "/srv/media2/a", "//srv/media/a",
    "/srv/media//etc/passwd", "/srv/media/stock/../../../etc/passwd", "/./srv/media/a",
    # Keys
    "asset:", "asset:.", "asset:..", "asset:../x", "asset:/etc/passwd", "asset:a//b", "asset:a/../b", "asset://a/b",
    # File URLs
    "file:", "file:a", "file:../a", "file://", "file:///", "file:///etc/passwd", "file://srv/media/a",
    "file://host/srv/media/a", "file://127.0.0.1/srv/media/a", "file:////srv/media/a", "file://[/a", "file://[::1]/a",
    "file://\u2100/srv/media/a", "file:///srv/media/../a", "file:///srv/media/%2e%2e/%2e%2e/etc/passwd",
    "file:///srv/media/%2E./a", "file:///srv/media%2f..%2fa", "file:///srv/media/a%00.wav", "file:///srv/media/?a",
    # Other schemes, other systems
    "http://example.org/a", "https://example.org/srv/media/a", "s3://bucket/a", "data:text/plain,a", "javascript:a",
    "ASSET:a", "FILE:///srv/media/a", "a:b", "urn:x:a", "C:a", r"C:\a", "c:/srv/media/a", r"\\server\share\a",
    "//server/share/a", r"\\?\C:\a", r"\\.\pipe\a",
    # What no file system holds
    "\0", "a\0.wav", "asset:a\0b", "/srv/media/a\0b", "a/\ud800.wav", "asset:\udcff", "a" * 256, "asset:" + "ü" * 128,
    "a/" * 512 + "ab", "asset:" + "/".join(["a" * 200] * 6),
)
# fmt: on


def test_nothing_leads_anywhere_else() -> None:
    assert {uri: found for uri in REFUSED if (found := place(uri))} == {}


def test_a_refusal_repeats_no_more_of_the_reference_than_one_can_read() -> None:
    with pytest.raises(Verdict) as refusal:
        resolve("../" + "a" * 10_000, ROOTS)
    assert refusal.value.code is ErrorCode.REFERENCE_REFUSED
    assert refusal.value.detail == f'"../{"a" * 197}" is outside every configured root'


PIECES = ("..", ".", "/", "//", "\\", "%2e", "%2F", "%00", "\0", "a", "é", "?", "#", "[", "@", ":", " ", "\u202e")
STARTS = (
    "",
    "asset:",
    "file:",
    "file://",
    "file:///srv/media/",
    "/srv/media/",
    "/media/",
    "data/",
    "C:",
    "//",
    "http:",
)


@settings(max_examples=50)
@given(st.sampled_from(STARTS), st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=5).map("".join))
def test_any_text_is_a_plain_key_beneath_a_root_or_refused(start: str, rest: str) -> None:
    source = place(start + rest)
    if source is not None:
        assert source.root in ROOTS
        assert "\0" not in source.key
        assert {"", ".", ".."}.isdisjoint(source.key.split("/"))
