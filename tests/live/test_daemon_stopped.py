"""TERM at many moments of a run, by what the lab or the daemon itself says: it ends at a safe point, and goes on later.

A safe point is before the first effect, or after the target was verified as primary (DESIGN section 2). That the fence
goes on is told in `test_daemon_live.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.test_daemon_live import (
    DEMOTED,
    PROMOTED,
    PUBLISHED,
    assert_nothing_was_lost,
    ended_well,
    settled,
    step_ended,
)
from tests.support.live_daemon import DaemonProcess
from tests.support.live_pair import DETECTED_S_MAX, PAIR, ServedWorld, happened, served_world, until_ready
from tests.support.live_stories import Story, Told, names_asked_for, told_together
from watchdogd.cli.ctl_last import last_known
from watchdogd.lab.events import Event, What

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

STOPPED_S_MAX = 80.0
Moment = Callable[[ServedWorld, DaemonProcess], Awaitable[object]]


def seen(wanted: Callable[[Event], bool]) -> Moment:
    return lambda world, daemon: world.seen(wanted, timeout_s=DETECTED_S_MAX)


def said(wanted: Callable[[dict[str, object]], bool]) -> Moment:
    return lambda world, daemon: daemon.said(wanted, timeout_s=DETECTED_S_MAX)  # type: ignore[arg-type]


def stopped_when(moment: Moment, *, back_first: bool = False) -> Story:
    async def story(folder: Path) -> None:
        async with served_world(folder) as world:
            async with world.daemon() as daemon:
                await until_ready(daemon)
                world.lose_region("east")
                if back_first:
                    await world.seen(PUBLISHED, timeout_s=DETECTED_S_MAX)
                    world.lab.clear_faults()
                await moment(world, daemon)
                asked_s = world.lab.now_s()
                assert await daemon.terminate() == 0
                assert world.lab.now_s() - asked_s <= STOPPED_S_MAX
            assert_at_a_safe_point(world)
            async with world.daemon() as daemon:
                if not back_first:
                    await world.seen(PUBLISHED, timeout_s=DETECTED_S_MAX)
                    world.lab.clear_faults()
                await settled(world)
                await ended_well(daemon)
            assert_nothing_was_lost(world)

    return story


def assert_at_a_safe_point(world: ServedWorld) -> None:
    """Nothing was sent, or the target is primary, and the journal knows it."""
    (pair,) = last_known(world.state_dir, datetime.fromtimestamp(0, UTC))["pairs"]  # type: ignore[union-attr, misc]
    assert isinstance(pair, dict)
    assert pair["pair"] == PAIR
    if not world.sent("dr/secondary/promote"):
        assert (pair["elected"], world.lab.world.applied) == ("east", [])
        return
    assert (pair["elected"], world.lab.world.primary()) == ("west", "west")


STORIES: dict[str, Story] = {
    "the run takes its slot": stopped_when(said(lambda line: line["event"] == "run_opened")),
    "the credential is at hand": stopped_when(said(step_ended("credential", "done"))),
    "the promote arrives": stopped_when(seen(PROMOTED)),
    "the promote takes effect": stopped_when(seen(happened(What.APPLIED, verb="promote", cluster="west"))),
    "the name is changed": stopped_when(seen(happened(What.NAME_CHANGED))),
    "the demote arrives": stopped_when(seen(DEMOTED), back_first=True),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    async with told_together(STORIES, names_asked_for(request), tmp_path_factory.mktemp) as tasks:
        yield tasks


@pytest.mark.parametrize("story", STORIES)
async def test_it_ends_at_a_safe_point_and_goes_on_later_when_told_to_stop_as(story: str, told: Told) -> None:
    if (failure := await told[story]) is not None:
        raise failure
