"""From views and beliefs to what the situation table asks about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watchdogd.core.entries import Runbook, RunOutcome, Stamp
from watchdogd.core.facts import (
    AbortedRun,
    Debt,
    GateAnswer,
    Ours,
    Side,
    Sight,
    Signature,
    Stream,
    Surroundings,
    Third,
    answering_side,
)
from watchdogd.core.known import SYNCING, Known, is_within_age
from watchdogd.core.ledger import Ledger
from watchdogd.core.link import Hears, LinkWatch
from watchdogd.core.model import ClusterId, ClusterView, Reach, Reading, StreamState
from watchdogd.core.policy import PairPolicy
from watchdogd.core.streak import Streak

ABORTED_RUN_MATTERS_S = 3600.0
# A demote whose end nobody saw is taken to land within this: Vault cancels a request after its
# `default_max_request_duration`, 90 s unless its operator says otherwise. UNCONFIRMED: that a role change heeds it. One
# that lands later is foreign, so it is held and paged: an outage, and never a second primary.
# Source: developer.hashicorp.com/vault/docs/configuration.
LATE_DEMOTE_S = 120.0
NOT_IN_THE_ROW = frozenset({"level", "slot"})  # they decide whether a decision is carried out, not which it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both clusters as the table asks about them."""

    elected: Side | None
    partner: Side


def sides_of(
    elected: ClusterView | None,
    partner: ClusterView,
    streaks: Mapping[ClusterId, Streak],
) -> Sides:
    """The side of each cluster; only the elected one is asked for a full window before it counts as down."""
    return Sides(
        elected=None if elected is None else _elected_side(elected, streaks.get(elected.cluster, Streak())),
        partner=_partner_side(partner),
    )


def _elected_side(view: ClusterView, streak: Streak) -> Side:
    side = answering_side(view)
    if side is not None:
        return side
    if view.reach is Reach.UNKNOWN and view.all_are(Reading.SEALED, Reading.UNINIT):
        return Side.SEALED
    if view.reach is Reach.DOWN:
        return Side.DOWN if streak.is_held(Reach.DOWN) else Side.SUSPECT
    # A short gap inside a window neither advances nor resets it.
    return Side.SUSPECT if streak.candidate is Reach.DOWN else Side.UNKNOWN


def _partner_side(view: ClusterView) -> Side:
    side = answering_side(view)
    if side is not None:
        return side
    if view.all_are(Reading.SILENT):
        return Side.DOWN
    if any(node.reading in (Reading.SEALED, Reading.UNINIT) for node in view.nodes):
        return Side.SEALED
    if any(node.reading is Reading.LEADERLESS for node in view.nodes):
        return Side.LEADERLESS
    return Side.UNKNOWN


def stream_of(
    partner: ClusterView, hears: Hears, link: LinkWatch, is_primary_up: bool, policy: PairPolicy, now_s: float
) -> Stream:
    """How replication goes, for a partner that is secondary."""
    if not partner.is_active_secondary or partner.active is None or partner.active.status is None:
        return Stream.UNREAD
    state = partner.active.status.state
    if state in SYNCING:
        return Stream.SYNCING
    if state is StreamState.STREAM_WALS and (hears is not Hears.HEARS_NOTHING or link.is_ready):
        return Stream.STREAMING  # where it can show nothing that moves, what it says is all there is
    quiet_s = now_s - link.counted_from_s
    is_long = is_primary_up and hears is Hears.HEARS_NOTHING and quiet_s >= policy.timing.link_down_heal_s
    return Stream.STOPPED_LONG if is_long else Stream.STOPPED


def lacks_of(partner: ClusterView, known: Known, ledger: Ledger, policy: PairPolicy) -> tuple[str, ...]:
    """What the partner lacks to be promoted, in sentences; what has a gate of its own is not here."""
    lacks: list[str] = []
    if not partner.is_active_secondary:
        lacks.append(f"{partner.cluster} has no active node that says secondary")
    serving = sum(node.is_life for node in partner.nodes)
    needed = policy.min_serving_nodes(partner.cluster)
    if serving < needed:
        lacks.append(f"only {serving} of the {needed} nodes it needs are unsealed and follow a leader")
    debt = ledger.open_debt
    if debt is not None and debt.debtor == partner.cluster:
        lacks.append(f"it owes its demotion since epoch {debt.epoch}")
    if partner.cluster in ledger.fences:
        lacks.append("a fence of ours may still hold on it")
    timing = policy.timing
    follows = is_within_age(
        known.follows_at, known.life, max_age_s=timing.last_known_max_age_s, skew_s=timing.failure_skew_s
    )
    if ledger.guarded is None or known.about != ledger.guarded or not follows:
        lacks.append(f"it was not seen to follow {ledger.guarded or 'anybody'} while that lived")
    return tuple(lacks)


def signature_of(
    *,
    sides: Sides,
    sight: Sight,
    stream: Stream,
    ledger: Ledger,
    around: Surroundings,
    lacks: tuple[str, ...],
    gates: tuple[GateAnswer, ...],
    third: Third,
    primary_at: Stamp | None = None,
) -> Signature:
    """The projection that the situation table decides on."""
    debt = ledger.open_debt
    owes = debt is not None and debt.debtor != ledger.guarded
    return Signature(
        elected=sides.elected,
        partner=sides.partner,
        sight=sight,
        stream=stream,
        debt=Debt.OPEN if owes else Debt.NONE,
        is_foreign=bool(ledger.foreign),
        is_run_open=ledger.run is not None,
        ours=_ours(around),
        aborted=_aborted(ledger, around.now, primary_at),
        is_fence_on_elected=ledger.guarded in ledger.fences,
        is_able=not lacks,
        are_gates_open=all(gate.is_open for gate in gates if gate.gate not in NOT_IN_THE_ROW),
        third=third,
    )


def _ours(around: Surroundings) -> Ours:
    if around.tilt:
        return Ours.TILT
    return Ours.STATE if around.state_unwritable else Ours.FIT


def _aborted(ledger: Ledger, now: Stamp, primary_at: Stamp | None) -> AbortedRun:
    runs = (run for run in ledger.recent_runs if run.outcome is RunOutcome.ABORTED and run.runbook is Runbook.FAILOVER)
    recent = any(
        run.touched.age_s(now) <= ABORTED_RUN_MATTERS_S
        and run.step("demote_source").may_have_been_applied
        and not _is_long_after(primary_at, run.touched)
        for run in runs
    )
    return AbortedRun.RECENT if recent else AbortedRun.NONE


def _is_long_after(primary_at: Stamp | None, ended: Stamp) -> bool:
    """True when the elected cluster was still primary when no demote of ours could land any more."""
    if primary_at is None:
        return False
    is_same_boot = primary_at.boot_id == ended.boot_id
    later_s = primary_at.at_s - ended.at_s if is_same_boot else primary_at.at_utc_s - ended.at_utc_s
    return later_s > LATE_DEMOTE_S
