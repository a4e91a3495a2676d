"""What a person approves, and the hash that stands for it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.entries import EAST, PAIR, WEST
from watchdogd.core.entries import Runbook
from watchdogd.core.facts import GateAnswer
from watchdogd.core.known import Loss
from watchdogd.core.plan import HASH_DIGITS, Agreed, Plan, coarse

WORDS = st.text(max_size=8)
LISTS = st.lists(WORDS, max_size=3).map(tuple)
AGREED = st.builds(
    Agreed,
    pair=WORDS,
    action=st.sampled_from(Runbook),
    source=WORDS,
    target=WORDS,
    situation=WORDS,
    elected=st.none() | WORDS,
    epoch=st.integers(0, 9),
    next_epoch=st.integers(0, 9),
    waivers=LISTS,
    closed=LISTS,
    steps=LISTS,
    loss=WORDS,
)
READ = Agreed(
    pair=PAIR,
    action=Runbook.FAILOVER,
    source=EAST,
    target=WEST,
    situation="S-30",
    elected=EAST,
    epoch=0,
    next_epoch=1,
    waivers=(),
    closed=("level",),
    steps=("slot", "promote"),
    loss="less than 1 s",
)


@given(one=AGREED, two=AGREED)
def test_two_plans_have_one_hash_exactly_when_they_are_the_same(one: Agreed, two: Agreed) -> None:
    assert (one.hash == two.hash) is (one == two)
    assert len(one.hash) == HASH_DIGITS


@given(plan=AGREED, data=st.data())
def test_whatever_is_agreed_on_counts_and_is_named_when_it_changes(plan: Agreed, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([field.name for field in fields(Agreed)]))
    changed = replace(plan, **{name: getattr(data.draw(AGREED), name)})
    is_same = getattr(changed, name) == getattr(plan, name)
    assert (changed.hash == plan.hash) is is_same
    assert [said.split(" ")[0] for said in changed.changed_since(plan)] == ([] if is_same else [name])


def test_what_changed_is_said_as_before_and_after() -> None:
    now = replace(READ, situation="S-10", closed=(), epoch=1)
    assert now.changed_since(READ) == ("situation S-30 -> S-10", "epoch 0 -> 1", "closed level -> none")


def test_the_hash_of_a_plan_is_the_same_in_every_daemon() -> None:
    assert READ.hash == "37ff4840120d2ffe"


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (Loss(), "unknown"),
        (Loss(seconds=0.0), "less than 1 s"),
        (Loss(seconds=0.9, wal=7), "less than 1 s"),
        (Loss(seconds=1.0), "less than 10 s"),
        (Loss(seconds=59.9), "less than 60 s"),
        (Loss(wal=600), "less than 3600 WAL"),
        (Loss(seconds=86_400.0), "86400 s or more"),
    ],
)
def test_a_loss_is_decided_on_by_its_magnitude(loss: Loss, said: str) -> None:
    assert coarse(loss) == said


@pytest.mark.parametrize(
    ("gates", "is_alone"),
    [
        ({}, False),
        ({"window": 60.0, "cold-start": 60.0}, True),
        ({"window": 60.0, "secondary-blind": 15.0}, True),  # it cannot say yet, and will
        ({"window": 60.0, "secondary-blind": None}, False),  # it is blind
        ({"window": None}, False),  # it does not run
        ({"window": 60.0, "tilt": 60.0}, False),
    ],
)
def test_only_what_time_alone_opens_may_be_approved_ahead(gates: dict[str, float | None], *, is_alone: bool) -> None:
    closed = tuple(GateAnswer(gate=name, is_open=False, why="closed", until_s=at_s) for name, at_s in gates.items())
    assert Plan(agreed=READ, blocked_by=closed).waits_for_time_alone is is_alone
