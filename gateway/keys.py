"""The keys that tokens are verified with: fetched ahead of need, kept while their publisher is away."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import anyio
import jwt
from anyio import to_thread

from gateway.fetching import NotFetched, fetch

log = logging.getLogger(__name__)

_FETCH_SECONDS = 5.0
_KEYS_BYTES = 1024 * 1024
_SOONER = 10
"""So many times more often than by itself a set is fetched for the sake of a key that is not in it."""


class NoKeys(Exception):
    """None were ever fetched: nobody can be told from anybody else."""


class UnknownKey(Exception):
    """No key has this id."""


class KeySet:
    """Public keys by their ids (RFC 7517). Whatever goes wrong with a fetch, the keys of the one before stay."""

    def __init__(self, read: Callable[[], Awaitable[bytes]], refresh_seconds: float) -> None:
        self._read = read
        self._refresh_seconds = refresh_seconds
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._tried_at = float("-inf")
        self._fetching = anyio.Lock()

    async def key(self, key_id: str | None) -> jwt.PyJWK:
        """Of a token that names it; a token that names none may only mean the only one. Raises UnknownKey, NoKeys."""
        if (found := self._found(key_id)) is None:
            await self._fetch_for(key_id)
            found = self._found(key_id)
        if not self._keys:
            raise NoKeys
        if found is None:
            raise UnknownKey(key_id)
        return found

    def _found(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    async def _fetch_for(self, key_id: str | None) -> None:
        """Once for all who wait for it, and not soon again: key ids are free to invent."""
        async with self._fetching:
            is_soon = monotonic() - self._tried_at < self._refresh_seconds / _SOONER
            if self._found(key_id) is None and not is_soon:
                await self._fetch()

    async def _fetch(self) -> None:
        self._tried_at = monotonic()
        try:
            self._keys = _keys_in(await self._read())
        except (NotFetched, OSError, ValueError, RecursionError, jwt.PyJWTError) as fault:
            log.warning("the keys of tokens could not be fetched, %d are kept: %s", len(self._keys), fault)

    @asynccontextmanager
    async def refreshing(self) -> AsyncIterator[None]:
        """Fetches again and again while the block runs."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_fetching)
            yield
            tasks.cancel_scope.cancel()

    async def _keep_fetching(self) -> None:
        while True:
            async with self._fetching:
                await self._fetch()
            await anyio.sleep(self._refresh_seconds if self._keys else self._refresh_seconds / _SOONER)


def _keys_in(document: bytes) -> dict[str | None, jwt.PyJWK]:
    """Those that verify signatures. Raises for what is no set, or has none of them."""
    content = json.loads(document)
    if not isinstance(content, dict):
        raise ValueError("not a JWK set")  # noqa: TRY004 - of a document, not of an argument
    keys = jwt.PyJWKSet.from_dict(content).keys
    return {key.key_id: key for key in keys if key.public_key_use in {None, "sig"} and key.key_type != "oct"}


def keys_at(url: str, refresh_seconds: float) -> KeySet:
    """Those that are published at this address."""

    async def read() -> bytes:
        answer = await fetch(url, _FETCH_SECONDS, _KEYS_BYTES)
        if answer.status != 200:
            raise NotFetched(f"status {answer.status}")
        return answer.body

    return KeySet(read, refresh_seconds)


def keys_in(path: Path, refresh_seconds: float) -> KeySet:
    """Those in a file, which may be replaced."""

    async def read() -> bytes:
        return await to_thread.run_sync(path.read_bytes)

    return KeySet(read, refresh_seconds)
