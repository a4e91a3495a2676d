"""The one rule of every settle time: what counts, what does not, and what begins it anew."""

from __future__ import annotations

import pytest

from tests.support.pair import EAST
from watchdogd.core.model import ClusterView, Reach
from watchdogd.runbooks.seen import Done, has_left_secondary
from watchdogd.runbooks.settling import Settling

LOOKS = {"n": Done.NO, "y": Done.YES, ".": Done.CANNOT_SEE}
SETTLE_S, GAP_MAX_S = 10.0, 4.0


def over_at(looks: str, settling: Settling | None = None) -> list[int]:
    """One look a second, from second 1 on: the seconds at which it is over."""
    settling, over = settling or Settling(), []
    for second, look in enumerate(looks, start=1):
        settling = settling.after(LOOKS[look], now_s=float(second), gap_max_s=GAP_MAX_S)
        if settling.is_over(SETTLE_S, now_s=float(second)):
            over.append(second)
    return over


@pytest.mark.parametrize(
    ("looks", "first"),
    [
        ("n" * 20, 11),  # from the first NO on
        ("nnnnn...nnnnnnnnnn", 15),  # 4 s between two looks that saw something: as if they had not been
        ("nnnnn....nnnnnnnnnnn", 20),  # longer: from the first NO after them
        ("nnnnnynnnnnnnnnnn", 17),  # the contrary was seen
        ("nnnnn.y.nnnnnnnnnnn", 19),
        ("...nnnnnnnnnnnnnn", 14),  # nothing was seen before
    ],
)
def test_it_is_over_once_no_has_been_seen_for_the_settle_time(looks: str, first: int) -> None:
    assert over_at(looks)[:1] == [first]


def test_it_is_never_over_at_a_look_that_saw_nothing() -> None:
    assert over_at("n" * 11 + "..n") == [11, 14]


def test_gap_after_gap_it_is_put_off_and_not_for_ever() -> None:
    assert over_at("nn.." * 20)[0] == pytest.approx(4 * SETTLE_S, abs=4.0)


def test_a_send_begins_it_before_anything_is_seen() -> None:
    assert over_at("n" * 20, Settling.begun(0.0))[0] == 10
    assert over_at("..nnnnnnnnnnnnn", Settling.begun(0.0))[0] == 13


def test_a_cluster_with_ids_that_are_not_its_own_has_left_and_one_that_is_silent_cannot_be_seen() -> None:
    silent = ClusterView(cluster=EAST, reach=Reach.UNKNOWN, at_s=1.0)
    assert has_left_secondary(silent) is Done.CANNOT_SEE
    assert has_left_secondary(ClusterView(cluster=EAST, reach=Reach.UP, at_s=1.0, wrong="other ids")) is Done.YES
