"""Private files that survive a power cut."""

from __future__ import annotations

import os
from pathlib import Path

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def make_private_directory(directory: Path) -> None:
    """`directory` exists and nobody but its owner can enter it. Its parent must exist. Raises: OSError."""
    try:
        directory.mkdir(mode=DIRECTORY_MODE)
    except FileExistsError:
        if directory.stat().st_mode & 0o077:
            directory.chmod(DIRECTORY_MODE)
    else:
        sync_directory(directory.parent)


def make_private_file(path: Path) -> None:
    """A new empty file that only its owner can read. Raises: FileExistsError, OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE))


def sync_directory(directory: Path) -> None:
    """The names in `directory` are durable: a rename, a creation or a removal survives a power cut. Raises: OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
