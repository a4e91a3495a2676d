"""What the journal's entries add up to, for plausible histories and for any at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.entries import EAST, RUN, WEST, any_entry, run_opened, stamp
from watchdogd.core.entries import (
    AckAsked,
    Acked,
    Adopted,
    DebtClosed,
    DebtForgiven,
    ElectionConfirmed,
    ElectionVoided,
    Entry,
    FenceHeld,
    FenceIntended,
    FenceReleased,
    FenceUnsure,
    FirstElected,
    ForeignSeen,
    HoldLifted,
    HoldPlaced,
    Noted,
    Paused,
    PromoteIntended,
    Resumed,
    RunAbortAsked,
    Runbook,
    RunEnded,
    RunOutcome,
    RunParked,
    RunUnparked,
    Stamp,
    StepDone,
    StepIntended,
    StepNotApplied,
    TokenAttemptEnded,
    TokenAttemptStarted,
    TokenDeleted,
    TokenLeft,
)
from watchdogd.core.fold import RECENT_RUNS, apply, fold
from watchdogd.core.ledger import DebtState, ElectionState, FenceState, Ledger, RunState
from watchdogd.core.model import ClusterId, RunId

PARTNER = {EAST: WEST, WEST: EAST}


def folded(*entries: Entry) -> Ledger:
    return fold((entry, stamp(float(number))) for number, entry in enumerate(entries))


# ------------------------------------------------------------------------------------------------ plausible histories
def first(ledger: Ledger, cluster: ClusterId) -> Entry | None:
    return None if ledger.elections else FirstElected(cluster=cluster)


def promote(ledger: Ledger, cluster: ClusterId) -> Entry | None:
    if ledger.elected is None:
        return None
    target = PARTNER[ledger.elected]
    return PromoteIntended(run_id=RUN, epoch=ledger.next_epoch, elected=target, debtor=ledger.elected)


def promote_again(ledger: Ledger, cluster: ClusterId) -> Entry | None:
    if ledger.election is None or ledger.election.state is not ElectionState.INTENDED:
        return None
    elected = ledger.election.cluster
    return PromoteIntended(run_id=RUN, epoch=ledger.epoch, elected=elected, debtor=PARTNER[elected])


def confirm(ledger: Ledger, cluster: ClusterId) -> Entry | None:
    return ElectionConfirmed(epoch=ledger.epoch) if ledger.election else None


def void(ledger: Ledger, cluster: ClusterId) -> Entry | None:
    if ledger.election is None or ledger.election.state is not ElectionState.INTENDED:
        return None
    return ElectionVoided(epoch=ledger.epoch, why="definitely refused")


def close(ledger: Ledger, cluster: ClusterId) -> Entry | None:
    return DebtClosed(epoch=ledger.open_debt.epoch) if ledger.open_debt else None


def forgive(ledger: Ledger, cluster: ClusterId) -> Entry | None:
    return DebtForgiven(epoch=ledger.open_debt.epoch, by_uid=0, reason="gone") if ledger.open_debt else None


def adopt(ledger: Ledger, cluster: ClusterId) -> Entry | None:
    return Adopted(epoch=ledger.next_epoch, cluster=cluster, by_uid=0, reason="by hand")


Move = Callable[[Ledger, ClusterId], Entry | None]
MOVES: tuple[Move, ...] = (first, promote, promote_again, confirm, void, close, forgive, adopt)
PLANS = st.lists(st.tuples(st.sampled_from(MOVES), st.sampled_from((EAST, WEST))), max_size=25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A ledger, the entry that came next, and what it led to."""

    before: Ledger
    entry: Entry
    after: Ledger


def played(plan: list[tuple[Move, ClusterId]]) -> list[Moment]:
    """What `plan` leads to; a move that makes no sense where it stands is left out."""
    ledger, moments = Ledger(), []
    for number, (move, cluster) in enumerate(plan):
        entry = move(ledger, cluster)
        if entry is None:
            continue
        after = apply(ledger, entry, stamp(float(number)))
        moments.append(Moment(before=ledger, entry=entry, after=after))
        ledger = after
    return moments


@given(PLANS)
def test_an_open_debt_never_orders_the_elected_cluster_to_demote(plan: list[tuple[Move, ClusterId]]) -> None:
    for moment in played(plan):
        assert all(debt.debtor != moment.after.elected for debt in moment.after.debts if debt.is_open)


@given(PLANS)
def test_epochs_strictly_grow_and_no_number_is_used_twice(plan: list[tuple[Move, ClusterId]]) -> None:
    for moment in played(plan):
        epochs = [election.epoch for election in moment.after.elections]
        assert epochs == sorted(set(epochs))
        assert moment.after.next_epoch > max(epochs)


@given(PLANS, st.integers(min_value=0, max_value=2))
def test_a_void_election_restores_the_one_before_it(plan: list[tuple[Move, ClusterId]], sends: int) -> None:
    before = Ledger()
    for moment in played(plan):
        before = moment.after
    sent = played([*plan, (first, EAST), (promote, EAST), *[(promote_again, EAST)] * sends])
    if before.elected is None:
        before = sent[-2 - sends].after
    voided = apply(sent[-1].after, ElectionVoided(epoch=sent[-1].after.epoch, why="refused"), stamp(99.0))
    assert (voided.elected, voided.epoch) == (before.elected, before.epoch)
    assert all(not debt.is_open for debt in voided.debts if debt.epoch == sent[-1].after.epoch)
    assert voided.next_epoch == before.next_epoch + 1


@given(PLANS)
def test_from_the_promote_intent_on_there_is_a_debt(plan: list[tuple[Move, ClusterId]]) -> None:
    """I9: from the first byte of promote there is a durable debt."""
    for moment in played(plan):
        # A second send of the same election finds the debt as it is, also closed: the debtor was seen as secondary.
        if isinstance(moment.entry, PromoteIntended) and moment.entry.epoch == moment.before.next_epoch:
            debt = moment.after.open_debt
            assert debt is not None
            assert (debt.epoch, debt.debtor, debt.creditor) == (
                moment.entry.epoch,
                moment.entry.debtor,
                moment.after.elected,
            )


@given(PLANS)
def test_a_debt_that_is_settled_stays_settled(plan: list[tuple[Move, ClusterId]]) -> None:
    for moment in played(plan):
        settled = [debt for debt in moment.before.debts if not debt.is_open]
        assert set(settled) <= set(moment.after.debts)


@given(PLANS)
def test_at_most_one_debt_is_open_between_two_clusters(plan: list[tuple[Move, ClusterId]]) -> None:
    for moment in played(plan):
        assert sum(debt.is_open for debt in moment.after.debts) <= 1


# ------------------------------------------------------------------------------------------------------- any history
@given(st.lists(any_entry(), max_size=30))
def test_any_entries_fold_and_every_prefix_is_a_ledger(entries: list[Entry]) -> None:
    stamped = [(entry, stamp(float(number))) for number, entry in enumerate(entries)]
    ledger = Ledger()
    for number, (entry, at) in enumerate(stamped):
        ledger = apply(ledger, entry, at)
        assert ledger == fold(stamped[: number + 1])
        assert (ledger.entries, ledger.last) == (number + 1, at)
        assert len(ledger.recent_runs) <= RECENT_RUNS
        assert ledger.run is None or ledger.run.state is not RunState.ENDED
        assert all(run.state is RunState.ENDED and run.outcome for run in ledger.recent_runs)


def test_an_entry_without_a_rule_is_a_bug() -> None:
    class Invented(Entry):
        kind = "invented"

    with pytest.raises(TypeError, match="Invented"):
        apply(Ledger(), Invented(), stamp(0.0))


# ---------------------------------------------------------------------------------------------------------- elections
def test_nobody_is_elected_before_anything_was_seen() -> None:
    ledger = Ledger()
    assert (ledger.elected, ledger.epoch, ledger.next_epoch, ledger.open_debt) == (None, 0, 1, None)


def test_a_confirmed_promotion_is_owed_until_the_debtor_is_seen_as_secondary() -> None:
    sent = (FirstElected(cluster=EAST), PromoteIntended(run_id=RUN, epoch=1, elected=WEST, debtor=EAST))
    assert [d.state for d in folded(*sent).debts] == [DebtState.PENDING]
    owed = folded(*sent, ElectionConfirmed(epoch=1))
    assert [d.state for d in owed.debts] == [DebtState.OWED]
    assert owed.election is not None
    assert owed.election.state is ElectionState.CONFIRMED
    closed = folded(*sent, ElectionConfirmed(epoch=1), DebtClosed(epoch=1))
    assert ([d.state for d in closed.debts], closed.open_debt, closed.elected) == ([DebtState.CLOSED], None, WEST)


def test_an_aborted_settle_debt_gives_up_its_debt_and_not_the_one_of_the_next_election() -> None:
    entries: list[Entry] = [FirstElected(cluster=EAST)]
    given_up = []
    for epoch, (elected, debtor) in enumerate(((WEST, EAST), (EAST, WEST)), start=1):
        entries += [
            PromoteIntended(run_id=RUN, epoch=epoch, elected=elected, debtor=debtor),
            ElectionConfirmed(epoch=epoch),
        ]
        given_up.append(folded(*entries).is_debt_given_up)
        entries += [run_opened(runbook=Runbook.SETTLE_DEBT), RunEnded(run_id=RUN, outcome=RunOutcome.ABORTED)]
        given_up.append(folded(*entries).is_debt_given_up)
        entries.append(DebtClosed(epoch=epoch))
        given_up.append(folded(*entries).is_debt_given_up)
    assert given_up == [False, True, False] * 2


def test_a_debt_that_was_closed_first_is_not_owed_by_a_late_confirmation() -> None:
    ledger = folded(
        FirstElected(cluster=EAST),
        PromoteIntended(run_id=RUN, epoch=1, elected=WEST, debtor=EAST),
        DebtClosed(epoch=1),
        ElectionConfirmed(epoch=1),
    )
    assert [d.state for d in ledger.debts] == [DebtState.CLOSED]


def test_the_guarded_cluster_changes_only_when_an_election_is_confirmed() -> None:
    sent = (FirstElected(cluster=EAST), PromoteIntended(run_id=RUN, epoch=1, elected=WEST, debtor=EAST))
    assert [folded(*sent).guarded, folded(*sent, ElectionConfirmed(epoch=1)).guarded] == [EAST, WEST]
    assert folded(*sent, ElectionVoided(epoch=1, why="refused")).guarded == EAST
    assert Ledger().guarded is None


def test_who_is_adopted_owes_nothing_and_nobody_else_does() -> None:
    ledger = folded(
        FirstElected(cluster=EAST),
        PromoteIntended(run_id=RUN, epoch=1, elected=WEST, debtor=EAST),
        Adopted(epoch=2, cluster=EAST, by_uid=0, reason="west was a mistake"),
    )
    assert (ledger.elected, ledger.epoch, ledger.open_debt) == (EAST, 2, None)


@pytest.mark.parametrize("is_foreign", [False, True])
def test_adopting_what_is_elected_already_opens_no_epoch(is_foreign: bool) -> None:
    ledger = folded(
        FirstElected(cluster=EAST),
        PromoteIntended(run_id=RUN, epoch=1, elected=WEST, debtor=EAST),
        ElectionConfirmed(epoch=1),
        HoldPlaced(cause="the first start"),
        *([ForeignSeen(what="somebody promoted east")] if is_foreign else []),
        Adopted(epoch=1, cluster=WEST, by_uid=0, reason="west it is"),
    )
    assert (ledger.elected, ledger.epoch, len(ledger.elections)) == (WEST, 1, 2)
    assert (ledger.hold, ledger.foreign) == ("", "")
    # After something foreign a debt orders nothing; without, it is owed as before.
    assert (ledger.open_debt is None) is is_foreign


# --------------------------------------------------------------------------------------------------------------- runs
def step_of(*entries: Entry) -> tuple[bool, bool, int]:
    run = folded(run_opened(), *entries).run
    assert run is not None
    record = run.step("promote")
    return record.is_unsure, record.was_never_applied, record.intents


SENT, REFUSED = StepIntended(run_id=RUN, step="promote"), StepNotApplied(run_id=RUN, step="promote", why="not yet")
DONE = StepDone(run_id=RUN, step="promote")


@pytest.mark.parametrize(
    ("entries", "is_unsure", "was_never_applied", "intents"),
    [
        ((), False, True, 0),
        ((SENT,), True, False, 1),
        ((SENT, REFUSED), False, True, 1),
        ((SENT, REFUSED, SENT), True, False, 2),
        ((SENT, DONE), False, False, 1),
        ((SENT, REFUSED, SENT, DONE), False, False, 2),
    ],
)
def test_an_intent_without_an_outcome_is_unsure(
    entries: tuple[Entry, ...], is_unsure: bool, was_never_applied: bool, intents: int
) -> None:
    assert step_of(*entries) == (is_unsure, was_never_applied, intents)


def test_an_intent_is_stamped_and_touches_the_run() -> None:
    run = folded(run_opened(), SENT).run
    assert run is not None
    assert run.step("promote").last_intent == run.touched == stamp(1.0)
    assert run.opened == stamp(0.0)


def test_a_promote_intent_tells_the_run_its_epoch() -> None:
    run = folded(
        FirstElected(cluster=EAST), run_opened(), PromoteIntended(run_id=RUN, epoch=1, elected=WEST, debtor=EAST)
    ).run
    assert run is not None
    assert run.epoch == 1


def test_a_parked_run_keeps_its_slot_and_is_open_again_with_what_the_operator_said() -> None:
    parked = folded(
        run_opened(waivers=("loss",)), RunParked(run_id=RUN, step="fence", need="fence", why="hung: x", answered="x")
    )
    assert parked.run is not None
    assert (parked.run.state, parked.run.parked_step, parked.run.parked_why) == (RunState.PARKED, "fence", "hung: x")
    assert parked.run.parked_answer == "x"
    said = RunUnparked(
        run_id=RUN, by_uid=1000, verb="proceed", skip_step="fence", waive=("fence",), reason="cut by hand"
    )
    run = apply(parked, said, stamp(9.0)).run
    assert run is not None
    assert (run.state, run.parked_step, run.parked_need) == (RunState.OPEN, "", "")
    assert (run.parked_why, run.parked_answer) == ("", "")
    assert (run.waivers, run.skipped) == ({"loss", "fence"}, {"fence"})


def test_a_retry_skips_nothing() -> None:
    run = folded(run_opened(), RunParked(run_id=RUN, step="a", need="n", why="w"), RunUnparked(run_id=RUN)).run
    assert run is not None
    assert (run.state, run.skipped, run.waivers) == (RunState.OPEN, frozenset(), frozenset())


def test_asking_a_parked_run_to_give_up_opens_it_again() -> None:
    run = folded(
        run_opened(), RunParked(run_id=RUN, step="a", need="n", why="w"), RunAbortAsked(run_id=RUN, by_uid=0)
    ).run
    assert run is not None
    assert (run.state, run.abort_asked) == (RunState.OPEN, True)


def test_an_ended_run_gives_its_slot_back_and_is_remembered_for_a_while() -> None:
    ledger = Ledger()
    for number in range(RECENT_RUNS + 3):
        run_id = RunId(f"run-{number}")
        ledger = apply(ledger, run_opened(run_id), stamp(1.0))
        ledger = apply(ledger, RunEnded(run_id=run_id, outcome=RunOutcome.SUCCEEDED, why="done"), stamp(2.0))
    assert ledger.run is None
    assert [run.run_id for run in ledger.recent_runs] == [f"run-{n}" for n in range(3, RECENT_RUNS + 3)]
    assert {(run.state, run.outcome, run.touched) for run in ledger.recent_runs} == {
        (RunState.ENDED, RunOutcome.SUCCEEDED, stamp(2.0))
    }


STRANGER = RunId("run-stranger")


@pytest.mark.parametrize(
    "entry",
    [
        StepIntended(run_id=STRANGER, step="promote"),
        StepNotApplied(run_id=STRANGER, step="promote", why="w"),
        StepDone(run_id=STRANGER, step="promote"),
        Noted(run_id=STRANGER, step="promote", note="n"),
        RunParked(run_id=STRANGER, step="promote", need="n", why="w"),
        RunUnparked(run_id=STRANGER),
        RunAbortAsked(run_id=STRANGER),
        RunEnded(run_id=STRANGER, outcome=RunOutcome.ABORTED),
    ],
    ids=lambda entry: entry.kind,
)
@pytest.mark.parametrize("slot", [(), (run_opened(),)], ids=["slot free", "slot taken"])
def test_an_entry_of_a_run_that_does_not_hold_the_slot_changes_no_run(entry: Entry, slot: tuple[Entry, ...]) -> None:
    before = folded(*slot)
    after = apply(before, entry, stamp(99.0))
    assert (after.run, after.recent_runs) == (before.run, before.recent_runs)


# -------------------------------------------------------------------------------------------------------------- fences
def fence_of(*entries: Entry) -> FenceState | None:
    held = folded(FenceIntended(cluster=EAST, epoch=1, run_id=RUN), *entries).fences.get(EAST)
    return held.state if held else None


@pytest.mark.parametrize(
    ("entries", "state"),
    [
        ((), FenceState.INTENDED),
        ((FenceHeld(cluster=EAST),), FenceState.HELD),
        ((FenceUnsure(cluster=EAST, why="hung"),), FenceState.UNSURE),
        ((FenceUnsure(cluster=EAST, why="hung"), FenceHeld(cluster=EAST)), FenceState.HELD),
        ((FenceHeld(cluster=EAST), FenceReleased(cluster=EAST)), None),
        ((FenceReleased(cluster=WEST),), FenceState.INTENDED),
    ],
)
def test_a_fence_is_held_from_its_intent_until_it_was_turned_off(
    entries: tuple[Entry, ...], state: FenceState | None
) -> None:
    assert fence_of(*entries) is state


def test_a_fence_that_was_never_intended_is_not_invented() -> None:
    assert folded(FenceHeld(cluster=EAST), FenceUnsure(cluster=WEST, why="w")).fences == {}


# ----------------------------------------------------------------------------------- pause, acknowledgement and tokens
def test_a_pause_lasts_until_it_is_resumed() -> None:
    paused = folded(Paused(reason="change window", by_uid=1000, until_utc_s=5.0))
    assert paused.pause is not None
    assert (paused.pause.reason, paused.pause.by_uid, paused.pause.until_utc_s) == ("change window", 1000, 5.0)
    assert apply(paused, Resumed(expired=True), stamp(1.0)).pause is None


def test_an_acknowledgement_also_lifts_a_hold_and_being_up_lifts_the_hold_only() -> None:
    asked = folded(AckAsked(run_id=RUN), HoldPlaced(cause="reload"))
    assert (asked.ack_asked_by, asked.hold) == (RUN, "reload")
    acked = apply(asked, Acked(by_uid=0), stamp(5.0))
    assert (acked.ack_asked_by, acked.hold) == (None, "")
    up = apply(asked, HoldLifted(), stamp(5.0))
    assert (up.ack_asked_by, up.hold) == (RUN, "")


def test_our_own_attempts_and_what_must_be_deleted_are_known_per_cluster() -> None:
    ledger = folded(
        TokenAttemptStarted(cluster=WEST, nonce="n-1", run_id=RUN),
        TokenAttemptStarted(cluster=EAST, nonce="n-2", run_id=RUN),
        TokenLeft(cluster=WEST, fingerprint="f-1"),
        TokenLeft(cluster=EAST, fingerprint="f-2"),
    )
    assert ledger.attempts == {WEST: "n-1", EAST: "n-2"}
    assert ledger.tokens_left == {WEST: "f-1", EAST: "f-2"}
    after = apply(apply(ledger, TokenAttemptEnded(cluster=WEST), stamp(8.0)), TokenDeleted(cluster=EAST), stamp(9.0))
    assert (after.attempts, after.tokens_left) == ({EAST: "n-2"}, {WEST: "f-1"})


# --------------------------------------------------------------------------------------------------------------- stamps
@pytest.mark.parametrize(
    ("earlier", "later", "age_s"),
    [
        (stamp(10.0), stamp(15.5), 5.5),
        (stamp(10.0), stamp(5.0), 0.0),
        (stamp(900.0), Stamp(at_s=3.0, at_utc_s=1_000_960.0, boot_id="boot-2"), 60.0),
        (stamp(900.0), Stamp(at_s=3.0, at_utc_s=5.0, boot_id="boot-2"), inf),
    ],
    ids=["same boot", "same boot, backwards", "after a reboot", "after a reboot, wall clock set back"],
)
def test_ages_are_taken_from_boottime_within_a_boot_and_from_the_wall_clock_across_boots(
    earlier: Stamp, later: Stamp, age_s: float
) -> None:
    assert earlier.age_s(later) == age_s


def test_an_election_that_was_adopted_is_never_voided_by_a_promote_that_computed_the_same_number() -> None:
    ledger = folded(
        FirstElected(cluster=EAST),
        Adopted(epoch=1, cluster=WEST, by_uid=0, reason="seen"),
        PromoteIntended(run_id=RUN, epoch=1, elected=WEST, debtor=EAST),
        ElectionVoided(epoch=1, why="the run was ended before anything was sent"),
    )
    assert (ledger.elected, ledger.epoch) == (WEST, 1)
