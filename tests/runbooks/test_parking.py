"""Stopping, parking and going on: safe points, verbs, stale runs, and a journal that cannot be written."""

from __future__ import annotations

import asyncio
from itertools import product

import pytest

from tests.support.drill import Drill
from tests.support.drill_site import EAST, WEST, Setting
from watchdogd.core.entries import Paused, Resumed, Runbook, RunOutcome
from watchdogd.core.ledger import RunState
from watchdogd.errors import Need, NeedsOperator
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import FenceOutcome, FenceResult, FenceVerb

QUIET = Setting(client_every_s=None)
FAILED = FenceResult(outcome=FenceOutcome.FAILED, output="no such gateway")
# The journal writes of an incident, by their place in it.
WRITES = (
    *product([Runbook.FAILOVER], range(13)),
    *product([Runbook.CUTOVER_DNS], range(8)),
    *product([Runbook.SETTLE_DEBT], range(8)),
)


async def begun(drill: Drill) -> None:
    await drill.healthy()
    drill.site.lose(EAST)
    await drill.until(lambda: drill.ledger.run is not None, within_s=30, every_s=0.01)


async def succeeded(drill: Drill, within_s: float = 60) -> None:
    await drill.until(lambda: (Runbook.FAILOVER, "succeeded") in drill.ended, within_s=within_s)


async def parked_at_fence(drill: Drill) -> None:
    drill.daemon.fence.answers[FenceVerb.ON] = [FAILED]
    await begun(drill)
    await drill.until(lambda: drill.run.state is RunState.PARKED, within_s=90)


# -- safe points -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["pause", "term", "tilt"])
async def test_a_run_that_has_done_nothing_yet_stops_at_once(how: str) -> None:
    async with Drill(QUIET) as drill:
        drill.daemon.journal.slow_s = lambda point: 1.5 if point == "run_opened" else 0.0
        await drill.healthy()
        drill.site.lose(EAST)
        await drill.until(lambda: drill.daemon.decision is not None and drill.daemon.decision.row.id == "S-30",
                          within_s=30)  # fmt: skip
        await stop(drill, how)
        await asyncio.sleep(30.0)
        assert drill.daemon.fence.calls == []
        assert drill.site.sent == []
        await go_on(drill, how)
        await succeeded(drill, within_s=120)


@pytest.mark.parametrize("how", ["pause", "term", "tilt"])
async def test_a_run_that_holds_the_fence_goes_on_to_the_verified_primary(how: str) -> None:
    async with Drill(QUIET) as drill:
        await begun(drill)
        await drill.until(lambda: drill.daemon.fence.calls, within_s=10, every_s=0.01)
        await stop(drill, how)
        if how == "tilt":  # what is seen while tilted proves nothing: it waits with the fence on
            await asyncio.sleep(10.0)
            assert drill.site.sent == []
            await go_on(drill, how)
        await drill.until(lambda: drill.ledger.epoch == 1 and WEST in drill.site.world.active_primaries(), within_s=60)
        await asyncio.sleep(30.0)
        assert drill.site.applied("promote") == 1
        await go_on(drill, how)
        await succeeded(drill)


async def stop(drill: Drill, how: str) -> None:
    if how == "pause":
        await drill.write(Paused(reason="maintenance", by_uid=1000))
    elif how == "term":
        drill.daemon.stopping = "TERM"
    else:
        drill.daemon.tilt = "the wall clock was stepped"


async def go_on(drill: Drill, how: str) -> None:
    if how == "pause":
        await drill.write(Resumed(by_uid=1000))
    elif how == "term":
        drill.restart()
    drill.daemon.tilt = ""


async def test_an_abort_is_carried_out_although_the_pair_is_paused() -> None:
    async with Drill(QUIET) as drill:
        await parked_at_fence(drill)
        drill.daemon.fence.answers.clear()
        await drill.write(Paused(reason="hands off", by_uid=1000))
        await drill.abort()
        await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=20)
        assert not drill.ledger.fences


async def test_a_daemon_that_stops_while_the_fence_does_not_come_off_asks_again_at_the_next_start() -> None:
    async with Drill(QUIET) as drill:
        await parked_at_fence(drill)
        drill.daemon.fence.answers[FenceVerb.OFF] = [FAILED]
        await drill.abort()
        await asyncio.sleep(10.0)
        drill.daemon.stopping = "TERM"
        await asyncio.sleep(10.0)
        drill.restart()
        await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=60)
        assert not drill.ledger.fences


# -- the verbs ---------------------------------------------------------------------------------------------------------


async def test_a_parked_run_acts_no_more_but_goes_on_looking() -> None:
    async with Drill(QUIET) as drill:
        await parked_at_fence(drill)
        calls, looks = len(drill.daemon.fence.calls), drill.daemon.looks
        await asyncio.sleep(120.0)
        assert len(drill.daemon.fence.calls) == calls
        assert drill.daemon.looks > looks + 50
        assert sum("is parked at fence" in notice.summary for notice in drill.notifier.told) == 1


async def test_skip_passes_the_step_over() -> None:
    async with Drill(QUIET) as drill:
        await parked_at_fence(drill)
        await drill.unpark("skip", skip="fence")
        await succeeded(drill)


async def test_abort_undoes_what_was_done() -> None:
    async with Drill(QUIET) as drill:
        await parked_at_fence(drill)
        drill.daemon.fence.answers.clear()
        await drill.abort()
        await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=20)
        assert drill.daemon.fence.verbs(EAST)[-1] is FenceVerb.OFF


async def test_adopt_ends_the_run_and_its_fence_comes_off() -> None:
    async with Drill(QUIET) as drill:
        await parked_at_fence(drill)
        drill.daemon.fence.answers.clear()
        drill.site.promote_by_hand(WEST)
        await drill.adopt(WEST)
        await asyncio.sleep(90.0)
        assert drill.ledger.elected == WEST
        assert EAST in drill.ledger.fences  # nobody has seen it: it may come back as a second primary
        link = drill.site.break_(FaultKind.REFUSE, "link:bastion>east")
        drill.site.mend(kind=FaultKind.CRASH)
        await asyncio.sleep(4.0)
        drill.site.demote_by_hand(EAST)
        await asyncio.sleep(3.0)
        drill.site.world.faults.clear(link)
        await drill.until(lambda: drill.ledger.run is None and not drill.ledger.fences, within_s=120)


async def test_adopt_while_the_intent_is_being_written_sends_nothing_and_leaves_no_epoch() -> None:
    async with Drill(QUIET) as drill:
        drill.daemon.journal.slow_s = lambda point: 1.0 if "promote_intended" in point else 0.0
        await begun(drill)
        await drill.until(lambda: drill.run.step("fence").done, within_s=20, every_s=0.01)
        await asyncio.sleep(0.3)
        await drill.write(Paused(reason="by hand now"))
        await drill.adopt(EAST)
        await asyncio.sleep(5.0)
        assert drill.site.sent == []
        assert drill.ledger.elected == EAST
        assert drill.ledger.open_debt is None


async def test_abort_while_the_intent_is_being_written_sends_nothing() -> None:
    async with Drill(QUIET) as drill:
        drill.daemon.journal.slow_s = lambda point: 1.0 if "promote_intended" in point else 0.0
        await begun(drill)
        await drill.until(lambda: drill.run.step("fence").done, within_s=20, every_s=0.01)
        await asyncio.sleep(0.3)
        await drill.abort()
        await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=20)
        assert drill.site.sent == []


async def test_a_run_that_was_parked_stays_parked_over_a_restart() -> None:
    async with Drill(QUIET) as drill:
        await parked_at_fence(drill)
        drill.restart()
        await asyncio.sleep(120.0)
        assert drill.run.state is RunState.PARKED
        assert drill.daemon.fence.calls == []
        await drill.unpark("retry")
        await succeeded(drill)


# -- stale runs --------------------------------------------------------------------------------------------------------


async def test_a_run_untouched_for_too_long_before_its_point_of_no_return_waits_for_a_human() -> None:
    async with Drill(QUIET) as drill:
        await begun(drill)
        await drill.until(lambda: drill.daemon.fence.calls, within_s=10, every_s=0.01)
        drill.kill()
        await asyncio.sleep(700.0)
        drill.start()
        await asyncio.sleep(120.0)
        assert (drill.run.state, drill.run.parked_need) == (RunState.PARKED, "stale_run")
        assert drill.site.sent == []
        await drill.unpark("retry")
        await succeeded(drill)


async def test_a_stale_run_whose_primary_came_back_is_given_up() -> None:
    async with Drill(QUIET) as drill:
        await begun(drill)
        await drill.until(lambda: drill.daemon.fence.calls, within_s=10, every_s=0.01)
        drill.kill()
        await asyncio.sleep(700.0)
        drill.site.mend()
        drill.start()
        await drill.until(lambda: drill.is_settled(EAST), within_s=60)
        assert (Runbook.FAILOVER, "aborted") in drill.ended


async def test_a_run_past_its_point_of_no_return_is_taken_up_however_old_it_is() -> None:
    async with Drill(QUIET) as drill:
        await begun(drill)
        await drill.until(lambda: drill.site.sent, within_s=20, every_s=0.01)
        drill.kill()
        await asyncio.sleep(4000.0)
        drill.start()
        await succeeded(drill)
        assert drill.site.sent_to("promote") == 1


async def test_a_resumed_run_waits_for_its_windows_once_more() -> None:
    async with Drill(QUIET) as drill:
        await begun(drill)
        await drill.until(lambda: drill.run.step("recheck").done, within_s=20, every_s=0.01)
        drill.restart()
        await asyncio.sleep(3.0)
        assert drill.site.sent == []
        await succeeded(drill)


# -- a journal that cannot be written ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("runbook", "nth"), WRITES)
async def test_a_write_that_fails_for_a_minute_anywhere_leads_to_the_same_end(runbook: Runbook, nth: int) -> None:
    async with Drill(QUIET) as drill:
        count, until_s = [-1], [0.0]

        def refuses(point: str) -> bool:
            run = drill.ledger.run
            writing = opening(drill) if point == "run_opened" else run.runbook if run is not None else ""
            count[0] += writing == runbook
            if count[0] == nth and not until_s[0]:
                until_s[0] = drill.site.now_s() + 60.0
            return drill.site.now_s() < until_s[0]

        drill.daemon.journal.refuses = refuses
        await drill.healthy()
        drill.site.lose(EAST)
        await drill.until(lambda: len(drill.ended) == 2, within_s=200)
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(WEST), within_s=200)
        assert until_s[0], "the write was never reached"
        assert drill.site.applied("promote") == 1
        assert drill.site.world.counts.two_writable_primaries_s == 0.0


def opening(drill: Drill) -> str:
    """The runbook that the newest decision wants to open."""
    decision = drill.daemon.decision
    goes = [todo.runbook for todo in decision.todo if todo.goes and todo.runbook] if decision is not None else []
    return goes[0] if goes else ""


async def test_what_was_certainly_not_applied_is_written_down_when_the_disk_is_back() -> None:
    async with Drill(Setting(tokens=("client_token", "dr_token_b"), client_every_s=None)) as drill:
        until_s = [0.0]

        def refuses(point: str) -> bool:
            if point == "step_not_applied" and not until_s[0]:
                until_s[0] = drill.site.now_s() + 20.0
            return drill.site.now_s() < until_s[0]

        drill.daemon.journal.refuses = refuses
        await begun(drill)
        await succeeded(drill, within_s=120)
        assert drill.ledger.recent_runs[0].step("promote").not_applied == 1
        assert drill.site.sent_to("promote") == 2


async def test_a_daemon_told_to_stop_while_nothing_can_be_written_stops() -> None:
    async with Drill(QUIET) as drill:
        await parked_at_fence(drill)
        drill.daemon.fence.answers.clear()
        await drill.abort()
        drill.daemon.journal.refusal = "no space left on device"
        await asyncio.sleep(10.0)
        drill.daemon.stopping = "TERM"
        await asyncio.sleep(10.0)
        assert any("no space left" in notice.summary for notice in drill.notifier.told)
        drill.restart()
        await drill.until(lambda: (Runbook.FAILOVER, RunOutcome.ABORTED.value) in drill.ended, within_s=60)


async def test_the_slot_is_taken_once() -> None:
    async with Drill(QUIET) as drill:
        await parked_at_fence(drill)
        with pytest.raises(NeedsOperator) as refused:
            await drill.daemon.open(Runbook.SETTLE_DEBT, EAST, WEST)
        assert refused.value.need is Need.STOPPED


async def test_a_run_that_was_ended_under_its_execution_is_left_alone() -> None:
    async with Drill(QUIET) as drill:
        await parked_at_fence(drill)
        drill.site.break_(FaultKind.REFUSE, "link:bastion>west")
        await drill.adopt(EAST)
        await asyncio.sleep(5.0)
        assert drill.ledger.run is None


async def test_a_fence_stays_on_when_the_run_is_aborted_after_somebody_promoted_the_target() -> None:
    async with Drill(QUIET) as drill:
        await parked_at_fence(drill)
        drill.site.promote_by_hand(WEST)
        await asyncio.sleep(10.0)
        await drill.abort()
        await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=60)
        assert FenceVerb.OFF not in drill.daemon.fence.verbs(EAST)
        assert any("the fence of east stays" in notice.summary for notice in drill.notifier.told)
