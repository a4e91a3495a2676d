"""What is worth remembering, and what is given up when the disk or the quota says no."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.entries import PAIR
from tests.support.memory import ListNotifier
from watchdogd.adapters.store import memory
from watchdogd.adapters.store.memory import NAME, open_memory
from watchdogd.core.model import PairId

LAST_KNOWN = {"cluster": "east", "wal": 81, "seen": ["bastion", None], "at_utc_s": 1.5}


async def test_what_was_put_is_found_again_after_a_restart(tmp_path: Path) -> None:
    notifier = ListNotifier()
    async with open_memory(tmp_path, notifier) as remembering:
        assert remembering.get(PAIR, "last_known") is None
        assert await remembering.put(PAIR, {"last_known": LAST_KNOWN, "proof": {"ttl_s": 5}})
        assert await remembering.put(PairId("test"), {"last_known": {}})
        assert await remembering.put(PAIR, {"proof": {"ttl_s": 4}})
    async with open_memory(tmp_path, notifier) as remembering:
        assert remembering.get(PAIR, "last_known") == LAST_KNOWN
        assert remembering.get(PAIR, "proof") == {"ttl_s": 4}
        assert remembering.get(PairId("test"), "last_known") == {}
        assert remembering.get(PairId("test"), "proof") is None
    assert notifier.told == []


async def test_an_unchanged_value_costs_no_write(tmp_path: Path) -> None:
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        assert await remembering.put(PAIR, {"last_known": LAST_KNOWN})
        before = (tmp_path / (NAME + "-wal")).stat().st_size  # a test may wait
        assert await remembering.put(PAIR, {"last_known": dict(LAST_KNOWN)})
        assert (tmp_path / (NAME + "-wal")).stat().st_size == before


async def test_nothing_that_is_given_out_changes_what_is_remembered(tmp_path: Path) -> None:
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        seen = ["bastion"]
        await remembering.put(PAIR, {"last_known": {"seen": seen}})
        seen.append("meddler")
        given = remembering.get(PAIR, "last_known")
        assert given == {"seen": ["bastion"]}
        with pytest.raises(TypeError):
            given["seen"] = []  # type: ignore[index]


@pytest.mark.parametrize("value", [{"x": float("nan")}, {"x": object()}, {"x": "y" * memory.VALUE_BYTES_MAX}])
async def test_what_does_not_fit_is_not_kept_and_the_rest_is(tmp_path: Path, value: dict[str, object]) -> None:
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        assert await remembering.put(PAIR, {"proof": {"ttl_s": 5}})
        assert not await remembering.put(PAIR, {"proof": value, "last_known": LAST_KNOWN})
        assert remembering.get(PAIR, "proof") == {"ttl_s": 5}
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        assert remembering.get(PAIR, "proof") == {"ttl_s": 5}
        assert remembering.get(PAIR, "last_known") == LAST_KNOWN


async def test_the_quota_of_keys_holds_and_known_keys_still_change(tmp_path: Path) -> None:
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        assert await remembering.put(PAIR, {str(n): {"n": n} for n in range(memory.KEYS_MAX)})
        assert not await remembering.put(PAIR, {"one more": {"n": 1}})
        assert remembering.get(PAIR, "one more") is None
        assert await remembering.put(PAIR, {"7": {"n": 70}})


async def test_the_quota_of_bytes_holds_and_a_shorter_value_makes_room(tmp_path: Path) -> None:
    big = {"x": "y" * (memory.VALUE_BYTES_MAX - 100)}
    fitting = memory.TOTAL_BYTES_MAX // memory.VALUE_BYTES_MAX
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        assert await remembering.put(PAIR, {str(n): big for n in range(fitting)})
        assert not await remembering.put(PAIR, {"a": big, "b": big})
        assert await remembering.put(PAIR, {"0": {}, "1": {}})
        assert await remembering.put(PAIR, {"b": big})


async def test_what_the_disk_refused_is_remembered_meanwhile_and_stored_with_the_next_put(tmp_path: Path) -> None:
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        await remembering.put(PAIR, {"last_known": LAST_KNOWN})
        with closing(sqlite3.connect(tmp_path / NAME, isolation_level=None)) as meddler:
            meddler.execute("BEGIN IMMEDIATE")
            assert not await remembering.put(PAIR, {"proof": {"ttl_s": 5}})
            meddler.execute("ROLLBACK")
        assert remembering.get(PAIR, "proof") == {"ttl_s": 5}
        assert await remembering.put(PAIR, {"address": {"ip": "10.1.0.11"}})
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        assert remembering.get(PAIR, "proof") == {"ttl_s": 5}


async def test_a_cancelled_put_is_remembered_and_stored_with_the_next_one(tmp_path: Path) -> None:
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        async with asyncio.TaskGroup() as tasks:
            putting = tasks.create_task(remembering.put(PAIR, {"proof": {"ttl_s": 5}}))
            await asyncio.sleep(0)
            putting.cancel()
        assert await remembering.put(PAIR, {"last_known": LAST_KNOWN})
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        assert remembering.get(PAIR, "proof") == {"ttl_s": 5}


def ruin(path: Path, how: str) -> None:
    match how:
        case "no database":
            path.write_bytes(b"scribble" * 1000)
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(path.read_bytes()[:5000])
        case "newer":
            with closing(sqlite3.connect(path)) as meddler:
                meddler.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize("how", ["no database", "empty", "truncated", "newer"])
async def test_an_unreadable_memory_is_moved_aside_told_and_begun_anew(tmp_path: Path, how: str) -> None:
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        await remembering.put(PAIR, {"last_known": LAST_KNOWN})
    ruin(tmp_path / NAME, how)
    ruined = (tmp_path / NAME).read_bytes()
    notifier = ListNotifier()
    async with open_memory(tmp_path, notifier) as remembering:
        assert remembering.get(PAIR, "last_known") is None
        assert await remembering.put(PAIR, {"proof": {"ttl_s": 5}})
    assert [notice.key for notice in notifier.told] == ["memory_begun_anew"]
    assert (tmp_path / (NAME + ".unreadable")).read_bytes() == ruined
    async with open_memory(tmp_path, notifier) as remembering:
        assert remembering.get(PAIR, "proof") == {"ttl_s": 5}
    assert len(notifier.told) == 1


async def test_without_a_directory_it_remembers_until_the_end_and_says_so(tmp_path: Path) -> None:
    notifier = ListNotifier()
    async with open_memory(tmp_path / "nowhere", notifier) as remembering:
        assert not await remembering.put(PAIR, {"proof": {"ttl_s": 5}})
        assert remembering.get(PAIR, "proof") == {"ttl_s": 5}
    assert [notice.key for notice in notifier.told] == ["memory_not_stored"]


async def test_a_file_that_was_only_busy_at_the_start_is_taken_in_later(tmp_path: Path) -> None:
    async with open_memory(tmp_path, ListNotifier()) as remembering:
        await remembering.put(PAIR, {"last_known": LAST_KNOWN, "proof": {"ttl_s": 5}})
    away, notifier = tmp_path.with_name("away"), ListNotifier()
    tmp_path.rename(away)  # noqa: ASYNC240
    async with open_memory(tmp_path, notifier) as remembering:
        away.rename(tmp_path)
        assert await remembering.put(PAIR, {"proof": {"ttl_s": 4}})
        assert remembering.get(PAIR, "last_known") == LAST_KNOWN
        assert remembering.get(PAIR, "proof") == {"ttl_s": 4}
    assert notifier.keys() == {"memory_not_stored"}
