"""The crash matrix again, on the App itself: its own loops decide, resume, park and open (I3).

`tests/runbooks/test_crash_matrix.py` crosses every point with everything that the world may do, with a small decision
loop of its own in the daemon's place. Here the daemon's own composition root is killed and started again, so that no
defect of its loops hides behind that one.
"""

from __future__ import annotations

import asyncio

import looptime
import pytest

from tests.runbooks.test_crash_matrix import POINTS
from tests.support.drill_ends import Meanwhile
from tests.support.play_crossing import Crossed, Kept, incident
from watchdogd.core.ledger import Run
from watchdogd.errors import Need
from watchdogd.rehearsal.site import EAST, WEST

AT_ONCE_S, LATE_S = 0.0, 30.0
WORLDS = (Meanwhile.NOTHING, Meanwhile.A_BACK_PRIMARY, Meanwhile.B_BY_HAND)


async def clean_incident() -> list[Kept]:
    """East is lost, west is promoted and published, east returns and is demoted: every point of it."""
    kept: list[Kept] = []
    stage = Crossed(incident())

    async def story() -> None:
        stage.start()
        await stage.pass_by(16.0)
        stage.fuse = lambda point: kept.append(stage.keep(point))
        stage.lose(EAST)
        assert await stage.until(stage.is_owed, within_s=60.0), f"{stage.invariants.broken}{stage.story.text()}"
        assert await stage.until(lambda: stage.ledger.run is None, within_s=60.0), stage.story.text()
        stage.mend()
        assert await stage.until(lambda: stage.is_settled(WEST), within_s=60.0), stage.story.text()

    await stage.on_stage(story)
    assert not stage.invariants.broken
    return kept


@pytest.fixture(scope="module")
def kept() -> list[Kept]:
    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(noop_cycles=1, idle_timeout=5)) as runner:
        return runner.run(clean_incident())


def test_a_clean_incident_of_the_app_burns_the_points_of_the_matrix(kept: list[Kept]) -> None:
    assert [one.point for one in kept] == list(POINTS)


async def take_up(one: Kept, restarted_s: float, meanwhile: Meanwhile) -> list[str]:
    """What is wrong with how the next incarnation ends, in sentences."""
    stage = Crossed(incident())
    wrong: list[str] = []

    async def story() -> None:
        stage.take_over(one)
        by_hand = await stage.change(meanwhile)
        await stage.pass_by(restarted_s)
        stage.start()
        has_rested = await stage.rests(within_s=900.0)
        wrong.extend(stage.broken_rules(by_hand))
        wrong.extend(wrong_ends(stage, meanwhile) if has_rested else ["never rests"])

    await stage.on_stage(story)
    return [f"[{one.point}, {restarted_s:.0f} s, {meanwhile}]: {what}\n{stage.story.text()}" for what in wrong]


def wrong_ends(stage: Crossed, meanwhile: Meanwhile) -> list[str]:
    """That it converged, or says what it waits for; and which of the two, where the world leaves no doubt."""
    run = stage.ledger.run
    if run is not None:
        return [] if may_park(run, meanwhile) else [f"parked: {run.parked_need} {run.parked_why!r}"]
    is_promoted = any(effect.verb == "promote" for effect in stage.world.applied)
    match meanwhile:
        case Meanwhile.NOTHING:
            is_right = stage.is_settled(WEST) or stage.is_owed()
        case Meanwhile.A_BACK_PRIMARY:
            is_right = stage.is_settled(WEST if is_promoted else EAST)
        case _:
            is_right = stage.is_settled(WEST) or stage.is_owed() or stage.is_waiting()
    return [] if is_right else ["it neither converged nor says what it waits for"]


def may_park(run: Run, meanwhile: Meanwhile) -> bool:
    """Only after something foreign, or where the intent of a promote is all that is known of it."""
    match Need(run.parked_need):
        case Need.FOREIGN:
            return meanwhile is Meanwhile.B_BY_HAND
        case Need.OUTCOME_UNKNOWN:
            return meanwhile is not Meanwhile.NOTHING and run.step("promote").is_unsure
        case _:
            return False


@pytest.mark.matrix
@pytest.mark.parametrize("meanwhile", WORLDS)
async def test_an_app_killed_anywhere_and_started_at_once_converges_or_parks(
    kept: list[Kept], meanwhile: Meanwhile
) -> None:
    wrong = [what for one in kept for what in await take_up(one, AT_ONCE_S, meanwhile)]
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.matrix
@pytest.mark.parametrize("meanwhile", WORLDS)
async def test_an_app_killed_anywhere_and_started_late_converges_or_parks(
    kept: list[Kept], meanwhile: Meanwhile
) -> None:
    wrong = [what for one in without_echoes(kept) for what in await take_up(one, LATE_S, meanwhile)]
    assert not wrong, "\n\n".join(wrong)


def without_echoes(kept: list[Kept]) -> list[Kept]:
    """Half a minute later it makes no difference whether the kill came after one write or before the next."""
    return [one for one, before in zip(kept[1:], kept, strict=False) if one.marks != before.marks]
