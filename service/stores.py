"""Opens the storage that was configured, and makes sure that it is there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from anyio import to_thread

from service.ledger import Ledger
from service.references import MEDIA
from service.settings import StorageSettings
from service.storage.local import LocalStorage


@asynccontextmanager
async def opened_storage(settings: StorageSettings) -> AsyncIterator[Ledger]:
    """The ledger of the configured storage, for as long as it is that one. Raises Trouble when it is not there."""
    roots = {MEDIA: settings.media_root}
    trusted = roots if settings.trusted_checksums else ()
    opened = partial(LocalStorage, roots, settings.exports_root, scope=settings.media_scope, trusted=trusted)
    storage = await to_thread.run_sync(opened)
    try:
        await to_thread.run_sync(storage.check_roots)
        yield await to_thread.run_sync(Ledger(storage).bound)
    finally:
        storage.close()
