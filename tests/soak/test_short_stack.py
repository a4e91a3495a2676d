"""A short soak of the whole stack in every test run, and that it can fail; `make soak` is the long one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.scenarios.removals import Edit, Guard, removed
from watchdogd.adapters.store.memory import NAME
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.rehearsal.stack_days import OUR_WAYS, REPLICATION_WAYS, StackDay, Trouble, play_stack_day, stack_day
from watchdogd.rehearsal.stack_losses import stack_loss
from watchdogd.rehearsal.stack_outcomes import LossPlay, judged, play_stack_loss
from watchdogd.rehearsal.stack_play import play_through

SEED = 1
HOUR_S = 3600.0
RASH = Guard(
    name="down: every node is seen to be down",
    removal=[Edit("core.views:_reach", " and not unsure")],
    caught_by=(),
)
BUSY = 24.0  # as many troubles in an hour as a day has
DEAF = Guard(
    name="what the secondary hears moves nothing",
    removal=[Edit("core.link:LinkWatch.observe", "now.moved_since(self.signals)", "False")],
    caught_by=(),
)
CUT_FROM_S, CUT_TO_S = 300.0, 380.0


def cut(*targets: str) -> StackDay:
    """A day on which nothing happens but that nothing passes on these ways for more than a window."""
    faults = [Fault(kind=FaultKind.DROP, target=target) for target in targets]
    return StackDay(troubles=[Trouble(from_s=CUT_FROM_S, to_s=CUT_TO_S, fault=one, is_dark=True) for one in faults])


@pytest.mark.parametrize("number", [6, 9])
def test_an_hour_as_busy_as_a_day_has_no_failover(number: int) -> None:
    result = play_stack_day(SEED, number, stack_day(SEED, number, HOUR_S, BUSY), HOUR_S)
    assert result.wrong == (), f"seed {SEED}, hour {number}"


# 3 finds the pair paused, 18 a node that we cannot read, 26 has no fence and the old primary comes back.
@pytest.mark.parametrize("number", [3, 18, 26])
def test_a_loss_ends_with_the_name_moved_or_a_page(number: int) -> None:
    assert play_stack_loss(stack_loss(SEED, number)).missed == "", f"make soak SEED={SEED} STACK_LOSS={number}"


def test_a_loss_is_the_same_whenever_it_is_played() -> None:
    assert stack_loss(SEED, 9) == stack_loss(SEED, 9)
    assert play_stack_loss(stack_loss(SEED, 9)) == play_stack_loss(stack_loss(SEED, 9))


def test_without_what_the_secondary_hears_a_cut_of_our_way_is_a_false_failover() -> None:
    day = cut(OUR_WAYS[0])
    result = play_stack_day(SEED, 0, day)
    assert (result.wrong, result.partitions, result.suspected) == ((), 0, 0)
    with removed(DEAF):
        blind = play_stack_day(SEED, 0, day)
    assert any("and clients could write to east" in wrong for wrong in blind.wrong)


def test_a_cut_of_both_ways_is_a_partition_that_no_evidence_tells() -> None:
    result = play_stack_day(SEED, 0, cut(OUR_WAYS[0], REPLICATION_WAYS[0]))
    assert (result.wrong, result.partitions) == ((), 1)


def test_without_unknown_a_loss_that_the_truth_holds_back_is_failed_over() -> None:
    with removed(RASH):
        assert "failed over although node holds it back" in play_stack_loss(stack_loss(SEED, 18)).missed


def test_a_name_that_comes_later_than_its_story_allows_is_missed() -> None:
    loss = stack_loss(SEED, 0)
    hurried = replace(loss, due_s=loss.due_s - 30.0, spare_s=0.0)
    assert "published" in play_stack_loss(hurried).missed


def test_a_memory_that_cannot_be_read_again_is_no_good_end() -> None:
    loss = stack_loss(SEED, 3)

    def spoilt(folder: Path) -> LossPlay:
        (folder / NAME).write_bytes(b"no database")
        return LossPlay(loss, folder)

    assert "the memory's file cannot be read again" in judged(play_through(spoilt)).missed
