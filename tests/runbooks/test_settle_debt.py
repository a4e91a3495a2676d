"""Settle the debt: the previous primary came back and believes that it is primary. Demote it, at the first sighting."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.drill import Drill
from tests.support.drill_dns import Trouble
from tests.support.drill_site import EAST, WEST, Setting
from watchdogd.core.entries import DebtForgiven, ForeignSeen, Runbook, RunOpened, RunOutcome, TokenLeft
from watchdogd.core.ledger import DebtState, RunState
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import FenceOutcome, FenceResult, FenceVerb

FAILED = FenceResult(outcome=FenceOutcome.FAILED, output="no such gateway")
DONE = FenceResult(outcome=FenceOutcome.DONE)


async def failed_over(drill: Drill) -> None:
    """West is primary and published; east is gone, and owes its demotion."""
    await drill.healthy()
    drill.site.lose(EAST)
    await drill.until(lambda: len(drill.ended) == 2, within_s=60)


async def about_to_demote(drill: Drill) -> None:
    """The debtor is back, and the run that settles its debt is being opened, on a slow disk."""
    await failed_over(drill)
    drill.daemon.journal.slow_s = lambda point: 3.0 if point == "run_opened" else 0.0
    drill.site.mend()
    await drill.until(lambda: drill.daemon.decision is not None and drill.daemon.decision.row.id == "S-40", within_s=30)


async def settling(drill: Drill) -> None:
    await drill.until(lambda: drill.ledger.run is not None and drill.run.runbook is Runbook.SETTLE_DEBT, within_s=60)


async def ended(drill: Drill, outcome: RunOutcome = RunOutcome.SUCCEEDED, within_s: float = 60) -> None:
    await drill.until(lambda: (Runbook.SETTLE_DEBT, outcome.value) in drill.ended, within_s=within_s)


async def test_a_debtor_that_is_back_as_primary_is_demoted_and_then_unfenced() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(WEST), within_s=30)
        assert drill.site.applied("demote", EAST) == 1
        assert drill.daemon.fence.verbs(EAST) == (FenceVerb.ON, FenceVerb.OFF)
        assert drill.ledger.debts[-1].state is DebtState.CLOSED
        kinds = drill.daemon.journal.kinds
        assert kinds.index("debt_closed") < kinds.index("fence_released")
        assert drill.site.world.counts.two_writable_primaries_s == 0.0
        assert drill.site.world.counts.acknowledged_writes_lost == 0


async def test_who_hears_that_a_debt_is_settled_hears_what_is_left_to_do() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        drill.site.mend()
        await ended(drill)
        (notice,) = (one for one in drill.notifier.told if one.key.endswith("settle-debt:done"))
        assert "until `update-primary` by hand" in " ".join(notice.details)


async def test_a_debtor_that_returns_without_a_fence_is_primary_for_one_round_and_its_demote() -> None:
    async with Drill(Setting(fence_waived="no fence here")) as drill:
        await failed_over(drill)
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(WEST), within_s=30)
        # I1: until it has been reachable for one probe round and answered its demote
        assert 0.0 < drill.site.world.counts.two_writable_primaries_s <= 3.0


async def test_the_demote_is_sent_at_the_first_sighting() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        drill.site.mend()
        await drill.until(lambda: len(drill.site.world.active_primaries()) == 2, within_s=30, every_s=0.05)
        took_s = await drill.until(lambda: drill.site.sent_to("demote"), within_s=30, every_s=0.05)
        assert took_s <= 3.0


@pytest.mark.parametrize("kind", [FaultKind.SEAL, FaultKind.QUORUM_LOSS])
async def test_a_debtor_that_answers_without_serving_keeps_its_fence(kind: FaultKind) -> None:
    async with Drill() as drill:
        await failed_over(drill)
        drill.site.break_(kind, "cluster:east")
        drill.site.mend(kind=FaultKind.CRASH)
        await asyncio.sleep(60.0)
        assert drill.site.sent_to("demote") == 0
        assert drill.site.held == {EAST}
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(WEST), within_s=60)


async def test_the_only_living_primary_is_never_demoted() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        drill.site.lose(WEST)
        drill.site.mend(target="cluster:east")
        await asyncio.sleep(60.0)
        assert drill.site.sent_to("demote") == 0
        assert drill.daemon.decision is not None
        assert drill.daemon.decision.row.id == "S-42"
        assert drill.site.held == {EAST}


async def test_an_elected_primary_that_dies_right_before_the_demote_ends_the_run() -> None:
    async with Drill() as drill:
        await about_to_demote(drill)
        drill.site.lose(WEST)
        await ended(drill, RunOutcome.SUPERSEDED)
        assert drill.site.sent_to("demote") == 0
        assert drill.site.held == {EAST}


async def test_something_foreign_after_the_election_ends_the_run() -> None:
    async with Drill() as drill:
        await about_to_demote(drill)
        await drill.write(ForeignSeen(what="somebody did something"))
        await ended(drill, RunOutcome.SUPERSEDED)
        assert drill.site.sent_to("demote") == 0


async def test_a_disk_that_is_slow_before_the_demote_makes_it_look_again() -> None:
    slow = [5.0]

    def slow_once(point: str) -> float:
        is_demote = point == "step_intended" and drill.ledger.run is not None
        return slow.pop() if is_demote and drill.run.runbook is Runbook.SETTLE_DEBT and slow else 0.0

    async with Drill() as drill:
        await failed_over(drill)
        drill.daemon.journal.slow_s = slow_once
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(WEST), within_s=60)
        assert (drill.site.applied("demote"), slow) == (1, [])


async def test_a_demote_that_is_denied_parks_once_and_ends_when_somebody_else_does_it() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        tokens = drill.daemon.hands._ways.tokens
        tokens.clear()  # type: ignore[attr-defined]
        drill.site.mend()
        await drill.until(lambda: drill.ledger.run is not None and drill.run.state is RunState.PARKED, within_s=60)
        assert drill.run.parked_need == "refused"
        await asyncio.sleep(60.0)
        assert sum(isinstance(r.entry, RunOpened) for r in drill.site.durable) == 3
        drill.site.demote_by_hand(EAST)
        await drill.until(lambda: drill.is_settled(WEST), within_s=30)


async def test_a_demote_without_effect_is_asked_again_after_the_settle_time() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        drill.site.break_(
            FaultKind.APPLIED_LATE, "cluster:east", method="POST", path="primary/demote", seconds=1e6, times=1
        )
        drill.site.mend(kind=FaultKind.CRASH)
        await drill.until(lambda: drill.is_settled(WEST), within_s=90)
        assert (drill.site.sent_to("demote"), drill.site.applied("demote")) == (2, 1)


async def test_a_fence_that_does_not_come_off_pages_and_is_asked_again_later() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        drill.daemon.fence.answers[FenceVerb.OFF] = [FAILED]
        drill.site.mend()
        await ended(drill, within_s=90)
        assert any("cannot be turned off" in notice.summary for notice in drill.notifier.told)
        assert drill.ledger.open_debt is None
        drill.daemon.fence.answers[FenceVerb.OFF] = [DONE]
        await drill.until(lambda: drill.is_settled(WEST), within_s=120)


async def test_a_fence_that_never_comes_off_does_not_hold_the_name_back() -> None:
    async with Drill() as drill:
        drill.daemon.fence.answers[FenceVerb.OFF] = [FAILED]
        await drill.healthy()
        drill.site.names.are_servers_dead = True
        drill.site.lose(EAST)
        await drill.until(lambda: drill.ledger.epoch == 1 and drill.ledger.run is None, within_s=60)
        drill.site.mend()
        await settling(drill)
        drill.site.names.are_servers_dead = False
        await drill.until(lambda: drill.site.names.published(drill.site.now_s()) == WEST, within_s=90)


async def test_a_step_that_was_skipped_never_unfences_a_debtor() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        drill.daemon.hands._ways.tokens.clear()  # type: ignore[attr-defined]
        drill.site.mend()
        await drill.until(lambda: drill.ledger.run is not None and drill.run.state is RunState.PARKED, within_s=60)
        await drill.unpark("skip", skip="demote")
        await ended(drill, within_s=90)
        assert drill.site.held == {EAST}
        assert FenceVerb.OFF not in drill.daemon.fence.verbs(EAST)


async def test_a_run_for_a_debt_that_was_forgiven_demotes_nobody_and_keeps_the_fence_of_what_nobody_sees() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        await drill.write(DebtForgiven(epoch=1, by_uid=1000, reason="it never comes back"))
        await drill.daemon.open(Runbook.SETTLE_DEBT, EAST, WEST)
        await ended(drill, within_s=90)
        assert drill.site.sent_to("demote") == 0
        assert drill.site.held == {EAST}
        assert FenceVerb.OFF not in drill.daemon.fence.verbs(EAST)


async def test_a_debt_closed_by_hand_needs_no_demote() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        link = drill.site.break_(FaultKind.REFUSE, "link:bastion>east")
        drill.site.mend(kind=FaultKind.CRASH)
        await asyncio.sleep(5.0)
        drill.site.demote_by_hand(EAST)
        await asyncio.sleep(3.0)
        drill.site.world.faults.clear(link)
        await drill.until(lambda: drill.is_settled(WEST), within_s=120)
        assert drill.site.sent_to("demote") == 0


async def test_a_run_for_a_source_without_a_debt_demotes_nobody() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        drill.site.lose(EAST)
        await drill.daemon.open(Runbook.SETTLE_DEBT, WEST, EAST)
        await ended(drill)
        assert drill.site.sent_to("demote") == 0


async def test_an_abort_ends_the_run_and_keeps_debt_and_fence() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        drill.daemon.hands._ways.tokens.clear()  # type: ignore[attr-defined]
        drill.site.mend()
        await drill.until(lambda: drill.ledger.run is not None and drill.run.state is RunState.PARKED, within_s=60)
        await drill.abort()
        await ended(drill, RunOutcome.ABORTED)
        assert drill.ledger.open_debt is not None
        assert drill.site.held == {EAST}


async def test_a_demote_without_effect_is_not_asked_again_while_the_elected_primary_is_not_seen() -> None:
    async with Drill() as drill:

        def burn(point: str) -> None:
            if point == "vault before demote east":
                drill.site.break_(FaultKind.RESET, "link:bastion>east")
            if point == "vault after demote east":
                drill.site.mend(kind=FaultKind.RESET)
                drill.site.lose(WEST)

        await failed_over(drill)
        drill.daemon.fuse = burn
        drill.site.mend()
        await drill.until(lambda: drill.ledger.run is not None and drill.run.state is RunState.PARKED, within_s=60)
        assert drill.site.sent_to("demote") == 1  # the only living primary is never demoted
        assert drill.site.held == {EAST}


async def test_a_demote_that_was_denied_slowly_is_not_repeated_with_another_credential_unlooked() -> None:
    # I9: the only other primary is gone by the time that the first credential is denied.
    async with Drill(Setting(tokens=("client_token", "dr_token_a"))) as drill:
        await failed_over(drill)

        def burn(point: str) -> None:
            if point == "vault before demote east" and not drill.site.sent_to("demote"):
                drill.site.break_(FaultKind.DELAY, "cluster:east", seconds=3.0)
            if point == "vault after demote east" and drill.site.sent_to("demote") == 1:
                drill.site.lose(WEST)
                drill.site.mend(kind=FaultKind.DELAY)

        drill.daemon.fuse = burn
        drill.site.mend()
        await ended(drill, RunOutcome.SUPERSEDED)
        assert drill.site.applied("demote") == 0
        assert drill.site.sent_to("demote") == 1
        assert drill.site.held == {EAST}


async def test_a_demote_that_is_denied_goes_on_with_the_next_credential() -> None:
    async with Drill(Setting(tokens=("client_token", "dr_token_a"))) as drill:
        await failed_over(drill)
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(WEST), within_s=30)
        assert (drill.site.sent_to("demote"), drill.site.applied("demote")) == (2, 1)


async def demote_lost_with_its_debtor(drill: Drill) -> None:
    """East came back, and was gone again with the demote that it was sent: nobody knows what became of it."""
    drill.site.break_(
        FaultKind.APPLIED_LATE, "cluster:east", method="POST", path="primary/demote", seconds=1e6, times=1
    )
    drill.daemon.fuse = lambda point: drill.site.lose(EAST) if point == "vault after demote east" else None
    drill.site.mend(kind=FaultKind.CRASH)
    await settling(drill)
    await drill.until(lambda: drill.site.sent_to("demote") and EAST not in drill.site.world.active_primaries(),
                      within_s=60)  # fmt: skip
    drill.daemon.fuse = lambda point: None


async def test_a_demote_of_unknown_outcome_whose_debtor_is_gone_does_not_hold_the_name_back() -> None:
    async with Drill() as drill:
        await drill.healthy()
        drill.site.names.trouble = Trouble.DEAD
        drill.site.lose(EAST)
        await drill.until(lambda: drill.ledger.epoch == 1 and drill.ledger.run is None, within_s=60)
        await demote_lost_with_its_debtor(drill)
        assert drill.site.names.published(drill.site.now_s()) == EAST
        drill.site.names.trouble = Trouble.NONE
        await drill.until(lambda: drill.site.names.published(drill.site.now_s()) == WEST, within_s=120)
        assert drill.ledger.open_debt is not None
        assert drill.site.held == {EAST}


async def test_a_debtor_that_was_gone_with_its_demote_is_demoted_when_it_returns_once_more() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        await demote_lost_with_its_debtor(drill)
        await ended(drill, RunOutcome.SUPERSEDED, within_s=120)
        assert drill.site.sent_to("demote") == 1
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(WEST), within_s=60)
        assert (drill.site.sent_to("demote"), drill.site.applied("demote")) == (2, 1)


async def test_a_demote_that_shows_only_after_its_run_has_ended_closes_the_debt_all_the_same() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        await demote_lost_with_its_debtor(drill)
        await ended(drill, RunOutcome.SUPERSEDED, within_s=120)
        drill.site.demote_by_hand(EAST)
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(WEST), within_s=120)
        assert drill.site.sent_to("demote") == 1


async def test_a_debtor_with_other_ids_is_not_demoted() -> None:
    async with Drill() as drill:
        await about_to_demote(drill)
        drill.site.break_(FaultKind.STRANGE, "cluster:east", cluster_id="00000000-1111-2222-3333-444444444444")
        await ended(drill, RunOutcome.SUPERSEDED)
        assert drill.site.sent_to("demote") == 0


async def test_a_debtor_that_is_gone_again_before_the_demote_ends_the_run() -> None:
    async with Drill() as drill:
        await about_to_demote(drill)
        drill.site.lose(EAST)
        await ended(drill, RunOutcome.SUPERSEDED)
        assert drill.site.sent_to("demote") == 0


async def test_a_token_left_by_an_earlier_promotion_is_replaced_and_deleted_once_its_cluster_is_secondary() -> None:
    async with Drill(Setting(shares=3)) as drill:
        await failed_over(drill)
        await drill.write(TokenLeft(cluster=EAST, fingerprint="0123456789abcdef"))
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(WEST), within_s=60)
        await ended(drill)
        assert drill.ledger.tokens_left == {}
        assert drill.ledger.attempts == {}


async def test_a_left_token_without_key_shares_stays_written_down_and_holds_nothing_up() -> None:
    async with Drill() as drill:
        await failed_over(drill)
        await drill.write(TokenLeft(cluster=EAST, fingerprint="0123456789abcdef"))
        drill.site.mend()
        await drill.until(lambda: drill.is_settled(WEST), within_s=60)
        await ended(drill)
        assert EAST in drill.ledger.tokens_left
