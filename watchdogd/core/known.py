"""Last sign of life, and what was last known around it (DESIGN section 2): durable, so that a dead primary is enough.

"Last known X" is the latest observation of X that was made while the elected cluster was alive. What is seen later
is a consequence of the loss (a secondary that falls from `stream-wals` to `idle` has not become unable by it), so it
counts only where nothing else is known, and no later than `failure_skew_s` after the last sign of life.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from watchdogd.core.entries import Stamp
from watchdogd.core.link import Hears
from watchdogd.core.model import ClusterId, ClusterView, ConnectionState, ReplicationStatus, StreamState

WAL_SAMPLES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a promotion now would lose, by the last known positions; None where it cannot be told."""

    seconds: float | None = None
    wal: int | None = None
    told_by: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What must survive us and the primary. `about` is the elected cluster it speaks of."""

    about: ClusterId | None = None
    life: Stamp | None = None
    life_seen_by: str = ""
    state: StreamState = StreamState.ABSENT
    state_at: Stamp | None = None
    loss: Loss = Loss()
    loss_at: Stamp | None = None
    follows_at: Stamp | None = None
    source_version: str = ""
    confirmed: frozenset[ClusterId] = frozenset()  # clusters whose pins were seen as configured
    seen_primary: frozenset[ClusterId] = frozenset()  # clusters seen alive as active primary with their pins
    wal_samples: tuple[tuple[float, int], ...] = field(default=())  # (at_s, primary's WAL), of this life only


def learn(
    known: Known, *, elected: ClusterView | None, partner: ClusterView, hears: Hears, witnessed: str, now: Stamp
) -> Known:
    """What is known after one more look at both clusters. `witnessed` names a witness that sees the elected one."""
    known = _confirm(known, [view for view in (elected, partner) if view is not None])
    if elected is None:
        return known
    if known.about != elected.cluster:
        known = Known(about=elected.cluster, confirmed=known.confirmed, seen_primary=known.seen_primary)
    seen_by = _life_seen_by(elected, hears, partner.cluster, witnessed)
    if seen_by:
        known = replace(known, life=now, life_seen_by=seen_by)
    return _learn_positions(known, elected, partner, hears, is_alive=bool(seen_by), now=now)


def _confirm(known: Known, views: list[ClusterView]) -> Known:
    confirmed = {view.cluster for view in views if _shows_pins(view)}
    primary = {view.cluster for view in views if view.is_active_primary and not view.wrong}
    if confirmed <= known.confirmed and primary <= known.seen_primary:
        return known
    return replace(known, confirmed=known.confirmed | confirmed, seen_primary=known.seen_primary | primary)


def _shows_pins(view: ClusterView) -> bool:
    # `core.readings` has compared them already: a node that shows another id does not read as ACTIVE.
    node = view.active
    return (
        node is not None
        and node.health is not None
        and bool(node.health.cluster_id)
        and node.status is not None
        and bool(node.status.cluster_id)
    )


def _life_seen_by(elected: ClusterView, hears: Hears, partner: ClusterId, witnessed: str) -> str:
    life = next((node for node in elected.nodes if node.is_life), None)
    if life is not None:
        return f"our probe of {life.node}"
    if hears is Hears.SEES:
        return f"{partner}, which hears it"
    return witnessed


def _learn_positions(
    known: Known, elected: ClusterView, partner: ClusterView, hears: Hears, *, is_alive: bool, now: Stamp
) -> Known:
    if not partner.is_active_secondary or partner.active is None or partner.active.status is None:
        return known
    status = partner.active.status
    source = elected.active.status if elected.is_active_primary and elected.active else None
    if is_alive:
        known = replace(known, state=status.state, state_at=now)
        if _is_followed(hears, status, source):
            known = replace(known, follows_at=now)
    elif known.state_at is None:
        known = replace(known, state=status.state, state_at=now)
    if source is None:
        return known
    version = elected.active.health.version if elected.active and elected.active.health else known.source_version
    samples = _sample(known.wal_samples, now.at_s, source.last_kind_wal)
    loss = estimate(samples, source, status, now_s=now.at_s)
    return replace(known, wal_samples=samples, loss=loss, loss_at=now, source_version=version)


def _is_followed(hears: Hears, status: ReplicationStatus, source: ReplicationStatus | None) -> bool:
    if hears is Hears.SEES:
        return True
    is_ready = status.connection_state in (ConnectionState.READY, ConnectionState.ABSENT)
    is_listed = (
        source is not None and source.known_secondaries is not None and status.secondary_id in source.known_secondaries
    )
    return is_ready and is_listed and status.state is StreamState.STREAM_WALS


def _sample(samples: tuple[tuple[float, int], ...], at_s: float, wal: int | None) -> tuple[tuple[float, int], ...]:
    if wal is None:
        return samples
    if samples and samples[-1][1] > wal:
        samples = ()  # another life of the counter
    return (*samples, (at_s, wal))[-WAL_SAMPLES:]


def estimate(
    samples: tuple[tuple[float, int], ...], source: ReplicationStatus, secondary: ReplicationStatus, *, now_s: float
) -> Loss:
    """What the secondary lacks of the primary: positions first, then the canary's age, else unknown.

    A remote WAL of 0 or none is unknown, not "everything" (failure mode 20); equal merkle roots are exact.
    """
    if source.merkle_root and source.merkle_root == secondary.merkle_root:
        return Loss(seconds=0.0, wal=0, told_by="equal merkle roots")
    if secondary.last_remote_wal and source.last_kind_wal is not None:
        missing = max(0, source.last_kind_wal - secondary.last_remote_wal)
        behind_since = next((at for at, wal in samples if wal > secondary.last_remote_wal), now_s)
        return Loss(seconds=max(0.0, now_s - behind_since), wal=missing, told_by="WAL positions")
    ages = [peer.canary_age_ms for peer in secondary.peers or () if peer.canary_age_ms is not None]
    if ages and min(ages) >= 0:
        return Loss(seconds=min(ages) / 1000.0, told_by="canary age")
    return Loss()


def is_within_age(at: Stamp | None, life: Stamp | None, *, max_age_s: float, skew_s: float) -> bool:
    """True when an observation at `at` still speaks of the last sign of life."""
    if at is None or life is None:
        return False
    if at.boot_id == life.boot_id:
        ahead_s = at.at_s - life.at_s
    else:
        ahead_s = at.at_utc_s - life.at_utc_s
    return -max_age_s <= ahead_s <= skew_s
