"""The one thread that writes: in order, beside the loop, and noticed when it hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from watchdogd.adapters.store.writer import Writer


@pytest.fixture
async def writer() -> AsyncIterator[Writer]:
    writer = Writer("test")
    yield writer
    await writer.close(lambda: None)


async def test_a_disk_that_hangs_is_noticed_by_whoever_bounds_the_answer_and_goes_on_later(writer: Writer) -> None:
    disk, done = threading.Event(), []
    async with asyncio.TaskGroup() as tasks:
        hanging = tasks.create_task(writer.run(lambda: disk.wait(30)))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await writer.run(lambda: done.append("answered"))
        assert not hanging.done()
        disk.set()
    assert hanging.result()
    await writer.run(lambda: done.append("next"))
    assert done == ["next"]  # who stopped waiting before the job began gets nothing done


async def test_jobs_run_in_one_thread_and_in_order(writer: Writer) -> None:
    seen: list[tuple[int, int]] = []
    async with asyncio.TaskGroup() as tasks:
        for number in range(100):
            tasks.create_task(writer.run(lambda n=number: seen.append((n, threading.get_ident()))))
    assert [number for number, _ in seen] == list(range(100))
    assert {ident for _, ident in seen} != {threading.get_ident()}
    assert len({ident for _, ident in seen}) == 1


async def test_what_a_job_raises_reaches_whoever_asked(writer: Writer) -> None:
    with pytest.raises(ZeroDivisionError):
        await writer.run(lambda: 1 // 0)


async def test_closing_runs_the_last_job_after_all_the_rest() -> None:
    writer, seen = Writer("test"), []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run(lambda: seen.append("write")))
        await asyncio.sleep(0)
        await writer.close(lambda: seen.append("close"))
    assert seen == ["write", "close"]
