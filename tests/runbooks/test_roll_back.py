"""The one demote of a failover, and the way back: a source that we demoted is promoted back when promote is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.support.drill import Drill
from tests.support.drill_site import EAST, TIMING, WEST, Setting
from watchdogd.core.entries import Runbook, RunOutcome, RunUnparked
from watchdogd.core.ledger import DebtState, ElectionState, RunState
from watchdogd.core.model import NodeSeen
from watchdogd.errors import Refusal, Refused
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import Ensure, FenceOutcome, FenceResult, FenceVerb
from watchdogd.runbooks.roll_back import SETTLE_S

REFUSED = Setting(tokens=("client_token", "dr_token_a"))
FAILED = FenceResult(outcome=FenceOutcome.FAILED, output="no such gateway")


def half_active(drill: Drill) -> None:
    """One node of east is left to see: its health says active while sys/leader errs."""
    for node in (2, 3):
        drill.site.break_(FaultKind.REFUSE, f"node:east/{node}")
    drill.site.break_(FaultKind.ACTIVE_ERRS, "node:east/1")
    drill.site.break_(FaultKind.DROP, "repl:east>west")


async def run_begins(drill: Drill) -> None:
    await drill.healthy()
    half_active(drill)
    await drill.until(lambda: drill.ledger.run is not None, within_s=60)


def east_shows_itself(drill: Drill) -> None:
    """The errors end: from now on its role can be read."""
    drill.site.mend(kind=FaultKind.ACTIVE_ERRS)


async def ended(drill: Drill, runbook: Runbook, outcome: RunOutcome, within_s: float = 120) -> None:
    await drill.until(lambda: (runbook, outcome.value) in drill.ended, within_s=within_s)


async def test_a_demote_that_is_not_confirmed_is_followed_by_the_fence() -> None:
    async with Drill() as drill:
        await run_begins(drill)
        await ended(drill, Runbook.FAILOVER, RunOutcome.SUCCEEDED)
        assert drill.site.sent_to("demote") == 1
        assert drill.daemon.fence.verbs(EAST) == (FenceVerb.ON,)


async def test_a_demote_that_is_confirmed_needs_no_fence() -> None:
    async with Drill() as drill:
        await run_begins(drill)
        await drill.until(lambda: drill.site.sent_to("demote"), within_s=10)
        await asyncio.sleep(2.0)
        east_shows_itself(drill)
        await ended(drill, Runbook.FAILOVER, RunOutcome.SUCCEEDED)
        assert drill.daemon.fence.verbs(EAST) == ()
        await drill.until(lambda: drill.is_settled(WEST), within_s=30)
        assert drill.ledger.debts[-1].state is DebtState.CLOSED
        assert drill.site.sent_to("demote") == 1


async def test_a_demote_that_was_never_sent_may_still_be_sent() -> None:
    slow = [10.0]

    def slow_once(point: str) -> float:
        return slow.pop() if point == "step_intended" and slow else 0.0

    async with Drill() as drill:
        drill.daemon.journal.slow_s = slow_once
        await run_begins(drill)
        await ended(drill, Runbook.FAILOVER, RunOutcome.SUCCEEDED)
        assert drill.site.sent_to("demote") == 1


async def test_a_refused_demote_is_not_asked_again_and_stops_nothing() -> None:
    async with Drill(Setting(tokens=("client_token", "dr_token_a"))) as drill:
        drill.daemon.hands._ways.tokens.pop("dr_token_a")  # type: ignore[attr-defined]
        await run_begins(drill)
        await drill.until(lambda: drill.site.held, within_s=60)
        assert drill.site.sent_to("demote") == 1


async def test_a_demote_denied_with_one_credential_is_tried_with_the_next_after_another_look() -> None:
    async with Drill(Setting(tokens=("client_token", "dr_token_a"))) as drill:
        await run_begins(drill)
        await drill.until(lambda: drill.site.applied("demote", EAST) == 1, within_s=20)
        record = drill.run.step("demote_source")
        assert (record.intents, record.not_applied) == (2, 1)


async def test_a_second_credential_that_is_refused_otherwise_stops_no_failover() -> None:
    answers = [Refused(Refusal.DENIED, "not this one"), Refused(Refusal.CONFLICT, "not now")]

    async def refuses(at: NodeSeen, credential: str, *, ensure: Ensure) -> None:
        raise answers.pop(0)

    async with Drill(Setting(tokens=("client_token", "dr_token_a"))) as drill:
        drill.daemon.hands.demote = refuses  # type: ignore[method-assign]
        await run_begins(drill)
        await drill.until(lambda: drill.site.applied("promote", WEST) == 1, within_s=90)
        assert answers == []
        assert drill.site.held == {EAST}


async def demoted_in_vain(drill: Drill) -> None:
    """East was demoted by us and shows it; west denies every credential that there is."""
    drill.daemon.hands._ways.tokens.pop("dr_token_a")  # type: ignore[attr-defined]
    drill.daemon.hands._ways.tokens["root_token"] = lambda: drill.site.secret("root_token")  # type: ignore[index]
    await run_begins(drill)
    await drill.until(lambda: drill.site.sent_to("demote"), within_s=10)
    await asyncio.sleep(2.0)
    east_shows_itself(drill)


def give_back_a_token(drill: Drill) -> None:
    drill.daemon.hands._ways.tokens["dr_token_b"] = lambda: drill.site.secret("dr_token_b")  # type: ignore[index]


async def test_a_promote_refused_after_a_confirmed_demote_promotes_the_source_back() -> None:
    async with Drill(REFUSED) as drill:
        await demoted_in_vain(drill)
        await drill.until(lambda: drill.ledger.run is not None and drill.run.abort_asked, within_s=60)
        give_back_a_token(drill)  # west has denied the others; this one east itself accepts
        await ended(drill, Runbook.FAILOVER, RunOutcome.ROLLED_BACK, within_s=200)
        assert drill.site.applied("promote") == drill.site.applied("promote", EAST) == 1
        assert [(e.cluster, e.state) for e in drill.ledger.elections[1:]] == [
            (WEST, ElectionState.VOID),
            (EAST, ElectionState.CONFIRMED),
        ]
        await drill.until(lambda: drill.is_settled(EAST), within_s=30)
        assert drill.ledger.open_debt is None


async def test_the_source_is_promoted_back_only_after_the_target_was_secondary_for_the_settle_time() -> None:
    async with Drill(REFUSED) as drill:
        await demoted_in_vain(drill)
        await drill.until(lambda: drill.ledger.run is not None and drill.run.abort_asked, within_s=60)
        give_back_a_token(drill)
        since_s = drill.site.now_s()
        await ended(drill, Runbook.FAILOVER, RunOutcome.ROLLED_BACK, within_s=200)
        assert next(at for at, verb, to in drill.site.sent if (verb, to) == ("promote", EAST)) - since_s >= 55.0


@pytest.mark.parametrize(("cut_s", "sent"), [(1.2, 1), (12.0, 0)])
async def test_only_a_gap_beyond_gap_max_puts_the_way_back_off(cut_s: float, sent: int) -> None:
    """A link that loses a look now and then does not leave the pair without a primary for ever."""
    async with Drill(replace(REFUSED, timing=replace(TIMING, gap_max_s=9.0))) as drill:
        await demoted_in_vain(drill)
        await drill.until(lambda: drill.ledger.run is not None and drill.run.abort_asked, within_s=60)
        give_back_a_token(drill)
        since_s = drill.site.now_s()
        for _ in range(5):
            await asyncio.sleep(20.0)
            drill.site.break_(FaultKind.RESET, "link:bastion>west")
            await asyncio.sleep(cut_s)
            drill.site.mend(kind=FaultKind.RESET)
        assert drill.site.applied("promote", EAST) == sent
        assert drill.site.applied("promote", WEST) == 0
        if sent:
            # the two gaps before it hid west: they are no part of the settle time
            at_s = next(at_s for at_s, verb, to in drill.site.sent if (verb, to) == ("promote", EAST))
            assert at_s - since_s >= SETTLE_S + 2 * cut_s


async def test_the_source_is_not_promoted_back_by_a_last_look_that_does_not_see_the_target() -> None:
    async with Drill(replace(REFUSED, timing=replace(TIMING, gap_max_s=9.0))) as drill:
        await demoted_in_vain(drill)
        await drill.until(lambda: drill.ledger.run is not None and drill.run.abort_asked, within_s=60)
        give_back_a_token(drill)
        await asyncio.sleep(50.0)
        drill.site.break_(FaultKind.RESET, "link:bastion>west")
        await asyncio.sleep(200.0)
        assert drill.site.sent_to("promote", EAST) == 0


async def test_a_daemon_told_to_stop_between_demote_and_roll_back_goes_on_to_its_end() -> None:
    async with Drill(REFUSED) as drill:
        await demoted_in_vain(drill)
        await drill.until(lambda: drill.ledger.run is not None and drill.run.abort_asked, within_s=60)
        give_back_a_token(drill)
        await asyncio.sleep(5.0)
        drill.daemon.stopping = "TERM"
        await ended(drill, Runbook.FAILOVER, RunOutcome.ROLLED_BACK, within_s=200)


async def test_a_source_that_denies_the_way_back_parks_and_names_the_acts() -> None:
    async with Drill(REFUSED) as drill:
        await demoted_in_vain(drill)
        await drill.until(lambda: drill.ledger.run is not None and drill.run.state is RunState.PARKED, within_s=200)
        assert (drill.run.parked_step, drill.run.parked_need) == ("promote_back", "credential")
        give_back_a_token(drill)
        await drill.unpark("retry")
        await ended(drill, Runbook.FAILOVER, RunOutcome.ROLLED_BACK, within_s=200)


async def test_a_target_that_becomes_primary_by_hand_forbids_the_way_back() -> None:
    async with Drill(REFUSED) as drill:
        await demoted_in_vain(drill)
        await drill.until(lambda: drill.ledger.run is not None and drill.run.abort_asked, within_s=60)
        give_back_a_token(drill)
        drill.site.promote_by_hand(WEST)
        await drill.until(lambda: drill.ledger.run is not None and drill.run.state is RunState.PARKED, within_s=200)
        assert drill.run.parked_need == "foreign"
        assert drill.site.applied("promote", EAST) == 0
        await drill.adopt(WEST)
        await drill.until(lambda: drill.ledger.run is None, within_s=10)


async def test_killed_while_it_rolls_back_it_goes_on_rolling_back() -> None:
    async with Drill(REFUSED) as drill:
        await demoted_in_vain(drill)
        await drill.until(lambda: drill.ledger.run is not None and drill.run.abort_asked, within_s=60)
        drill.restart()
        give_back_a_token(drill)
        await ended(drill, Runbook.FAILOVER, RunOutcome.ROLLED_BACK, within_s=300)
        assert drill.site.applied("promote") == 1


async def unknown_both_ways(drill: Drill) -> None:
    """East was demoted by us; promote was sent to west, and then back to east: nobody heard of either."""

    def burn(point: str) -> None:
        if point in ("vault before promote west", "vault before promote east"):
            drill.site.break_(FaultKind.RESET, f"link:bastion>{point.split()[-1]}")
        if point in ("vault after promote west", "vault after promote east"):
            drill.site.mend(kind=FaultKind.RESET)

    drill.daemon.fuse = burn
    await run_begins(drill)
    await drill.until(lambda: drill.site.sent_to("demote"), within_s=10)
    await asyncio.sleep(2.0)
    east_shows_itself(drill)
    await drill.until(lambda: drill.site.sent_to("promote", WEST), within_s=60)
    await drill.abort()
    await drill.until(lambda: drill.site.sent_to("promote", EAST), within_s=200)


async def test_a_promote_that_lands_after_the_way_back_was_begun_confirms_no_other_election() -> None:
    async with Drill() as drill:
        await unknown_both_ways(drill)
        drill.kill()
        drill.site.promote_by_hand(WEST)
        drill.restart()
        await drill.until(lambda: drill.ledger.run is None or drill.run.state is RunState.PARKED, within_s=200)
        await asyncio.sleep(30.0)
        assert [*drill.site.world.active_primaries()] == [WEST]
        assert (drill.ledger.elections[-1].cluster, drill.ledger.elections[-1].state) == (EAST, ElectionState.INTENDED)
        assert drill.run.parked_need == "foreign"
        assert drill.site.sent_to("promote", EAST) == 1


# -- the run of its own ------------------------------------------------------------------------------------------------


async def late_demote(drill: Drill) -> None:
    """Our demote lands after the run was aborted: both are secondary (S-56), and a roll-back begins."""
    await drill.healthy()
    half_active(drill)
    path = "primary/demote"
    drill.site.break_(FaultKind.APPLIED_LATE, "node:east/1", method="POST", path=path, seconds=45.0, times=1)
    drill.daemon.fence.answers[FenceVerb.ON] = [FAILED]
    await drill.until(lambda: drill.site.sent_to("demote"), within_s=60)
    await drill.abort()
    east_shows_itself(drill)
    await ended(drill, Runbook.FAILOVER, RunOutcome.ABORTED, within_s=60)
    assert drill.site.applied("demote") == 0
    await drill.until(lambda: drill.ledger.run is not None, within_s=120)


async def test_a_demote_that_lands_after_the_abort_is_rolled_back() -> None:
    async with Drill() as drill:
        await late_demote(drill)
        assert drill.run.runbook is Runbook.ROLL_BACK
        await ended(drill, Runbook.ROLL_BACK, RunOutcome.SUCCEEDED, within_s=200)
        await drill.until(lambda: drill.is_settled(EAST), within_s=30)
        assert drill.site.applied("promote") == 1


async def test_a_demote_by_hand_after_one_of_ours_that_never_left_is_not_rolled_back() -> None:
    """Nothing of ours can land late: who demotes it by hand would find it promoted back beside what they promote."""
    async with Drill() as drill:
        await drill.healthy()
        half_active(drill)
        drill.daemon.journal.slow_s = lambda point: 5.0 if point == "step_intended" else 0.0
        await drill.until(lambda: drill.ledger.run is not None, within_s=60)
        await drill.until(lambda: drill.run.step("demote_source").not_applied > 0, within_s=30)
        await drill.abort()
        east_shows_itself(drill)
        await ended(drill, Runbook.FAILOVER, RunOutcome.ABORTED, within_s=60)
        assert drill.site.sent_to("demote") == 0
        await asyncio.sleep(10.0)  # it is seen to be primary meanwhile
        drill.site.demote_by_hand(EAST)
        await asyncio.sleep(90.0)
        assert drill.ledger.foreign == "east was made secondary, and not by us"
        assert drill.site.sent_to("promote") == 0


async def test_a_roll_back_that_is_aborted_before_its_promote_leaves_nothing() -> None:
    async with Drill() as drill:
        await late_demote(drill)
        epoch = drill.ledger.epoch
        await drill.abort()
        await ended(drill, Runbook.ROLL_BACK, RunOutcome.ABORTED)
        assert drill.ledger.epoch == epoch


async def test_a_roll_back_refused_by_its_cluster_parks_and_voids_its_epoch_when_aborted() -> None:
    async with Drill() as drill:
        await late_demote(drill)
        tokens = drill.daemon.hands._ways.tokens
        tokens.clear()  # type: ignore[attr-defined]
        tokens["client_token"] = lambda: drill.site.secret("client_token")  # type: ignore[index]
        await drill.until(lambda: drill.run.state is RunState.PARKED, within_s=200)
        assert drill.run.parked_need == "credential"
        await drill.abort()
        await ended(drill, Runbook.ROLL_BACK, RunOutcome.ABORTED)
        assert drill.ledger.elections[-1].state is ElectionState.VOID
        assert RunUnparked.kind not in drill.daemon.journal.kinds


async def test_a_cluster_that_somebody_else_promoted_back_ends_the_roll_back() -> None:
    async with Drill() as drill:
        await late_demote(drill)
        drill.site.promote_by_hand(EAST)
        await ended(drill, Runbook.ROLL_BACK, RunOutcome.SUCCEEDED)
        assert drill.site.sent_to("promote") == 0
        await drill.until(lambda: drill.is_settled(EAST), within_s=30)


async def test_a_run_given_up_while_its_demote_does_not_show_waits_for_it_a_while() -> None:
    async with Drill() as drill:
        await run_begins(drill)
        await drill.until(lambda: drill.site.sent_to("demote"), within_s=10)
        await drill.abort()
        took_s = await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=60)
        assert took_s >= 29.0


async def test_a_demote_that_was_confirmed_is_still_known_after_a_restart() -> None:
    async with Drill() as drill:
        drill.daemon.journal.slow_s = lambda point: 5.0 if "promote_intended" in point else 0.0
        await run_begins(drill)
        await drill.until(lambda: drill.site.sent_to("demote"), within_s=10)
        await asyncio.sleep(2.0)
        east_shows_itself(drill)
        await drill.until(lambda: drill.run.step("demote_source").done, within_s=10)
        drill.restart()
        await ended(drill, Runbook.FAILOVER, RunOutcome.SUCCEEDED)
        assert drill.site.sent_to("demote") == 1
        assert drill.daemon.fence.calls == []
