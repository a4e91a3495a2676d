"""Kill the daemon at every point, let the world change meanwhile, and start it again (I3, STYLE rule 10).

One clean incident burns every point: before and after each journal write, and before and after each effect. At each
the site is kept as SIGKILL would leave it, and taken up again by a new incarnation, at once, after 30 s and after more
than `resume_max_age`, for everything that the world may do meanwhile.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from itertools import product

import looptime
import pytest

from tests.support.drill import Drill
from tests.support.drill_ends import MAY_WAIT, Meanwhile, Rest, broken_rules, change_the_world, is_owed
from tests.support.drill_site import EAST, TIMING, WEST, Setting, Site
from watchdogd.core.ledger import Run
from watchdogd.errors import Need

QUIET = Setting(client_every_s=None)
RESTARTED_S = (0.0, 30.0, 700.0)
QUICK_SAMPLE = 60

# What a clean incident burns: the failover, the cut-over, and the settling of the debt when east returns.
FAILOVER_POINTS = """
    journal run_opened
    journal step_done
    journal step_done
    journal step_done
    journal step_intended+fence_intended
    fence on east
    journal fence_held+noted
    journal step_done
    journal step_intended+promote_intended+noted
    vault promote west
    journal step_done+election_confirmed
    journal step_done
    journal noted
    journal step_done+ack_asked
    journal run_ended
"""
CUTOVER_POINTS = """
    journal run_opened
    journal step_done
    journal step_intended
    dns swap
    journal noted
    journal step_done
    journal noted
    journal step_done
    journal run_ended
"""
SETTLE_POINTS = """
    journal run_opened
    journal step_intended
    vault demote east
    journal step_done+debt_closed
    journal step_intended
    fence off east
    journal fence_released+noted
    journal step_done
    journal step_done
    journal step_done
    journal run_ended
"""


def points_of(text: str) -> tuple[str, ...]:
    """Before and after each."""
    names = [line.split(maxsplit=1) for line in text.strip().splitlines()]
    return tuple(f"{by} {when} {what}" for by, what in names for when in ("before", "after"))


POINTS = points_of(FAILOVER_POINTS) + points_of(CUTOVER_POINTS) + points_of(SETTLE_POINTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The site at one point of the clean incident."""

    point: str
    site: bytes


async def clean_incident() -> list[Kept]:
    """East is lost, west is promoted and published, east returns and is demoted: every point of it."""
    kept: list[Kept] = []

    def keep(point: str) -> None:
        if is_counted:
            kept.append(Kept(point=point, site=drill.site.snapshot()))

    is_counted = False
    async with Drill(QUIET, fuse=keep) as drill:
        await drill.healthy()
        is_counted = True
        drill.site.lose(EAST)
        await drill.until(lambda: drill.ledger.epoch == 1 and drill.ledger.run is None, within_s=60)
        await drill.until(lambda: len(drill.ended) == 2, within_s=60)
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(WEST), within_s=60)
        await drill.until(lambda: drill.ledger.run is None, within_s=60)
    return kept


@pytest.fixture(scope="module")
def kept() -> list[Kept]:
    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(noop_cycles=1, idle_timeout=5)) as runner:
        return runner.run(clean_incident())


def test_a_clean_incident_burns_exactly_the_points_of_the_matrix(kept: list[Kept]) -> None:
    assert [one.point for one in kept] == list(POINTS)


async def take_up(one: Kept, restarted_s: float, meanwhile: Meanwhile) -> list[str]:
    """What is wrong with how the next incarnation ends, in sentences."""
    site = Site.restored(one.site)
    by_hand = await change_the_world(site, meanwhile)
    await asyncio.sleep(restarted_s)
    async with Drill(site=site) as drill:
        drill.start()
        rest = Rest(drill=drill)
        try:
            await drill.until(rest.has_come, within_s=900.0, every_s=1.0)
        except AssertionError as error:
            return [f"{label(one, restarted_s, meanwhile)} never rests: {error}"]
        wrong = [*broken_rules(drill, by_hand), *wrong_ends(drill, one, restarted_s, meanwhile)]
        where = label(one, restarted_s, meanwhile)
        return [f"{where}: {what}\n{drill.story()}" for what in wrong]


def label(one: Kept, restarted_s: float, meanwhile: Meanwhile) -> str:
    return f"[{one.point}, {restarted_s:.0f} s, {meanwhile}]"


def wrong_ends(drill: Drill, one: Kept, restarted_s: float, meanwhile: Meanwhile) -> list[str]:
    """That it converged, or says what it waits for; and which of the two, where the world leaves no doubt."""
    run = drill.ledger.run
    if run is not None:
        return [] if may_park(run, one, restarted_s, meanwhile) else [f"parked: {run.parked_need} {run.parked_why!r}"]
    decision = drill.daemon.decision
    match meanwhile:
        case Meanwhile.A_BACK_PRIMARY:
            is_right = drill.is_settled(WEST if drill.site.applied("promote") else EAST)
        case Meanwhile.NOTHING:
            is_right = drill.is_settled(WEST) or is_owed(drill)
        case _:
            is_waiting = decision is not None and decision.row.act in MAY_WAIT
            is_right = drill.is_settled(EAST) or drill.is_settled(WEST) or is_owed(drill) or is_waiting
    return [] if is_right else ["it neither converged nor says what it waits for"]


def may_park(run: Run, one: Kept, restarted_s: float, meanwhile: Meanwhile) -> bool:
    """Only where a human is needed: after too long, after something foreign, or with an outcome that nobody knows."""
    is_quiet = meanwhile in (Meanwhile.NOTHING, Meanwhile.NAME_BY_HAND)
    match Need(run.parked_need):
        case Need.STALE_RUN:
            return restarted_s > TIMING.resume_max_age_s and run.step("promote").was_never_applied
        case Need.OUTCOME_UNKNOWN | Need.DEADLINE:
            return not is_quiet and bool(run.parked_why)
        case Need.FOREIGN:
            return meanwhile in (Meanwhile.B_BY_HAND, Meanwhile.SWAPPED_BY_HAND)
        case _:
            return False


# -- the matrix --------------------------------------------------------------------------------------------------------

SEEDED = random.Random(20261122)
ALL = tuple(product(range(len(POINTS)), RESTARTED_S, Meanwhile))


async def wrong_of(kept: list[Kept], cases: list[tuple[int, float, Meanwhile]]) -> list[str]:
    wrong: list[str] = []
    for index, restarted_s, meanwhile in cases:
        wrong += await take_up(kept[index], restarted_s, meanwhile)
    return wrong


@pytest.mark.matrix
@pytest.mark.parametrize("meanwhile", Meanwhile)
@pytest.mark.parametrize("restarted_s", RESTARTED_S)
async def test_a_daemon_killed_anywhere_converges_or_parks(
    kept: list[Kept], restarted_s: float, meanwhile: Meanwhile
) -> None:
    wrong = await wrong_of(kept, [case for case in ALL if case[1:] == (restarted_s, meanwhile)])
    assert not wrong, "\n\n".join(wrong)


async def test_a_daemon_killed_at_points_drawn_by_a_seed_converges_or_parks(kept: list[Kept]) -> None:
    wrong = await wrong_of(kept, SEEDED.sample(ALL, QUICK_SAMPLE))
    assert not wrong, "\n\n".join(wrong)
