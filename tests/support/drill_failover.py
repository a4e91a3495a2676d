"""How a test of failover begins, and the ends that it may come to."""

from __future__ import annotations

from tests.support.drill import Drill
from tests.support.drill_site import EAST, WEST
from watchdogd.core.entries import Runbook, RunOutcome
from watchdogd.core.ledger import ElectionState, RunState


async def lost(drill: Drill) -> None:
    """East is lost, and the failover has begun."""
    await drill.healthy()
    drill.site.lose(EAST)
    await drill.until(lambda: drill.ledger.run is not None, within_s=30)


async def failed_over(drill: Drill, within_s: float = 60) -> None:
    await drill.until(lambda: (Runbook.FAILOVER, "succeeded") in drill.ended, within_s=within_s)


async def given_up(drill: Drill, outcome: RunOutcome = RunOutcome.ABORTED, within_s: float = 60) -> None:
    """The failover ended so, and nothing of it is left: epoch and debt are void, no fence holds (I11)."""
    await drill.until(lambda: (Runbook.FAILOVER, outcome.value) in drill.ended, within_s=within_s)
    ledger = drill.ledger
    assert ledger.open_debt is None
    assert all(e.state is ElectionState.VOID for e in ledger.elections if e.cluster == WEST)
    assert not ledger.fences
    assert not drill.site.held
    assert drill.site.applied("promote", WEST) == 0


def parked(drill: Drill, need: str) -> bool:
    run = drill.ledger.run
    return run is not None and run.state is RunState.PARKED and run.parked_need == need
