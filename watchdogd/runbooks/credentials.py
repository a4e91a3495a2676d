"""A credential that outlives the run, and a second one: chosen before the effect, tried in order."""

from __future__ import annotations

from watchdogd.core.entries import Noted, TokenAttemptEnded, TokenAttemptStarted, TokenDeleted, TokenLeft
from watchdogd.core.model import ClusterId, NodeSeen
from watchdogd.errors import Need, NeedsOperator, OutcomeUnknown, Refusal, Refused, Unreachable
from watchdogd.ports import Severity
from watchdogd.runbooks.context import RunContext
from watchdogd.runbooks.evidence import is_promote_unsent
from watchdogd.runbooks.seen import Done


async def a_credential_is_ready(ctx: RunContext) -> Done:
    """YES once a prepared credential can be read that was not denied; else a generated one is needed.

    After a promote that may have been applied nothing is asked for here: before a second one its guard asks anew.
    """
    if not is_promote_unsent(ctx):
        return Done.YES
    names = _left_to_try(ctx, ctx.run.target)
    if len(names) == 1:
        ctx.tell(
            "one-credential", Severity.WARN, f"{names[0]} is the only credential that can promote {ctx.run.target}"
        )
    return Done.YES if names else Done.NO


def next_credential(ctx: RunContext, cluster: ClusterId) -> str:
    """The next one to try on `cluster`; empty when it denied all, or none can be read."""
    return next(iter(_left_to_try(ctx, cluster)), "")


def _left_to_try(ctx: RunContext, cluster: ClusterId) -> list[str]:
    generated = [ctx.memo.generated] if ctx.memo.generated_for == cluster else []
    return [name for name in (*ctx.hands.credentials(), *generated) if (cluster, name) not in ctx.memo.denied]


async def look_at_target(ctx: RunContext) -> None:
    """A young look that shows the target as an active secondary: only there a token can be generated."""
    look = await ctx.young_look()
    if not look.facts.view(ctx.run.target).is_active_secondary:
        raise Refused(Refusal.NOT_YET, f"no active node of {ctx.run.target} says secondary")


async def generate_for_target(ctx: RunContext) -> None:
    """As `generate`, for the cluster that this run promotes."""
    await generate(ctx, ctx.run.target)


async def generate(ctx: RunContext, target: ClusterId) -> None:
    """Generate an operation token on `target`; its attempt and the token are written down as ours.

    Raises: Refused(NOT_YET) to be asked again, NeedsOperator(CREDENTIAL) when there is no way.
    """
    node = ctx.active_node(target)

    async def started(nonce: str) -> None:
        await ctx.write(TokenAttemptStarted(cluster=target, nonce=nonce, run_id=ctx.run_id))

    try:
        name = await ctx.hands.generate_token(node, started)
    except Refused as refused:
        if refused.kind is Refusal.NOT_YET:
            raise
        raise NeedsOperator(
            Need.CREDENTIAL, f"no credential is left, and none can be generated: {refused}"
        ) from refused
    await ctx.write(
        TokenAttemptEnded(cluster=target), TokenLeft(cluster=target, fingerprint=ctx.hands.fingerprint(name))
    )
    ctx.memo.generated, ctx.memo.generated_for = name, target
    ctx.memo.denied.discard((target, name))


async def ensure_credential(ctx: RunContext, cluster: ClusterId) -> None:
    """Returns when there is one to try. Raises: Refused(NOT_YET) after generating one, NeedsOperator(CREDENTIAL)."""
    if next_credential(ctx, cluster):
        return
    if (cluster, ctx.memo.generated) in ctx.memo.denied:
        raise NeedsOperator(Need.CREDENTIAL, f"{cluster} denies every credential, the generated one too")
    await generate(ctx, cluster)
    raise Refused(Refusal.NOT_YET, "a credential was generated: look again")


async def promote_with_next(ctx: RunContext, node: NodeSeen, *, force: bool = False) -> None:
    """Promote with the next credential; a denied one is remembered, and the next is tried at the next turn."""
    credential = next_credential(ctx, node.cluster)
    try:
        await ctx.hands.promote(node, credential, ensure=ctx.last_look, force=force)
    except Refused as refused:
        ctx.memo.is_told_to_wait = refused.kind is Refusal.NOT_YET and refused.status is not None
        if refused.kind is not Refusal.DENIED:
            raise
        ctx.memo.denied.add((node.cluster, credential))
        raise Refused(Refusal.NOT_YET, f"{credential} was denied, the next one is tried") from refused


async def demote_with_next(ctx: RunContext, node: NodeSeen) -> None:
    """Demote with the next credential; a denied one is remembered, and the next is tried after another look.

    Raises: Refused(DENIED) once all were denied, or none can be read; they are tried anew when asked again.
    """
    left = _demoters_left(ctx, node.cluster)
    if not left:
        ctx.memo.demote_denied.clear()
        raise Refused(Refusal.DENIED, "no credential for a demote can be read")
    try:
        await ctx.hands.demote(node, left[0], ensure=ctx.last_look)
    except Refused as refused:
        if refused.kind is not Refusal.DENIED:
            raise
        if not left[1:]:
            ctx.memo.demote_denied.clear()
            raise
        ctx.memo.demote_denied.add((node.cluster, left[0]))
        raise Refused(Refusal.NOT_YET, f"{left[0]} was denied, the next one is tried") from refused


def _demoters_left(ctx: RunContext, cluster: ClusterId) -> list[str]:
    return [name for name in ctx.hands.demoters() if (cluster, name) not in ctx.memo.demote_denied]


async def delete_left_token(ctx: RunContext) -> None:
    """Delete the token that this run generated. After a promote the refusal is expected, and is written down."""
    name, target = ctx.memo.generated, ctx.memo.generated_for
    if target is None or target not in ctx.ledger.tokens_left:
        return
    try:
        await ctx.young_look()
        await ctx.hands.delete_token(ctx.active_node(target), name)
    except (Refused, Unreachable, OutcomeUnknown) as error:
        note = f"the operation token of {target} stays until its next demotion: {error}"
        await ctx.write_surely(Noted(run_id=ctx.run_id, step="delete_token", note=note))
        return
    await ctx.write_surely(TokenDeleted(cluster=target, how="deleted"))


async def no_token_is_left(ctx: RunContext) -> Done:
    """YES when no generated token is left on the source, which is a DR secondary again."""
    return Done.NO if ctx.run.source in ctx.ledger.tokens_left else Done.YES


async def delete_by_replacement(ctx: RunContext) -> None:
    """Generate another operation token on the source and delete that one: the earlier one is known to nobody.

    A cluster stores one such token under one key, so the new one takes its place. Source: GENROOT; that the earlier
    one ends with it is UNCONFIRMED.

    Raises: Refused(NOT_YET) whatever stands in the way: the token stays written down, and the next demotion asks again.
    """
    source = ctx.run.source
    try:
        await generate(ctx, source)
        await ctx.hands.delete_token(ctx.active_node(source), ctx.memo.generated)
    except (NeedsOperator, Refused, Unreachable, OutcomeUnknown) as error:
        raise Refused(Refusal.NOT_YET, f"the operation token left on {source} stays: {error}") from error
    await ctx.write_surely(TokenDeleted(cluster=source, how="replaced by another, which was deleted"))
