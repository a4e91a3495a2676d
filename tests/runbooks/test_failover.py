"""Failover, line by line (DESIGN section 6): the happy order, each refusal, and where every answer leads."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.support.drill import Drill
from tests.support.drill_daemon import DrillHands
from tests.support.drill_failover import failed_over, given_up, lost, parked
from tests.support.drill_site import EAST, KNOBS, WEST, Setting
from watchdogd.core.entries import PromoteIntended, Runbook, StepIntended
from watchdogd.core.ledger import DebtState, ElectionState
from watchdogd.core.model import NodeSeen
from watchdogd.core.policy import Level, OnFenceFailure
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import Ensure, FenceOutcome, FenceResult, FenceVerb
from watchdogd.secret import Secret

PREPARED = ("dr_token_a", "dr_token_b")
TRY_AGAIN = FenceResult(outcome=FenceOutcome.TRY_AGAIN, output="not yet")
FAILED = FenceResult(outcome=FenceOutcome.FAILED, output="no such gateway")
DONE = FenceResult(outcome=FenceOutcome.DONE)
SIGHTING_WAIVED = ("secondary-sees", "window", "witness:third")
HUNG = FenceResult(outcome=FenceOutcome.TIMED_OUT, output="killed")


def effects(drill: Drill) -> list[str]:
    """What left the daemon, in order."""
    fence = [(call.at_s + drill.site.ahead_s, f"fence {call.verb} {call.cluster}") for call in drill.daemon.fence.calls]
    sent = [(at_s, f"{verb} {cluster}") for at_s, verb, cluster in drill.site.sent]
    return [what for _, what in sorted(fence + sent)]


def page(drill: Drill, text: str) -> bool:
    return any(text in notice.summary for notice in drill.notifier.told)


# -- the happy order ---------------------------------------------------------------------------------------------------


async def test_a_lost_primary_is_fenced_then_the_secondary_promoted() -> None:
    async with Drill() as drill:
        await lost(drill)
        await failed_over(drill)
        assert effects(drill) == ["fence on east", "promote west"]
        assert [e.step for e in drill.daemon.events if e.outcome.value == "done" and e.run.runbook == "failover"] == [
            "recheck", "credential", "demote_source", "fence", "promote", "target_primary", "tell",
        ]  # fmt: skip
        assert drill.ledger.elected == WEST
        debt = drill.ledger.open_debt
        assert debt is not None
        assert (debt.debtor, debt.state, debt.epoch) == (EAST, DebtState.OWED, 1)
        assert drill.ledger.ack_asked_by is not None  # nobody asked for it
        assert page(drill, "west is primary at epoch 1; east owes its demotion")


async def test_epoch_and_debt_are_written_in_the_transaction_of_the_promote_intent() -> None:
    async with Drill() as drill:
        await lost(drill)
        await failed_over(drill)
        stamps = {type(r.entry): r.stamp.at_s for r in drill.site.durable}
        kinds = [r.entry for r in drill.site.durable]
        at = next(i for i, entry in enumerate(kinds) if isinstance(entry, PromoteIntended))
        before = kinds[at - 1]
        assert isinstance(before, StepIntended)
        assert before.step == "promote"
        assert stamps[PromoteIntended] <= next(at_s for at_s, verb, _ in drill.site.sent if verb == "promote")


async def test_our_own_procedure_takes_less_than_five_seconds_besides_the_promotion() -> None:
    async with Drill() as drill:
        await lost(drill)
        await failed_over(drill)
        run = drill.ledger.recent_runs[0]
        assert run.touched.at_s - run.opened.at_s <= KNOBS.promote_s + 2.0


async def test_a_failover_that_was_asked_for_wants_no_acknowledgement() -> None:
    async with Drill(Setting(fence_waived="no fence here", failover=Level.APPROVE)) as drill:
        await drill.healthy()
        drill.site.lose(EAST)
        await asyncio.sleep(6.0)
        await drill.daemon.open(Runbook.FAILOVER, EAST, WEST, waivers=["window"], asked_by_uid=1000)
        await failed_over(drill)
        assert drill.ledger.ack_asked_by is None
        assert effects(drill) == ["promote west"]


async def test_a_promoted_cluster_without_quorum_is_paged_and_the_name_moves_all_the_same() -> None:
    async with Drill() as drill:
        await lost(drill)
        await drill.until(lambda: drill.run.step("promote").done, within_s=30, every_s=0.01)
        serving = drill.site.world.clusters[WEST].serving()
        assert serving is not None
        for node in {"west/1", "west/2", "west/3"} - {serving.target}:
            drill.site.break_(FaultKind.HANG, f"node:{node}")
        await drill.until(lambda: drill.site.names.published(drill.site.now_s()) == WEST, within_s=40)
        assert any("only 1 of the 2 nodes" in notice.summary for notice in drill.notifier.told)
        assert (Runbook.FAILOVER, "succeeded") in drill.ended


async def test_the_run_waits_until_a_quorum_of_the_target_follows() -> None:
    async with Drill() as drill:
        await lost(drill)
        await drill.until(lambda: drill.run.step("promote").intents, within_s=30)
        for node in (2, 3):
            drill.site.break_(FaultKind.CRASH, f"node:west/{node}")
        await asyncio.sleep(20.0)
        assert drill.run.step("promote").done is False or drill.run.step("target_primary").done is False
        drill.site.mend(target="node:west/2")
        await failed_over(drill)


async def test_a_promoted_cluster_that_is_not_seen_any_more_parks_and_goes_on_by_itself_when_it_is() -> None:
    async with Drill() as drill:
        await lost(drill)
        await drill.until(lambda: drill.run.step("promote").done, within_s=30, every_s=0.01)
        link = drill.site.break_(FaultKind.REFUSE, "link:bastion>west")
        await drill.until(lambda: parked(drill, "deadline"), within_s=320)
        drill.site.world.faults.clear(link)
        await failed_over(drill)


async def test_an_abort_after_the_promotion_only_ends_the_waiting() -> None:
    async with Drill() as drill:
        await lost(drill)
        await drill.until(lambda: drill.run.step("promote").done, within_s=30, every_s=0.01)
        drill.site.break_(FaultKind.REFUSE, "link:bastion>west")
        await drill.until(lambda: parked(drill, "deadline"), within_s=320)
        await drill.abort()
        await failed_over(drill)
        assert (drill.ledger.elected, drill.ledger.ack_asked_by is not None) == (WEST, True)
        assert EAST in drill.ledger.fences  # it belongs to the debt


# -- vetoes and section 4 again ----------------------------------------------------------------------------------------


async def test_a_primary_that_answers_again_before_the_fence_ends_the_run() -> None:
    async with Drill() as drill:
        drill.daemon.journal.slow_s = lambda point: 8.0 if point == "run_opened" else 0.0
        await drill.healthy()
        drill.site.lose(EAST)
        await drill.until(lambda: drill.daemon.decision is not None and drill.daemon.decision.row.id == "S-30",
                          within_s=30)  # fmt: skip
        drill.site.mend()
        await given_up(drill)
        assert effects(drill) == []


async def test_a_veto_between_the_intent_and_the_first_byte_voids_the_epoch_and_takes_the_fence_off() -> None:
    async with Drill() as drill:
        drill.daemon.journal.slow_s = lambda point: 10.0 if "promote_intended" in point else 0.0
        await lost(drill)
        await drill.until(lambda: drill.daemon.fence.verbs(EAST), within_s=10)
        await asyncio.sleep(1.0)
        drill.site.mend()
        await given_up(drill)
        assert effects(drill) == ["fence on east", "fence off east"]
        assert drill.ledger.elections[-1].state is ElectionState.VOID
        await drill.until(lambda: drill.is_settled(EAST), within_s=30)


async def test_a_slow_disk_right_before_promote_makes_it_look_again_and_then_promote() -> None:
    slow = [10.0]

    def slow_once(point: str) -> float:
        return slow.pop() if "promote_intended" in point and slow else 0.0

    async with Drill() as drill:
        drill.daemon.journal.slow_s = slow_once
        await lost(drill)
        await failed_over(drill)
        assert effects(drill) == ["fence on east", "promote west"]
        assert drill.ledger.recent_runs[0].step("promote").not_applied == 1
        assert drill.ledger.epoch == 1  # the same election, sent once


def stall_the_token(drill: Drill, nth: int) -> None:
    """The disk stalls when the token is read for the `nth` time after the intent of a promote."""
    reads = iter(range(1, nth + 1))
    tokens = drill.daemon.hands._ways.tokens
    read = tokens["dr_token_a"]

    def stalls() -> Secret:
        run = drill.ledger.run
        if run is not None and run.step("promote").intents and next(reads, 0) == nth:
            drill.site.ahead_s += 4.0
        return read()

    tokens["dr_token_a"] = stalls  # type: ignore[index]


@pytest.mark.parametrize("nth", [1, 2])
async def test_a_slow_disk_under_the_token_of_a_promote_makes_it_look_again_and_then_promote(nth: int) -> None:
    async with Drill() as drill:
        stall_the_token(drill, nth)
        await lost(drill)
        await failed_over(drill)
        assert effects(drill) == ["fence on east", "promote west"]
        assert drill.ledger.recent_runs[0].step("promote").not_applied == 1


async def test_a_look_that_grew_old_is_no_word_of_the_target_and_forces_nothing() -> None:
    forced: list[bool] = []

    class Noting(DrillHands):
        async def promote(self, at: NodeSeen, credential: str, *, ensure: Ensure, force: bool = False) -> None:
            forced.append(force)
            await super().promote(at, credential, ensure=ensure, force=force)

    async with Drill(Setting(failover=Level.APPROVE)) as drill:
        stall_the_token(drill, 2)
        await drill.healthy()
        drill.daemon.hands.__class__ = Noting
        drill.site.lose(EAST)
        await asyncio.sleep(60.0)
        await drill.daemon.open(Runbook.FAILOVER, EAST, WEST, waivers=["sync-state"], asked_by_uid=1000)
        await failed_over(drill)
        assert forced == [False, False]


async def test_a_witness_that_sees_the_primary_vetoes() -> None:
    async with Drill() as drill:
        await drill.healthy()
        drill.site.lose(EAST)
        await drill.daemon.open(Runbook.FAILOVER, EAST, WEST, asked_by_uid=1)
        drill.daemon.witness_sees = True
        await given_up(drill)


async def test_a_waived_sighting_counts_only_behind_a_fence_that_was_verified_in_this_run() -> None:
    setting = Setting(on_failure=OnFenceFailure.PAGE_AND_GO_ON, failover=Level.APPROVE)
    async with Drill(setting) as drill:
        drill.daemon.fence.answers[FenceVerb.ON] = [FAILED]
        await drill.healthy()
        drill.site.lose(EAST)
        drill.daemon.witness_sees = True
        await asyncio.sleep(6.0)
        await drill.daemon.open(Runbook.FAILOVER, EAST, WEST, waivers=SIGHTING_WAIVED, asked_by_uid=1)
        await given_up(drill)
        assert effects(drill) == ["fence on east", "fence off east"]


async def test_a_waived_sighting_is_passed_behind_a_verified_fence() -> None:
    async with Drill(Setting(failover=Level.APPROVE)) as drill:
        await drill.healthy()
        drill.site.lose(EAST)
        drill.daemon.witness_sees = True
        await asyncio.sleep(6.0)
        await drill.daemon.open(Runbook.FAILOVER, EAST, WEST, waivers=SIGHTING_WAIVED, asked_by_uid=1)
        await failed_over(drill)


async def test_evidence_that_does_not_come_back_parks_the_run() -> None:
    async with Drill() as drill:
        await drill.healthy()
        for node in (2, 3):
            drill.site.break_(FaultKind.CRASH, f"node:east/{node}")
        drill.site.break_(FaultKind.DROP, "repl:east>west")
        drill.site.break_(FaultKind.STRANGE, "node:east/1", text="hello", status=200)
        await asyncio.sleep(8.0)
        await drill.daemon.open(Runbook.FAILOVER, EAST, WEST, asked_by_uid=1)
        await drill.until(lambda: parked(drill, "deadline"), within_s=30)
        assert drill.run.parked_why.startswith("the evidence no longer holds: window: ")
        assert effects(drill) == []
        drill.site.mend()  # and while it is parked it goes on looking: the veto ends it
        await given_up(drill)


async def test_a_target_that_loses_its_leader_is_waited_for() -> None:
    async with Drill() as drill:
        drill.daemon.fence.takes_s = 1.0
        await lost(drill)
        await drill.until(lambda: drill.run.step("fence").intents, within_s=10)
        fault = drill.site.break_(FaultKind.QUORUM_LOSS, "cluster:west")
        await drill.until(lambda: drill.ledger.run is None or drill.run.step("fence").done, within_s=30)
        await asyncio.sleep(5.0)
        assert drill.site.sent_to("promote") == 0
        drill.site.world.faults.clear(fault)
        await failed_over(drill)


@pytest.mark.parametrize("target", [WEST, EAST])
async def test_ids_that_changed_park_the_run(target: str) -> None:
    async with Drill() as drill:
        drill.daemon.fence.answers[FenceVerb.ON] = [TRY_AGAIN]
        await lost(drill)
        await drill.until(lambda: drill.run.step("fence").intents, within_s=10)
        drill.site.break_(FaultKind.STRANGE, f"cluster:{target}", cluster_id="00000000-1111-2222-3333-444444444444")
        if target == EAST:
            drill.site.mend(kind=FaultKind.CRASH)
        await drill.until(lambda: parked(drill, "foreign"), within_s=60)
        assert drill.site.sent_to("promote") == 0


# -- somebody else -----------------------------------------------------------------------------------------------------


async def test_a_target_that_somebody_else_promoted_parks_until_it_is_adopted() -> None:
    async with Drill() as drill:
        drill.daemon.fence.answers[FenceVerb.ON] = [TRY_AGAIN]
        await lost(drill)
        drill.site.promote_by_hand(WEST)
        await drill.until(lambda: parked(drill, "foreign"), within_s=60)
        assert "adopt" in drill.run.parked_why
        await drill.adopt(WEST)
        await drill.until(lambda: drill.ledger.run is None, within_s=10)
        assert (drill.ledger.elected, drill.site.sent_to("promote")) == (WEST, 0)


async def test_a_target_that_somebody_promotes_while_the_intent_is_written_parks_and_goes_on_looking() -> None:
    async with Drill() as drill:
        drill.daemon.journal.slow_s = lambda point: 8.0 if "promote_intended" in point else 0.0
        await lost(drill)
        await drill.until(lambda: drill.run.step("fence").done, within_s=20)
        drill.site.promote_by_hand(WEST)
        await drill.until(lambda: parked(drill, "foreign"), within_s=60)
        looks = drill.daemon.looks
        await asyncio.sleep(20.0)
        assert drill.daemon.looks > looks + 5
        assert drill.site.sent == []


async def test_a_source_that_somebody_else_demoted_parks() -> None:
    async with Drill() as drill:
        drill.daemon.fence.answers[FenceVerb.ON] = [TRY_AGAIN]
        await lost(drill)
        link = drill.site.break_(FaultKind.REFUSE, "link:bastion>east")
        drill.site.break_(FaultKind.DROP, "repl:east>west")
        drill.site.mend(kind=FaultKind.CRASH)
        await asyncio.sleep(3.0)
        drill.site.demote_by_hand(EAST)
        await asyncio.sleep(3.0)
        drill.site.world.faults.clear(link)
        await drill.until(lambda: parked(drill, "foreign"), within_s=60)


# -- the fence ---------------------------------------------------------------------------------------------------------


async def test_a_fence_that_asks_to_try_again_is_asked_again() -> None:
    async with Drill() as drill:
        drill.daemon.fence.answers[FenceVerb.ON] = [TRY_AGAIN, TRY_AGAIN, DONE]
        await lost(drill)
        await failed_over(drill)
        assert effects(drill) == ["fence on east"] * 3 + ["promote west"]


@pytest.mark.parametrize("answer", [TRY_AGAIN, FAILED, HUNG])
async def test_a_fence_that_never_confirms_parks_where_it_blocks(answer: FenceResult) -> None:
    async with Drill() as drill:
        drill.daemon.fence.answers[FenceVerb.ON] = [answer]
        await lost(drill)
        await drill.until(lambda: parked(drill, "deadline"), within_s=90)
        assert drill.run.parked_step == "fence"
        assert drill.site.sent_to("promote") == 0
        drill.daemon.fence.answers.clear()
        await drill.unpark("retry")
        await failed_over(drill)


@pytest.mark.parametrize("answer", [TRY_AGAIN, FAILED, HUNG])
async def test_a_fence_that_never_confirms_is_paged_and_passed_over_where_the_config_says_so(
    answer: FenceResult,
) -> None:
    async with Drill(Setting(on_failure=OnFenceFailure.PAGE_AND_GO_ON)) as drill:
        drill.daemon.fence.answers[FenceVerb.ON] = [answer]
        await lost(drill)
        await failed_over(drill, within_s=120)
        assert page(drill, "does not confirm")
        assert EAST in drill.ledger.fences  # it may have acted: it is turned off with the debt


async def test_a_parked_fence_is_passed_by_its_waiver() -> None:
    async with Drill() as drill:
        drill.daemon.fence.answers[FenceVerb.ON] = [FAILED]
        await lost(drill)
        await drill.until(lambda: parked(drill, "deadline"), within_s=90)
        await drill.unpark("proceed", waive=("fence",))
        await failed_over(drill)


async def test_a_fence_that_does_not_come_off_ends_the_run_with_a_page() -> None:
    async with Drill() as drill:
        drill.daemon.fence.answers[FenceVerb.OFF] = [FAILED]
        drill.daemon.journal.slow_s = lambda point: 10.0 if "promote_intended" in point else 0.0
        await lost(drill)
        await drill.until(lambda: drill.site.held, within_s=10)
        drill.site.mend()
        await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=400)
        assert page(drill, "cannot be turned off")
        assert drill.ledger.recent_runs[-1].why.endswith("the fence of east is still on")
        assert EAST in drill.ledger.fences  # shown as S-11 from now on


# -- promote -----------------------------------------------------------------------------------------------------------


async def test_a_target_that_still_catches_up_is_asked_again() -> None:
    async with Drill(Setting(knobs=replace(KNOBS, catching_up_s=15.0))) as drill:
        await lost(drill)
        await failed_over(drill)
        assert drill.site.sent_to("promote") > 3
        assert drill.site.applied("promote") == 1
        assert drill.ledger.epoch == 1


async def test_a_target_that_catches_up_for_ever_parks_and_only_the_waiver_forces_it() -> None:
    async with Drill(Setting(knobs=replace(KNOBS, catching_up_s=1e9))) as drill:
        await lost(drill)
        await drill.until(lambda: parked(drill, "deadline"), within_s=700)
        assert drill.site.applied("promote") == 0
        await drill.unpark("retry")
        await asyncio.sleep(30.0)
        assert drill.site.applied("promote") == 0
        await drill.unpark("proceed", waive=("sync-state",))
        await failed_over(drill)
        assert drill.site.applied("promote") == 1


async def test_the_second_credential_is_tried_when_the_first_is_denied() -> None:
    async with Drill(Setting(tokens=("client_token", "dr_token_b"))) as drill:
        await lost(drill)
        await failed_over(drill)
        assert drill.site.sent_to("promote") == 2
        assert drill.ledger.recent_runs[0].step("promote").not_applied == 1


async def test_a_promote_that_every_credential_is_denied_for_is_void_and_unfenced() -> None:
    async with Drill(Setting(tokens=("client_token", "root_token"))) as drill:
        await lost(drill)
        await given_up(drill)
        assert drill.site.sent_to("promote") == 2
        assert drill.ledger.epoch == 0
        assert drill.ledger.recent_runs[-1].why.startswith("no credential is left")


async def test_no_credential_at_all_gives_up_before_anything_is_done() -> None:
    async with Drill(Setting(tokens=())) as drill:
        await drill.healthy()
        drill.site.lose(EAST)
        await drill.daemon.open(Runbook.FAILOVER, EAST, WEST, waivers=["window"], asked_by_uid=1)
        await given_up(drill)
        assert effects(drill) == []


async def test_one_credential_alone_is_told() -> None:
    async with Drill(Setting(tokens=PREPARED[:1])) as drill:
        await lost(drill)
        await failed_over(drill)
        assert page(drill, "only credential")


async def test_a_target_that_cannot_be_reached_is_asked_again_when_it_can() -> None:
    async with Drill() as drill:

        def burn(point: str) -> None:
            if point == "vault before promote west" and not drill.site.sent:
                drill.site.break_(FaultKind.REFUSE, "link:bastion>west")

        drill.daemon.fuse = burn
        await lost(drill)
        await drill.until(lambda: drill.site.sent, within_s=30)
        await asyncio.sleep(3.0)
        assert drill.run.step("promote").not_applied == 1
        drill.site.mend(kind=FaultKind.REFUSE)
        await failed_over(drill)
