"""Move the service name to the elected primary, and see that every authoritative server gives it.

The name only ever moves to an active primary. Retries for ever with back-off; holds nothing hostage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from watchdogd.core.budget import READY_WAITED_S
from watchdogd.core.entries import Noted
from watchdogd.core.model import ClusterId
from watchdogd.core.naming import NameSeen, bare_name, name_fact
from watchdogd.errors import MalformedReply, Need, NeedsOperator, OutcomeUnknown, Refusal, Refused, Unreachable
from watchdogd.ports import ChangeRef, Record, Severity
from watchdogd.runbooks.context import RunContext
from watchdogd.runbooks.seen import Done
from watchdogd.runbooks.step import Procedure, Safe, Step, always, end_as_it_is

PUBLISH = "publish"
BACK_OFF_MAX_S = 30.0


async def address_serves(ctx: RunContext) -> Done:
    """Whether the address about to be published shows the primary. Waited for, then published anyway."""
    return Done.YES if await ctx.eyes.through_published_address(ctx.run.target) else Done.NO


async def published(ctx: RunContext) -> Done:
    """YES when every authoritative server that answers gives the target, and at least one does."""
    answers = await ctx.dns_watch.authoritative()
    fact = name_fact(answers.by_server, _targets(ctx), ctx.run.target)
    await _follow_sync(ctx)
    match fact.seen:
        case NameSeen.PUBLISHES_ELECTED:
            return Done.YES
        case NameSeen.PUBLISHES_THIRD:
            given = ", ".join(fact.published) or "nothing"
            raise NeedsOperator(Need.VETO, f"{ctx.policy.record} publishes {given}, which is neither cluster")
        case NameSeen.CANNOT_ASK:
            return Done.NO if ctx.record(PUBLISH).intents == 0 else Done.CANNOT_SEE
        case NameSeen.PUBLISHES_PARTNER | NameSeen.DISAGREE:
            return Done.NO
        case _:
            assert_never(fact.seen)


def _targets(ctx: RunContext) -> Mapping[ClusterId, str]:
    return ctx.policy.dns_targets


async def publish_guard(ctx: RunContext) -> None:
    """The target is an active primary by a new look at it, and the provider holds the source's target.

    Raises: Refused(NOT_YET) while either cannot be seen, when the provider has it already and only propagation is
    missing, and for a third value, which pages and is never overwritten.
    """
    held = await _held_record(ctx)
    name, targets = ctx.policy.record, _targets(ctx)
    values = [bare_name(target) for target in held.targets]
    if values == [bare_name(targets[ctx.run.target])]:
        raise Refused(Refusal.NOT_YET, "the provider has it already; the servers do not give it yet")
    if values != [bare_name(targets[ctx.run.source])]:
        third = f"{name} holds {', '.join(held.targets)}, which is neither cluster: it is not overwritten"
        ctx.tell("third-value", Severity.PAGE, third)
        raise Refused(Refusal.NOT_YET, third)
    ctx.memo.record = held
    look = await ctx.eyes.look(only=ctx.run.target)
    ctx.memo.look = look
    if look.facts.view(ctx.run.target).is_active_secondary:
        raise NeedsOperator(Need.VETO, f"{ctx.run.target} was made secondary, and not by us: the name stays")
    if not look.facts.view(ctx.run.target).is_active_primary:
        raise Refused(Refusal.NOT_YET, f"{ctx.run.target} is not seen as an active primary: the name stays")


async def _held_record(ctx: RunContext) -> Record:
    try:
        return await ctx.dns.observe()
    except (Unreachable, OutcomeUnknown, MalformedReply) as error:
        raise Refused(Refusal.NOT_YET, f"the provider cannot be read: {error}") from error
    except Refused as refused:
        raise _to_be_asked_again(ctx, refused) from refused


async def publish(ctx: RunContext) -> None:
    """One compare-and-swap from what the provider was seen to hold to the target. Raises: as `DnsProvider.swap`."""
    ctx.last_look()
    held = ctx.memo.record
    if held is None:
        raise Refused(Refusal.NOT_YET, "the record was not looked at")
    wanted = Record(targets=(_targets(ctx)[ctx.run.target],), ttl_s=held.ttl_s, rtype=held.rtype)
    comment = f"watchdogd {ctx.pair} epoch {ctx.ledger.epoch} run {ctx.run_id}"
    try:
        change = await ctx.dns.swap(held, wanted, comment)
    except Refused as refused:
        raise _to_be_asked_again(ctx, refused) from refused
    ctx.memo.change_id = change.change_id


def _to_be_asked_again(ctx: RunContext, refused: Refused) -> Refused:
    # Denied or conflicting: a human must know, and the next look decides what to ask then.
    if refused.kind is not Refusal.NOT_YET:
        ctx.tell("refused", Severity.PAGE, f"the service name was not moved to {ctx.run.target}: {refused}")
    return Refused(Refusal.NOT_YET, str(refused))


async def _follow_sync(ctx: RunContext) -> None:
    # A report, never a gate.
    if not ctx.memo.change_id:
        return
    try:
        is_in_sync = await ctx.dns.is_in_sync(ChangeRef(change_id=ctx.memo.change_id))
    except (Unreachable, Refused, OutcomeUnknown, MalformedReply):
        return
    if is_in_sync:
        ctx.memo.change_id = ""
        await ctx.write(Noted(run_id=ctx.run_id, step=PUBLISH, note="the provider reports the change in sync"))


async def reported(ctx: RunContext) -> Done:
    """Tell how long it took, and what the configured resolvers give now."""
    answers = await ctx.dns_watch.resolvers()
    given = ", ".join(f"{server}: {answer}" for server, answer in sorted(answers.by_server.items()))
    note = f"the name is at {ctx.run.target} after {ctx.took}; resolvers: {given or 'none configured'}"
    ctx.tell("done", Severity.WARN, note)
    await ctx.write(Noted(run_id=ctx.run_id, step="report", note=note))
    return Done.YES


def no_longer_elected(ctx: RunContext) -> str:
    """The sentence that says that another cluster is elected now; empty while the target is."""
    elected = ctx.ledger.elected
    return "" if elected == ctx.run.target else f"{elected} is elected now"


async def give_up(ctx: RunContext, why: str) -> None:
    """End the run; the table looks at the name at every tick."""
    ctx.tell("gave-up", Severity.PAGE, f"the service name was not moved to {ctx.run.target}: {why}")
    await end_as_it_is(ctx, why)


CUTOVER_DNS = Procedure(
    steps=(
        Step(name="address_ready", done=address_serves, poll_s=1.0, deadline_s=READY_WAITED_S, is_optional=always,
             parks_as="the address about to be published does not show the primary", is_convergent=True,
             safe=Safe.ALWAYS, veto=no_longer_elected),
        Step(name=PUBLISH, done=published, act=publish, guard=publish_guard, poll_s=1.0, poll_s_max=BACK_OFF_MAX_S,
             settle_s=30.0, deadline_s=None, is_convergent=True, safe=Safe.ALWAYS, veto=no_longer_elected),
        Step(name="report", done=reported, safe=Safe.ALWAYS, is_convergent=True),
    ),
    give_up=give_up,
)  # fmt: skip
