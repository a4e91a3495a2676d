"""The clocks of this machine. The one file that may read them."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The `Clock` port: CLOCK_BOOTTIME goes on while the machine sleeps and never jumps."""

    def now_s(self) -> float:
        """Seconds on CLOCK_BOOTTIME."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall_utc(self) -> datetime:
        """Aware UTC now."""
        return datetime.now(UTC)


def monotonic_usec() -> int:
    """CLOCK_MONOTONIC in microseconds: the clock by which systemd orders what it is told. Source: sd_notify(3)."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def read_boot_id(path: Path = BOOT_ID_FILE) -> str:
    """The kernel's id of this boot: stamps of one boot can be compared on CLOCK_BOOTTIME.

    Where it cannot be read, an id that no other process has: ages are then taken from the wall clock, never from
    the boottime of another boot. Source: random(4), kernel.org.
    """
    try:
        return path.read_text(encoding="ascii").strip() or str(uuid.uuid4())
    except (OSError, UnicodeDecodeError):
        return str(uuid.uuid4())
