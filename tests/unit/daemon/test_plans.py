"""Which plans are kept, and for whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.pair import WEST, Rounds, policy_of
from watchdogd.core.plan import Plan, failover_plan
from watchdogd.daemon.plans import SHOWN_MAX, UIDS_MAX, PlanBook, not_waivable

READER, OPERATOR = 1001, 1000


def plan(step: str) -> Plan:
    *_, (_, facts, _) = Rounds().run(20.0)
    made = failover_plan(facts, policy_of(), "S-10", target=WEST, waivers=frozenset(), steps=["promote"])
    return replace(made, agreed=replace(made.agreed, steps=(step,)))


def test_what_cannot_be_waived_is_refused_with_the_waivers_as_they_are_typed() -> None:
    refusal = not_waivable(policy_of(), ["windo", "node:127.1.1.1"])
    assert refusal is not None
    said = str(refusal.body)
    assert "windo cannot be waived; these can be: ack, anchors" in said
    assert "node:ADDRESS" in said
    assert "witness:NAME" in said


@pytest.mark.parametrize(
    "gate", ["node", "witness", "node:", "window:", "loss:5s", "node:https://10.9.9.9:8200", "witness:x"]
)
def test_a_waiver_that_would_waive_nothing_is_refused(gate: str) -> None:
    node = next(node for cluster in policy_of().clusters.values() for node in cluster.nodes)
    assert not_waivable(policy_of(), ["window", f"node:{node}"]) is None
    assert not_waivable(policy_of(), ["window", gate]) is not None


def test_nobody_pushes_out_the_plan_that_somebody_else_was_shown() -> None:
    book, one = PlanBook(), plan("promote")
    key = book.show(one, OPERATOR)
    for number in range(3 * SHOWN_MAX):
        book.show(replace(one, agreed=replace(one.agreed, steps=(str(number),))), READER)
    assert book.shown("prod", key) == one.agreed
    assert book.shown("staging", key) is None


def test_of_one_uid_the_newest_are_kept_and_of_uids_those_that_asked_last() -> None:
    book, one = PlanBook(), plan("promote")
    keys = [book.show(replace(one, agreed=replace(one.agreed, steps=(str(n),))), READER) for n in range(SHOWN_MAX + 1)]
    assert [book.shown("prod", key) is None for key in keys] == [True] + [False] * SHOWN_MAX
    for uid in range(2000, 2000 + UIDS_MAX):
        book.show(one, uid)
    assert book.shown("prod", keys[-1]) is None
