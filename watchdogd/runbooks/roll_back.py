"""Promote the source back: after our own demote, when the target certainly did not become primary.

No primary is an outage, two primaries are a data loss: both clusters must be seen as secondary, each by its own
active node, for the whole settle time and at the last look. A look that failed counts for nothing (`Settling`).
"""

from __future__ import annotations

from watchdogd.core.entries import (
    ElectionConfirmed,
    ElectionVoided,
    Entry,
    PromoteIntended,
    Runbook,
)
from watchdogd.core.model import ClusterId
from watchdogd.errors import Need, NeedsOperator, Refusal, Refused
from watchdogd.ports import Look, Severity
from watchdogd.runbooks import credentials
from watchdogd.runbooks.context import RunContext
from watchdogd.runbooks.seen import Done, has_left_secondary, is_primary
from watchdogd.runbooks.step import Procedure, Safe, Step, end_as_it_is

PROMOTE_BACK = "promote_back"
SETTLE_S = 60.0  # covers the slowest promote seen
PARKS_ON = frozenset({Need.FOREIGN, Need.REFUSED, Need.CREDENTIAL})


def _back(ctx: RunContext) -> ClusterId:
    """The cluster that becomes primary again: a failover goes back to where it came from."""
    return ctx.run.source if ctx.run.runbook is Runbook.FAILOVER else ctx.run.target


def _away(ctx: RunContext) -> ClusterId:
    return ctx.policy.partner_of(_back(ctx))


async def source_is_back(ctx: RunContext) -> Done:
    """What the cluster's own active node says of itself."""
    look = await ctx.look()
    remember_secondary(ctx, look, _away(ctx))
    return is_primary(look.facts.view(_back(ctx)))


async def promote_back_guard(ctx: RunContext) -> None:
    """Both are secondary by a new look, one of them for the whole settle time; and a credential."""
    look, back, away = await ctx.look(), _back(ctx), _away(ctx)
    remember_secondary(ctx, look, away)
    if look.facts.view(away).is_active_primary:
        raise NeedsOperator(Need.FOREIGN, f"{away} is an active primary: {back} is not promoted back")
    if not look.facts.view(back).is_active_secondary:
        raise Refused(Refusal.NOT_YET, f"no active node of {back} says secondary")
    if not ctx.memo.stays_secondary.is_over(SETTLE_S, now_s=look.ended_s):
        raise Refused(Refusal.NOT_YET, f"{away} was not seen as secondary for {SETTLE_S:.0f} s")
    await credentials.ensure_credential(ctx, back)


def remember_secondary(ctx: RunContext, look: Look, cluster: ClusterId) -> None:
    """Whether `cluster`, promoted in vain, still says secondary: fed with every look at it."""
    seen, gap_max_s = has_left_secondary(look.facts.view(cluster)), ctx.policy.timing.gap_max_s
    ctx.memo.stays_secondary = ctx.memo.stays_secondary.after(seen, now_s=look.ended_s, gap_max_s=gap_max_s)


async def promote_back(ctx: RunContext) -> None:
    """Send promote to the node that the last look saw."""
    await credentials.promote_with_next(ctx, ctx.active_node(_back(ctx)))


def _intent(ctx: RunContext) -> tuple[Entry, ...]:
    is_again = ctx.record(PROMOTE_BACK).intents > 0 and ctx.run.epoch is not None
    epoch = ctx.run.epoch if is_again and ctx.run.epoch is not None else ctx.ledger.next_epoch
    return (PromoteIntended(run_id=ctx.run_id, epoch=epoch, elected=_back(ctx), debtor=_away(ctx)),)


def _confirmed(ctx: RunContext) -> tuple[Entry, ...]:
    epoch = ctx.run.epoch
    if epoch is None or ctx.record(PROMOTE_BACK).intents == 0:
        return ()
    return (ElectionConfirmed(epoch=epoch),)


PROMOTE_BACK_STEP = Step(
    name=PROMOTE_BACK,
    done=source_is_back,
    act=promote_back,
    guard=promote_back_guard,
    with_intent=_intent,
    with_done=_confirmed,
    settle_s=SETTLE_S,
    poll_s_max=2.0,
    deadline_s=600.0,
    safe=Safe.BEFORE_ANY_EFFECT,
    parks_on=PARKS_ON,
    parks_while_unsure=True,
    parks_as="the previous primary could not be promoted back: both clusters are secondary",
)


async def told(ctx: RunContext) -> Done:
    """Tell that the previous primary is back in its role."""
    await credentials.delete_left_token(ctx)
    ctx.tell("done", Severity.PAGE, f"{ctx.run.target} is primary again, at epoch {ctx.ledger.epoch}")
    return Done.YES


async def give_up(ctx: RunContext, why: str) -> None:
    """End the run; what the world shows then is for the table, and for people. What was never applied is void."""
    epoch, record = ctx.run.epoch, ctx.record(PROMOTE_BACK)
    if epoch is not None and record.was_never_applied:
        await ctx.write_surely(ElectionVoided(epoch=epoch, why=why))
    await end_as_it_is(ctx, why)


ROLL_BACK = Procedure(
    steps=(
        PROMOTE_BACK_STEP,
        Step(name="tell", done=told, safe=Safe.ALWAYS),
    ),
    give_up=give_up,
)  # fmt: skip
