"""Who aborts the run that settles a debt is not worked against: the next one waits for its command."""

from __future__ import annotations

from tests.support.stage import Stage
from watchdogd.core.entries import Runbook, RunOutcome
from watchdogd.core.ledger import DebtState
from watchdogd.core.policy import Level
from watchdogd.lab.faults import FaultKind


async def aborted(stage: Stage) -> None:
    """West was elected, east is back as primary, and somebody aborted the run that was about to demote it."""
    await stage.run_until(25)
    gone = stage.lose("east")
    while stage.world.primary() != "west" or stage.ledger.run is not None:
        await stage.run_for(1)
    late = {"method": "POST", "path": "primary/demote", "seconds": 1e6, "times": 1.0}
    stage.fault(FaultKind.APPLIED_LATE, "cluster:east", **late)  # type: ignore[arg-type]
    stage.world.faults.clear(gone)
    while stage.ledger.run is None or not stage.ledger.run.step("demote").intents:
        await stage.run_for(0.5)
    assert stage.ledger.run.runbook is Runbook.SETTLE_DEBT
    await stage.ask("run-abort", run_id=stage.ledger.run.run_id)


async def test_an_aborted_settle_debt_waits_for_its_command_also_after_a_restart() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await aborted(stage)
        await stage.run_for(20)
        assert stage.ledger.run is None
        assert stage.ledger.recent_runs[-1].outcome is RunOutcome.ABORTED
        page = next(notice for notice in reversed(stage.notifier.told) if notice.key == "S-40")
        assert page.command == "watchdogctl approve settle-debt west --pair prod --reason '...'"
        await stage.kill()
        await stage.start()
        await stage.run_for(10)
        assert stage.ledger.run is None
        assert stage.ledger.debts[-1].state is DebtState.OWED
        assert not (await stage.ask("start", runbook="settle-debt", target="west")).is_error
        await stage.run_for(20)
        assert stage.ledger.debts[-1].state is DebtState.CLOSED
        assert stage.world.active_primaries() == ("west",)
