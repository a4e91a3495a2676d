"""Who changes roles by hand after a run of ours was aborted is not worked against: no roll-back begins by itself."""

from __future__ import annotations

from tests.support.stage import Stage
from watchdogd.core.entries import Runbook
from watchdogd.core.policy import Level
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import FenceOutcome, FenceResult
from watchdogd.rehearsal.site import EAST, WEST


async def aborted_after_its_demote(stage: Stage, *, lands_after_s: float) -> None:
    """A failover of ours sent a demote of unknown outcome and was aborted; the source shows itself as primary again."""
    stage.fence.result = FenceResult(outcome=FenceOutcome.FAILED, output="no such gateway")
    await stage.run_until(25)
    late = {"method": "POST", "path": "primary/demote", "seconds": lands_after_s, "times": 1.0}
    stage.fault(FaultKind.APPLIED_LATE, "node:east/1", **late)  # type: ignore[arg-type]
    broken = [stage.fault(FaultKind.REFUSE, f"node:east/{number}") for number in (2, 3)]
    broken += [stage.fault(FaultKind.DROP, "repl:east>west"), stage.fault(FaultKind.ACTIVE_ERRS, "node:east/1")]
    while stage.ledger.run is None or not stage.ledger.run.step("demote_source").intents:
        await stage.run_for(0.5)
    await stage.ask("run-abort", run_id=stage.ledger.run.run_id)
    for fault in broken:
        stage.world.faults.clear(fault)


async def test_an_aborted_roll_back_waits_for_its_command() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await aborted_after_its_demote(stage, lands_after_s=45.0)
        await stage.run_till("S-56", within_s=120)
        await stage.run_for(2)
        assert stage.ledger.run is not None
        assert stage.ledger.run.runbook is Runbook.ROLL_BACK
        await stage.ask("run-abort", run_id=stage.ledger.run.run_id)
        await stage.run_for(30)
        assert stage.ledger.run is None
        page = next(notice for notice in reversed(stage.notifier.told) if notice.key == "S-56")
        assert page.command == "watchdogctl approve roll-back east --pair prod --reason '...'"
        assert not (await stage.ask("start", runbook="roll-back", target="east")).is_error
        await stage.run_for(90)
        assert stage.world.primary() == "east"


async def test_a_demote_by_hand_long_after_our_aborted_run_is_no_late_demote_of_ours() -> None:
    """Rolled back, the source would be primary again when people promote the target: two primaries."""
    async with Stage(level=Level.AUTO) as stage:
        await aborted_after_its_demote(stage, lands_after_s=1e6)
        await stage.run_for(160)
        assert stage.world.primary() == "east"
        await stage.kill()
        await stage.by_hand("demote", EAST)
        await stage.start()
        await stage.run_for(90)
        assert stage.ledger.foreign == "east was made secondary, and not by us"
        await stage.by_hand("promote", WEST)
        await stage.run_for(20)
        assert stage.world.active_primaries() == ("west",)
        assert stage.world.counts.two_writable_primaries_s == 0
