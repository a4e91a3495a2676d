"""Space kept back on the disk, so that the entries of an incident fit when everything else has filled it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from watchdogd.adapters.store.files import make_private_file

SIZE_BYTES = 4 * 1024 * 1024  # a run writes some 50 transactions of a few pages each: well under 1 MiB
ROOM_FACTOR = 4  # taken back only while this many times its size is free, so that it does not fill the disk itself


class Ballast:
    """A file of random bytes: really allocated also on file systems that compress or only promise space."""

    def __init__(self, path: Path, size_bytes: int = SIZE_BYTES) -> None:
        self._path = path
        self._size_bytes = size_bytes
        self._held = self._is_whole()

    @property
    def is_held(self) -> bool:
        """True while the space is kept back."""
        return self._held

    def release(self) -> bool:
        """Give the space back; False when there was none to give. Never raises."""
        if not self._held:
            return False
        self._drop()
        return True

    def restore(self) -> None:
        """Keep the space back again, if there is room. Never raises."""
        if self._held or not self._has_room():
            return
        self._drop()
        try:
            make_private_file(self._path)
            with self._path.open("r+b") as file:
                file.write(os.urandom(self._size_bytes))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self._drop()
        else:
            self._held = True

    def _drop(self) -> None:
        self._held = False
        # Cut first: a copy-on-write file system that is full may be unable to remove a name before it has space.
        with suppress(OSError):
            os.truncate(self._path, 0)
        with suppress(OSError):
            self._path.unlink()

    def _is_whole(self) -> bool:
        try:
            return self._path.stat().st_size == self._size_bytes
        except OSError:
            return False

    def _has_room(self) -> bool:
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize >= ROOM_FACTOR * self._size_bytes
