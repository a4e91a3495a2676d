"""What is asked for, and how far it goes by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.entries import run_opened
from tests.support.pair import EAST, WEST, Rounds, policy_of, stamp
from watchdogd.core.decision import Decision, Execution, decide
from watchdogd.core.entries import (
    Adopted,
    DebtClosed,
    ElectionConfirmed,
    Entry,
    FirstElected,
    ForeignSeen,
    HoldPlaced,
    PromoteIntended,
    Runbook,
    RunEnded,
    RunOutcome,
    RunParked,
)
from watchdogd.core.facts import AbortedRun, Side, Third
from watchdogd.core.fold import RECENT_RUNS, fold
from watchdogd.core.model import RunId
from watchdogd.core.naming import NameFact, NameSeen
from watchdogd.core.situations import Phase

RUN = RunId("run-1")


def decided(*entries: Entry, epoch_is_ours: bool = False) -> Decision:
    """A healthy pair whose name publishes its secondary, after `entries`."""
    *_, (_, facts, _) = Rounds().run(100.0)
    first = failed_over_to_east(RunId("run-0"), epoch=1) if epoch_is_ours else (FirstElected(cluster=EAST),)
    ledger = fold([(entry, stamp(0.0)) for entry in (*first, *entries)])
    name = NameFact(seen=NameSeen.PUBLISHES_PARTNER, serving=WEST, published=("west",), unasked=())
    signature = replace(facts.signature, is_run_open=ledger.run is not None)
    return decide(replace(facts, ledger=ledger, name=name, signature=signature), policy_of())


def failed_over_to_east(run: RunId, *, epoch: int) -> tuple[Entry, ...]:
    """West was primary, and a run of ours promoted east."""
    before = FirstElected(cluster=WEST) if epoch == 1 else Adopted(epoch=epoch - 1, cluster=WEST, by_uid=0, reason="x")
    return (
        before,
        run_opened(run, source=WEST, target=EAST),
        PromoteIntended(run_id=run, epoch=epoch, elected=EAST, debtor=WEST),
        ElectionConfirmed(epoch=epoch),
        RunEnded(run_id=run, outcome=RunOutcome.SUCCEEDED, why="x"),
        DebtClosed(epoch=epoch, seen="x"),
    )


def cutover(outcome: RunOutcome) -> tuple[Entry, ...]:
    opened = run_opened(RUN, Runbook.CUTOVER_DNS, source=WEST, target=EAST, situation="N-60")
    return opened, RunEnded(run_id=RUN, outcome=outcome, why="x")


@pytest.mark.parametrize("outcome", [None, *RunOutcome])
def test_a_name_whose_move_was_aborted_waits_for_its_command(outcome: RunOutcome | None) -> None:
    ended = cutover(outcome) if outcome is not None else ()
    (todo,) = decided(*ended, epoch_is_ours=True).todo
    assert todo.runbook is Runbook.CUTOVER_DNS
    is_given_up = outcome is RunOutcome.ABORTED
    assert todo.execution is (Execution.WAIT if is_given_up else Execution.GO)
    assert todo.command == "watchdogctl approve cutover-dns east --pair prod --reason '...'"


def test_an_abort_of_an_earlier_epoch_does_not_hold_the_name_of_a_later_failover() -> None:
    """The name was given up in the first incident, and moved by hand; weeks later ours is the newest epoch again."""
    given_up = cutover(RunOutcome.ABORTED)
    assert decided(*given_up, epoch_is_ours=True).todo[0].execution is Execution.WAIT
    again = failed_over_to_east(RunId("run-2"), epoch=3)
    assert decided(*given_up, *again, epoch_is_ours=True).todo[0].execution is Execution.GO


def test_a_name_that_was_given_up_stays_so_however_many_runs_come_after_it() -> None:
    later: list[Entry] = []
    for number in range(RECENT_RUNS):
        run = RunId(f"settle-{number}")
        later.append(run_opened(run, Runbook.SETTLE_DEBT, source=WEST, target=EAST, situation="S-19"))
        later.append(RunEnded(run_id=run, outcome=RunOutcome.SUPERSEDED, why="x"))
    (todo,) = decided(*cutover(RunOutcome.ABORTED), *later, epoch_is_ours=True).todo
    assert todo.execution is Execution.WAIT


def aborted(run: RunId, runbook: Runbook) -> tuple[Entry, ...]:
    opened = run_opened(run, runbook, source=EAST, target=WEST, situation="S-30")
    return opened, RunEnded(run_id=run, outcome=RunOutcome.ABORTED, why="x")


@pytest.mark.parametrize(
    ("ended", "execution"),
    [
        ((Runbook.FAILOVER,), Execution.GO),
        ((Runbook.FAILOVER, Runbook.ROLL_BACK), Execution.WAIT),
        ((Runbook.FAILOVER, Runbook.ROLL_BACK, Runbook.SETTLE_DEBT), Execution.WAIT),
        ((Runbook.FAILOVER, Runbook.ROLL_BACK, Runbook.FAILOVER), Execution.GO),
    ],
)
def test_a_roll_back_that_was_aborted_waits_until_another_failover_was(
    ended: tuple[Runbook, ...], execution: Execution
) -> None:
    *_, (_, facts, _) = Rounds().run(100.0)
    runs = [entry for n, runbook in enumerate(ended) for entry in aborted(RunId(f"run-{n}"), runbook)]
    ledger = fold([(entry, stamp(0.0)) for entry in (FirstElected(cluster=EAST), *runs)])
    late_demote = replace(
        facts.signature,
        elected=Side.SECONDARY,
        partner=Side.SECONDARY,
        aborted=AbortedRun.RECENT,
        third=Third.NOBODY,
    )
    (todo,) = decide(replace(facts, ledger=ledger, signature=late_demote, name=None), policy_of()).todo
    assert (todo.runbook, todo.execution) == (Runbook.ROLL_BACK, execution)


def test_a_pair_is_frozen_while_its_run_is_parked_and_acting_while_it_goes_on() -> None:
    opened = run_opened(RUN)
    assert decided(opened).phase is Phase.ACTING
    parked = RunParked(run_id=RUN, step="fence", need="fence", why="it said no")
    assert decided(opened, parked).phase is Phase.FROZEN


@pytest.mark.parametrize(
    ("entries", "execution"),
    [
        ((), Execution.GO),
        ((HoldPlaced(cause="the first start"),), Execution.WAIT),
        ((ForeignSeen(what="west was made primary, and not by us"),), Execution.WAIT),
    ],
    ids=["nothing", "a hold", "something foreign"],
)
def test_a_failover_by_itself_waits_for_a_human_after_a_hold_or_something_foreign(
    entries: tuple[Entry, ...], execution: Execution
) -> None:
    *_, (_, facts, decision) = Rounds(dies_s=100.0).run(170.0)
    assert decision.row.id == "S-30"
    ledger = fold([(entry, stamp(0.0)) for entry in (FirstElected(cluster=EAST), *entries)])
    (todo,) = decide(replace(facts, ledger=ledger), policy_of()).todo
    assert (todo.runbook, todo.execution) == (Runbook.FAILOVER, execution)


def test_the_name_waits_for_a_human_after_something_foreign() -> None:
    (todo,) = decided(ForeignSeen(what="east was made secondary, and not by us"), epoch_is_ours=True).todo
    assert (todo.runbook, todo.execution) == (Runbook.CUTOVER_DNS, Execution.WAIT)


def test_the_name_waits_for_a_human_while_nobody_here_elected_the_cluster() -> None:
    (todo,) = decided().todo
    assert (todo.runbook, todo.execution) == (Runbook.CUTOVER_DNS, Execution.WAIT)
