"""An approval given ahead: waiting changes nothing of it, and whatever else changes ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.entries import run_opened
from tests.support.pair import WEST, Rounds, policy_of, stamp
from watchdogd.core.approval import Approval, Fate, Outlook, given, outlook
from watchdogd.core.entries import Entry, ForeignSeen, HoldPlaced, Paused, Runbook, RunEnded, RunOutcome
from watchdogd.core.facts import Facts
from watchdogd.core.fold import apply
from watchdogd.core.plan import Plan, failover_plan

DIES_S, UNTIL_S = 100.0, 740.0


def facts_at(at_s: float) -> Facts:
    *_, (_, facts, _) = Rounds(dies_s=DIES_S).run(at_s)
    return facts


def plan_at(facts: Facts) -> Plan:
    return failover_plan(facts, policy_of(), "S-26", target=WEST, waivers=frozenset(), steps=("slot",))


SUSPECT, DOWN = facts_at(140.0), facts_at(170.0)
GIVEN = given(plan_at(SUSPECT), SUSPECT.ledger, by_uid=1000, reason="seen it", until_s=UNTIL_S)


def judged(facts: Facts, approval: Approval = GIVEN, *, is_asked: bool = True) -> Outlook:
    return outlook(approval, facts, plan_at(facts), is_asked=is_asked)


def test_it_waits_for_its_window_and_for_a_row_that_asks_for_it() -> None:
    assert [gate.gate for gate in GIVEN.blocked_by] == ["window"]
    assert judged(SUSPECT, is_asked=False) == judged(SUSPECT) == Outlook(fate=Fate.WAITS)
    assert judged(DOWN, is_asked=False) == Outlook(fate=Fate.WAITS)
    assert judged(DOWN) == Outlook(fate=Fate.DUE)


def later(change: Callable[[Facts], Facts]) -> Outlook:
    return judged(change(DOWN))


def written(facts: Facts, *entries: Entry) -> Facts:
    ledger = facts.ledger
    for entry in entries:
        ledger = apply(ledger, entry, stamp(facts.now.at_s))
    return replace(facts, ledger=ledger)


ENDS: tuple[tuple[Callable[[Facts], Facts], str], ...] = (
    (lambda facts: written(facts, Paused(reason="a test")), "paused: a test"),
    (lambda facts: written(facts, HoldPlaced(cause="late")), "held: late"),
    (lambda facts: written(facts, ForeignSeen(what="swapped")), "held: swapped"),
    (lambda facts: written(facts, run_opened(runbook=Runbook.CUTOVER_DNS)), "was begun"),
    (lambda facts: replace(facts, now=stamp(UNTIL_S + 1.0)), "in time"),
    (lambda facts: replace(facts, elected=facts_at(90.0).elected), "east is an active primary again"),
)


@pytest.mark.parametrize(("change", "why"), ENDS, ids=[why for _, why in ENDS])
def test_what_changes_beside_waiting_ends_it(change: Callable[[Facts], Facts], why: str) -> None:
    found = later(change)
    assert found.fate is Fate.GONE
    assert why in found.why


def test_a_hold_that_was_there_and_is_lifted_is_a_change_too() -> None:
    held = written(SUSPECT, HoldPlaced(cause="late"))
    approval = given(plan_at(held), held.ledger, by_uid=1, reason="", until_s=UNTIL_S)
    assert judged(held, approval).fate is Fate.WAITS
    assert judged(SUSPECT, approval) == Outlook(fate=Fate.GONE, why="held: no more")


def test_another_epoch_ends_it_and_so_does_a_plan_that_makes_no_sense_any_more() -> None:
    of_before = replace(GIVEN, agreed=replace(GIVEN.agreed, epoch=7))
    assert "epoch" in judged(DOWN, of_before).why
    assert outlook(GIVEN, DOWN, None, is_asked=True) == Outlook(fate=Fate.GONE, why="there is no such plan now")


def test_its_own_run_uses_it_also_once_that_has_ended() -> None:
    begun = written(DOWN, run_opened())
    assert judged(begun).fate is Fate.USED
    run = begun.ledger.run
    assert run is not None
    ended = written(begun, RunEnded(run_id=run.run_id, outcome=RunOutcome.ABORTED, why="x"))
    assert judged(ended).fate is Fate.USED
    after = given(plan_at(ended), ended.ledger, by_uid=1, reason="", until_s=UNTIL_S)
    assert after.begun_since(ended.ledger) is None
