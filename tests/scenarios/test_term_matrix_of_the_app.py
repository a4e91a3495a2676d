"""TERM at every moment of everything that a run may do, on the App itself: it ends in time, at a safe point (DESIGN 6).

Every chapter is told once without a stop. Then TERM comes at each of its points: at every journal write, before and
after every effect, and in the middle of every long wait. What is left open is taken up first by the next process, which
comes to the same end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import looptime
import pytest

from tests.scenarios.test_crash_matrix_of_the_app import POINTS
from tests.support.play_chapters import CHAPTERS, silence_west_behind_the_fence
from tests.support.play_stops import Stopped, Told, is_safe, tell, wrong_when_stopped
from watchdogd.core import entries
from watchdogd.core.entries import StepDone, StepIntended
from watchdogd.lab.faults import FaultKind
from watchdogd.runbooks.catalog import PROCEDURES

BY_NAME = {chapter.name: chapter for chapter in CHAPTERS}
ORDERS = "an order of an operator, written in one go: no run is under way in it"
SEEN = "what a tick saw, written in one go: no run writes it"
NOT_OF_A_RUN = {
    "first_elected": SEEN,
    "foreign_seen": SEEN,
    "hold_placed": SEEN,
    "hold_lifted": SEEN,
    "adopted": ORDERS,
    "debt_forgiven": ORDERS,
    "paused": ORDERS,
    "resumed": ORDERS,
    "acked": ORDERS,
}


async def tell_all() -> dict[str, Told]:
    return {chapter.name: await tell(chapter) for chapter in CHAPTERS}


@pytest.fixture(scope="module")
def told() -> dict[str, Told]:
    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(noop_cycles=1, idle_timeout=5)) as runner:
        return runner.run(tell_all())


def test_the_chapters_come_to_every_entry_that_a_run_writes(told: dict[str, Told]) -> None:
    kinds = {kind for kind in (getattr(one, "kind", "") for one in vars(entries).values()) if isinstance(kind, str)}
    written = set().union(*(one.kinds for one in told.values()))
    assert kinds - {""} - written == NOT_OF_A_RUN.keys()


def test_the_chapters_come_to_the_end_of_every_step_and_to_every_act(told: dict[str, Told]) -> None:
    steps = {(runbook, step) for runbook, procedure in PROCEDURES.items() for step in procedure.steps}
    done = set().union(*(one.steps(StepDone) for one in told.values()))
    intended = set().union(*(one.steps(StepIntended) for one in told.values()))
    assert {(runbook, step.name) for runbook, step in steps} - done == set()
    assert {(runbook, step.name) for runbook, step in steps if step.act is not None} - intended == set()


def test_the_chapters_come_to_every_point_of_the_crash_matrix(told: dict[str, Told]) -> None:
    assert set(POINTS) - {point for one in told.values() for point in one.points} == set()


@pytest.mark.matrix
@pytest.mark.parametrize("name", BY_NAME)
async def test_told_to_stop_anywhere_it_ends_at_a_safe_point_and_goes_on_later(
    told: dict[str, Told], name: str
) -> None:
    wrong = [what for stop in told[name].stops for what in await wrong_when_stopped(told[name], *stop)]
    assert not wrong, f"{len(wrong)} of {len(told[name].stops)}\n\n" + "\n\n".join(wrong[:3])


async def test_what_comes_to_no_safe_point_is_left_open_at_the_bound_and_taken_up_first(told: dict[str, Told]) -> None:
    async def west_is_seen_again(stage: Stopped) -> None:
        assert not is_safe(stage.ledger.run)
        stage.end(FaultKind.DROP)

    failover = told["failover"]
    silenced = replace(failover, chapter=replace(failover.chapter, at_point=silence_west_behind_the_fence))
    at = failover.points.index("journal after fence_held+noted")
    assert await wrong_when_stopped(silenced, at, stopped=west_is_seen_again) == []


async def test_a_pause_in_the_stop_holds_the_next_process_until_it_is_resumed(told: dict[str, Told]) -> None:
    async def nothing_moves_until_resumed(stage: Stopped) -> None:
        run = stage.ledger.run
        assert run is not None
        stage.start()
        began = len(stage.points)
        await stage.pass_by(60.0)
        assert stage.points[began:] == []
        assert await stage.order("resume")
        stage.kill()

    failover = told["failover"]
    at = failover.points.index("journal after step_intended+promote_intended+noted")
    paused = replace(failover, chapter=replace(failover.chapter, at_point=pause_after(at)))
    assert await wrong_when_stopped(paused, at, stopped=nothing_moves_until_resumed) == []


def pause_after(at: int) -> Callable[[Stopped, str], None]:
    """USR2 right behind the TERM that comes at this point."""

    def at_point(stage: Stopped, point: str) -> None:
        if len(stage.points) == at + 1:
            stage.spawn(stage.order("pause"))

    return at_point
