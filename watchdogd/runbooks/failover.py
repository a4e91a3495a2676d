"""Fail over to the secondary: prove it, stop the old primary, look once more, promote, verify (DESIGN section 6)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from watchdogd.core.budget import READY_WAITED_S
from watchdogd.core.commands import Command
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
from watchdogd.core.facts import Facts
from watchdogd.core.known import loss_told
from watchdogd.core.model import Mode, NodeSeen, StreamState
from watchdogd.core.parked import PROMOTE, RECHECK
from watchdogd.errors import Need, NeedsOperator, OutcomeUnknown, Refusal, Refused
from watchdogd.ports import Severity
from watchdogd.runbooks import credentials, fencing
from watchdogd.runbooks.context import RunContext, RunStopped
from watchdogd.runbooks.evidence import (
    DEMOTE_SOURCE,
    FENCE,
    ensure_nothing_foreign,
    ensure_proof,
    is_demoted_by_us,
    is_fenced_by_us,
    is_promote_unsent,
    may_be_demoted_by_us,
    still_missing,
    veto_against,
    veto_before_promote,
    what_is_missing,
)
from watchdogd.runbooks.performing import perform
from watchdogd.runbooks.roll_back import PROMOTE_BACK, PROMOTE_BACK_STEP, SETTLE_S, remember_secondary
from watchdogd.runbooks.seen import Done, is_primary
from watchdogd.runbooks.step import Procedure, Safe, Step, always

FENCE_OFF_DEADLINE_S, FENCE_OFF_POLL_S = 300.0, 5.0
DEMOTE_SHOWS_S = 30.0
PROMOTE_BACK_IN_GIVING_UP = replace(PROMOTE_BACK_STEP, safe=Safe.NEVER, ignores_abort=True)


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
    return Done.NO if _is_held(ctx) or still_missing(ctx, look.facts) else Done.YES


def _is_held(ctx: RunContext) -> bool:
    """True for a run that nobody asked for, taken up again after a pause or a late start, until somebody has looked."""
    return bool(ctx.ledger.hold) and ctx.run.asked_by_uid is None


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
    if may_be_demoted_by_us(ctx):
        look = await ctx.look()
        return Done.YES if is_demoted_by_us(ctx, look.facts) else Done.CANNOT_SEE
    await ctx.young_look()
    return Done.NO if _half_active(ctx) is not None else Done.YES


async def demote_half_active(ctx: RunContext) -> None:
    """Ask the one node; whatever comes of it, only what is seen afterwards counts."""
    ctx.last_look()
    node = _half_active(ctx)
    if node is None:
        raise Refused(Refusal.NOT_YET, "no node of the source says active")
    try:
        await credentials.demote_with_next(ctx, node)
    except Refused as refused:
        if refused.kind is Refusal.NOT_YET and ctx.memo.demote_denied:
            raise  # certainly not applied, and another credential is left
        # The fence comes next: a refused demote is not asked again and stops nothing.
        raise OutcomeUnknown(str(refused)) from refused


async def source_is_fenced(ctx: RunContext) -> Done:
    """YES when the fence is held and verified, waived, not needed any more, or passed over by the config."""
    if is_fenced_by_us(ctx):
        return Done.YES
    look = await ctx.young_look()
    waived = ctx.policy.cluster(ctx.run.source).fence.waived
    if is_demoted_by_us(ctx, look.facts) or ctx.waives(FENCE) or waived:
        return Done.YES
    if fencing.has_failed(ctx) and fencing.goes_on_without(ctx):
        ctx.tell("fence-passed", Severity.PAGE, f"the fence of {ctx.run.source} does not confirm; the config goes on")
        return Done.YES
    return Done.NO


async def fence_guard(ctx: RunContext) -> None:
    """Act on the source only while nothing that was just seen forbids it."""
    look = await ctx.young_look()
    ensure_nothing_foreign(ctx, look.facts)
    if veto := veto_against(ctx, look.facts):
        raise NeedsOperator(Need.VETO, veto)


def _fence_intent(ctx: RunContext) -> tuple[Entry, ...]:
    return (FenceIntended(cluster=ctx.run.source, epoch=ctx.ledger.next_epoch, run_id=ctx.run_id),)


# -- promote -----------------------------------------------------------------------------------------------------------


async def target_is_primary(ctx: RunContext) -> Done:
    """What the target's own active node says of itself."""
    is_unsent = is_promote_unsent(ctx)
    look = await ctx.young_look() if is_unsent else await ctx.look(only=ctx.run.target)
    if is_unsent:
        ensure_nothing_foreign(ctx, look.facts)
    return is_primary(look.facts.view(ctx.run.target))


async def promote_guard(ctx: RunContext) -> None:
    """The last look, section 4 in full, and a credential: at every attempt, retry and resume."""
    look = await ctx.look()
    ensure_proof(ctx, look.facts)
    ctx.memo.loss = loss_told(look.facts.known, look.facts.now)
    await credentials.ensure_credential(ctx, ctx.run.target)


def _promote_intent(ctx: RunContext) -> tuple[Entry, ...]:
    run = ctx.run
    epoch = run.epoch if run.epoch is not None else ctx.ledger.next_epoch
    return (
        PromoteIntended(run_id=ctx.run_id, epoch=epoch, elected=run.target, debtor=run.source),
        Noted(run_id=ctx.run_id, step=PROMOTE, note=f"estimated loss: {_loss(ctx)}"),
    )


async def promote_target(ctx: RunContext) -> None:
    """Send promote to the node that the last look saw, over the connection that it was seen on."""
    node = ctx.active_node(ctx.run.target)
    # Only the waiver of the gate that it overrides may force; never a default (DESIGN section 6).
    await credentials.promote_with_next(ctx, node, force=ctx.waives("sync-state") and _is_catching_up(ctx, node))


def _is_catching_up(ctx: RunContext, node: NodeSeen) -> bool:
    is_streaming = node.status is not None and node.status.state is StreamState.STREAM_WALS
    return ctx.memo.is_told_to_wait or not is_streaming


async def target_serves(ctx: RunContext) -> Done:
    """YES when the target is an active primary: at once with a quorum of its nodes, else a moment later, with a page.

    Without a quorum it is as much a primary, and the service name waits behind this run.
    """
    look = await ctx.look(only=ctx.run.target)
    view = look.facts.view(ctx.run.target)
    if not view.is_active_primary:
        return Done.CANNOT_SEE
    serving, needed = sum(node.is_life for node in view.nodes), ctx.policy.min_serving_nodes(ctx.run.target)
    if serving >= needed:
        return Done.YES
    now_s = ctx.clock.now_s()
    if ctx.memo.without_quorum_since_s is None:
        ctx.memo.without_quorum_since_s = now_s
    if now_s - ctx.memo.without_quorum_since_s < READY_WAITED_S:
        return Done.NO
    summary = f"{ctx.run.target} is primary, but only {serving} of the {needed} nodes that it needs follow"
    ctx.tell("no-quorum", Severity.PAGE, summary, "its next loss of a node is an outage; the service name goes on")
    return Done.YES


def _elected_entries(ctx: RunContext) -> tuple[Entry, ...]:
    epoch = ctx.run.epoch
    return (ElectionConfirmed(epoch=epoch),) if epoch is not None else ()


# -- tell, and give up -------------------------------------------------------------------------------------------------


async def told(ctx: RunContext) -> Done:
    """Tell what was lost and how long it took; delete what was generated."""
    await credentials.delete_left_token(ctx)
    note = _tell_end(ctx)
    await ctx.write(Noted(run_id=ctx.run_id, step="tell", note=note))
    return Done.YES


def _tell_end(ctx: RunContext) -> str:
    run, lost = ctx.run, _loss(ctx)
    ctx.tell(
        "done",
        Severity.PAGE,
        f"{run.target} is primary at epoch {ctx.ledger.epoch}; {run.source} owes its demotion",
        f"estimated loss: {lost}",
        f"procedure: {ctx.took}",
    )
    return f"loss {lost}, procedure {ctx.took}"


def _loss(ctx: RunContext) -> str:
    return ctx.memo.loss or "estimated before the restart: see the notes of the run"


def _ack_entries(ctx: RunContext) -> tuple[Entry, ...]:
    return (AckAsked(run_id=ctx.run_id),) if ctx.run.asked_by_uid is None else ()


async def give_up(ctx: RunContext, why: str) -> None:
    """Undo what can be undone and end the run; a promote of unknown outcome parks instead, and is looked at for ever.

    Afterwards the epoch and its debt are void, no fence of this run holds, and a source that this run demoted is
    primary again. A promotion that was seen is never undone: then only the waiting ends.
    """
    if ctx.record(PROMOTE).done:
        _tell_end(ctx)
        await ctx.write_surely(*_ack_entries(ctx), _ended(ctx, RunOutcome.SUCCEEDED, why))
    elif is_promote_unsent(ctx) or ctx.record(PROMOTE_BACK).intents:
        await _undo(ctx, why)  # once the way back was begun, its election is the one that counts
    else:
        await _watch_unknown_promote(ctx, why)


async def _undo(ctx: RunContext, why: str) -> None:
    run = ctx.run
    await ctx.write_surely(RunAbortAsked(run_id=ctx.run_id, reason=why), *_void_entries(ctx, why))
    ctx.tell("gave-up", Severity.PAGE, f"the failover to {run.target} was given up: {why}")
    facts = await _facts_once_the_demote_shows(ctx)
    if is_demoted_by_us(ctx, facts) or ctx.record(PROMOTE_BACK).intents:
        await perform(PROMOTE_BACK_IN_GIVING_UP, ctx)
    outcome = RunOutcome.ROLLED_BACK if ctx.record(PROMOTE_BACK).done else RunOutcome.ABORTED
    why += await _unfence(ctx)
    await credentials.delete_left_token(ctx)
    await ctx.write_surely(_ended(ctx, outcome, why))


def _ended(ctx: RunContext, outcome: RunOutcome, why: str) -> RunEnded:
    return RunEnded(run_id=ctx.run_id, outcome=outcome, why=why)


def _void_entries(ctx: RunContext, why: str) -> tuple[Entry, ...]:
    epoch = ctx.run.epoch
    if epoch is None or ctx.record(PROMOTE_BACK).intents:
        return ()
    return (ElectionVoided(epoch=epoch, why=why),)


async def _facts_once_the_demote_shows(ctx: RunContext) -> Facts:
    """A demote of ours takes a moment to show: look until the source says what it is, for a while at most."""
    end_s = ctx.clock.now_s() + DEMOTE_SHOWS_S
    while True:
        facts = (await ctx.look()).facts
        source = facts.view(ctx.run.source)
        is_known = source.is_active_primary or source.is_active_secondary
        if not may_be_demoted_by_us(ctx) or is_known or ctx.clock.now_s() >= end_s:
            return facts
        await asyncio.sleep(1.0)


async def _unfence(ctx: RunContext) -> str:
    """Turn the fence off; what stands in the way is returned as the end of a sentence. The run ends in either case.

    Raises: RunStopped when told to stop meanwhile: the resumed run asks again.
    """
    source, target = ctx.run.source, ctx.run.target
    end_s = ctx.clock.now_s() + FENCE_OFF_DEADLINE_S
    while source in ctx.ledger.fences:
        if (await ctx.young_look()).facts.view(target).is_active_primary:
            ctx.tell(f"fence-stays:{source}", Severity.PAGE, f"the fence of {source} stays: {target} is primary")
            return f"; the fence of {source} stays on while {target} is an active primary"
        if await fencing.turn_off(ctx, source):
            break
        if why := ctx.stop():
            raise RunStopped(why)
        if ctx.clock.now_s() >= end_s:
            return f"; the fence of {source} is still on"
        await asyncio.sleep(FENCE_OFF_POLL_S)
    return ""


async def _watch_unknown_promote(ctx: RunContext, why: str) -> None:
    """Promote nobody, keep looking, page both choices; if it did take effect the run succeeded.

    An operator's abort counts once the target was seen as secondary for the whole settle time.
    """
    try:
        await perform(_unknown_promote(ctx, why), ctx)
    except NeedsOperator as need:
        await _undo(ctx, need.detail)
    else:
        await give_up(ctx, why)


def _unknown_promote(ctx: RunContext, why: str) -> Step:
    async def is_known(ctx: RunContext) -> Done:
        target = ctx.run.target
        look = await ctx.look(only=target)
        remember_secondary(ctx, look, target)
        if ctx.memo.stays_secondary.is_over(SETTLE_S, now_s=look.ended_s):
            raise NeedsOperator(Need.STOPPED, f"{why}; {target} has stayed secondary")
        return is_primary(look.facts.view(target))

    return Step(
        name=PROMOTE,
        done=is_known,
        deadline_s=0.0,
        ignores_abort=True,
        with_done=_elected_entries,
        parks_as=f"{why}; {_choices(ctx)}",
    )


def _choices(ctx: RunContext) -> str:
    adopt, run = Command.RUN_ADOPT, ctx.run
    ways = " or ".join(f"`{adopt} {run.run_id} {cluster}`" for cluster in (run.target, run.source))
    return f"the outcome of promote is unknown: {ways}"


AFTER_PROMOTE: tuple[Step, ...] = (
    Step(name="target_primary", done=target_serves, deadline_s=300.0,
         safe=Safe.ALWAYS, is_convergent=True,
         parks_as="the promoted cluster is not seen as primary any more"),
    Step(name="tell", done=told, with_done=_ack_entries, safe=Safe.ALWAYS, is_convergent=True),
)  # fmt: skip

FAILOVER = Procedure(
    steps=(
        Step(name=RECHECK, done=evidence_holds, deadline_s=15.0, safe=Safe.BEFORE_ANY_EFFECT,
             is_looked_at_again=True, waits_for_window=True, veto=veto_before_promote,
             parks_as="the evidence no longer holds", still_missing=what_is_missing),
        Step(name="credential", done=credentials.a_credential_is_ready, act=credentials.generate_for_target,
             guard=credentials.look_at_target, deadline_s=60.0, safe=Safe.BEFORE_ANY_EFFECT,
             is_looked_at_again=True, veto=veto_before_promote, parks_as="no credential that can promote"),
        Step(name=DEMOTE_SOURCE, done=source_is_demoted, act=demote_half_active, guard=fence_guard, deadline_s=30.0,
             safe=Safe.BEFORE_ANY_EFFECT, is_optional=always, veto=veto_before_promote),
        Step(name=FENCE, done=source_is_fenced, act=fencing.turn_on, guard=fence_guard, with_intent=_fence_intent,
             deadline_s=60.0, safe=Safe.BEFORE_ANY_EFFECT, veto=veto_before_promote,
             is_optional=fencing.goes_on_without, poll_s_max=2.0,
             parks_as="the fence of the old primary does not confirm"),
        Step(name=PROMOTE, done=target_is_primary, act=promote_target, guard=promote_guard,
             with_intent=_promote_intent, with_done=_elected_entries, poll_s_max=2.0, settle_s=SETTLE_S,
             deadline_s=600.0, safe=Safe.BEFORE_ANY_EFFECT, veto=veto_before_promote, parks_while_unsure=True,
             parks_as="promote did not come to its end: look at both clusters before anything else"),
        *AFTER_PROMOTE,
    ),
    give_up=give_up,
    give_way=give_up,  # the promotion was seen: it is over, whatever is left to wait for
)  # fmt: skip
