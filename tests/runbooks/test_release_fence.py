"""A fence of ours that holds on the elected primary: paged, and turned off when a human says so (S-11)."""

from __future__ import annotations

from tests.support.drill import Drill
from tests.support.drill_site import EAST, WEST
from watchdogd.core.decision import Execution
from watchdogd.core.entries import Runbook
from watchdogd.ports import FenceOutcome, FenceResult, FenceVerb

FAILED = FenceResult(outcome=FenceOutcome.FAILED, output="no such gateway")
DONE = FenceResult(outcome=FenceOutcome.DONE)


async def left_fenced(drill: Drill) -> None:
    """East is primary again and elected, and the fence of the failover that was given up is still on."""
    drill.daemon.fence.answers[FenceVerb.OFF] = [FAILED]
    drill.daemon.journal.slow_s = lambda point: 10.0 if "promote_intended" in point else 0.0
    await drill.healthy()
    drill.site.lose(EAST)
    await drill.until(lambda: drill.site.held, within_s=60)
    drill.site.mend()
    await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=400)


async def test_it_is_asked_for_and_waits_for_its_command() -> None:
    async with Drill() as drill:
        await left_fenced(drill)
        todo = next(one for one in drill.daemon.decision.todo if one.runbook is Runbook.RELEASE_FENCE)
        assert (todo.situation, todo.execution, todo.target) == ("S-11", Execution.WAIT, EAST)
        assert todo.command.startswith("watchdogctl approve release-fence east")


async def test_the_command_turns_it_off() -> None:
    async with Drill() as drill:
        await left_fenced(drill)
        drill.daemon.fence.answers[FenceVerb.OFF] = [DONE]
        await drill.daemon.open(Runbook.RELEASE_FENCE, WEST, EAST)
        await drill.until(lambda: (Runbook.RELEASE_FENCE, "succeeded") in drill.ended, within_s=30)
        assert not drill.site.held
        assert drill.ledger.fences == {}


async def test_a_primary_that_is_gone_again_stays_fenced_and_is_failed_over() -> None:
    async with Drill() as drill:
        await left_fenced(drill)
        asked = len(drill.daemon.fence.calls)
        drill.daemon.fence.answers[FenceVerb.OFF] = [DONE]
        drill.site.lose(EAST)
        await drill.until(lambda: drill.daemon.decision.row.id != "S-11", within_s=10)
        await drill.daemon.open(Runbook.RELEASE_FENCE, WEST, EAST)
        await drill.until(lambda: (Runbook.RELEASE_FENCE, "superseded") in drill.ended, within_s=90)
        assert FenceVerb.OFF not in [call.verb for call in drill.daemon.fence.calls[asked:]]
        assert EAST in drill.ledger.fences
