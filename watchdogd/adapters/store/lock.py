"""One daemon per state directory: a lock that the kernel gives back, however its holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from watchdogd.adapters.store.files import FILE_MODE, make_private_directory
from watchdogd.adapters.store.trouble import StateUnreadable, Trouble
from watchdogd.errors import ConfigError

NAME = "lock"
PID_BYTES_MAX = 32


class StateLocked(ConfigError):
    """Another daemon holds the state directory. `holder_pid` is None when the file does not say which."""

    def __init__(self, state_dir: Path, holder_pid: int | None) -> None:
        who = "another process" if holder_pid is None else f"process {holder_pid}"
        super().__init__(
            (f"state_dir {state_dir} is in use by {who}: stop it, or give this one a directory of its own",)
        )
        self.state_dir = state_dir
        self.holder_pid = holder_pid


@contextmanager
def locked(state_dir: Path) -> Iterator[None]:
    """Hold `state_dir` alone, creating it (0700) when it is missing. Before anything is bound or opened in it.

    Children do not inherit the lock. The file stays behind: removing it would let two processes lock two files.

    Raises: StateLocked, StateUnreadable(IO).
    """
    try:
        make_private_directory(state_dir)
        descriptor = os.open(state_dir / NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    except OSError as exc:
        raise StateUnreadable(Trouble.IO, state_dir / NAME, f"cannot be locked ({exc.strerror})") from exc
    try:
        _take(descriptor, state_dir)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, state_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StateLocked(state_dir, _holder(descriptor)) from None
    except OSError as exc:
        raise StateUnreadable(Trouble.IO, state_dir / NAME, f"cannot be locked ({exc.strerror})") from exc
    _say_who(descriptor)


def _say_who(descriptor: int) -> None:
    """Write our pid, for people. A full disk is no reason not to start."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        return


def _holder(descriptor: int) -> int | None:
    said = os.pread(descriptor, PID_BYTES_MAX, 0).strip()
    return int(said) if said.isdigit() else None
