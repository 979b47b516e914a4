"""What directories promise beyond the port: how roots may be spelled, stores that are away, and hosts without locks."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from contracts import ErrorCode
from service.errors import Trouble
from service.references import Source, resolve
from service.storage.disk import Disk
from service.storage.local import LocalStorage
from service.storage.port import SourceUnreadable
from tests.engine.faulty import Call, WatchedDisk

AWAY = (errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENODEV)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "1.png").write_bytes(b"picture")
    (tmp_path / "exports").mkdir()
    return tmp_path


Opened = Callable[..., LocalStorage]


@pytest.fixture
def opened(home: Path) -> Iterator[Opened]:
    """Makes storages that are closed at the end."""
    with ExitStack() as stack:

        def opened(disk: Disk | None = None, media: Path = home / "media") -> LocalStorage:
            return stack.enter_context(closing(LocalStorage({"media": media}, home / "exports", disk)))

        yield opened


def refusing(refused: str, fault: int) -> WatchedDisk:
    """One kind of call always fails so."""

    def around(name: str, real: Call, arguments: tuple[object, ...]) -> object:
        if name == refused:
            raise OSError(fault, os.strerror(fault))
        return real(*arguments)

    return WatchedDisk(around)


# ---- the spelling of a root


@pytest.fixture(params=["upwards", "through a link", "relative"])
def spelled(
    request: pytest.FixtureRequest, home: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> LocalStorage:
    """A storage whose media root was named in a roundabout way."""
    (home / "link").symlink_to("media")
    monkeypatch.chdir(home / "exports")
    spellings = {"upwards": home / "exports/../media", "through a link": home / "link", "relative": Path("../media")}
    return opened(media=spellings[request.param])


def test_absolute_references_are_found_however_the_root_was_spelled(spelled: LocalStorage, home: Path) -> None:
    source = resolve(f"{home}/media/1.png", spelled.roots, spelled.real_roots)
    assert source == Source("media", "1.png")
    assert spelled.look(source).size_bytes == 7


def test_references_may_use_the_operators_own_spelling(home: Path, opened: Opened) -> None:
    (home / "link").symlink_to("media")
    storage = opened(media=home / "link")
    assert resolve(f"file://{home}/link/1.png", storage.roots, storage.real_roots) == Source("media", "1.png")


def test_a_root_is_the_same_however_it_is_written(home: Path, opened: Opened) -> None:
    """References may be absolute, and are compared with it."""
    storage = opened(media=home / "elsewhere" / ".." / "media")
    assert resolve(f"file://{home}/media/1.png", storage.roots) == Source("media", "1.png")


# ---- a store that is away


@pytest.mark.parametrize("fault", AWAY)
@pytest.mark.parametrize("call", ["open_beneath", "fstat"])
def test_a_store_that_is_away_is_no_file_that_cannot_be_read(call: str, fault: int, opened: Opened) -> None:
    with pytest.raises(Trouble) as trouble:
        opened(refusing(call, fault)).look(Source("media", "1.png"))
    assert trouble.value.code is ErrorCode.STORAGE_UNAVAILABLE


@pytest.mark.parametrize("fault", AWAY)
def test_exports_that_are_away_are_a_storage_that_is_not_there(fault: int, opened: Opened) -> None:
    with pytest.raises(Trouble) as trouble:
        opened(refusing("mkdir", fault)).claim("a")
    assert trouble.value.code is ErrorCode.STORAGE_UNAVAILABLE


def test_a_file_that_may_not_be_read_is_the_files_own_fault(opened: Opened) -> None:
    with pytest.raises(SourceUnreadable):
        opened(refusing("open_beneath", errno.EACCES)).look(Source("media", "1.png"))


# ---- without locks


@pytest.mark.parametrize("fault", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_locks_a_key_is_held_by_one_until_he_lets_go(fault: int, opened: Opened) -> None:
    one, other = (opened(refusing("lock", fault)) for _ in range(2))
    hold = one.hold("lock")
    assert hold
    assert other.hold("lock") is None
    hold.release()
    again = other.hold("lock")
    assert again
    again.release()


def test_without_locks_others_see_the_pulse_of_the_holder(home: Path, opened: Opened) -> None:
    one, other = (opened(refusing("lock", errno.ENOLCK)) for _ in range(2))
    assert one.hold("lock")
    before = other.pulse("lock")
    assert before is not None
    os.utime(home / "exports" / "lock", ns=(1, 1))
    one.beat("lock")
    assert other.pulse("lock") not in {None, 1}


def test_without_locks_who_was_killed_is_never_taken_for_dead(opened: Opened) -> None:
    assert opened(refusing("lock", errno.ENOLCK)).hold("lock")
    assert opened(refusing("lock", errno.ENOLCK)).hold("lock") is None


def test_a_lock_that_fails_for_any_other_reason_is_trouble(opened: Opened) -> None:
    with pytest.raises(Trouble):
        opened(refusing("lock", errno.EIO)).hold("lock")


# ---- what only a disk has


def test_a_removal_ends_at_links(home: Path, opened: Opened) -> None:
    storage = opened()
    storage.make_directories("tree")
    (home / "exports" / "tree" / "link").symlink_to(home / "media")
    storage.remove("tree")
    assert (home / "media" / "1.png").read_bytes() == b"picture"


def test_a_file_that_may_not_have_become_durable_is_discarded(home: Path, opened: Opened) -> None:
    (home / "exports" / "a").write_bytes(b"content")
    storage = opened(refusing("fsync", errno.EIO))
    with pytest.raises(Trouble):
        storage.make_durable("a")
    assert storage.get("a") is None
