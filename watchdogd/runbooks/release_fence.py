"""Turn off a fence of ours that holds on the elected primary (S-11): only ever asked for by a human."""

from __future__ import annotations

from watchdogd.errors import Refusal, Refused
from watchdogd.ports import Severity
from watchdogd.runbooks import fencing
from watchdogd.runbooks.context import RunContext
from watchdogd.runbooks.seen import Done
from watchdogd.runbooks.step import Procedure, Safe, Step, end_as_it_is


async def target_is_open(ctx: RunContext) -> Done:
    """YES when no fence of ours holds on the target."""
    return Done.NO if ctx.run.target in ctx.ledger.fences else Done.YES


async def only_primary(ctx: RunContext) -> None:
    """Raises Refused(NOT_YET) unless the target is the elected, active and only primary, and owes nothing (I15)."""
    run, facts = ctx.run, (await ctx.young_look()).facts
    debt = ctx.ledger.open_debt
    owes = debt is not None and debt.debtor == run.target
    is_only = facts.view(run.target).is_active_primary and not facts.view(run.source).is_active_primary
    if owes or ctx.ledger.elected != run.target or not is_only:
        raise Refused(Refusal.NOT_YET, f"{run.target} is not the elected, only active primary: its fence stays on")


async def fence_off(ctx: RunContext) -> None:
    """Ask once. Raises Refused(NOT_YET) while it does not come off."""
    ctx.last_look()
    if not await fencing.turn_off(ctx, ctx.run.target):
        raise Refused(Refusal.NOT_YET, "the fence is still on")


async def told(ctx: RunContext) -> Done:
    """Tell that clients can write again."""
    ctx.tell("done", Severity.WARN, f"the fence of {ctx.run.target} is off")
    return Done.YES


RELEASE_FENCE = Procedure(
    steps=(
        Step(name="fence_off", done=target_is_open, act=fence_off, guard=only_primary, poll_s_max=5.0, deadline_s=60.0,
             safe=Safe.ALWAYS, is_convergent=True, parks_as="the fence of the elected primary does not come off"),
        Step(name="tell", done=told, safe=Safe.ALWAYS),
    ),
    give_up=end_as_it_is,  # the fence stays, and the table shows it
)  # fmt: skip
