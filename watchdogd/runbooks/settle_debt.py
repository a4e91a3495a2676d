"""Settle the demotion debt: the old primary came back and believes that it is primary. Demote it, now.

It orders a demote only while both clusters are seen as active primaries with the pinned ids and nothing foreign
happened since (DESIGN section 2); it never demotes the only living primary (I9).
"""

from __future__ import annotations

from watchdogd.core.entries import DebtClosed, Entry
from watchdogd.core.facts import Facts, Side
from watchdogd.core.ledger import Debt
from watchdogd.errors import Need, NeedsOperator, Refusal, Refused
from watchdogd.ports import Severity
from watchdogd.runbooks import credentials, fencing
from watchdogd.runbooks.context import RunContext
from watchdogd.runbooks.seen import Done
from watchdogd.runbooks.step import Procedure, Safe, Step, always, end_as_it_is

DEMOTE = "demote"
UNPROTECTED = "it follows nobody, and nothing is protected, until `update-primary` by hand, see the manual, chapter 5"


def _debt(ctx: RunContext) -> Debt | None:
    """The open debt of the source; a debt of the other side orders nothing here."""
    debt = ctx.ledger.open_debt
    return debt if debt is not None and debt.debtor == ctx.run.source else None


async def debtor_is_secondary(ctx: RunContext) -> Done:
    """What the debtor's own active node says of itself."""
    if _debt(ctx) is None:
        return Done.YES  # closed by observation, forgiven or void: only the fence is left
    look = await ctx.look()
    view = look.facts.view(ctx.run.source)
    if view.is_active_secondary:
        return Done.YES
    return Done.NO if view.is_active_primary else Done.CANNOT_SEE


def premise_gone(ctx: RunContext) -> str:
    """The sentence that ends the run before its demote: what made it right is no longer seen."""
    look, run = ctx.memo.look, ctx.run
    if look is None or not ctx.record(DEMOTE).was_never_applied or _debt(ctx) is None:
        return ""
    if ctx.ledger.foreign:
        return f"something foreign happened: {ctx.ledger.foreign}"
    for cluster in (run.source, run.target):
        if look.facts.side(cluster) is Side.WRONG:
            return f"{cluster} is not as pinned"
    if not look.facts.view(run.source).is_active_primary:
        return f"{run.source} is not seen as an active primary"
    if not look.facts.view(run.target).is_active_primary:
        return f"{run.target} is not seen as an active primary: the only living one is never demoted"
    return ""


async def demote_guard(ctx: RunContext) -> None:
    """Both are active primaries, by a look that is new."""
    look = await ctx.young_look()
    if why := premise_gone(ctx):
        raise NeedsOperator(Need.VETO, why)
    both = (ctx.run.source, ctx.run.target)
    if not all(look.facts.view(cluster).is_active_primary for cluster in both):
        raise Refused(Refusal.NOT_YET, "not both are seen as active primaries")


async def demote_debtor(ctx: RunContext) -> None:
    """Ask the debtor's own active node, over the connection that it was seen on."""
    await credentials.demote_with_next(ctx, ctx.active_node(ctx.run.source))


def _closed(ctx: RunContext) -> tuple[Entry, ...]:
    debt = _debt(ctx)
    if debt is None:
        return ()
    return (DebtClosed(epoch=debt.epoch, seen=f"{debt.debtor} says secondary"),)


async def fence_is_off(ctx: RunContext) -> Done:
    """YES when no fence of ours holds on the debtor."""
    return Done.NO if ctx.run.source in ctx.ledger.fences else Done.YES


async def fence_off_guard(ctx: RunContext) -> None:
    """Raises Refused(NOT_YET) while clients could write to a cluster that owes a debt, or to a second primary (I15)."""
    source = ctx.run.source
    look = await ctx.young_look()
    if _debt(ctx) is not None or not _is_harmless(ctx, look.facts):
        raise Refused(Refusal.NOT_YET, f"{source} owes its demotion, or may be a second primary: its fence stays on")


def _is_harmless(ctx: RunContext, facts: Facts) -> bool:
    """Whether opening the source lets nobody write to a second primary; one that nobody sees may be one."""
    view = facts.view(ctx.run.source)
    if view.is_active_primary:
        return facts.view(ctx.run.target).is_active_secondary
    return view.is_active_secondary or ctx.ledger.is_fence_settled(ctx.run.source)


async def fence_off(ctx: RunContext) -> None:
    """Ask once. Raises Refused(NOT_YET) while it does not come off."""
    ctx.last_look()
    if not await fencing.turn_off(ctx, ctx.run.source):
        raise Refused(Refusal.NOT_YET, "the fence is still on")


async def look_at_debtor(ctx: RunContext) -> None:
    """The debtor's own active node says secondary, by a look that is new."""
    look = await ctx.young_look()
    if not look.facts.view(ctx.run.source).is_active_secondary:
        raise Refused(Refusal.NOT_YET, f"no active node of {ctx.run.source} says secondary")


async def told(ctx: RunContext) -> Done:
    """Tell what was settled."""
    ctx.tell("done", Severity.WARN, f"{ctx.run.source} is secondary; its debt is closed", UNPROTECTED)
    return Done.YES


SETTLE_DEBT = Procedure(
    steps=(
        Step(name=DEMOTE, done=debtor_is_secondary, act=demote_debtor, guard=demote_guard, with_done=_closed,
             veto=premise_gone, settle_s=10.0, deadline_s=30.0, safe=Safe.BEFORE_ANY_EFFECT,
             parks_on=frozenset({Need.FOREIGN, Need.REFUSED}),
             ends_unseen="what became of the demote cannot be seen any more; debt and fence stay",
             parks_as="the old primary does not say secondary"),
        # A fence that does not come off never delays the name: the table asks for it again.
        Step(name="fence_off", done=fence_is_off, act=fence_off, guard=fence_off_guard, deadline_s=30.0, poll_s_max=5.0,
             safe=Safe.ALWAYS, is_optional=always, parks_as="the fence of the previous primary did not come off"),
        # Vault deletes an operation token on a DR secondary only: a promoted cluster's one had to wait for this.
        Step(name="delete_token", done=credentials.no_token_is_left, act=credentials.delete_by_replacement,
             guard=look_at_debtor, deadline_s=20.0, poll_s_max=5.0, safe=Safe.ALWAYS, is_optional=always,
             is_convergent=True),
        Step(name="tell", done=told, safe=Safe.ALWAYS),
    ),
    give_up=end_as_it_is,  # the debt stays, and so does the fence that belongs to it
)  # fmt: skip
