"""Fail over to the secondary: prove it, stop the old primary, look once more, promote, verify (DESIGN section 6)."""

from __future__ import annotations

from watchdogd.core.entries import (
    AckAsked,
    ElectionConfirmed,
    ElectionVoided,
    Entry,
    FenceIntended,
    Noted,
    PromoteIntended,
    RunAbortAsked,
    RunEnded,
    RunOutcome,
)
from watchdogd.core.model import Mode, NodeSeen, StreamState
from watchdogd.errors import Need, NeedsOperator, OutcomeUnknown, Refusal, Refused
from watchdogd.ports import Severity
from watchdogd.runbooks import credentials, fencing
from watchdogd.runbooks.context import RunContext
from watchdogd.runbooks.evidence import (
    DEMOTE_SOURCE,
    FENCE,
    PROMOTE,
    ensure_nothing_foreign,
    ensure_proof,
    is_demoted_by_us,
    is_fenced_by_us,
    is_promote_unsent,
    still_missing,
    veto_against,
    veto_before_promote,
)
from watchdogd.runbooks.performing import perform
from watchdogd.runbooks.roll_back import PROMOTE_BACK, promote_back_step
from watchdogd.runbooks.step import Done, Procedure, Safe, Step

FENCE_OFF_DEADLINE_S = 300.0


# -- section 4 again -------------------------------------------------------------------------------------------------


async def evidence_holds(ctx: RunContext) -> Done:
    """YES when section 4 holds by a new look, or the run is past the point where it could matter."""
    if not is_promote_unsent(ctx):
        return Done.YES
    look = await ctx.look()
    ensure_nothing_foreign(ctx, look.facts)
    if veto := veto_against(ctx, look.facts):
        raise NeedsOperator(Need.VETO, veto)
    if is_demoted_by_us(ctx, look.facts):
        return Done.YES
    return Done.NO if still_missing(ctx, look.facts) else Done.YES


# -- the old primary: a demote where one node still says active by health alone, else the fence ----------------------


def _half_active(ctx: RunContext) -> NodeSeen | None:
    """The node of the source whose health says active while sys/leader errs: the one that a demote may go to."""
    look = ctx.memo.look
    nodes = look.facts.view(ctx.run.source).nodes if look is not None else ()
    return next(
        (n for n in nodes if n.active_by_health_alone and n.status is not None and n.status.mode is Mode.PRIMARY), None
    )


async def source_is_demoted(ctx: RunContext) -> Done:
    """YES when there is nothing to demote, or it was seen to be done. One demote is tried, never a second."""
    if not is_promote_unsent(ctx):
        return Done.YES
    look = await ctx.look() if ctx.record(DEMOTE_SOURCE).intents else ctx.memo.look
    facts = (look or await ctx.look()).facts
    if is_demoted_by_us(ctx, facts):
        return Done.YES
    if ctx.record(DEMOTE_SOURCE).intents:
        return Done.CANNOT_SEE
    return Done.NO if _half_active(ctx) is not None else Done.YES


async def demote_half_active(ctx: RunContext) -> None:
    """Ask the one node; whatever comes of it, only what is seen afterwards counts."""
    node = _half_active(ctx)
    if node is None:
        raise Refused(Refusal.NOT_YET, "no node of the source says active")
    _ensure_young(ctx)
    try:
        await ctx.hands.demote(node)
    except Refused as refused:
        # The fence comes next: a refused demote is not asked again and stops nothing.
        raise OutcomeUnknown(str(refused)) from refused


async def source_is_fenced(ctx: RunContext) -> Done:
    """YES when the fence is held and verified, waived, not needed any more, or passed over by the config."""
    look = ctx.memo.look
    if not is_promote_unsent(ctx) or is_fenced_by_us(ctx):
        return Done.YES
    if look is not None and is_demoted_by_us(ctx, look.facts):
        return Done.YES
    waived = ctx.policy.cluster(ctx.run.source).fence.waived
    if ctx.waives(FENCE) or waived:
        return Done.YES
    if ctx.record(FENCE).intents and fencing.goes_on_without(ctx):
        ctx.tell("fence-passed", Severity.PAGE, f"the fence of {ctx.run.source} does not confirm; the config goes on")
        return Done.YES
    return Done.NO


async def fence_guard(ctx: RunContext) -> None:
    """Stop clients only while everything else still holds."""
    look = ctx.memo.look
    if look is None:
        look = await ctx.look()
    ensure_nothing_foreign(ctx, look.facts)
    if veto := veto_against(ctx, look.facts):
        raise NeedsOperator(Need.VETO, veto)


def _fence_intent(ctx: RunContext) -> tuple[Entry, ...]:
    return (FenceIntended(cluster=ctx.run.source, epoch=ctx.ledger.next_epoch, run_id=ctx.run_id),)


# -- promote -----------------------------------------------------------------------------------------------------------


async def target_is_primary(ctx: RunContext) -> Done:
    """What the target's own active node says of itself."""
    if is_promote_unsent(ctx):
        look = ctx.memo.look or await ctx.look()
    else:
        look = await ctx.look(only=ctx.run.target)
    view = look.facts.view(ctx.run.target)
    if view.is_active_primary:
        if ctx.record(PROMOTE).intents == 0:
            raise NeedsOperator(Need.FOREIGN, f"somebody else made {ctx.run.target} primary; `run adopt` records it")
        return Done.YES
    return Done.NO if view.is_active_secondary else Done.CANNOT_SEE


async def promote_guard(ctx: RunContext) -> None:
    """The last look, section 4 in full, and a credential: at every attempt, retry and resume."""
    look = await ctx.look()
    ensure_proof(ctx, look.facts)
    await credentials.ensure_credential(ctx)


def _promote_intent(ctx: RunContext) -> tuple[Entry, ...]:
    run = ctx.run
    epoch = run.epoch if run.epoch is not None else ctx.ledger.next_epoch
    return (PromoteIntended(run_id=ctx.run_id, epoch=epoch, elected=run.target, debtor=run.source),)


async def promote_target(ctx: RunContext) -> None:
    """Send promote to the node that the last look saw, over the connection that it was seen on."""
    look = ctx.memo.look
    node = look.facts.view(ctx.run.target).active if look is not None else None
    if node is None:
        raise Refused(Refusal.NOT_YET, "no active node of the target was seen")
    _ensure_young(ctx)
    # Only the waiver of the gate that it overrides may force; never a default (DESIGN section 6).
    await credentials.promote_with_next(ctx, node, force=ctx.waives("sync-state") and _is_catching_up(node))


def _is_catching_up(node: NodeSeen) -> bool:
    return node.status is not None and node.status.state is not StreamState.STREAM_WALS


def _ensure_young(ctx: RunContext) -> None:
    if ctx.memo.look is None:
        raise Refused(Refusal.NOT_YET, "nothing was looked at")
    ctx.ensure_young(ctx.memo.look)


async def target_serves(ctx: RunContext) -> Done:
    """YES when the target is an active primary with a quorum of its nodes following."""
    look = await ctx.look(only=ctx.run.target)
    view = look.facts.view(ctx.run.target)
    if not view.is_active_primary:
        return Done.CANNOT_SEE
    serving = sum(node.is_life for node in view.nodes)
    return Done.YES if serving >= ctx.policy.min_serving_nodes(ctx.run.target) else Done.NO


def _elected_entries(ctx: RunContext) -> tuple[Entry, ...]:
    epoch = ctx.run.epoch
    return (ElectionConfirmed(epoch=epoch),) if epoch is not None else ()


# -- tell, and give up -------------------------------------------------------------------------------------------------


async def told(ctx: RunContext) -> Done:
    """Tell what was lost and how long it took; delete what was generated."""
    await credentials.delete_left_token(ctx)
    look, run = ctx.memo.look, ctx.run
    loss = look.facts.known.loss if look is not None else None
    lost = f"{loss.seconds:.0f} s by {loss.told_by}" if loss is not None and loss.seconds is not None else "unknown"
    age_s = ctx.clock.now_s() - run.opened.at_s
    ctx.tell(
        "done",
        Severity.PAGE,
        f"{run.target} is primary at epoch {ctx.ledger.epoch}; {run.source} owes its demotion",
        f"estimated loss: {lost}",
        f"procedure: {age_s:.1f} s",
    )
    await ctx.write(Noted(run_id=ctx.run_id, step="tell", note=f"loss {lost}, procedure {age_s:.1f} s"))
    return Done.YES


def _ack_entries(ctx: RunContext) -> tuple[Entry, ...]:
    return (AckAsked(run_id=ctx.run_id),) if ctx.run.asked_by_uid is None else ()


async def give_up(ctx: RunContext, why: str) -> None:
    """Undo what can be undone and end the run; a promote of unknown outcome parks instead, and is looked at for ever.

    Afterwards the epoch and its debt are void, no fence of this run holds, and a source that this run demoted is
    primary again.
    """
    if not is_promote_unsent(ctx) and not await _is_given_up_by_hand(ctx):
        await _watch_unknown_promote(ctx, why)
        return
    run = ctx.run
    await ctx.write_surely(RunAbortAsked(run_id=ctx.run_id, reason=why), *_void_entries(ctx, why))
    ctx.tell("gave-up", Severity.PAGE, f"the failover to {run.target} was given up: {why}")
    look = await ctx.look()
    if is_demoted_by_us(ctx, look.facts) or ctx.record(PROMOTE_BACK).intents:
        await perform(promote_back_step(run.source, run.target), ctx)
    outcome = RunOutcome.ROLLED_BACK if ctx.record(PROMOTE_BACK).done else RunOutcome.ABORTED
    try:
        await fencing.turn_off_surely(ctx, run.source, deadline_s=FENCE_OFF_DEADLINE_S)
    except NeedsOperator as need:
        why = f"{why}; {need.detail}"
    await credentials.delete_left_token(ctx)
    await ctx.write_surely(RunEnded(run_id=ctx.run_id, outcome=outcome, why=why))


def _void_entries(ctx: RunContext, why: str) -> tuple[Entry, ...]:
    epoch = ctx.run.epoch
    if epoch is None or ctx.record(PROMOTE_BACK).intents:
        return ()
    return (ElectionVoided(epoch=epoch, why=why),)


async def _is_given_up_by_hand(ctx: RunContext) -> bool:
    """True when an operator aborts although a promote was sent, and the target shows that it took no effect."""
    if not ctx.run.abort_asked or ctx.record(PROMOTE).done:
        return False
    look = await ctx.look()
    return look.facts.view(ctx.run.target).is_active_secondary


async def _watch_unknown_promote(ctx: RunContext, why: str) -> None:
    """Promote nobody, keep looking, page both choices; if it did take effect the run goes on to its end."""
    try:
        await perform(_unknown_promote(ctx, why), ctx)
    except NeedsOperator as need:
        await give_up(ctx, need.detail)
        return
    for step in AFTER_PROMOTE:
        await perform(step, ctx)
    await ctx.write_surely(RunEnded(run_id=ctx.run_id, outcome=RunOutcome.SUCCEEDED))


def _unknown_promote(ctx: RunContext, why: str) -> Step:
    async def is_known(ctx: RunContext) -> Done:
        if await _is_given_up_by_hand(ctx):
            raise NeedsOperator(Need.STOPPED, "an operator gave up the promote of unknown outcome")
        return await target_is_primary(ctx)

    run = ctx.run
    return Step(
        name=PROMOTE,
        done=is_known,
        deadline_s=0.0,
        ignores_abort=True,
        with_done=_elected_entries,
        parks_as=f"the outcome of promote is unknown ({why}): `adopt {run.target}` or `adopt {run.source}`",
    )


AFTER_PROMOTE: tuple[Step, ...] = (
    Step(name="target_primary", done=target_serves, deadline_s=300.0,
         parks_as="the promoted cluster has no quorum following"),
    Step(name="tell", done=told, with_done=_ack_entries, safe=Safe.ALWAYS),
)  # fmt: skip

FAILOVER = Procedure(
    steps=(
        Step(name="recheck", done=evidence_holds, deadline_s=15.0, safe=Safe.BEFORE_ANY_EFFECT,
             is_looked_at_again=True, waits_for_window=True, veto=veto_before_promote,
             parks_as="the evidence no longer holds"),
        Step(name="credential", done=credentials.a_credential_is_ready, act=credentials.generate, deadline_s=60.0,
             safe=Safe.BEFORE_ANY_EFFECT, is_looked_at_again=True, veto=veto_before_promote,
             parks_as="no credential that can promote"),
        Step(name=DEMOTE_SOURCE, done=source_is_demoted, act=demote_half_active, guard=fence_guard, deadline_s=30.0,
             safe=Safe.BEFORE_ANY_EFFECT, is_optional=True, veto=veto_before_promote),
        Step(name=FENCE, done=source_is_fenced, act=fencing.turn_on, guard=fence_guard, with_intent=_fence_intent,
             deadline_s=60.0, safe=Safe.BEFORE_ANY_EFFECT, veto=veto_before_promote,
             parks_as="the fence of the old primary does not confirm"),
        Step(name=PROMOTE, done=target_is_primary, act=promote_target, guard=promote_guard,
             with_intent=_promote_intent, with_done=_elected_entries, poll_s_max=2.0, settle_s=60.0,
             deadline_s=600.0,
             veto=veto_before_promote,
             parks_as="promote did not come to its end: look at both clusters before anything else"),
        *AFTER_PROMOTE,
    ),
    give_up=give_up,
)  # fmt: skip
