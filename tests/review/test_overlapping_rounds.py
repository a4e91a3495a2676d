"""Rounds of one node that overlap: a loop's round and a look's go out side by side, and life in either counts."""

from __future__ import annotations

import pytest

from tests.support.pair import EAST, Rounds, active, around, elected, follows, silent, status_of
from watchdogd.core.decision import decide
from watchdogd.core.model import Mode, NodeSeen, Reach, Reading


def about_to_fail_over() -> tuple[Rounds, float]:
    rounds = Rounds(dies_s=80.0)
    for now_s, _, decision in rounds.run(150.0):
        if decision.row.id == "S-30":
            return rounds, now_s
    raise AssertionError("no failover was asked for")


@pytest.mark.parametrize("life", ["active", "follows"])
@pytest.mark.parametrize("is_life_taken_first", [True, False])
def test_a_round_that_was_under_way_when_life_was_seen_does_not_hide_it(life: str, is_life_taken_first: bool) -> None:
    rounds, now_s = about_to_fail_over()
    # Asked at 0.0 over a connection that leads nowhere any more, given up at 2.0; asked anew at 0.5, answered at 0.6.
    hung = silent(EAST, 1, now_s + 2.0, took_s=2.0)
    answered = (
        active(EAST, 1, now_s + 0.6, status_of(Mode.PRIMARY)) if life == "active" else follows(EAST, 1, now_s + 0.6)
    )
    order: tuple[NodeSeen, ...] = (answered, hung) if is_life_taken_first else (hung, answered)
    assert rounds.watch is not None
    watch = rounds.watch.observe_all(order)
    _, facts = watch.assess(elected(), around(now_s + 2.1))
    assert facts.elected is not None
    assert facts.elected.reach is Reach.UP
    assert decide(facts, rounds.policy).row.id != "S-30"


def test_a_round_that_began_after_life_was_seen_says_what_it_says() -> None:
    rounds, now_s = about_to_fail_over()
    assert rounds.watch is not None
    watch = rounds.watch.observe_all(
        (follows(EAST, 1, now_s + 0.5), silent(EAST, 1, now_s + 2.6, took_s=2.0)),
    )
    assert watch.newest[silent(EAST, 1, 0.0).node].reading is Reading.SILENT
