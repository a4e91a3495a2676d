"""Hysteresis: what it takes to believe, what resets it, and what neither advances nor resets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watchdogd.core.model import Reach
from watchdogd.core.streak import Need, Streak

DOWN, UP = Need(after_s=50.0, rounds=8), Need(after_s=15.0, rounds=3)
GAP_MAX_S = 9.0


def fed(*seen: tuple[float, Reach], start: Streak | None = None, with_rounds: bool = True) -> Streak:
    streak = start or Streak()
    for at_s, reach in seen:
        streak = streak.feed(
            reach, at_s=at_s, since_s=at_s, has_new_round=with_rounds, down=DOWN, up=UP, gap_max_s=GAP_MAX_S
        )
    return streak


def every(reach: Reach, start: int, end: int) -> list[tuple[float, Reach]]:
    return [(float(at), reach) for at in range(start, end + 1)]


def test_down_is_held_after_its_seconds_and_not_before() -> None:
    assert not fed(*every(Reach.DOWN, 0, 49)).is_held(Reach.DOWN)
    assert fed(*every(Reach.DOWN, 0, 50)).is_held(Reach.DOWN)


def test_seconds_without_rounds_are_not_enough() -> None:
    assert not fed(*every(Reach.DOWN, 0, 200), with_rounds=False).is_held(Reach.DOWN)


def test_a_window_begins_at_the_round_that_showed_it_not_at_the_tick() -> None:
    late = Streak().feed(Reach.DOWN, at_s=10.9, since_s=10.0, has_new_round=True, down=DOWN, up=UP, gap_max_s=GAP_MAX_S)
    assert late.held_s == 10.9 - 10.0


def test_one_contrary_reading_begins_the_window_anew_even_after_it_was_believed() -> None:
    believed = fed(*every(Reach.DOWN, 0, 60))
    again = fed((61.0, Reach.UP), *every(Reach.DOWN, 62, 111), start=believed)
    assert not again.is_held(Reach.DOWN)
    assert fed((112.0, Reach.DOWN), start=again).is_held(Reach.DOWN)


def test_a_short_gap_neither_advances_nor_resets() -> None:
    streak = fed(*every(Reach.DOWN, 0, 30), *every(Reach.UNKNOWN, 31, 39))
    assert (streak.candidate, streak.held_s) == (Reach.DOWN, 30.0)
    back = fed((40.0, Reach.DOWN), start=streak)
    assert back.held_s == 30.0
    assert fed(*every(Reach.DOWN, 41, 60), start=back).is_held(Reach.DOWN)


def test_a_gap_longer_than_allowed_resets() -> None:
    streak = fed(*every(Reach.DOWN, 0, 30), *every(Reach.UNKNOWN, 31, 40))
    assert (streak.candidate, streak.belief, streak.held_s) == (Reach.UNKNOWN, Reach.UNKNOWN, 0.0)


def test_nobody_looking_is_a_gap_too() -> None:
    streak = fed(*every(Reach.DOWN, 0, 30), (100.0, Reach.DOWN))
    assert (streak.candidate, streak.held_s, streak.rounds) == (Reach.DOWN, 0.0, 1)


@given(st.lists(st.tuples(st.floats(0.0, 12.0), st.sampled_from(Reach), st.booleans()), max_size=60))
def test_down_is_held_only_after_that_much_time_without_life(steps: list[tuple[float, Reach, bool]]) -> None:
    streak, at_s, since_up_s, down_s = Streak(), 0.0, 0.0, 0.0
    previous = Reach.UNKNOWN
    for passed_s, reach, is_round in steps:
        at_s += passed_s
        streak = streak.feed(
            reach, at_s=at_s, since_s=at_s, has_new_round=is_round, down=DOWN, up=UP, gap_max_s=GAP_MAX_S
        )
        down_s = 0.0 if reach is Reach.UP else down_s + (passed_s if previous is reach is Reach.DOWN else 0.0)
        since_up_s = at_s if reach is Reach.UP else since_up_s
        previous = reach
        if streak.is_held(Reach.DOWN):
            assert down_s >= DOWN.after_s - 1e-6
            assert at_s - since_up_s >= DOWN.after_s - 1e-6


@given(st.integers(0, 500))
def test_unknown_for_ever_is_never_down(ticks: int) -> None:
    assert not fed(*every(Reach.UNKNOWN, 0, ticks)).is_held(Reach.DOWN)
