"""A worker on a node that has no room: its disk says that there is some, and every write of a file's bytes says no.

    limping.py worker

A program of its own, as `export-service` is: other processes see the same root, and have room in it.
"""

import errno
import os
import sys
from unittest.mock import patch

from cli.main import main
from service.storage import local
from service.storage.disk import Disk


def _no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class LimpingDisk(Disk):
    """Journals and decisions are small and still fit; what is copied does not."""

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        return super().write(descriptor, data) if len(data) < 4096 else _no_room()


for way in ("copy_range", "send_file", "clone", "allocate"):
    setattr(LimpingDisk, way, _no_room)

if __name__ == "__main__":
    with patch.object(local, "Disk", LimpingDisk):
        sys.exit(main())
