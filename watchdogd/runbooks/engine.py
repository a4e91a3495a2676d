"""Run, or resume, one run from its first open step to its end."""

from __future__ import annotations

import structlog

from watchdogd.core.entries import RunEnded, RunOutcome
from watchdogd.errors import NeedsOperator
from watchdogd.runbooks.catalog import PROCEDURES
from watchdogd.runbooks.context import RunContext, RunGone, RunStopped
from watchdogd.runbooks.performing import GivesWay, perform

log = structlog.get_logger()


async def execute(ctx: RunContext) -> None:
    """Run the procedure of `ctx.run` until it ended, or was told to stop.

    On return the run holds the slot no more, or is left open for a later resume. What needs a human is parked, told,
    and waited for inside.
    """
    try:
        await _run_steps(ctx)
    except RunGone:
        log.info("run_taken_away", run_id=ctx.run_id)
    except RunStopped as stop:
        log.info("run_stopped", run_id=ctx.run_id, why=str(stop))


async def _run_steps(ctx: RunContext) -> None:
    procedure = PROCEDURES[ctx.run.runbook]
    try:
        if ctx.run.abort_asked:
            await procedure.give_up(ctx, "resumed while giving up")
            return
        for step in procedure.steps:
            await perform(step, ctx)
        await ctx.write_surely(RunEnded(run_id=ctx.run_id, outcome=RunOutcome.SUCCEEDED))
    except GivesWay as way:
        await procedure.give_way(ctx, way.detail)
    except NeedsOperator as need:
        await procedure.give_up(ctx, need.detail)
