"""The situation table, all of it: every combination is decided, every row is reached, and each act has its premise."""

from __future__ import annotations

import itertools
import random
from dataclasses import fields

import pytest

from tests.support.boxes import COMBINATIONS, DOMAIN, Box, boxes
from watchdogd.core.facts import AbortedRun, Debt, Ours, Side, Sight, Signature, Stream, Third
from watchdogd.core.naming import NameSeen
from watchdogd.core.situations import NAMES, SITUATIONS, Act, name_situation_of, situation_of

BOXES = tuple(boxes(SITUATIONS))


def of_act(act: Act) -> list[Box]:
    return [box for box in BOXES if box.row.act is act]


def test_the_domain_has_every_field_of_the_signature() -> None:
    assert set(DOMAIN) == {field.name for field in fields(Signature)}


def test_every_combination_is_decided_once() -> None:
    assert sum(box.size for box in BOXES) == COMBINATIONS


def test_the_boxes_decide_as_the_table_does() -> None:
    chance = random.Random(5)
    assert all(situation_of(box.example(chance)) is box.row for box in BOXES for _ in range(2))


def test_no_row_is_shadowed_by_those_before_it() -> None:
    reached = {id(box.row) for box in BOXES}
    assert [row.id for row in SITUATIONS if id(row) not in reached] == []


def test_rows_ask_only_about_fields_and_values_that_exist() -> None:
    asked = [(row.id, name, value) for row in SITUATIONS for name, values in row.when.items() for value in values]
    assert [
        one for one in asked if one[1] not in DOMAIN or not isinstance(one[2], type(DOMAIN[one[1]][-1]) | None)
    ] == []


def test_the_rows_stand_in_the_order_of_the_design() -> None:
    # Section 5; S-34 is asked before S-32 because what is not able also closes a gate, S-18 and S-28 stand beside.
    ids = list(dict.fromkeys(row.id for row in SITUATIONS))
    assert ids == [
        "S-01", "S-02", "S-46", "S-05", "S-08", "S-40", "S-42", "S-44", "S-48", "S-50", "S-54", "S-56", "S-58", "S-11",
        "S-10", "S-12", "S-14", "S-13", "S-16", "S-17", "S-20", "S-24", "S-22", "S-26", "S-30", "S-34", "S-32", "S-36",
        "S-99",
    ]  # fmt: skip


def test_a_failover_has_one_premise_and_no_combination_beside_it() -> None:
    premise = {
        "elected": Side.DOWN, "partner": Side.SECONDARY, "sight": Sight.FULL, "debt": Debt.NONE, "is_run_open": False,
        "ours": Ours.FIT, "is_able": True, "are_gates_open": True,
    }  # fmt: skip
    found = of_act(Act.FAILOVER)
    assert found
    assert [box for box in found if any(box.fixed.get(name) != value for name, value in premise.items())] == []


def test_a_debt_orders_a_demote_only_between_two_primaries_with_nothing_foreign() -> None:
    premise = {
        "elected": Side.PRIMARY, "partner": Side.PRIMARY, "debt": Debt.OPEN, "is_foreign": False, "is_run_open": False,
        "ours": Ours.FIT,
    }  # fmt: skip
    found = of_act(Act.SETTLE_DEBT)
    assert found
    assert [box for box in found if any(box.fixed.get(name) != value for name, value in premise.items())] == []


def test_a_roll_back_needs_both_seen_as_secondary_and_nobody_who_hears_a_primary() -> None:
    for box in (*of_act(Act.ROLL_BACK), *of_act(Act.LAST_PRIMARY)):
        assert (box.fixed["elected"], box.fixed["partner"]) == (Side.SECONDARY, Side.SECONDARY)
        assert box.fixed["third"] is Third.NOBODY
    assert {box.fixed["aborted"] for box in of_act(Act.ROLL_BACK)} == {AbortedRun.RECENT}


def test_nothing_is_healed_but_a_link_that_was_broken_for_long_under_a_living_primary() -> None:
    for box in of_act(Act.HEAL):
        assert box.fixed["elected"] is Side.PRIMARY
        assert (box.fixed["partner"], box.fixed["stream"]) == (Side.SECONDARY, Stream.STOPPED_LONG)


@pytest.mark.parametrize("sight", [Sight.SEES, Sight.BLIND, Sight.RUNNING])
def test_nobody_is_promoted_while_the_secondary_does_not_hear_nothing(sight: Sight) -> None:
    assert not any(box.can(sight=sight) for box in of_act(Act.FAILOVER))


def test_unclassified_is_only_an_elected_secondary_whose_partner_cannot_be_read() -> None:
    # Somebody demoted the elected cluster, and nobody can say who is primary now: no row of the design names it.
    found = [box for box in BOXES if box.row.id == "S-99"]
    assert found
    for box in found:
        assert box.fixed["elected"] is Side.SECONDARY
        assert not any(box.can(partner=side) for side in (Side.PRIMARY, Side.SECONDARY, Side.WRONG))


@pytest.mark.parametrize(
    ("situation", "premise"),
    [
        ("S-42", {"elected": Side.DOWN, "partner": Side.PRIMARY, "debt": Debt.OPEN}),
        ("S-44", {"elected": Side.PRIMARY, "partner": Side.SEALED, "debt": Debt.OPEN}),
        ("S-44", {"elected": Side.PRIMARY, "partner": Side.UP, "debt": Debt.OPEN, "is_foreign": False}),
        ("S-44", {"elected": Side.UP, "partner": Side.UP, "debt": Debt.OPEN, "is_foreign": False}),
        ("S-46", {"elected": Side.PRIMARY, "partner": Side.WRONG, "debt": Debt.OPEN}),
        ("S-48", {"elected": Side.PRIMARY, "partner": Side.PRIMARY, "debt": Debt.OPEN, "is_foreign": True}),
        ("S-48", {"elected": Side.PRIMARY, "partner": Side.PRIMARY, "debt": Debt.NONE}),
        ("S-50", {"elected": Side.SECONDARY, "partner": Side.PRIMARY}),
        ("S-50", {"elected": Side.DOWN, "partner": Side.PRIMARY, "debt": Debt.NONE}),
        ("S-16", {"elected": Side.PRIMARY, "partner": Side.DOWN, "is_fence_on_elected": False}),
        ("S-20", {"elected": Side.DOWN, "partner": Side.DOWN, "sight": Sight.SEES}),
        ("S-24", {"elected": Side.SEALED, "partner": Side.DOWN, "sight": Sight.BLIND}),
        ("S-36", {"elected": Side.DOWN, "partner": Side.DOWN, "sight": Sight.BLIND}),
        ("S-36", {"elected": Side.UNKNOWN, "partner": Side.UNKNOWN, "sight": Sight.BLIND}),
        ("S-32", {"elected": Side.DOWN, "partner": Side.SECONDARY, "sight": Sight.BLIND, "is_able": True}),
        ("S-34", {"elected": Side.DOWN, "partner": Side.SECONDARY, "sight": Sight.FULL, "is_able": False}),
    ],
)
def test_a_premise_leads_to_its_row_whatever_else_is_seen(situation: str, premise: dict[str, object]) -> None:
    premise = {"is_run_open": False, "ours": Ours.FIT, "debt": Debt.NONE, **premise}
    assert {box.row.id for box in BOXES if box.can(**premise)} == {situation}


def test_every_act_is_asked_for_by_a_row() -> None:
    asked = {row.act for row in SITUATIONS} | {row.act for row in NAMES.values()}
    assert asked == set(Act)


# -- the name ----------------------------------------------------------------------------------------------------------

NAME_PRODUCT = tuple(
    itertools.product(NameSeen, (None, *Side), dict.fromkeys(row.id for row in SITUATIONS if row.id != "S-01"))
)


def test_every_name_row_is_reached() -> None:
    assert {name_situation_of(*one).id for one in NAME_PRODUCT} == set(NAMES)


def test_a_name_only_ever_moves_to_the_one_active_primary() -> None:
    # N-66, and I4
    for seen, elected, situation in NAME_PRODUCT:
        moves = name_situation_of(seen, elected, situation).act is Act.CUTOVER_DNS
        is_due = seen is NameSeen.PUBLISHES_PARTNER and elected is Side.PRIMARY
        assert moves is (is_due and situation not in ("S-40", "S-48"))


def test_a_debt_that_cannot_be_settled_now_never_delays_the_name() -> None:
    for situation in ("S-44", "S-46", "S-16"):
        assert name_situation_of(NameSeen.PUBLISHES_PARTNER, Side.PRIMARY, situation).id == "N-60"


@pytest.mark.parametrize("elected", [None, *Side])
def test_what_publishes_a_third_or_disagrees_is_said_whoever_is_primary(elected: Side | None) -> None:
    assert name_situation_of(NameSeen.PUBLISHES_THIRD, elected, "S-10").id == "N-62"
    assert name_situation_of(NameSeen.DISAGREE, elected, "S-30").id == "N-64"
    assert name_situation_of(NameSeen.CANNOT_ASK, elected, "S-30").id == "N-64"
