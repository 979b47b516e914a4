"""Whether the media root and the exports root are there, and are what they should be."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from cli.errors import UsageError
from cli.findings import Finding, State, note, ok, problem
from cli.probes import probed
from cli.roots import Roots
from service.errors import Trouble
from service.ledger import RECORDS, Ledger
from service.references import MEDIA, Source
from service.segments import Extent
from service.storage.local import LocalStorage
from service.storage.port import SourceFault

_LOOKS_AT_MOST = 1000
_MEDIA, _EXPORTS = "media root", "exports root"


def look_at_roots(roots: Roots, *, is_new: bool) -> list[Finding]:
    """With `is_new` the exports root is made. Raises UsageError when nobody said where."""
    media, exports = roots.media_root, roots.exports_root
    if exports is None and is_new:
        raise UsageError("--init: say where: --to DIR, or EXPORT_EXPORTS_ROOT")
    overlap = list(_overlap(media, exports)) if media and exports else []
    found = [] if overlap else list(_exports_root(exports, is_new=is_new)) if exports else [_not_set(_EXPORTS, "--to")]
    is_sound = all(finding.state is not State.PROBLEM for finding in found)
    both = list(_shared(media, exports)) if media and exports and not overlap and is_sound else []
    return [*(_media_root(media) if media else [_not_set(_MEDIA, "--media")]), *overlap, *found, *both]


def _not_set(subject: str, option: str) -> Finding:
    variable = f"EXPORT_{subject.upper().replace(' ', '_')}"
    return note(subject, f"not looked at: neither {option} nor {variable} is set")


def _overlap(media: Path, exports: Path) -> Iterator[Finding]:
    """An export in the media could be exported again; media among the exports could be swept."""
    one, other = media.resolve(), exports.resolve()
    if one == other or one in other.parents or other in one.parents:
        apart = "give each a directory of its own, neither in the other"
        yield problem("roots", f"{media} and {exports} overlap", apart)


def _media_root(media: Path) -> Iterator[Finding]:
    storage = LocalStorage({MEDIA: media}, media)
    try:
        storage.check_roots()
        is_empty = not storage.names("")
    except Trouble as trouble:
        yield problem(_MEDIA, trouble.detail, "mount it where EXPORT_MEDIA_ROOT says, readable for this user")
    else:
        yield note(_MEDIA, f"{media} is empty: is it mounted?") if is_empty else ok(_MEDIA, f"{media} can be read")
    finally:
        storage.close()


def _shared(media: Path, exports: Path) -> Iterator[Finding]:
    """Tried with one file of the media: no problem either way, it tells what an export costs."""
    storage = LocalStorage({MEDIA: media}, exports)
    try:
        if (key := _any_file(media)) is None:
            return
        version = storage.look(Source(MEDIA, key))
        extent = Extent(MEDIA, key, 0, version.size_bytes, version)
        shares = storage.shares_blocks_with(extent, f"{RECORDS}/_trial-{secrets.token_hex(8)}")
    except (SourceFault, Trouble):
        return  # whatever is wrong there is found by itself
    finally:
        storage.close()
    yield ok("roots: shared blocks", "yes: a folder takes next to no room" if shares else "no: a folder is a copy")


def _any_file(media: Path) -> str | None:
    """A file near the top of the media; not all of them are looked at."""
    storage = LocalStorage({}, media)
    directories, looks = [""], iter(range(_LOOKS_AT_MOST))
    try:
        while directories:
            above = directories.pop()
            for name in storage.names(above.removesuffix("/")):
                if next(looks, None) is None:
                    return None
                place = media / above / name
                if place.is_file() and not place.is_symlink():
                    return f"{above}{name}"
                directories += [f"{above}{name}/"] if place.is_dir() and not place.is_symlink() else []
    finally:
        storage.close()
    return None


def _exports_root(exports: Path, *, is_new: bool) -> Iterator[Finding]:
    if is_new and (fault := _made(exports)):
        yield fault
        return
    storage = LocalStorage({}, exports)
    try:
        yield from _looked_at(exports, storage, is_new=is_new)
    finally:
        storage.close()


def _made(exports: Path) -> Finding | None:
    try:
        exports.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        return problem(_EXPORTS, f"{exports} is not a directory", "name another one")
    except OSError as fault:
        return problem(_EXPORTS, f"{exports} cannot be made: {(fault.strerror or '').lower()}", "make it by hand")
    return None


def _looked_at(exports: Path, storage: LocalStorage, *, is_new: bool) -> Iterator[Finding]:
    ledger = Ledger(storage)
    may_write = f"let this user (uid {os.getuid()}) write to it"
    if not exports.is_dir():
        yield problem(_EXPORTS, f"{exports} is not there", "mount it, or make it with: export-service check --init")
        return
    try:
        was_there = storage.get(f"{RECORDS}/store.json") is not None
        store = ledger.open_or_make() if is_new else ledger.open()
    except Trouble as trouble:
        mend = may_write if is_new else "mount the right one, or make a new one with: export-service check --init"
        yield problem(_EXPORTS, f"{exports}: {trouble.detail}", mend)
        return
    yield ok(_EXPORTS, f"{exports} is the store {store[:8]}" + (", made just now" if is_new and not was_there else ""))
    yield from probed(storage, _EXPORTS, may_write)
