"""`watchdogctl status` while no daemon answers: read-only, with its age, and never taken for the truth."""

from __future__ import annotations

import json
import sqlite3
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.memory import ListNotifier
from watchdogd.adapters.store.journal import open_journal
from watchdogd.adapters.store.memory import open_memory
from watchdogd.cli.ctl import Exit, main
from watchdogd.cli.ctl_last import NothingKept, last_known
from watchdogd.core.entries import FirstElected, Paused, PromoteIntended, Runbook, RunOpened, StepIntended
from watchdogd.core.model import ClusterId, PairId, RunId
from watchdogd.rehearsal.memory import LoopClock

PAIR, EAST, WEST = PairId("prod"), ClusterId("east"), ClusterId("west")
RUN = RunId("prod-2-failover")


async def written(state: Path, stack: AsyncExitStack) -> None:
    journal = await stack.enter_async_context(open_journal(state, clock=LoopClock(), boot_id="boot-1"))
    opened = RunOpened(
        run_id=RUN, incident_id="i", runbook=Runbook.FAILOVER, source=EAST, target=WEST, situation="S-30", why="down",
        waivers=("window",),
    )  # fmt: skip
    await journal.append(PAIR, FirstElected(cluster=EAST), opened)
    intended = StepIntended(run_id=RUN, step="promote")
    await journal.append(PAIR, intended, PromoteIntended(run_id=RUN, epoch=1, elected=WEST, debtor=EAST))
    await journal.append(PAIR, Paused(reason="weekend"))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def kept_in(state: Path) -> dict[str, bytes]:
    """Every file but the lock table of those who have it open."""
    return {path.name: path.read_bytes() for path in state.iterdir() if not path.name.endswith("-shm")}


def argv(state: Path, *words: str) -> list[str]:
    return ["--socket", str(state / "none.sock"), "--state-dir", str(state), *words]


@pytest.mark.parametrize("is_closed", [True, False])
async def test_it_says_what_was_known_and_changes_nothing(
    state: Path, capsys: pytest.CaptureFixture[str], is_closed: bool
) -> None:
    async with AsyncExitStack() as stack:
        await written(state, stack)
        if is_closed:
            await stack.aclose()
        before = kept_in(state)
        assert main(argv(state, "status")) == Exit.NO_DAEMON
        said = capsys.readouterr()
        assert kept_in(state) == before
        assert is_closed is (not (state / "journal.db-wal").exists())
    assert said.out.startswith("NOT LIVE")
    for word in (
        "elected    west, epoch 1",
        f"failover {RUN} is open",
        "PAUSED     weekend",
        "debt of    east",
        "promote    WAS SENT to west",
    ):
        assert word in said.out
    assert "no daemon answers" in said.err


async def test_its_age_is_that_of_the_last_entry(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with AsyncExitStack() as stack:
        await written(state, stack)
    written_at = LoopClock().wall_utc().timestamp()
    (pair,) = last_known(state, datetime.fromtimestamp(written_at + 90, UTC))["pairs"]  # type: ignore[union-attr, misc]
    assert isinstance(pair, dict)
    assert 80 <= float(str(pair["age_s"])) <= 100
    assert main(argv(state, "status", "--json")) == Exit.NO_DAEMON
    assert json.loads(capsys.readouterr().out)["live"] is False


@pytest.mark.parametrize("raw", [None, b"", b"no database at all" * 100])
def test_what_cannot_be_read_is_said_in_one_sentence(state: Path, raw: bytes | None) -> None:
    if raw is not None:
        (state / "journal.db").write_bytes(raw)
    with pytest.raises(NothingKept):
        last_known(state, datetime.fromtimestamp(0, UTC))


@pytest.mark.parametrize("name", ["journal.db", "memory.db"])
async def test_what_a_newer_version_wrote_is_told_and_not_misread(state: Path, name: str) -> None:
    async with AsyncExitStack() as stack:
        await written(state, stack)
        memory = await stack.enter_async_context(open_memory(state, ListNotifier()))
        await memory.put(PAIR, {"heartbeat": {"at_utc_s": 0.0}})
    with closing(sqlite3.connect(state / name)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(NothingKept, match=f"{name}: version 2 was written by a newer watchdogd"):
        last_known(state, datetime.fromtimestamp(0, UTC))


def test_a_verb_that_acts_says_nothing_of_the_past(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv(state, "ack", "--pair", "prod", "--reason", "x")) == Exit.NO_DAEMON
    assert capsys.readouterr().out == ""
