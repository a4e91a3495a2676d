"""Turning the fence of a cluster on and off, written down before and after."""

from __future__ import annotations

from typing import assert_never

from watchdogd.core.entries import FenceHeld, FenceReleased, FenceUnsure, Noted
from watchdogd.core.ledger import FenceState
from watchdogd.core.model import ClusterId
from watchdogd.core.policy import OnFenceFailure
from watchdogd.errors import OutcomeUnknown, Refusal, Refused
from watchdogd.ports import FenceOutcome, FenceResult, FenceVerb, Severity
from watchdogd.runbooks.context import RunContext

SAID_MAX = 200


async def turn_on(ctx: RunContext) -> None:
    """Run `fence on` for the source; held and verified when this returns.

    Raises: Refused(NOT_YET) on exit 75; OutcomeUnknown when it failed or hung: what it did is unknown, and it must be
    turned off one day.
    """
    source = ctx.run.source
    ctx.last_look()
    result = await ctx.fence(FenceVerb.ON, source, epoch=ctx.ledger.next_epoch, run_id=ctx.run_id)
    match result.outcome:
        case FenceOutcome.DONE:
            await ctx.write_surely(FenceHeld(cluster=source), _note(ctx, "on", result.output))
        case FenceOutcome.TRY_AGAIN:
            await ctx.write(_note(ctx, "on: try again", result.output))
            raise Refused(Refusal.NOT_YET, f"the fence asks to try again: {how_it_ended(result)}")
        case FenceOutcome.FAILED | FenceOutcome.TIMED_OUT:
            why = f"{result.outcome}: {how_it_ended(result)}"
            await ctx.write_surely(FenceUnsure(cluster=source, why=why))
            raise OutcomeUnknown(f"the fence of {source} {why}")
        case _:
            assert_never(result.outcome)


def how_it_ended(result: FenceResult) -> str:
    """How the command ended, and the beginning of what it wrote: either may be empty."""
    return "; ".join(part for part in dict.fromkeys((result.why, _first_words(result.output))) if part)


def _first_words(output: str) -> str:
    """The beginning of what the command wrote, on one line: it is told on the page. All of it is in the journal."""
    return " ".join(output.split())[:SAID_MAX]


def has_failed(ctx: RunContext) -> bool:
    """True when the fence of the source was asked for in this run and did not confirm."""
    fence = ctx.ledger.fences.get(ctx.run.source)
    return fence is not None and fence.state is FenceState.UNSURE and fence.run_id == ctx.run_id


def goes_on_without(ctx: RunContext) -> bool:
    """True when the config says that a fence that does not confirm is paged and passed over."""
    return ctx.policy.cluster(ctx.run.source).fence.on_failure is OnFenceFailure.PAGE_AND_GO_ON


async def turn_off(ctx: RunContext, cluster: ClusterId) -> bool:
    """Run `fence off` once for a fence of ours that may hold; True when it holds no more."""
    fence = ctx.ledger.fences[cluster]
    result = await ctx.fence(FenceVerb.OFF, cluster, epoch=fence.epoch, run_id=ctx.run_id)
    if result.outcome is FenceOutcome.DONE:
        await ctx.write_surely(FenceReleased(cluster=cluster), _note(ctx, "off", result.output))
        return True
    ctx.tell(
        f"fence-off:{cluster}",
        Severity.PAGE,
        f"the fence of {cluster} cannot be turned off: {result.outcome}: {how_it_ended(result)}",
    )
    return False


def _note(ctx: RunContext, verb: str, output: str) -> Noted:
    return Noted(run_id=ctx.run_id, step="fence", note=f"{verb}: {output}")
