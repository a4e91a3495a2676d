"""What is told of a parked run: the cause in the words of whoever refused, and only what would be accepted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.drill import Drill
from tests.support.drill_site import EAST, KNOBS, WEST, Setting
from watchdogd.core.ledger import RunState
from watchdogd.ports import FenceOutcome, FenceResult, FenceVerb, Severity
from watchdogd.runbooks.context import StepOutcome

QUIET = Setting(client_every_s=None)
SAID = FenceResult(outcome=FenceOutcome.FAILED, output="no such gateway\nexit", why="exit status 1")
BUSY = FenceResult(outcome=FenceOutcome.TRY_AGAIN, output="the firewall is being changed by somebody")
SILENT = FenceResult(outcome=FenceOutcome.TIMED_OUT, why="no answer in 10 s")


async def parked(drill: Drill, *, within_s: float = 90) -> None:
    await drill.healthy()
    drill.site.lose(EAST)
    await drill.until(
        lambda: drill.ledger.run is not None and drill.run.state is RunState.PARKED, within_s=30 + within_s
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (SAID, ("exit status 1", "no such gateway exit")),
        (BUSY, ("the firewall is being changed by somebody",)),
        (SILENT, ("no answer in 10 s",)),
    ],
)
async def test_a_fence_that_does_not_confirm_is_told_in_its_own_words(
    answer: FenceResult, words: tuple[str, ...]
) -> None:
    async with Drill(QUIET) as drill:
        drill.daemon.fence.answers[FenceVerb.ON] = [answer]
        await parked(drill)
        page = next(one for one in drill.notifier.told if "is parked at fence" in one.summary)
        event = next(one for one in drill.daemon.events if one.outcome is StepOutcome.PARKED)
        assert page.severity is Severity.PAGE
        for said in (drill.run.parked_why, page.summary, event.why):
            assert "\n" not in said
            assert [word for word in words if word not in said] == []
        assert drill.run.parked_answer
        assert drill.run.parked_answer in drill.run.parked_why


async def test_a_promote_that_vault_refuses_for_ever_is_told_in_vaults_words() -> None:
    async with Drill(Setting(knobs=replace(KNOBS, catching_up_s=1e9))) as drill:
        await parked(drill, within_s=700)
        assert "still catching up" in drill.run.parked_why


async def test_evidence_that_does_not_come_back_names_what_is_missing() -> None:
    async with Drill(QUIET) as drill:
        await drill.healthy()
        drill.site.lose(EAST)
        await drill.until(lambda: drill.ledger.run is not None, within_s=30, every_s=0.01)
        drill.site.lose(WEST)
        drill.restart()
        await drill.until(lambda: drill.run.state is RunState.PARKED, within_s=120)
        assert "secondary-not-able: " in drill.run.parked_why
