"""The daemon's own event loop is late: nobody is seen to be down by it, and it is we who are paged, by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.stage import Stage
from watchdogd.core.budget import worst_case
from watchdogd.core.model import NodeSeen, Reading
from watchdogd.core.policy import Level
from watchdogd.daemon.watching import PairDesk
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import Notice, Severity
from watchdogd.rehearsal.pair_asked import DEMO
from watchdogd.rehearsal.virtual_time import move

KEY = "overloaded"
DOWN = frozenset({Reading.SILENT, Reading.LEADERLESS})
SHARE_S = DEMO.probe_timeout_s / 4


@asynccontextmanager
async def busy(for_s: float, every_s: float) -> AsyncIterator[None]:
    """The loop is busy elsewhere, again and again: nothing of it runs meanwhile, and time passes."""

    async def again() -> None:
        while True:
            await asyncio.sleep(every_s)
            move(asyncio.get_running_loop(), for_s)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(again(), name="busy")
        try:
            yield
        finally:
            task.cancel()


def told(stage: Stage, key: str) -> list[Notice]:
    return [notice for notice in stage.notifier.told if notice.key == key]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[NodeSeen]:
    """Every round that was read."""
    rounds: list[NodeSeen] = []
    take = PairDesk.take

    def and_keep(desk: PairDesk, *seen: NodeSeen) -> None:
        rounds.extend(seen)
        take(desk, *seen)

    monkeypatch.setattr(PairDesk, "take", and_keep)
    return rounds


@pytest.mark.parametrize(("for_s", "every_s"), [(0.5, 0.01), (0.9, 0.013), (2.4, 0.03)])
async def test_living_nodes_are_never_read_as_down_and_the_overload_is_paged_within_two_windows(
    seen: list[NodeSeen], for_s: float, every_s: float
) -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(30)
        async with busy(for_s, every_s):
            await stage.run_for(2 * DEMO.down_after_s)
            assert any(one.we_were_late for one in seen)
            (page, *_) = told(stage, KEY)
            assert page.severity is Severity.PAGE
            assert "this daemon is overloaded" in page.summary
            await stage.run_for(60)
        assert not DOWN & {one.reading for one in seen}
        assert stage.world.applied == []
        await stage.run_for(3 * DEMO.down_after_s)
        assert KEY not in {notice.key for notice in stage.unit.alarms.standing}
        assert stage.decision.row.id == "S-10"


async def test_a_dead_primary_is_not_seen_to_be_down_until_we_can_look_again(seen: list[NodeSeen]) -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(30)
        async with busy(0.5, 0.3):
            stage.fault(FaultKind.BLACKOUT, "region:east")
            await stage.run_for(60)
            assert told(stage, KEY)
            assert stage.world.applied == []
            assert not any(one.reading is Reading.SILENT for one in seen)
        began_s = stage.clock.now_s()
        decided_s = await stage.run_till("S-30", within_s=60)
        assert decided_s - began_s <= worst_case(DEMO, fence_timeout_s=None).detection_s


async def test_a_dead_primary_is_seen_to_be_down_in_time_by_a_loop_that_is_a_little_busy(seen: list[NodeSeen]) -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(30)
        async with busy(0.9 * SHARE_S, DEMO.probe_timeout_s):
            stage.fault(FaultKind.BLACKOUT, "region:east")
            lost_s = stage.clock.now_s()
            decided_s = await stage.run_till("S-30", within_s=60)
        assert decided_s - lost_s <= worst_case(DEMO, fence_timeout_s=None).detection_s
        assert {one.reading for one in seen if one.cluster == "east" and one.started_s > lost_s} == {Reading.SILENT}
        assert not told(stage, KEY)
