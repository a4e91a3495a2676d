"""The printed worst case: INTERFACES section 1 says 56 s at the defaults, and what loss adds is computed."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from watchdogd.core.budget import BUDGET_S, Assumed, Whose, window_s, worst_case
from watchdogd.core.policy import Timing

DEFAULTS = Timing()


def test_detection_costs_56_s_at_the_defaults() -> None:
    assert worst_case(DEFAULTS, fence_timeout_s=None).detection_s == 56.0


def test_a_secondary_without_heartbeats_adds_the_hold() -> None:
    assert worst_case(DEFAULTS, fence_timeout_s=None, reports_heartbeats=False).detection_s == 116.0


@pytest.mark.parametrize(
    ("timing", "seconds"),
    [
        (replace(DEFAULTS, down_after_s=20.0), 21.0),
        (replace(DEFAULTS, down_after_s=10.0, down_rounds=2), 15.0),
        (DEFAULTS, 50.0),
    ],
    ids=["the rounds", "the heartbeats", "the window"],
)
def test_the_longest_of_three_is_the_window(timing: Timing, seconds: float) -> None:
    assert window_s(timing) == seconds


# DESIGN section 1: "at most 56 s of detection and under 5 s of our own procedure"; with a promotion of 10 s and a
# propagation of 5 s "the worst case stays inside 77.76 s".
def test_the_whole_stays_inside_five_nines_of_a_quarter_without_a_fence() -> None:
    worst = worst_case(DEFAULTS, fence_timeout_s=None, assumed=Assumed(promotion_s=10.0, propagation_s=5.0))
    assert worst.spent_s(Whose.OURS) < 5.0
    assert worst.total_s < BUDGET_S
    assert worst.spare_s == pytest.approx(BUDGET_S - worst.total_s)


def test_a_fence_costs_its_timeout_and_one_more_look() -> None:
    with_fence, without = (worst_case(DEFAULTS, fence_timeout_s=timeout_s) for timeout_s in (10.0, None))
    assert with_fence.spent_s(Whose.FENCE) == 12.0
    assert with_fence.total_s == pytest.approx(without.total_s + 12.0)


def test_a_fence_within_the_age_of_a_look_needs_no_second_one() -> None:
    assert worst_case(DEFAULTS, fence_timeout_s=2.0).spent_s(Whose.FENCE) == 2.0


def test_everything_is_named_and_adds_up() -> None:
    worst = worst_case(DEFAULTS, fence_timeout_s=10.0)
    assert all(part.name for part in worst.parts)
    assert sum(worst.spent_s(whose) for whose in Whose) == pytest.approx(worst.total_s)


def test_only_without_loss_is_there_a_bound() -> None:
    rows = worst_case(DEFAULTS, fence_timeout_s=None).losses
    assert [row.loss for row in rows] == [0.0, 0.02, 0.05]
    assert [row.worst_s for row in rows] == [56.0, None, None]
    assert rows[0].one_in_1000_s == 56.0
    assert rows[0].expected_s == 54.0


def test_more_loss_is_never_sooner() -> None:
    rows = worst_case(DEFAULTS, fence_timeout_s=None).losses
    for fewer, more in itertools.pairwise(rows):
        assert fewer.expected_s < more.expected_s
        assert fewer.one_in_100_s <= more.one_in_100_s <= more.one_in_1000_s


def extra_s(chance: random.Random, loss: float, timing: Timing) -> float:
    """One death by the model of the module, played instead of computed."""
    interval_s, held, row, rounds = timing.interval_s, 0, 0, 0
    window_rounds = 17  # 50 s of 3 s rounds, rounded up
    while True:
        rounds += 1
        is_read = chance.random() >= loss
        held, row = (held + 1, row) if is_read else (held + 1, row + 1)
        if is_read and row >= 3:  # more than 9 s between two rounds that were read
            held, row = 0, 0
        elif is_read and held >= window_rounds:
            return (rounds - window_rounds) * interval_s
        elif is_read:
            row = 0


def test_the_computed_loss_is_what_playing_the_model_gives() -> None:
    chance, plays, loss = random.Random(7), 20_000, 0.05
    played = sorted(extra_s(chance, loss, DEFAULTS) for _ in range(plays))
    row = worst_case(DEFAULTS, fence_timeout_s=None).losses[2]
    assert row.expected_s - 54.0 == pytest.approx(sum(played) / plays, abs=0.05)
    assert row.one_in_100_s - 56.0 == played[int(plays * 0.99)]


def test_a_gap_shorter_than_a_round_does_not_count_for_ever() -> None:
    timing = replace(DEFAULTS, gap_max_s=1.0)
    assert worst_case(timing, fence_timeout_s=None).losses[2].one_in_1000_s < 600.0
