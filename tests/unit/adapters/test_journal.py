"""What every journal keeps, on disk and in the memory of other tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.support.entries import EAST, PAIR, RUN, WEST, run_opened
from tests.support.memory import HandClock
from watchdogd.adapters.store.journal import open_journal
from watchdogd.core.entries import ElectionConfirmed, FirstElected, HoldPlaced, Noted, PromoteIntended, StepIntended
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import PairId
from watchdogd.errors import Need, NeedsOperator
from watchdogd.ports import Chronicle
from watchdogd.rehearsal.memory import MemoryJournal

Opening = Callable[[], AbstractAsyncContextManager[Chronicle]]


@pytest.fixture(params=["disk", "memory"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Opens the same journal again and again; each opening is a new daemon on the same boot."""
    if request.param == "disk":
        return lambda: open_journal(tmp_path, clock=HandClock(), boot_id="boot-1")
    kept = [MemoryJournal(clock=HandClock())]

    @asynccontextmanager
    async def reopened() -> AsyncIterator[Chronicle]:
        kept.append(kept[-1].reopened())
        yield kept[-1]

    return reopened


async def test_a_pair_without_entries_has_an_empty_ledger(opening: Opening) -> None:
    async with opening() as journal:
        assert journal.ledger(PAIR) == Ledger()
        assert journal.health.is_writable


async def test_what_was_appended_is_in_the_ledger_and_found_again(opening: Opening) -> None:
    async with opening() as journal:
        await journal.append(PAIR, FirstElected(cluster=EAST))
        await journal.append(
            PAIR,
            run_opened(waivers=("loss",)),
            StepIntended(run_id=RUN, step="promote", look_ended_s=3.25),
            PromoteIntended(run_id=RUN, epoch=1, elected=WEST, debtor=EAST),
        )
        before = journal.ledger(PAIR)
    assert (before.elected, before.epoch, before.entries) == (WEST, 1, 4)
    async with opening() as journal:
        assert journal.ledger(PAIR) == before
        await journal.append(PAIR, ElectionConfirmed(epoch=1))
        assert journal.ledger(PAIR).entries == 5


async def test_pairs_do_not_see_each_other(opening: Opening) -> None:
    async with opening() as journal:
        await journal.append(PAIR, FirstElected(cluster=EAST))
        await journal.append(PairId("test"), FirstElected(cluster=WEST))
        assert (journal.ledger(PAIR).elected, journal.ledger(PairId("test")).elected) == (EAST, WEST)


async def test_appending_nothing_writes_nothing(opening: Opening) -> None:
    async with opening() as journal:
        await journal.append(PAIR)
        assert await journal.history(None, limit=10) == ()


async def test_the_stamp_is_of_the_clock_and_of_the_boot(opening: Opening) -> None:
    async with opening() as journal:
        await journal.append(PAIR, HoldPlaced(cause="reload"))
        (recorded,) = await journal.history(PAIR, limit=1)
    clock = HandClock()
    assert (recorded.stamp.at_s, recorded.stamp.boot_id) == (clock.now_s(), "boot-1")
    assert recorded.stamp.at_utc_s == clock.wall_utc().timestamp()


async def test_history_is_newest_first_bounded_and_goes_on_where_it_ended(opening: Opening) -> None:
    async with opening() as journal:
        for number in range(6):
            pair = PAIR if number % 2 == 0 else PairId("test")
            await journal.append(pair, Noted(run_id=RUN, step="step", note=str(number)))
        everything = await journal.history(None, limit=100)
        assert [r.seq for r in everything] == [6, 5, 4, 3, 2, 1]
        first = await journal.history(PAIR, limit=2)
        assert [r.seq for r in first] == [5, 3]
        assert {r.pair for r in first} == {PAIR}
        assert [r.seq for r in await journal.history(PAIR, limit=2, before=3)] == [1]
        assert list(await journal.history(PAIR, limit=0)) == []
        assert list(await journal.history(PAIR, limit=-1)) == []


async def test_what_cannot_be_stored_is_a_bug_that_leaves_no_trace_on_disk(tmp_path: Path) -> None:
    async with open_journal(tmp_path, clock=HandClock(), boot_id="b") as journal:
        bad = StepIntended(run_id=RUN, step="promote", look_ended_s=float("inf"))
        with pytest.raises(NeedsOperator) as refused:
            await journal.append(PAIR, FirstElected(cluster=EAST), bad)
        assert refused.value.need is Need.BUG
        assert journal.ledger(PAIR) == Ledger()
        assert await journal.history(None, limit=9) == ()


async def test_appends_of_many_tasks_do_not_overtake_each_other(tmp_path: Path) -> None:
    async with open_journal(tmp_path, clock=HandClock(), boot_id="b") as journal:
        async with asyncio.TaskGroup() as tasks:
            for number in range(50):
                tasks.create_task(journal.append(PAIR, Noted(run_id=RUN, step="step", note=str(number))))
        notes = [r.entry.note for r in await journal.history(PAIR, limit=50) if isinstance(r.entry, Noted)]
        assert notes == [str(n) for n in reversed(range(50))]
        assert journal.health.stored == 50


async def test_a_cancelled_append_is_in_the_ledger_exactly_when_it_is_on_disk(tmp_path: Path) -> None:
    async with open_journal(tmp_path, clock=HandClock(), boot_id="b") as journal:
        async with asyncio.TaskGroup() as tasks:
            waiting = [
                tasks.create_task(journal.append(PAIR, Noted(run_id=RUN, step="step", note=str(n)))) for n in range(20)
            ]
            await asyncio.sleep(0)
            for task in waiting[::2]:
                task.cancel()
        stored = await journal.history(PAIR, limit=100)
        assert 10 <= len(stored) <= 20
        in_ledger = journal.ledger(PAIR).entries
    assert in_ledger == len(stored)
    async with open_journal(tmp_path, clock=HandClock(), boot_id="b") as journal:
        assert journal.ledger(PAIR).entries == in_ledger


async def test_every_write_is_counted_and_measured(tmp_path: Path) -> None:
    seen: list[tuple[bool, float]] = []
    opened = open_journal(
        tmp_path, clock=HandClock(), boot_id="b", on_write=lambda stored, took_s: seen.append((stored, took_s))
    )
    async with opened as journal:
        await journal.append(PAIR, FirstElected(cluster=EAST))
        health = await journal.answered()
    assert [stored for stored, _ in seen] == [True]
    assert seen[0][1] == health.last_write_s
    assert health.last_write_s is not None
    assert health.last_write_s > 0


def modes_in(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}


async def test_the_files_are_private(tmp_path: Path) -> None:
    async with open_journal(tmp_path, clock=HandClock(), boot_id="b") as journal:
        await journal.append(PAIR, FirstElected(cluster=EAST))
        modes = modes_in(tmp_path)
    assert set(modes) >= {"journal.db", "journal.db-wal", "journal.ballast"}
    assert set(modes.values()) == {0o600}


async def test_the_loop_goes_on_while_the_disk_is_slow(tmp_path: Path) -> None:
    slow = asyncio.Event()

    async def ticking(until: Awaitable[None]) -> int:
        ticks = 0
        while not slow.is_set():
            ticks += 1
            await asyncio.sleep(0)
        await until
        return ticks

    async with open_journal(tmp_path, clock=HandClock(), boot_id="b") as journal, asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(journal.append(PAIR, *(Noted(run_id=RUN, step="s", note="x" * 4096),) * 500))
        writing.add_done_callback(lambda _: slow.set())
        assert await ticking(writing) > 10
