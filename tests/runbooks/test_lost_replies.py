"""The daemon lives, and what it sent comes to nothing that it hears of: applied, not applied, or applied late.

Each effect of an incident, crossed with what the world does right afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import product

import pytest

from tests.support.drill import Drill
from tests.support.drill_dns import Trouble
from tests.support.drill_ends import MAY_WAIT, Meanwhile, Rest, broken_rules, change_the_world, is_owed
from tests.support.drill_site import EAST, WEST, Setting
from watchdogd.core.ledger import FenceState
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import FenceOutcome, FenceResult, FenceVerb

QUIET = Setting(client_every_s=None)
HUNG = FenceResult(outcome=FenceOutcome.TIMED_OUT, output="killed")
DONE = FenceResult(outcome=FenceOutcome.DONE)


def vault(kind: FaultKind, path: str, cluster: str) -> Callable[[Drill], None]:
    """The reply of one role change is lost: it was applied, or lands 5 s later."""

    def spoil(drill: Drill) -> None:
        drill.site.break_(kind, f"cluster:{cluster}", method="POST", path=path, outcome="reset", seconds=5.0, times=1)

    return spoil


def reset(path: str, cluster: str) -> Callable[[Drill], None]:
    """The connection breaks under one role change, and nothing is applied."""

    def spoil(drill: Drill) -> None:
        def burn(point: str) -> None:
            if point == f"vault before {path} {cluster}" and not drill.site.sent_to(path):
                drill.site.break_(FaultKind.RESET, f"link:bastion>{cluster}")
            if point == f"vault after {path} {cluster}":
                drill.site.mend(kind=FaultKind.RESET)
            then(point)

        then, drill.daemon.fuse = drill.daemon.fuse, burn

    return spoil


def fence(verb: FenceVerb, *, acts: bool) -> Callable[[Drill], None]:
    """The fence command hangs once and is killed; it had acted, or it had not."""

    def spoil(drill: Drill) -> None:
        drill.daemon.fence.answers[verb] = [HUNG, DONE]
        drill.daemon.fence.acts_when_hung = acts

    return spoil


def name(trouble: Trouble) -> Callable[[Drill], None]:
    """The answer of the first change is lost."""

    def spoil(drill: Drill) -> None:
        def burn(point: str) -> None:
            then(point)
            if point == "dns before swap":
                is_first = "dns before swap" not in seen
                drill.site.names.trouble = trouble if is_first else Trouble.NONE
                seen.add(point)

        seen: set[str] = set()
        then, drill.daemon.fuse = drill.daemon.fuse, burn

    return spoil


EFFECTS = {
    "promote applied": ("vault after promote west", vault(FaultKind.REPLY_LOST, "secondary/promote", "west")),
    "promote applied late": ("vault after promote west", vault(FaultKind.APPLIED_LATE, "secondary/promote", "west")),
    "promote not applied": ("vault after promote west", reset("promote", "west")),
    "demote applied": ("vault after demote east", vault(FaultKind.REPLY_LOST, "primary/demote", "east")),
    "demote applied late": ("vault after demote east", vault(FaultKind.APPLIED_LATE, "primary/demote", "east")),
    "demote not applied": ("vault after demote east", reset("demote", "east")),
    "fence on acted": ("fence after on east", fence(FenceVerb.ON, acts=True)),
    "fence on did not act": ("fence after on east", fence(FenceVerb.ON, acts=False)),
    "fence off acted": ("fence after off east", fence(FenceVerb.OFF, acts=True)),
    "fence off did not act": ("fence after off east", fence(FenceVerb.OFF, acts=False)),
    "swap applied": ("dns after swap", name(Trouble.REPLY_LOST)),
    "swap not applied": ("dns before swap", name(Trouble.NOT_APPLIED)),
}


@pytest.mark.matrix
@pytest.mark.parametrize(("effect", "meanwhile"), list(product(EFFECTS, Meanwhile)))
async def test_an_effect_of_unknown_outcome_is_looked_at_and_never_doubled(effect: str, meanwhile: Meanwhile) -> None:
    point, spoil = EFFECTS[effect]
    struck = asyncio.Event()

    def burn(seen: str) -> None:
        if seen == point:
            struck.set()

    async with Drill(QUIET) as drill:
        drill.daemon.fuse = burn
        spoil(drill)
        await drill.healthy()
        drill.site.lose(EAST)
        if point.endswith("east") and "fence after on" not in point:
            await drill.until(lambda: len(drill.ended) == 2, within_s=60)
            drill.site.mend(kind=FaultKind.CRASH)
        await drill.until(struck.is_set, within_s=60)
        by_hand = await change_the_world(drill.site, meanwhile)
        await drill.until(Rest(drill=drill).has_come, within_s=900.0, every_s=1.0)
        assert not broken_rules(drill, by_hand), drill.story()
        run, decision = drill.ledger.run, drill.daemon.decision
        is_told = run is not None and any(f"parked:{run.parked_step}" in n.key for n in drill.notifier.told)
        is_waiting = run is None and decision is not None and decision.row.act in MAY_WAIT
        has_converged = drill.is_settled(EAST) or drill.is_settled(WEST) or is_owed(drill)
        assert has_converged or (meanwhile is not Meanwhile.NOTHING and (is_told or is_waiting)), drill.story()


async def test_a_fence_that_hung_counts_as_held_until_it_is_turned_off() -> None:
    async with Drill(QUIET) as drill:
        drill.daemon.fence.answers[FenceVerb.ON] = [HUNG]
        await drill.healthy()
        drill.site.lose(EAST)
        await drill.until(lambda: EAST in drill.ledger.fences, within_s=60)
        await asyncio.sleep(1.0)
        assert drill.ledger.fences[EAST].state is FenceState.UNSURE
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(EAST), within_s=60)
        assert FenceVerb.OFF in drill.daemon.fence.verbs(EAST)


def test_every_effect_is_spoilt_in_every_way_that_it_can_be() -> None:
    assert {point.split()[-2] for point, _ in EFFECTS.values()} >= {"promote", "demote", "on", "off"}
