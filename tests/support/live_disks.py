"""Disks that fail at a chosen moment, for a daemon that is a process of its own."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.support.live_daemon import DaemonProcess
from tests.support.live_pair import ServedWorld

DISK_BYTES = 24 * 1024 * 1024  # room for the ballast, and for taking it back
FRAME_BYTES = 24 + 4096  # of a write-ahead log. Source: sqlite.org/fileformat2.html, section 4.1
TRANSACTION_BYTES = 2 * FRAME_BYTES  # a page of the entries and one of their index
POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallDisk:
    """A file system of its own, mounted at `path`."""

    path: Path

    def fill(self) -> None:
        """Take the last byte."""
        with (self.path / "filler").open("ab", buffering=0) as filler, suppress(OSError):
            while filler.write(b"\0" * 4096):
                pass

    def empty(self) -> None:
        (self.path / "filler").unlink()

    @property
    def is_full(self) -> bool:
        return os.statvfs(self.path).f_bavail == 0


@contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk]:
    """Needs root."""
    options = f"size={DISK_BYTES},mode=0700"
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        yield SmallDisk(path=path)
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(path)], check=True)


async def fill_for_good(disk: SmallDisk, daemon: DaemonProcess) -> None:
    """Full, and the space that the daemon keeps back for an incident is spent too."""
    disk.fill()
    status, _ = await daemon.post("/pairs/prod/pause", {"reason": "spends the ballast"})
    assert status == 200
    await daemon.post("/pairs/prod/resume", {"reason": "goes on"})
    disk.fill()
    status, body = await daemon.post("/pairs/prod/pause", {"reason": "does not fit"})
    assert status == 503, body
    assert disk.is_full


class Ratchet:
    """About every other transaction of a daemon's journal fails before it is stored.

    The kernel forbids the daemon to make any file longer than its log is now, and `spare` transactions more. Each
    failure allows two transactions more: so what is tried again fits, and the next, and then one does not.
    """

    def __init__(self, world: ServedWorld, daemon: DaemonProcess, *, spare: int) -> None:
        self._world, self._daemon = world, daemon
        self._wal = world.state_dir / "journal.db-wal"
        self._allowed = self._wal.stat().st_size + spare * TRANSACTION_BYTES
        self.failed = 0.0

    async def turn_forever(self) -> None:
        self._forbid_more()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            before = await self._failures(session)
            while True:
                await asyncio.sleep(POLL_S)
                now = await self._failures(session)
                if now > before:
                    self.failed += now - before
                    before, self._allowed = now, self._allowed + 2 * TRANSACTION_BYTES
                    self._forbid_more()

    def _forbid_more(self) -> None:
        resource.prlimit(self._daemon.pid, resource.RLIMIT_FSIZE, (self._allowed, resource.RLIM_INFINITY))

    async def _failures(self, session: aiohttp.ClientSession) -> float:
        async with session.get(f"http://{self._world.http}/metrics") as reply:
            text = await reply.text()
        name = 'watchdogd_journal_writes_total{outcome="failed"}'
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))
