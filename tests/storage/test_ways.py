"""The ways that bytes can take into a file: each falls through to the next, and the last one is always right."""

import errno
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from contracts import ErrorCode
from service.errors import Interrupted, Trouble
from service.references import EXPORTS, Source
from service.segments import Extent, Written, known
from service.storage.disk import Disk
from service.storage.filling import ALLOCATED_FROM_BYTES, KERNEL_FROM_BYTES
from service.storage.lanes import NOT_THIS_WAY, STEP_BYTES
from service.storage.local import LocalStorage
from service.storage.port import SourceUnreadable
from tests.engine.faulty import Call, WatchedDisk, fail_with, short

EXT4, XFS, NFS = 0xEF53, 0x5846_5342, 0x6969
MOMENT_NS = 1_700_000_000 * 10**9
OLD_NS = 1_600_000_000 * 10**9
CONTENT = os.urandom(KERNEL_FROM_BYTES + 4321)
HUGE_BYTES = 80 * 1024 * 1024 + 17
"""Enough for two threads at one file."""

OWN = "own.mp4"
SAY_NO = sorted(NOT_THIS_WAY)
FULL = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG]


class Kernel(WatchedDisk):
    """A disk that says which file system it is; one that shares blocks does so by copying. Counts its calls."""

    def __init__(self, magic: int, **around: Callable[..., Any]) -> None:
        super().__init__(self._around)
        self.calls: list[str] = []
        self._magic = magic
        self._arounds = around

    def _around(self, name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        self.calls.append(name)
        if name in self._arounds:
            return self._arounds[name](name, real, arguments)
        if name == "file_system":
            return self._magic
        if name == "clone":
            return _copied(*arguments) if self._magic != EXT4 else fail_with(errno.EOPNOTSUPP)(name, real, arguments)
        return real(*arguments)


def _copied(source: int, target: int, offset: int, count: int) -> None:
    os.pwrite(target, os.pread(source, count, offset), offset)


def nth(number: int, fault: Callable[..., Any]) -> Callable[..., Any]:
    """Only call `number`, from 1, is disturbed."""
    count = 0

    def around(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        nonlocal count
        count += 1
        return fault(name, real, arguments) if count == number else real(*arguments)

    return around


def nothing(name: str, real: Call, arguments: tuple[Any, ...]) -> int:
    """No byte, long before the end."""
    return 0


def zeros(name: str, real: Call, arguments: tuple[Any, ...]) -> int:
    """Says that it copied, and left zeros (golang/go#42400)."""
    _, target, count, _ = arguments
    return os.write(target, bytes(count))


def zeros_cloned(name: str, real: Call, arguments: tuple[Any, ...]) -> None:
    _, target, offset, count = arguments
    os.pwrite(target, bytes(count), offset)


Opened = Callable[[Disk], LocalStorage]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    for name in ("media", "exports"):
        (tmp_path / name).mkdir()
    with ExitStack() as stack:
        yield lambda disk: stack.enter_context(
            closing(LocalStorage({"media": tmp_path / "media"}, tmp_path / "exports", disk))
        )


@pytest.fixture
def media(tmp_path: Path) -> Path:
    return tmp_path / "media"


def source(media: Path, content: bytes = CONTENT, name: str = "a.mp4") -> Extent:
    (media / name).write_bytes(content)
    os.utime(media / name, ns=(OLD_NS, OLD_NS))
    with closing(LocalStorage({"media": media}, media)) as storage:
        version = storage.look(Source("media", name))
    return Extent("media", name, 0, len(content), version)


def trusted(extent: Extent, content: bytes = CONTENT) -> Extent:
    return known(extent, zlib.crc32(content))


def unwatched(_: int) -> None:
    pass


def made(storage: LocalStorage, *segments: bytes | Extent) -> bytes:
    """The file of those segments; its size and CRC-32 were told rightly, and every byte was counted."""
    moved: list[int] = []
    written = storage.assemble("made", segments, MOMENT_NS, moved.append)
    content = storage.get("made") or b""
    assert written == Written(len(content), zlib.crc32(content))
    assert sum(moved) == len(content), "what is made anew is counted once"
    version = storage.version("made")
    assert version
    assert version.mtime_ns == MOMENT_NS
    return content


def refused(storage: LocalStorage, *segments: bytes | Extent) -> Trouble:
    with pytest.raises(Trouble) as trouble:
        storage.assemble("made", segments, MOMENT_NS, unwatched)
    assert set(storage.names("")) <= {OWN}, "something is left of it"
    return trouble.value


# ---- clones


@pytest.mark.parametrize("is_trusted", [False, True])
def test_a_whole_file_is_cloned_where_blocks_can_be_shared(is_trusted: bool, opened: Opened, media: Path) -> None:
    disk = Kernel(XFS)
    extent = source(media)
    assert made(opened(disk), trusted(extent) if is_trusted else extent) == CONTENT
    assert "write" not in disk.calls


def test_a_clone_that_is_trusted_is_not_read(opened: Opened, media: Path) -> None:
    disk = Kernel(XFS)
    storage = opened(disk)
    storage.assemble("made", [trusted(source(media))], MOMENT_NS, unwatched)
    assert "read_into" not in disk.calls


@pytest.mark.parametrize("fault", SAY_NO)
@pytest.mark.parametrize("is_trusted", [False, True])
def test_a_file_that_cannot_be_cloned_is_copied(is_trusted: bool, fault: int, opened: Opened, media: Path) -> None:
    extent = source(media)
    storage = opened(Kernel(XFS, clone=fail_with(fault)))
    assert made(storage, trusted(extent) if is_trusted else extent) == CONTENT


def test_a_file_system_that_cannot_clone_is_asked_once(opened: Opened, media: Path) -> None:
    disk = Kernel(XFS, clone=fail_with(errno.EOPNOTSUPP))
    storage = opened(disk)
    for name in ("a.mp4", "b.mp4"):
        made(storage, source(media, name=name))
    assert disk.calls.count("clone") == 1


@pytest.mark.parametrize("fault", [errno.ETXTBSY, errno.EINVAL, errno.EXDEV, errno.EPERM])
def test_one_file_that_cannot_be_cloned_says_nothing_of_the_next(fault: int, opened: Opened, media: Path) -> None:
    """It may be one without copy on write, or lie on another mount."""
    disk = Kernel(XFS, clone=nth(1, fail_with(fault)))
    storage = opened(disk)
    for name in ("a.mp4", "b.mp4"):
        made(storage, source(media, name=name))
    assert disk.calls.count("clone") == 2


@pytest.mark.parametrize("fault", FULL)
@pytest.mark.parametrize("call", ["clone", "copy_range", "send_file", "allocate"])
def test_a_full_disk_is_said_at_once(call: str, fault: int, opened: Opened, media: Path) -> None:
    content = bytes(ALLOCATED_FROM_BYTES)
    extent = trusted(source(media, content), content)
    before = {"clone": (), "copy_range": ("clone",), "send_file": ("clone", "copy_range"), "allocate": ()}[call]
    no = dict.fromkeys(before, fail_with(errno.EXDEV))
    storage = opened(Kernel(EXT4 if call == "allocate" else XFS, **no, **{call: fail_with(fault)}))
    segments = ladder(media) if call in {"copy_range", "send_file"} else (extent,)
    assert refused(storage, *segments).code is ErrorCode.NO_SPACE


def test_a_file_that_was_written_just_now_is_not_cloned(opened: Opened, media: Path) -> None:
    """Its next change may leave no trace in its time; what passes through memory is one and the same."""
    disk = Kernel(XFS)
    storage = opened(disk)
    (media / "a.mp4").write_bytes(CONTENT)
    version = storage.look(Source("media", "a.mp4"))
    assert made(storage, Extent("media", "a.mp4", 0, len(CONTENT), version)) == CONTENT
    assert "clone" not in disk.calls


@pytest.mark.parametrize("call", ["clone", "copy_range"])
def test_a_file_that_changes_while_the_kernel_copies_it_is_refused(call: str, opened: Opened, media: Path) -> None:
    segments = ladder(media) if call == "copy_range" else (trusted(source(media)),)
    changing_file = media.parent / "exports" / OWN if call == "copy_range" else media / "a.mp4"

    def changing(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        changing_file.write_bytes(CONTENT[::-1])
        os.utime(changing_file, ns=(1, 1))
        return _copied(*arguments) if name == "clone" else real(*arguments)

    storage = opened(Kernel(XFS, **{call: changing}))
    with pytest.raises(SourceUnreadable, match="changed"):
        storage.assemble("made", segments, MOMENT_NS, unwatched)
    assert set(storage.names("")) <= {OWN}


def test_a_source_that_cannot_be_cloned_is_read_whatever_is_known_of_it(opened: Opened, media: Path) -> None:
    """It must be moved anyway; `made` sees that its own checksum is told, and not the one that was promised."""
    disk = Kernel(XFS, clone=fail_with(errno.EXDEV))
    assert made(opened(disk), known(source(media), 7)) == CONTENT
    assert "copy_range" not in disk.calls


# ---- copy_file_range, sendfile, memory


def ladder(media: Path) -> tuple[bytes | Extent, ...]:
    """One of the service's own files in an archive: a block before it, bytes behind it."""
    own = media.parent / "exports" / OWN
    own.write_bytes(CONTENT)
    with closing(LocalStorage({}, own.parent)) as storage:
        version = storage.look(Source(EXPORTS, OWN))
    return bytes(4096), trusted(Extent(EXPORTS, OWN, 0, len(CONTENT), version)), b"behind"


EXPECTED = bytes(4096) + CONTENT + b"behind"


def test_known_bytes_stay_within_the_kernel(opened: Opened, media: Path) -> None:
    disk = Kernel(XFS)
    assert made(opened(disk), *ladder(media)) == EXPECTED
    assert "copy_range" in disk.calls
    assert "send_file" not in disk.calls


@pytest.mark.parametrize("fault", SAY_NO)
@pytest.mark.parametrize("at", [1, 2])
def test_what_copy_file_range_cannot_do_sendfile_does(at: int, fault: int, opened: Opened, media: Path) -> None:
    halves = nth(at, fail_with(fault))
    disk = Kernel(XFS, copy_range=lambda *call: halves(call[0], lambda *a: short("copy_range", call[1], a), call[2]))
    assert made(opened(disk), *ladder(media)) == EXPECTED
    assert "send_file" in disk.calls


@pytest.mark.parametrize("fault", SAY_NO)
@pytest.mark.parametrize("at", [1, 2])
def test_what_the_kernel_cannot_do_goes_through_memory(at: int, fault: int, opened: Opened, media: Path) -> None:
    halves = nth(at, fail_with(fault))
    disk = Kernel(
        XFS,
        copy_range=fail_with(fault),
        send_file=lambda *call: halves(call[0], lambda *a: short("send_file", call[1], a), call[2]),
    )
    assert made(opened(disk), *ladder(media)) == EXPECTED


@pytest.mark.parametrize("ways", [("copy_range",), ("copy_range", "send_file")])
def test_a_way_that_moves_nothing_before_the_end_is_left(ways: tuple[str, ...], opened: Opened, media: Path) -> None:
    assert made(opened(Kernel(XFS, **dict.fromkeys(ways, nothing))), *ladder(media)) == EXPECTED


@pytest.mark.parametrize("way", ["copy_range", "send_file"])
def test_short_counts_are_gone_on_with(way: str, opened: Opened, media: Path) -> None:
    no = {"copy_range": fail_with(errno.EXDEV)} if way == "send_file" else {}
    assert made(opened(Kernel(XFS, **no, **{way: short})), *ladder(media)) == EXPECTED


@pytest.mark.parametrize("fault", [errno.ESTALE, errno.ENOMEM])
def test_any_other_fault_is_trouble(fault: int, opened: Opened, media: Path) -> None:
    refused(opened(Kernel(XFS, copy_range=fail_with(fault))), *ladder(media))


def test_few_bytes_go_through_memory_with_what_stands_beside_them(opened: Opened, media: Path) -> None:
    disk = Kernel(XFS)
    content = CONTENT[: KERNEL_FROM_BYTES - 1]
    assert made(opened(disk), b"head", trusted(source(media, content), content), b"tail") == b"head" + content + b"tail"
    assert "copy_range" not in disk.calls
    assert disk.calls.count("write") == 1


@pytest.mark.parametrize(
    ("file_system", "size_bytes"), [(XFS, KERNEL_FROM_BYTES - 1), (EXT4, len(CONTENT)), (NFS, len(CONTENT))]
)
def test_a_wrong_checksum_is_not_repeated_where_the_bytes_are_seen(
    file_system: int, size_bytes: int, opened: Opened, media: Path
) -> None:
    """`made` compares what is told with what is there. Small files are seen everywhere, and on ext4 all are."""
    content = CONTENT[:size_bytes]
    storage = opened(Kernel(file_system))
    for _ in range(2):
        assert made(storage, known(source(media, content), 7)) == content
        assert made(storage, bytes(4096), known(source(media, content), 7)) == bytes(4096) + content


def test_a_promise_is_not_believed_where_the_file_system_is_not(opened: Opened, media: Path) -> None:
    disk = Kernel(NFS, clone=fail_with(errno.EXDEV))
    assert made(opened(disk), bytes(4096), known(source(media), 7)) == bytes(4096) + CONTENT
    assert "copy_range" in disk.calls


def test_a_wrong_promise_proves_nothing_of_the_file_system(opened: Opened, media: Path) -> None:
    disk = Kernel(NFS)
    storage = opened(disk)
    made(storage, known(source(media), 7))
    made(storage, trusted(source(media, name="b.mp4")))
    assert disk.calls.count("clone") == 2


@pytest.mark.parametrize("file_system", [0, 0x794C_7630])
def test_a_file_system_that_cannot_be_told_is_not_believed(file_system: int, opened: Opened, media: Path) -> None:
    """Overlayfs, for one, is what is beneath it."""
    assert made(opened(Kernel(file_system, copy_range=zeros)), *ladder(media)) == EXPECTED


def test_where_nobody_tells_the_file_system_bytes_are_moved_all_the_same(opened: Opened, media: Path) -> None:
    assert made(opened(Kernel(XFS, file_system=fail_with(errno.ENOSYS))), *ladder(media)) == EXPECTED


@pytest.mark.parametrize(("file_system", "by_kernel"), [(EXT4, False), (XFS, True), (NFS, True)])
def test_what_the_service_wrote_is_read_again_where_blocks_are_not_shared(
    file_system: int, by_kernel: bool, opened: Opened, tmp_path: Path
) -> None:
    (tmp_path / "exports" / "mine").write_bytes(CONTENT)
    disk = Kernel(file_system)
    storage = opened(disk)
    version = storage.version("mine")
    assert version
    assert (
        made(storage, known(Extent(EXPORTS, "mine", 0, len(CONTENT), version), zlib.crc32(CONTENT)), b".")[:-1]
        == CONTENT
    )
    assert ("copy_range" in disk.calls) is by_kernel


# ---- file systems that are not known to be honest


def test_zeros_in_silence_are_found_and_copied_anew(opened: Opened, media: Path) -> None:
    disk = Kernel(NFS, copy_range=zeros)
    storage = opened(disk)
    for _ in range(2):
        assert made(storage, *ladder(media)) == EXPECTED
    assert disk.calls.count("copy_range") == 1, "who lied is asked again"


def test_a_source_that_changes_is_no_lie_of_the_file_system(opened: Opened, media: Path) -> None:
    def change(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        _copied(*arguments)
        (media / "a.mp4").write_bytes(CONTENT[::-1])

    disk = Kernel(NFS, clone=nth(1, change))
    storage = opened(disk)
    with pytest.raises(SourceUnreadable, match="changed"):
        storage.assemble("made", [source(media)], MOMENT_NS, unwatched)
    made(storage, source(media, name="b.mp4"))
    assert disk.calls.count("clone") == 2


def test_what_must_be_read_back_is_not_worth_a_second_way(opened: Opened, media: Path) -> None:
    disk = Kernel(NFS, copy_range=fail_with(errno.EXDEV))
    assert made(opened(disk), *ladder(media)) == EXPECTED
    assert "send_file" not in disk.calls


@pytest.mark.parametrize("is_trusted", [False, True])
def test_a_clone_of_zeros_is_found_and_copied_anew(is_trusted: bool, opened: Opened, media: Path) -> None:
    disk = Kernel(NFS, clone=zeros_cloned)
    storage = opened(disk)
    extent = source(media)
    for _ in range(2):
        assert made(storage, trusted(extent) if is_trusted else extent) == CONTENT
    assert disk.calls.count("clone") == 1


def test_an_honest_server_copies_and_is_looked_at(opened: Opened, media: Path) -> None:
    disk = Kernel(NFS)
    assert made(opened(disk), *ladder(media)) == EXPECTED
    assert "copy_range" in disk.calls


# ---- room, and several threads at one file


@pytest.fixture
def huge(media: Path) -> Extent:
    """A hole with a mark here and there: nothing to make, and still something to compare."""
    path = media / "huge.mp4"
    with path.open("wb") as file:
        file.truncate(HUGE_BYTES)
        for offset in range(0, HUGE_BYTES, 999_983):
            file.seek(offset)
            file.write(offset.to_bytes(8, "big"))
    os.utime(path, ns=(OLD_NS, OLD_NS))
    with closing(LocalStorage({"media": media}, media)) as storage:
        return Extent("media", "huge.mp4", 0, path.stat().st_size, storage.look(Source("media", "huge.mp4")))


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})


@pytest.mark.usefixtures("two_threads")
def test_a_large_file_is_made_by_several_threads(opened: Opened, media: Path, huge: Extent) -> None:
    disk = Kernel(EXT4)
    assert made(opened(disk), b"head", huge, b"tail") == b"head" + (media / "huge.mp4").read_bytes() + b"tail"
    assert disk.calls.count("seek") >= 2, "one thread alone"


@pytest.mark.usefixtures("two_threads")
def test_short_writes_of_several_threads_are_gone_on_with(opened: Opened, media: Path, huge: Extent) -> None:
    disk = Kernel(EXT4, write=nth(5, short))
    assert made(opened(disk), huge) == (media / "huge.mp4").read_bytes()


@pytest.mark.usefixtures("two_threads")
def test_threads_that_cannot_be_started_are_trouble(
    opened: Opened, huge: Extent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on processes says nothing of the export."""
    started: list[object] = []

    def start(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real(thread)

    real = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    assert refused(opened(Kernel(EXT4)), huge).code is ErrorCode.IO_ERROR


def test_a_single_processor_has_no_thread_to_spare(
    opened: Opened, media: Path, huge: Extent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    disk = Kernel(EXT4)
    assert made(opened(disk), huge) == (media / "huge.mp4").read_bytes()
    assert "seek" not in disk.calls


def test_a_clone_is_made_in_steps_between_which_it_can_be_stopped(opened: Opened, huge: Extent) -> None:
    """What is not on the disk yet is written there first."""
    told: list[int] = []

    def watch(size_bytes: int) -> None:
        told.append(size_bytes)
        if len(told) == 2:
            raise Interrupted

    disk = Kernel(XFS)
    storage = opened(disk)
    with pytest.raises(Interrupted):
        storage.assemble("made", [huge], MOMENT_NS, watch)
    assert disk.calls.count("clone") == 2 < HUGE_BYTES / STEP_BYTES
    assert storage.names("") == []


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("at", [1, 3, 40])
def test_a_fault_of_one_thread_ends_all(at: int, opened: Opened, huge: Extent) -> None:
    disk = Kernel(EXT4, write=nth(at, fail_with(errno.EIO)))
    assert refused(opened(disk), huge).code is ErrorCode.IO_ERROR
    assert disk.calls.count("write") < 200, "the others went on"


@pytest.mark.usefixtures("two_threads")
def test_a_file_that_changes_under_several_threads_is_refused(opened: Opened, media: Path, huge: Extent) -> None:
    def change(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        with (media / "huge.mp4").open("r+b") as file:
            file.write(b"!")
        return real(*arguments)

    storage = opened(Kernel(EXT4, write=nth(40, change)))
    with pytest.raises(SourceUnreadable, match="changed"):
        storage.assemble("made", [huge], MOMENT_NS, unwatched)
    assert storage.names("") == []


@pytest.mark.usefixtures("two_threads")
def test_several_threads_stop_when_they_are_told(opened: Opened, huge: Extent) -> None:
    moved: list[int] = []

    def watch(size_bytes: int) -> None:
        moved.append(size_bytes)
        if len(moved) == 20:
            raise Interrupted

    storage = opened(Kernel(EXT4))
    with pytest.raises(Interrupted):
        storage.assemble("made", [huge], MOMENT_NS, watch)
    assert storage.names("") == []
    assert sum(moved) < HUGE_BYTES / 2


@pytest.mark.parametrize("fault", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_where_room_cannot_be_kept_the_file_is_written_all_the_same(fault: int, opened: Opened, media: Path) -> None:
    content = os.urandom(ALLOCATED_FROM_BYTES)
    storage = opened(Kernel(EXT4, allocate=fail_with(fault)))
    assert made(storage, source(media, content)) == content


def test_no_room_is_kept_for_blocks_that_are_shared(opened: Opened, media: Path) -> None:
    disk = Kernel(XFS)
    assert made(opened(disk), *ladder(media), bytes(ALLOCATED_FROM_BYTES)) == EXPECTED + bytes(ALLOCATED_FROM_BYTES)
    assert "allocate" not in disk.calls
