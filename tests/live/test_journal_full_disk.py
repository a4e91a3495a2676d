"""A real full disk: an incident still fits, then everything refuses cleanly, then all is well again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.entries import EAST, PAIR, RUN, run_opened
from tests.support.memory import HandClock, ListNotifier
from watchdogd.adapters.store import ballast
from watchdogd.adapters.store.journal import SqliteJournal, open_journal
from watchdogd.adapters.store.lock import locked
from watchdogd.adapters.store.memory import open_memory
from watchdogd.adapters.store.trouble import StateUnreadable, Trouble
from watchdogd.core.entries import FirstElected, Noted
from watchdogd.errors import Need, NeedsOperator

pytestmark = [pytest.mark.live, pytest.mark.real]
DISK_BYTES = 24 * 1024 * 1024
BIG = Noted(run_id=RUN, step="fence", note="x" * 4096)


class Machine(Protocol):
    def root(self, why: str) -> None: ...


@pytest.fixture
def disk(tmp_path: Path, need: Machine) -> Iterator[Path]:
    """A file system of its own."""
    need.root("it mounts a small tmpfs")
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["/bin/umount", "--lazy", str(tmp_path)], check=True)


def fill(disk: Path) -> None:
    """Take the last byte."""
    with (disk / "filler").open("ab", buffering=0) as filler, suppress(OSError):
        while filler.write(b"\0" * 4096):
            pass
    assert os.statvfs(disk).f_bavail == 0


def empty(disk: Path) -> None:
    (disk / "filler").unlink()


def make_read_only(disk: Path) -> None:
    subprocess.run(["/bin/mount", "-o", "remount,ro", str(disk)], check=True)


async def append_until_refused(journal: SqliteJournal) -> None:
    for _ in range(10_000):
        await journal.append(PAIR, BIG)


async def test_an_incident_fits_on_a_full_disk_and_what_no_longer_fits_is_refused_cleanly(disk: Path) -> None:
    async with open_journal(disk, clock=HandClock(), boot_id="b") as journal:
        await journal.append(PAIR, FirstElected(cluster=EAST))
        fill(disk)
        for _ in range(100):
            await journal.append(PAIR, BIG)
        assert not journal.health.has_ballast
        fill(disk)
        with pytest.raises(NeedsOperator) as refused:
            await append_until_refused(journal)
        assert refused.value.need is Need.JOURNAL
        assert "full" in refused.value.detail
        assert journal.ledger(PAIR).entries == journal.health.stored
        assert len(await journal.history(PAIR, limit=1000)) == journal.ledger(PAIR).entries
        assert not (await journal.answered()).has_ballast

        empty(disk)
        health = await journal.answered()
        assert (health.is_writable, health.has_ballast) == (True, True)
        await journal.append(PAIR, run_opened())
        before = journal.ledger(PAIR)
    async with open_journal(disk, clock=HandClock(), boot_id="b") as journal:
        assert journal.ledger(PAIR) == before


async def test_a_daemon_that_starts_on_a_full_disk_can_read_and_write_thanks_to_the_ballast(disk: Path) -> None:
    async with open_journal(disk, clock=HandClock(), boot_id="b") as journal:
        await journal.append(PAIR, FirstElected(cluster=EAST))
    fill(disk)
    with locked(disk):
        async with open_journal(disk, clock=HandClock(), boot_id="b") as journal:
            assert journal.ledger(PAIR).elected == EAST
            await journal.append(PAIR, run_opened())
            assert not (await journal.answered()).has_ballast


async def test_a_first_start_on_a_full_disk_says_so_and_the_next_one_begins_cleanly(disk: Path) -> None:
    fill(disk)
    with pytest.raises(StateUnreadable) as refused:
        async with open_journal(disk, clock=HandClock(), boot_id="b"):
            pytest.fail("it was opened")
    assert refused.value.trouble is Trouble.IO
    empty(disk)
    async with open_journal(disk, clock=HandClock(), boot_id="b") as journal:
        await journal.append(PAIR, FirstElected(cluster=EAST))


async def test_a_small_disk_has_a_journal_without_ballast(disk: Path) -> None:
    (disk / "filler").write_bytes(b"\0" * (DISK_BYTES - 2 * ballast.SIZE_BYTES))
    async with open_journal(disk, clock=HandClock(), boot_id="b") as journal:
        await journal.append(PAIR, FirstElected(cluster=EAST))
        assert not journal.health.has_ballast


async def test_a_read_only_disk_is_refused_at_the_start_with_nothing_changed(disk: Path) -> None:
    async with open_journal(disk, clock=HandClock(), boot_id="b") as journal:
        await journal.append(PAIR, FirstElected(cluster=EAST))
    make_read_only(disk)
    with pytest.raises(StateUnreadable) as refused:
        async with open_journal(disk, clock=HandClock(), boot_id="b"):
            pytest.fail("it was opened")
    assert refused.value.trouble is Trouble.IO


async def test_a_memory_on_a_full_disk_goes_on_in_ram_and_is_stored_when_there_is_room(disk: Path) -> None:
    big = {"wal": 81, "padding": "x" * 60_000}
    async with open_memory(disk, ListNotifier()) as remembering:
        assert await remembering.put(PAIR, {"proof": {"ttl_s": 5}})
        fill(disk)
        assert not await remembering.put(PAIR, {"last_known": big})
        assert remembering.get(PAIR, "last_known") == big
        empty(disk)
        assert await remembering.put(PAIR, {"proof": {"ttl_s": 4}})
    async with open_memory(disk, ListNotifier()) as remembering:
        assert remembering.get(PAIR, "last_known") == big


async def test_a_memory_that_begins_on_a_full_disk_never_raises(disk: Path) -> None:
    fill(disk)
    notifier = ListNotifier()
    async with open_memory(disk, notifier) as remembering:
        assert not await remembering.put(PAIR, {"proof": {"ttl_s": 5}})
        empty(disk)
        assert await remembering.put(PAIR, {"proof": {"ttl_s": 4}})
    assert notifier.keys() == {"memory_not_stored"}
