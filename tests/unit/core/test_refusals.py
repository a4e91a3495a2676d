"""What no waiver overrules: each reason by itself, the graver one first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.pair import EAST, WEST, Rounds, seen
from watchdogd.core.facts import Facts, Side
from watchdogd.core.model import Reach, Reading
from watchdogd.core.refusals import never_failed_over, why_not_forgiven


def facts_at(at_s: float) -> Facts:
    *_, (_, facts, _) = Rounds(dies_s=100.0).run(at_s)
    return facts


DEAD, ALIVE = facts_at(170.0), facts_at(90.0)


def sealed() -> Facts:
    """One node of the dead primary is sealed, and that does not count as down."""
    assert DEAD.elected is not None
    node = seen(EAST, 3, 170.0, Reading.SEALED)
    return replace(DEAD, elected=replace(DEAD.elected, reach=Reach.UNKNOWN, unsure=(node,)))


def test_past_a_dead_primary_the_gates_alone_decide() -> None:
    assert never_failed_over(DEAD, WEST) is None


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (replace(DEAD, elected=None), "nobody is elected"),
        (ALIVE, "east is an active primary"),
        (sealed(), "unseal it, or stop it"),
        (replace(DEAD, partner_side=Side.WRONG), "not the pair that the config pins"),
        (replace(DEAD, elected_side=Side.WRONG), "not the pair that the config pins"),
    ],
    ids=["nobody", "alive", "sealed", "wrong-partner", "wrong-elected"],
)
def test_nobody_fails_over(facts: Facts, why: str) -> None:
    never = never_failed_over(facts, WEST)
    assert never is not None
    assert why in never.why
    assert not never.is_elected_already


def test_nobody_fails_over_to_the_cluster_that_is_elected() -> None:
    never = never_failed_over(ALIVE, EAST)
    assert never is not None
    assert never.is_elected_already


def test_only_the_debt_of_a_cluster_that_is_back_as_primary_stays() -> None:
    assert "east is back as an active primary" in why_not_forgiven(EAST, ALIVE.views)
    assert why_not_forgiven(EAST, DEAD.views) == why_not_forgiven(WEST, ALIVE.views) == why_not_forgiven(EAST, {}) == ""
