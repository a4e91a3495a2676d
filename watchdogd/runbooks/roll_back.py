"""Promote the source back: after our own demote, when the target certainly did not become primary.

No primary is an outage, two primaries are a data loss: both clusters must be seen as secondary, each by its own
active node, for the whole settle time and at the last look.
"""

from __future__ import annotations

from watchdogd.core.entries import ElectionConfirmed, ElectionVoided, Entry, PromoteIntended, RunEnded, RunOutcome
from watchdogd.core.model import ClusterId
from watchdogd.errors import Need, NeedsOperator, Refusal, Refused
from watchdogd.ports import Look, Severity
from watchdogd.runbooks import credentials
from watchdogd.runbooks.context import RunContext
from watchdogd.runbooks.step import Done, Procedure, Safe, Step

PROMOTE_BACK = "promote_back"
SETTLE_S = 60.0
PARKS_ON = frozenset({Need.FOREIGN, Need.REFUSED, Need.CREDENTIAL})


def promote_back_step(back: ClusterId, away: ClusterId) -> Step:
    """The step that makes `back` primary again, while `away` is seen to be secondary."""

    async def done(ctx: RunContext) -> Done:
        look = await ctx.look()
        _remember_secondary(ctx, look, away)
        view = look.facts.view(back)
        if view.is_active_primary:
            return Done.YES
        return Done.NO if view.is_active_secondary else Done.CANNOT_SEE

    async def guard(ctx: RunContext) -> None:
        look = await ctx.look()
        _remember_secondary(ctx, look, away)
        if look.facts.view(away).is_active_primary:
            raise NeedsOperator(Need.FOREIGN, f"{away} is an active primary: {back} is not promoted back")
        if not look.facts.view(back).is_active_secondary:
            raise Refused(Refusal.NOT_YET, f"no active node of {back} says secondary")
        since_s = ctx.memo.secondary_since_s
        if since_s is None or look.ended_s - since_s < SETTLE_S:
            raise Refused(Refusal.NOT_YET, f"{away} was not seen as secondary for {SETTLE_S:.0f} s")
        await credentials.ensure_credential(ctx, back)

    async def act(ctx: RunContext) -> None:
        node = ctx.last_look().facts.view(back).active
        if node is None:
            raise Refused(Refusal.NOT_YET, f"no active node of {back} was seen")
        await credentials.promote_with_next(ctx, node)

    def intent(ctx: RunContext) -> tuple[Entry, ...]:
        is_again = ctx.record(PROMOTE_BACK).intents > 0 and ctx.run.epoch is not None
        epoch = ctx.run.epoch if is_again and ctx.run.epoch is not None else ctx.ledger.next_epoch
        return (PromoteIntended(run_id=ctx.run_id, epoch=epoch, elected=back, debtor=away),)

    return Step(
        name=PROMOTE_BACK,
        done=done,
        act=act,
        guard=guard,
        with_intent=intent,
        with_done=_confirmed,
        settle_s=SETTLE_S,
        poll_s_max=2.0,
        deadline_s=600.0,
        ignores_abort=True,
        parks_on=PARKS_ON,
        parks_while_unsure=True,
        parks_as=f"{back} could not be promoted back: both clusters are secondary",
    )


def _remember_secondary(ctx: RunContext, look: Look, cluster: ClusterId) -> None:
    if not look.facts.view(cluster).is_active_secondary:
        ctx.memo.secondary_since_s = None
    elif ctx.memo.secondary_since_s is None:
        ctx.memo.secondary_since_s = look.ended_s


def _confirmed(ctx: RunContext) -> tuple[Entry, ...]:
    epoch = ctx.run.epoch
    if epoch is None or ctx.record(PROMOTE_BACK).intents == 0:
        return ()
    return (ElectionConfirmed(epoch=epoch),)


async def _back_by_run(ctx: RunContext) -> Done:
    return await promote_back_step(ctx.run.target, ctx.run.source).done(ctx)


async def _guard_by_run(ctx: RunContext) -> None:
    await promote_back_step(ctx.run.target, ctx.run.source).guard(ctx)


async def _act_by_run(ctx: RunContext) -> None:
    act = promote_back_step(ctx.run.target, ctx.run.source).act
    if act is not None:
        await act(ctx)


def _intent_by_run(ctx: RunContext) -> tuple[Entry, ...]:
    return promote_back_step(ctx.run.target, ctx.run.source).with_intent(ctx)


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
    outcome = RunOutcome.ABORTED if ctx.run.abort_asked else RunOutcome.SUPERSEDED
    await ctx.write_surely(RunEnded(run_id=ctx.run_id, outcome=outcome, why=why))


ROLL_BACK = Procedure(
    steps=(
        Step(name=PROMOTE_BACK, done=_back_by_run, guard=_guard_by_run, act=_act_by_run, with_intent=_intent_by_run,
             with_done=_confirmed, settle_s=SETTLE_S, poll_s_max=2.0, deadline_s=600.0,
             safe=Safe.BEFORE_ANY_EFFECT, parks_on=PARKS_ON, parks_while_unsure=True,
             parks_as="the previous primary could not be promoted back"),
        Step(name="tell", done=told, safe=Safe.ALWAYS),
    ),
    give_up=give_up,
)  # fmt: skip
