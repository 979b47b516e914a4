"""`verify`: compares an exported folder, or a ZIP of one, with its manifest, byte by byte.

Trusts nothing that it reads: a manifest only names files to compare, and no link is followed out of the folder. Its
bytes come through the storage port, as all bytes do: a file that changes while it is compared is told of, not judged.
"""

import errno
import zipfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import filterfalse
from pathlib import Path
from typing import IO, NamedTuple

from isal.isal_zlib import crc32
from rich.markup import escape

from cli import exits
from cli.answer import answered
from cli.errors import UsageError
from cli.litter import is_litter
from cli.show import console
from cli.stored import CHUNK_BYTES, as_os_error, content_of, opened, sums_of
from cli.verify_bundle import bundle_differences, is_bundle
from cli.verify_manifest import Manifest, understood
from service.contents import MANIFEST
from service.model import FOLDERS
from service.naming import one_line
from service.packing import names_in_order
from service.segments import Extent, Version, Written
from service.storage.local import LocalStorage
from service.streaming_zip import Entry, ZipPlan, plan_zip

MAX_MANIFEST_BYTES = 1024**3
"""300,000 files with the longest references that the contract allows."""

# What zipfile raises for an archive that is damaged, encrypted, or of a newer kind than it knows.
_NO_WHOLE_ZIP = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError)


def verify(args: Namespace) -> int:
    """Exit code 0 when nothing differs, else 1 with a line for each difference."""
    path: Path = args.path
    if not path.is_dir() and not path.is_file():
        raise UsageError(
            f"{path}: {'is neither a folder nor a file' if path.exists() else 'no such file or directory'}"
        )
    try:
        verdict = _folder_judged(path) if path.is_dir() else _archive_judged(path)
    except OSError as fault:
        raise UsageError(f"{fault.filename or path}: {(fault.strerror or 'cannot be read').lower()}") from None
    return answered(exits.FAILED if verdict.differences else exits.COMPLETE, lambda: _show(path, verdict))


class _Verdict(NamedTuple):
    differences: Sequence[str]
    litter: Sequence[str] = ()
    """Files that a file manager put there; they are told of, and change nothing."""
    by: str = "manifest"
    """What it was compared with."""


def _show(path: Path, verdict: _Verdict) -> None:
    out = console()
    for difference in verdict.differences:
        out.print(f"[red]differs[/] {escape(one_line(difference))}", soft_wrap=True)
    for name in verdict.litter:
        out.print(f"[dim]ignored[/] {escape(one_line(name))}: a file manager's own", soft_wrap=True)
    if not verdict.differences:
        out.print(f"[green]whole[/]  {escape(str(path))}", soft_wrap=True)
        out.print(f"       every file has the size and CRC-32 that its {verdict.by} says", soft_wrap=True)


# ---- a folder


def _folder_judged(folder: Path) -> _Verdict:
    differences = list(verify_folder(folder))
    if not _is_own_file(folder / MANIFEST):  # it may be anything, and large
        return _Verdict(differences)
    with closing(LocalStorage({}, folder)) as storage:
        return _Verdict(differences, sorted(filter(_is_litter_in(folder), _names_in(folder, storage))))


def verify_folder(folder: Path) -> Iterator[str]:
    """A sentence for each difference between the folder and its manifest. Raises OSError."""
    file = folder / MANIFEST
    if not _is_own_file(file):
        yield f"{folder}: has no {MANIFEST}; it is no export, or not a finished one"
    elif file.stat().st_size > MAX_MANIFEST_BYTES:
        yield f"{file}: is too large to be a manifest"
    else:
        with closing(LocalStorage({}, folder)) as storage:
            manifest = understood(content_of(storage, file, MANIFEST))
            yield from [manifest] if isinstance(manifest, str) else _differences_in(folder, storage, manifest.sums)


def _differences_in(folder: Path, storage: LocalStorage, planned: Mapping[str, Written]) -> Iterator[str]:
    yield from (f"{name}/: is missing" for name in FOLDERS.values() if not _is_own_directory(folder / name))
    names = _names_in(folder, storage)
    found = set(filterfalse(_is_litter_in(folder), names)) - {MANIFEST}
    yield from _names_that_differ(set(planned), found)
    for name in sorted(planned.keys() & found):
        if _is_own_file(folder / name):
            yield from _sums_that_differ(name, planned[name], sums_of(storage, folder / name, name))
        else:
            yield f"{name}: is not a regular file"


def _names_in(folder: Path, storage: LocalStorage) -> Iterator[str]:
    """Of everything beneath the folder that is no directory."""
    directories = [""]
    while directories:
        above = directories.pop()
        with as_os_error(folder / above):
            names = [f"{above}{name}" for name in storage.names(above.removesuffix("/"))]
        inner = {name for name in names if _is_own_directory(folder / name)}
        directories += [f"{name}/" for name in inner]
        yield from (name for name in names if name not in inner)


def _is_litter_in(folder: Path) -> Callable[[str], bool]:
    return lambda name: is_litter(name) and _is_own_file(folder / name)


def _is_own_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_own_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


# ---- a ZIP


def _archive_judged(path: Path) -> _Verdict:
    differences = list(verify_archive(path))
    return _Verdict(differences, by="manifest" if differences or not _holds_a_bundle(path) else "bundle")


def _holds_a_bundle(path: Path) -> bool:
    """Whatever it is called. The archive is whole."""
    real = path.resolve()
    with (
        closing(LocalStorage({}, real.parent)) as storage,
        zipfile.ZipFile(opened(storage, path, real.name)) as archive,
    ):
        return is_bundle(archive)


def verify_archive(path: Path) -> Iterator[str]:
    """A sentence for each difference between the ZIP and its manifest, of which every byte of it follows.

    Raises OSError.
    """
    real = path.resolve()  # a person may name a link
    with closing(LocalStorage({}, real.parent)) as storage:
        yield from _differences_of(path, opened(storage, path, real.name))


def _differences_of(path: Path, file: IO[bytes]) -> Iterator[str]:
    opened = _opened(path, file)
    if isinstance(opened, list):
        yield from opened
        return
    manifest = understood(opened.manifest)
    if isinstance(manifest, str):
        yield manifest
        return
    sums = {**manifest.sums, MANIFEST: Written(len(opened.manifest), crc32(opened.manifest))}
    if not opened.top:
        # What did not change since an earlier export is in that one's folder.
        unchanged = {file.name for file in manifest.files} - opened.names
        sums = {name: written for name, written in sums.items() if name not in unchanged}
    folders = {f"{folder}/" for folder in FOLDERS.values()}
    differing = [*_names_that_differ({*([""] if opened.top else []), *folders, *sums}, opened.names)]
    if differing:
        yield from differing
        return
    try:
        plan = _layout(opened.top, manifest, sums)
    except ValueError as fault:
        yield f"{MANIFEST}: cannot be an export's: {fault}"
        return
    yield from _bytes_that_differ(file, plan, sums)


class _Opened(NamedTuple):
    top: str
    """The name of the single top folder, with a slash; nothing for what changed since an earlier export."""
    names: set[str]
    """Of everything, without the top folder."""
    manifest: bytes


def _opened(path: Path, file: IO[bytes]) -> _Opened | list[str]:
    """What the archive's own directory says of it, or sentences when there is nothing to compare with."""
    try:
        with zipfile.ZipFile(file) as archive:
            return list(bundle_differences(archive)) if is_bundle(archive) else _described(path, archive)
    except OSError as fault:
        if fault.errno != errno.EINVAL:  # that one comes of an offset before the beginning
            raise
        return [f"{path}: is no whole ZIP: {fault.strerror}"]
    except _NO_WHOLE_ZIP as fault:
        return [f"{path}: is no whole ZIP: {fault}"]


def _described(path: Path, archive: zipfile.ZipFile) -> _Opened | list[str]:
    names = archive.namelist()
    top = "" if MANIFEST in names else f"{next(iter(names), '').partition('/')[0]}/"
    if f"{top}{MANIFEST}" not in names:
        return [f"{path}: has no {MANIFEST} at its top or in a single top folder; it is no export"]
    about = archive.getinfo(f"{top}{MANIFEST}")
    if about.compress_type != zipfile.ZIP_STORED:
        return [f"{path}: is compressed, as no export is"]
    if about.file_size > MAX_MANIFEST_BYTES:
        return [f"{MANIFEST}: is too large to be a manifest"]
    return _Opened(top, {name.removeprefix(top) for name in names}, archive.read(about))


def _layout(top: str, manifest: Manifest, sums: Mapping[str, Written]) -> ZipPlan:
    """The archive as the export laid it out."""
    texts = [MANIFEST, *(text.name for text in manifest.texts)]
    names = names_in_order(texts, (file.name for file in manifest.files if file.name in sums))
    entries = (_entry(top, name, sums.get(name)) for name in names if top or name)
    return plan_zip(entries, manifest.requested_at)


def _entry(top: str, name: str, sums: Written | None) -> Entry:
    if sums is None:
        return Entry(f"{top}{name}")
    version = Version(sums.size_bytes, 0, 0)
    return Entry(f"{top}{name}", Extent("", name, 0, sums.size_bytes, version), sums.crc32)


def _bytes_that_differ(file: IO[bytes], plan: ZipPlan, sums: Mapping[str, Written]) -> Iterator[str]:
    directory = plan.segments[-1]
    file.seek(plan.starts[-1])
    if file.read(plan.size_bytes - plan.starts[-1] + 1) != directory:  # one more, to see what was added to the end
        yield f"the ZIP's directory, from byte {plan.starts[-1]:,} to the end, is not as the export wrote it"
        return
    for start, segment in zip(plan.starts, plan.segments, strict=True):
        file.seek(start)
        if isinstance(segment, Extent):
            yield from _sums_that_differ(segment.key, sums[segment.key], _sums(file, segment.size_bytes))
        elif file.read(len(segment)) != segment:
            yield f"a header of the ZIP, at byte {start:,}, is not as the export wrote it"


# ---- what is compared


def _names_that_differ(planned: set[str], found: set[str]) -> Iterator[str]:
    yield from (f"{name}: is missing" for name in sorted(planned - found))
    yield from (f"{name}: is not in the manifest" for name in sorted(found - planned))


def _sums_that_differ(name: str, planned: Written, found: Written) -> Iterator[str]:
    if found.size_bytes != planned.size_bytes:
        yield f"{name}: has {found.size_bytes:,} bytes, the manifest says {planned.size_bytes:,}"
    elif found.crc32 != planned.crc32:
        yield f"{name}: has CRC-32 {found.crc32:08x}, the manifest says {planned.crc32:08x}"


def _sums(file: IO[bytes], at_most: int) -> Written:
    size, checksum = 0, 0
    while piece := file.read(min(CHUNK_BYTES, at_most - size)):
        checksum = crc32(piece, checksum)
        size += len(piece)
    return Written(size, checksum)
