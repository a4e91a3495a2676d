"""Which incident a run belongs to: a chain of short runs has one id, and the next outage one of its own."""

from __future__ import annotations

from tests.support.entries import EAST, PAIR, WEST
from watchdogd.core.entries import Runbook, RunEnded, RunOutcome
from watchdogd.core.model import ClusterId
from watchdogd.rehearsal.memory import LoopClock, MemoryJournal
from watchdogd.runbooks.opening import Wanted, open_run


async def ran(
    journal: MemoryJournal,
    runbook: Runbook,
    outcome: RunOutcome = RunOutcome.SUCCEEDED,
    *,
    source: ClusterId = EAST,
    target: ClusterId = WEST,
) -> str:
    """One run from its begin to its end; the incident that it belonged to."""
    wanted = Wanted(runbook=runbook, source=source, target=target, situation="S-30", why="a test")
    run = await open_run(journal, PAIR, wanted)
    await journal.append(PAIR, RunEnded(run_id=run.run_id, outcome=outcome))
    return run.incident_id


async def test_what_follows_a_failover_belongs_to_its_incident() -> None:
    journal = MemoryJournal(clock=LoopClock())
    incident = await ran(journal, Runbook.FAILOVER)
    assert await ran(journal, Runbook.CUTOVER_DNS) == incident
    assert await ran(journal, Runbook.SETTLE_DEBT) == incident


async def test_a_second_failover_the_same_way_is_an_incident_of_its_own() -> None:
    journal = MemoryJournal(clock=LoopClock())
    first = await ran(journal, Runbook.FAILOVER)
    await ran(journal, Runbook.CUTOVER_DNS)
    second = await ran(journal, Runbook.FAILOVER)
    assert second != first
    assert await ran(journal, Runbook.CUTOVER_DNS) == second


async def test_after_a_failover_there_and_one_back_nothing_joins_the_first() -> None:
    journal = MemoryJournal(clock=LoopClock())
    there = await ran(journal, Runbook.FAILOVER)
    back = await ran(journal, Runbook.FAILOVER, source=WEST, target=EAST)
    assert await ran(journal, Runbook.CUTOVER_DNS, source=WEST, target=EAST) == back
    assert await ran(journal, Runbook.SETTLE_DEBT) not in (there, back)


async def test_a_roll_back_joins_no_failover_of_long_ago() -> None:
    journal = MemoryJournal(clock=LoopClock())
    long_ago = await ran(journal, Runbook.FAILOVER, source=WEST, target=EAST)
    await ran(journal, Runbook.FAILOVER, RunOutcome.ABORTED)
    back = await ran(journal, Runbook.ROLL_BACK, source=WEST, target=EAST)
    assert back != long_ago
    assert await ran(journal, Runbook.CUTOVER_DNS, source=WEST, target=EAST) == back
