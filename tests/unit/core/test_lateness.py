"""When a time-out is our own fault: what the beats of a round tell of a loop that was busy elsewhere in it."""

from __future__ import annotations

from itertools import repeat

from hypothesis import given
from hypothesis import strategies as st

from watchdogd.core.lateness import LATE_SHARE, Beats, is_our_fault

ROUND_S = 2.0
TURNS_OF_A_ROUND = 15  # of the loop: three answers over a new connection with TLS
ROUNDING_S = 1e-9

Busy = list[tuple[float, float]]  # free for so long, then busy for so long, and again

BUSY = st.lists(st.tuples(st.floats(0.0, 0.5), st.floats(0.0, 1.0)), max_size=40)


def beaten(busy: Busy) -> tuple[float, float]:
    """How late the beats of a round came, and how long the loop was busy in it; nothing of it runs meanwhile.

    The round ends when it has had its time, or when the loop has time to see that.
    """
    beats, now_s, blocked_s = Beats.of(ROUND_S, at_s=0.0), 0.0, 0.0
    for free_s, busy_s in busy:
        free_until_s = now_s + free_s
        while beats.due_s <= min(free_until_s, ROUND_S):
            now_s = max(now_s, beats.due_s)
            beats = beats.came(now_s)
        if free_until_s >= ROUND_S or now_s >= ROUND_S:
            return beats.late_until(max(now_s, ROUND_S)), blocked_s
        now_s = free_until_s + busy_s
        blocked_s += busy_s
        if beats.due_s <= now_s:
            beats = beats.came(now_s)
    while beats.due_s <= ROUND_S:
        beats = beats.came(beats.due_s)
    return beats.late_until(max(now_s, ROUND_S)), blocked_s


@given(busy=BUSY)
def test_a_loop_is_said_to_be_late_for_no_longer_than_it_was_busy(busy: Busy) -> None:
    late_s, blocked_s = beaten(busy)
    assert 0.0 <= late_s <= blocked_s + ROUNDING_S


@given(busy=BUSY)
def test_each_time_that_it_was_busy_hides_one_beat_at_most(busy: Busy) -> None:
    late_s, blocked_s = beaten(busy)
    assert late_s >= blocked_s - len(busy) * Beats.of(ROUND_S, at_s=0.0).every_s - ROUNDING_S


@given(busy=BUSY)
def test_a_loop_that_was_busy_for_less_than_the_share_makes_no_silence_our_fault(busy: Busy) -> None:
    # The worst case of `watchdogd timing` holds for it.
    late_s, blocked_s = beaten(busy)
    if blocked_s < LATE_SHARE * ROUND_S - ROUNDING_S:
        assert not is_our_fault(late_s, ROUND_S)


@given(busy_s=st.floats(0.001, 4.0))
def test_a_loop_that_is_always_busy_and_not_to_blame_goes_round_often_enough_for_a_whole_round(busy_s: float) -> None:
    late_s, _ = beaten(list(repeat((0.0, busy_s), int(ROUND_S / busy_s) + 1)))
    assert is_our_fault(late_s, ROUND_S) or busy_s * TURNS_OF_A_ROUND <= ROUND_S + ROUNDING_S


@given(before_s=st.floats(0.0, ROUND_S, exclude_max=True), busy_s=st.floats(0.7, 9.0))
def test_a_loop_that_stood_still_once_for_a_third_of_the_time_is_to_blame(before_s: float, busy_s: float) -> None:
    late_s, _ = beaten([(before_s, busy_s)])
    assert is_our_fault(late_s, ROUND_S)


def test_a_loop_that_comes_in_time_is_never_late() -> None:
    assert beaten([]) == (0.0, 0.0)
    assert not is_our_fault(0.0, ROUND_S)
