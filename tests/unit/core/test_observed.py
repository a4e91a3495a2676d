"""What has to be written down after a look, though nobody acted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.entries import run_opened
from tests.support.pair import EAST, WEST, Rounds, policy_of, stamp
from watchdogd.core.entries import (
    DebtClosed,
    ElectionConfirmed,
    Entry,
    FirstElected,
    ForeignSeen,
    HoldLifted,
    HoldPlaced,
    Paused,
    Resumed,
    Runbook,
)
from watchdogd.core.facts import Facts
from watchdogd.core.fold import apply
from watchdogd.core.ledger import Debt, DebtState, Election, ElectionState, Ledger
from watchdogd.core.model import Mode
from watchdogd.core.observed import NOBODY_LOOKED, OUTAGE_STANDS, Suspected, entries_due, foreign, resuming

POLICY = policy_of()
UNSUSPECTED = Suspected()


def facts_at(at_s: float) -> Facts:
    *_, (_, facts, _) = Rounds(dies_s=100.0).run(at_s)
    return facts


ALIVE, DEAD = facts_at(90.0), facts_at(170.0)


def due(facts: Facts, suspected: Suspected = UNSUSPECTED) -> tuple[Entry, ...]:
    return tuple(entries_due(facts, POLICY, suspected))


def with_ledger(facts: Facts, *entries: Entry, **changes: object) -> Facts:
    ledger = replace(facts.ledger, **changes)  # type: ignore[arg-type]
    for entry in entries:
        ledger = apply(ledger, entry, stamp(facts.now.at_s))
    return replace(facts, ledger=ledger)


def swapped(facts: Facts) -> Facts:
    """The partner answers as an active primary."""
    node = facts.partner.active
    assert node is not None
    assert node.status is not None
    west = replace(facts.partner, active=replace(node, status=replace(node.status, mode=Mode.PRIMARY)))
    return replace(facts, partner=west, views={**facts.views, WEST: west})


def test_a_sound_pair_leaves_nothing_to_write_down() -> None:
    assert due(ALIVE) == due(DEAD) == ()


def test_the_first_primary_with_confirmed_pins_is_elected_and_of_two_neither() -> None:
    nobody = replace(ALIVE, ledger=Ledger(), elected=None)
    assert due(nobody) == (FirstElected(cluster=EAST),)
    assert due(swapped(nobody)) == ()
    assert due(replace(nobody, known=replace(nobody.known, confirmed=frozenset()))) == ()


def test_a_hold_is_lifted_once_the_primary_is_up() -> None:
    held = HoldPlaced(cause="late")
    assert due(with_ledger(ALIVE, held)) == (HoldLifted(),)
    assert due(with_ledger(DEAD, held)) == ()


def test_a_pause_that_ends_before_anybody_looked_holds_too() -> None:
    resumed = Resumed(by_uid=0)
    assert tuple(resuming(None, resumed)) == (resumed, HoldPlaced(cause=NOBODY_LOOKED))


@pytest.mark.parametrize(("facts", "held"), [(ALIVE, ()), (DEAD, (HoldPlaced(cause=OUTAGE_STANDS),))])
def test_the_end_of_a_pause_holds_an_outage_that_stands(facts: Facts, held: tuple[Entry, ...]) -> None:
    resumed = Resumed(expired=True)
    assert tuple(resuming(facts, resumed)) == (resumed, *held)
    over = Paused(reason="x", until_utc_s=facts.now.at_utc_s)
    assert due(with_ledger(facts, over)) == (resumed, *held)
    assert due(with_ledger(facts, replace(over, until_utc_s=facts.now.at_utc_s + 1.0))) == ()
    assert due(with_ledger(facts, replace(over, until_utc_s=None))) == ()


def test_a_promote_that_is_seen_to_have_landed_is_confirmed_but_never_beside_its_run() -> None:
    intended = Election(epoch=1, cluster=EAST, state=ElectionState.INTENDED)
    landed = with_ledger(ALIVE, elections=(intended,))
    assert due(landed) == (ElectionConfirmed(epoch=1),)
    assert due(with_ledger(landed, run_opened())) == ()
    assert due(with_ledger(DEAD, elections=(intended,))) == ()


def test_a_debt_is_closed_once_the_debtor_says_secondary_unless_its_own_run_decides() -> None:
    debt = Debt(epoch=1, debtor=WEST, creditor=EAST, state=DebtState.OWED, since=stamp(0.0))
    owed = with_ledger(ALIVE, debts=(debt,))
    assert due(owed) == (DebtClosed(epoch=1, seen="west says secondary"),)
    assert due(with_ledger(owed, run_opened())) == ()
    assert due(swapped(owed)) == ()


def suspicions(facts: Facts, for_s: int) -> Iterator[tuple[float, Suspected]]:
    suspected = Suspected()
    for second in range(for_s):
        suspected = suspected.observe(replace(facts, now=stamp(second)))
        yield float(second), suspected


def test_something_foreign_is_written_down_once_it_has_held_for_two_rounds() -> None:
    both = swapped(DEAD)
    assert foreign(both) == "west was made primary, and not by us"
    written = {at_s: due(replace(both, now=stamp(at_s)), suspected) for at_s, suspected in suspicions(both, 13)}
    assert {at_s for at_s, entries in written.items() if entries} == {10.0, 11.0, 12.0}
    assert written[10.0] == (ForeignSeen(what=foreign(both)),)
    assert Suspected(what="x", since_s=1.0).observe(ALIVE) == Suspected()


def test_what_a_run_of_ours_or_a_debt_explains_is_not_foreign() -> None:
    debt = Debt(epoch=1, debtor=WEST, creditor=EAST, state=DebtState.OWED, since=stamp(0.0))
    both = swapped(DEAD)
    beside_a_name = with_ledger(both, run_opened(runbook=Runbook.CUTOVER_DNS))
    assert foreign(beside_a_name) == "west was made primary, and not by us"
    assert foreign(with_ledger(both, run_opened())) == foreign(with_ledger(both, debts=(debt,))) == ""
    assert foreign(with_ledger(both, ForeignSeen(what="told already"))) == ""


def test_a_primary_that_somebody_demoted_is_foreign() -> None:
    assert ALIVE.elected is not None
    node = ALIVE.elected.active
    assert node is not None
    assert node.status is not None
    east = replace(ALIVE.elected, active=replace(node, status=replace(node.status, mode=Mode.SECONDARY)))
    assert foreign(replace(ALIVE, elected=east)) == "east was made secondary, and not by us"
