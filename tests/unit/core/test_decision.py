"""What is asked for, and how far it goes by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.entries import run_opened
from tests.support.pair import EAST, WEST, Rounds, policy_of, stamp
from watchdogd.core.decision import Decision, Execution, decide
from watchdogd.core.entries import Entry, FirstElected, Runbook, RunEnded, RunOutcome, RunParked
from watchdogd.core.fold import fold
from watchdogd.core.ledger import Election, ElectionState
from watchdogd.core.model import RunId
from watchdogd.core.naming import NameFact, NameSeen
from watchdogd.core.situations import Phase

RUN = RunId("run-1")


def decided(*entries: Entry, epoch_is_ours: bool = False) -> Decision:
    """A healthy pair whose name publishes its secondary, after `entries`."""
    *_, (_, facts, _) = Rounds().run(100.0)
    ledger = fold([(entry, stamp(0.0)) for entry in (FirstElected(cluster=EAST), *entries)])
    if epoch_is_ours:
        ours = Election(epoch=1, cluster=EAST, state=ElectionState.CONFIRMED, run_id=RunId("run-0"))
        ledger = replace(ledger, elections=(ours,))
    name = NameFact(seen=NameSeen.PUBLISHES_PARTNER, serving=WEST, published=("west",), unasked=())
    signature = replace(facts.signature, is_run_open=ledger.run is not None)
    return decide(replace(facts, ledger=ledger, name=name, signature=signature), policy_of())


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


def test_a_pair_is_frozen_while_its_run_is_parked_and_acting_while_it_goes_on() -> None:
    opened = run_opened(RUN)
    assert decided(opened).phase is Phase.ACTING
    parked = RunParked(run_id=RUN, step="fence", need="fence", why="it said no")
    assert decided(opened, parked).phase is Phase.FROZEN
