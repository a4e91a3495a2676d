"""A credential that outlives the run, and a second one: chosen before the effect, tried in order."""

from __future__ import annotations

from watchdogd.core.entries import Noted, TokenAttemptEnded, TokenAttemptStarted, TokenDeleted, TokenLeft
from watchdogd.core.model import NodeSeen
from watchdogd.errors import Need, NeedsOperator, OutcomeUnknown, Refusal, Refused, Unreachable
from watchdogd.runbooks.context import RunContext
from watchdogd.runbooks.step import Done


async def a_credential_is_ready(ctx: RunContext) -> Done:
    """YES once a prepared credential can be read that was not denied; else a generated one is needed."""
    return Done.YES if next_credential(ctx) else Done.NO


def next_credential(ctx: RunContext) -> str:
    """The next one to try; empty when all were denied or none can be read."""
    prepared = [name for name in ctx.hands.credentials() if name not in ctx.memo.denied]
    if prepared:
        return prepared[0]
    return ctx.memo.generated if ctx.memo.generated not in ctx.memo.denied else ""


async def generate(ctx: RunContext) -> None:
    """Generate an operation token on the target; its attempt and the token are written down as ours.

    Raises: Refused(NOT_YET) to be asked again, NeedsOperator(CREDENTIAL) when there is no way.
    """
    node = _target_node(ctx)
    target = ctx.run.target

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
    ctx.memo.generated = name


async def deny(ctx: RunContext, credential: str, why: str) -> None:
    """Remember that the cluster denied `credential`: it is not tried again in this execution."""
    ctx.memo.denied.add(credential)
    await ctx.write(Noted(run_id=ctx.run_id, step="credential", note=f"{credential} was denied: {why}"))


async def ensure_credential(ctx: RunContext) -> None:
    """Returns when there is one to try. Raises: Refused(NOT_YET) after generating one, NeedsOperator(CREDENTIAL)."""
    if next_credential(ctx):
        return
    await generate(ctx)
    raise Refused(Refusal.NOT_YET, "a credential was generated: look again")


async def promote_with_next(ctx: RunContext, node: NodeSeen, *, force: bool = False) -> None:
    """Promote with the next credential; a denied one is remembered, and the next is tried at the next turn."""
    credential = next_credential(ctx)
    try:
        await ctx.hands.promote(node, credential, force=force)
    except Refused as refused:
        if refused.kind is not Refusal.DENIED:
            raise
        await deny(ctx, credential, str(refused))
        raise Refused(Refusal.NOT_YET, f"{credential} was denied, the next one is tried") from refused


async def delete_left_token(ctx: RunContext) -> None:
    """Delete the token that this run generated. After a promote the refusal is expected, and is written down."""
    name, target = ctx.memo.generated, ctx.run.target
    if not name or target not in ctx.ledger.tokens_left:
        return
    try:
        await ctx.hands.delete_token(_target_node(ctx), name)
    except (Refused, Unreachable, OutcomeUnknown) as error:
        note = f"the operation token of {target} stays until its next demotion: {error}"
        await ctx.write(Noted(run_id=ctx.run_id, step="delete_token", note=note))
        return
    await ctx.write(TokenDeleted(cluster=target, how="deleted"))


def _target_node(ctx: RunContext) -> NodeSeen:
    look = ctx.memo.look
    node = look.facts.view(ctx.run.target).active if look is not None else None
    if node is None:
        raise Refused(Refusal.NOT_YET, f"no active node of {ctx.run.target} was seen")
    return node
