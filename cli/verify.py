"""`verify`: compares an exported folder, or a ZIP of one, with its manifest, byte by byte.

Trusts nothing that it reads: a manifest only names files to compare, and no link is followed out of the folder. Its
bytes come through the storage port, as all bytes do: a file that changes while it is compared is told of, not judged.
"""

import errno
import zipfile
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Annotated, NamedTuple

from isal.isal_zlib import crc32
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from rich.markup import escape

from cli import exits
from cli.answer import answered
from cli.errors import UsageError
from cli.show import console
from cli.stored import CHUNK_BYTES, as_os_error, content_of, opened, sums_of
from cli.verify_bundle import bundle_differences, is_bundle
from contracts import Layout
from contracts.base import Bytes, Moment
from contracts.faults import first_fault
from service.contents import ARCHIVE_ENDINGS, MANIFEST
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
        differences = list(verify_folder(path) if path.is_dir() else verify_archive(path))
    except OSError as fault:
        raise UsageError(f"{fault.filename or path}: {(fault.strerror or 'cannot be read').lower()}") from None
    return answered(exits.FAILED if differences else exits.COMPLETE, lambda: _show(path, differences))


def _show(path: Path, differences: Sequence[str]) -> None:
    out = console()
    for difference in differences:
        out.print(f"[red]differs[/] {escape(one_line(difference))}", soft_wrap=True)
    if not differences:
        out.print(f"[green]whole[/]  {escape(str(path))}", soft_wrap=True)
        out.print(f"       every file has the size and CRC-32 that its {_by(path)} says", soft_wrap=True)


def _by(path: Path) -> str:
    return "bundle" if path.suffix == ARCHIVE_ENDINGS[Layout.OTIOZ] else "manifest"


# ---- a folder


def verify_folder(folder: Path) -> Iterator[str]:
    """A sentence for each difference between the folder and its manifest. Raises OSError."""
    file = folder / MANIFEST
    if not _is_own_file(file):
        yield f"{folder}: has no {MANIFEST}; it is no export, or not a finished one"
    elif file.stat().st_size > MAX_MANIFEST_BYTES:
        yield f"{file}: is too large to be a manifest"
    else:
        with closing(LocalStorage({}, folder)) as storage:
            manifest = _understood(content_of(storage, file, MANIFEST))
            yield from [manifest] if isinstance(manifest, str) else _differences_in(folder, storage, manifest.sums)


def _differences_in(folder: Path, storage: LocalStorage, planned: Mapping[str, Written]) -> Iterator[str]:
    yield from (f"{name}/: is missing" for name in FOLDERS.values() if not _is_own_directory(folder / name))
    found = set(_names_in(folder, storage)) - {MANIFEST}
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


def _is_own_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_own_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


# ---- a ZIP


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
    manifest = _understood(opened.manifest)
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


def _layout(top: str, manifest: "_Manifest", sums: Mapping[str, Written]) -> ZipPlan:
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


# ---- the manifest, and what is compared with it


_NAME = "[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}"


class _Text(BaseModel):
    """A file as the manifest lists it. Names that the service never gives are refused."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(pattern=f"^{_NAME}$")]
    size_bytes: Bytes
    crc32: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]


class _Media(_Text):
    name: Annotated[str, StringConstraints(pattern=f"^({'|'.join(FOLDERS.values())})/{_NAME}$")]


class _Manifest(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    requested_at: Annotated[Moment, Field(strict=False)]
    files: tuple[_Media, ...]
    texts: tuple[_Text, ...]

    @property
    def sums(self) -> dict[str, Written]:
        return {file.name: Written(file.size_bytes, int(file.crc32, 16)) for file in (*self.files, *self.texts)}


def _understood(manifest: bytes) -> _Manifest | str:
    """What the manifest promises, or a sentence when it cannot be understood."""
    try:
        return _Manifest.model_validate_json(manifest)
    except ValidationError as fault:
        return f"{MANIFEST}: cannot be understood: {first_fault(fault)}"


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
