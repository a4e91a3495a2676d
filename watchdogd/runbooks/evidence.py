"""The proof about the source that a promote needs, asked again at every attempt (DESIGN section 4 and I1)."""

from __future__ import annotations

from watchdogd.core.commands import Command
from watchdogd.core.facts import Facts, GateAnswer, Side, Sight
from watchdogd.core.gates import WAITING_TIME, without
from watchdogd.core.ledger import FenceState
from watchdogd.core.model import Reach
from watchdogd.core.parked import PROMOTE
from watchdogd.core.views import sealed_not_dead
from watchdogd.errors import Need, NeedsOperator, Refusal, Refused
from watchdogd.runbooks.context import RunContext

DEMOTE_SOURCE, FENCE = "demote_source", "fence"

# A run that holds the slot is not stopped by what only forbids to *start* one; its fence is a step of its own.
# So are its credentials: each is tried once, one may be generated, and denied by all of them ends the run.
NOT_ASKED_AGAIN = frozenset({"slot", "level", "paused", "ack", "fence", "proof", "no-credential"})


def is_promote_unsent(ctx: RunContext) -> bool:
    """True while no promote of this run can have been applied."""
    return ctx.record(PROMOTE).was_never_applied


def may_be_demoted_by_us(ctx: RunContext) -> bool:
    """True when this run has sent a demote that was not certainly refused."""
    return ctx.record(DEMOTE_SOURCE).may_have_been_applied


def is_demoted_by_us(ctx: RunContext, facts: Facts) -> bool:
    """True when the source's own active node says secondary, and this run asked for it."""
    return facts.view(ctx.run.source).is_active_secondary and may_be_demoted_by_us(ctx)


def is_fenced_by_us(ctx: RunContext) -> bool:
    """True when the fence of the source was verified in this run and is held."""
    fence = ctx.ledger.fences.get(ctx.run.source)
    return fence is not None and fence.state is FenceState.HELD and fence.run_id == ctx.run_id


def veto_against(ctx: RunContext, facts: Facts) -> str:
    """The sighting that forbids promoting the target now; empty where there is none."""
    run = ctx.run
    source = facts.view(run.source)
    if source.is_active_primary:
        return f"{run.source} is an active primary: a switchover would be the way"
    if source.is_active_secondary:
        return ""
    if source.reach is Reach.UP:
        seen = next((node for node in source.nodes if node.is_life), None)
        return f"{run.source} is alive: {seen.node if seen else 'a node'} {seen.why if seen else 'answers'}"
    if ctx.waives(WAITING_TIME) and (sealed := sealed_not_dead(source)):
        return f"{sealed}: unsealed it is a primary, and no window would tell"
    if facts.sight is Sight.SEES and not _may_pass_a_sighting(ctx):
        return f"{run.target} or a witness sees {run.source}"
    return ""


def _may_pass_a_sighting(ctx: RunContext) -> bool:
    # The waiver holds only under a fence verified in this run; until the fence's turn has come it may be waited for.
    return ctx.waives("secondary-sees") and _is_fence_held_or_still_to_come(ctx)


def _is_fence_held_or_still_to_come(ctx: RunContext) -> bool:
    return is_fenced_by_us(ctx) or not ctx.record(FENCE).done


def veto_before_promote(ctx: RunContext) -> str:
    """The veto by what was seen last, as long as the run can still turn back."""
    look = ctx.memo.look
    if look is None or not is_promote_unsent(ctx):
        return ""
    return veto_against(ctx, look.facts)


def still_missing(ctx: RunContext, facts: Facts) -> tuple[GateAnswer, ...]:
    """The gates of section 4 that are closed now and that this run does not waive."""
    asked = tuple(gate for gate in facts.closed_gates() if gate.gate not in NOT_ASKED_AGAIN)
    return without(asked, ctx.run.waivers, is_fenced=_is_fence_held_or_still_to_come(ctx))


def what_is_missing(ctx: RunContext) -> str:
    """As `still_missing`, by the last look, as one sentence for people; and the hold that nobody has lifted."""
    look, hold = ctx.memo.look, ctx.ledger.hold
    missing = still_missing(ctx, look.facts) if look is not None else ()
    held = [f"held at approve: {hold}"] if hold and ctx.run.asked_by_uid is None else []
    return "; ".join([*held, *(f"{gate.gate}: {gate.why}" for gate in missing)])


def ensure_nothing_foreign(ctx: RunContext, facts: Facts) -> None:
    """Raises NeedsOperator(FOREIGN) when somebody else changed the premises of this run."""
    run = ctx.run
    for cluster in (run.source, run.target):
        if facts.side(cluster) is Side.WRONG:
            raise NeedsOperator(Need.FOREIGN, f"{cluster} is not as pinned: {facts.view(cluster).wrong}")
    if facts.view(run.target).is_active_primary and is_promote_unsent(ctx):
        raise NeedsOperator(Need.FOREIGN, f"somebody else made {run.target} primary; `{Command.RUN_ADOPT}` records it")
    if facts.view(run.source).is_active_secondary and not may_be_demoted_by_us(ctx):
        raise NeedsOperator(Need.FOREIGN, f"somebody else demoted {run.source}")


def ensure_proof(ctx: RunContext, facts: Facts) -> None:
    """Returns when promoting is proven to be right by `facts`.

    Raises: NeedsOperator(VETO), NeedsOperator(FOREIGN), or Refused(NOT_YET) for what may still come.
    """
    ensure_nothing_foreign(ctx, facts)
    if veto := veto_against(ctx, facts):
        raise NeedsOperator(Need.VETO, veto)
    if not facts.view(ctx.run.target).is_active_secondary:
        raise Refused(Refusal.NOT_YET, f"no active node of {ctx.run.target} says secondary")
    if is_demoted_by_us(ctx, facts):
        return
    if facts.view(ctx.run.source).reach is not Reach.DOWN:
        raise Refused(Refusal.NOT_YET, f"{ctx.run.source} could not be looked at")
    if missing := still_missing(ctx, facts):
        raise Refused(Refusal.NOT_YET, "; ".join(f"{gate.gate}: {gate.why}" for gate in missing))
