"""Last sign of life, and what was last known around it (DESIGN section 2): durable, so that a dead primary is enough.

"Last known X" is the latest observation of X that is not newer than the last sign of life. What is seen later may be a
consequence of the loss (a secondary that falls from `stream-wals` to `idle` has not become unable by it), so it counts
only where nothing else is known, and no later than `failure_skew_s` after the last sign of life. Synchronising is no
consequence of a loss: seen within that time, it was so before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf, isfinite

from watchdogd.core.entries import Stamp
from watchdogd.core.model import ClusterId, ClusterView, ConnectionState, NodeSeen, ReplicationStatus, StreamState

WAL_SAMPLES = 128
SYNCING = frozenset({StreamState.MERKLE_DIFF, StreamState.MERKLE_SYNC})


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
    primary_at: Stamp | None = None  # when the elected cluster itself said last that it is primary
    wal_samples: tuple[tuple[float, int], ...] = field(default=())  # (at_s, primary's WAL), of this life only
    shown: StreamState = StreamState.ABSENT  # the latest state seen; becomes `state` with the next sign of life
    shown_at: Stamp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One sign of life of the elected cluster, and whose it is."""

    at_s: float
    seen_by: str


def learn(
    known: Known,
    *,
    elected: ClusterView | None,
    partner: ClusterView,
    heard_s: float | None,
    witnessed: Sighting | None,
    lived: Sighting | None = None,
    skew_s: float,
    now: Stamp,
    views: Iterable[ClusterView] = (),
) -> Known:
    """What is known after one more look at both clusters, which are `views` also while nobody is elected.

    `heard_s` is the latest sign of life that the partner heard, `witnessed` the latest of another witness, `lived` the
    latest of our own probes, whatever they saw after it. A newly elected cluster is spoken of once it was seen as
    primary: until then, what is known of the one before it stays, for its epoch may turn out void.
    """
    known = _confirm(known, [view for view in (elected, partner, *views) if view is not None])
    if elected is None:
        return known
    if known.about != elected.cluster:
        if known.about is not None and not elected.is_active_primary:
            return known
        known = Known(about=elected.cluster, confirmed=known.confirmed, seen_primary=known.seen_primary)
    if elected.is_active_primary and not elected.wrong:
        known = replace(known, primary_at=now)
    known = _learn_life(known, _sightings(elected, partner.cluster, heard_s, witnessed, lived), now)
    if partner.wrong or not partner.is_active_secondary or partner.active is None or partner.active.status is None:
        return known
    known = _learn_state(known, partner.active, partner.active.status.state, skew_s=skew_s, now=now)
    known = _learn_follows(known, elected, partner.active.status, heard_s, now)
    return _learn_loss(known, elected, partner.active.status, now)


def _confirm(known: Known, views: list[ClusterView]) -> Known:
    confirmed = {view.cluster for view in views if _shows_pins(view)}
    primary = {view.cluster for view in views if view.is_active_primary and not view.wrong and _shows_pins(view)}
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


def _sightings(
    elected: ClusterView,
    partner: ClusterId,
    heard_s: float | None,
    witnessed: Sighting | None,
    lived: Sighting | None,
) -> list[Sighting]:
    sightings = [
        Sighting(at_s=node.ended_s, seen_by=f"our probe of {node.node}") for node in elected.nodes if node.is_life
    ]
    if heard_s is not None:
        sightings.append(Sighting(at_s=heard_s, seen_by=f"{partner}, which hears it"))
    return [*sightings, *(sighting for sighting in (witnessed, lived) if sighting is not None)]


def _learn_life(known: Known, sightings: list[Sighting], now: Stamp) -> Known:
    newest = max(sightings, key=lambda sighting: sighting.at_s, default=None)
    if newest is None:
        return known
    life = _stamp(newest.at_s, now)
    if known.life is not None and not _is_later(life, known.life):
        return known
    return replace(known, life=life, life_seen_by=newest.seen_by)


def _stamp(at_s: float, now: Stamp) -> Stamp:
    """The stamp of an earlier moment of this boot."""
    return replace(now, at_s=at_s, at_utc_s=now.at_utc_s - (now.at_s - at_s))


def _ahead_s(one: Stamp, two: Stamp) -> float:
    """Seconds that `one` is later than `two`; across boots by the wall clock."""
    return one.at_s - two.at_s if one.boot_id == two.boot_id else one.at_utc_s - two.at_utc_s


def _is_later(one: Stamp, two: Stamp) -> bool:
    # `one` is of this boot: what an earlier boot left behind is older, also where the wall clock was ahead of itself.
    return one.boot_id != two.boot_id or one.at_s > two.at_s


def _learn_state(known: Known, active: NodeSeen, state: StreamState, *, skew_s: float, now: Stamp) -> Known:
    shown_at = _stamp(active.ended_s, now)
    known = _commit(known, skew_s)  # what was shown before this look, when life has been seen since
    return _commit(replace(known, shown=state, shown_at=shown_at), skew_s)


def _commit(known: Known, skew_s: float) -> Known:
    if known.shown_at is None:
        return known
    if known.life is None:
        is_meant = known.state_at is None
    else:
        is_near = _ahead_s(known.shown_at, known.life) <= skew_s
        is_meant = not _is_later(known.shown_at, known.life)
        is_meant = is_meant or (is_near and (known.state_at is None or known.shown in SYNCING))
    if not is_meant or (known.state_at is not None and not _is_later(known.shown_at, known.state_at)):
        return known
    return replace(known, state=known.shown, state_at=known.shown_at)


def _learn_follows(
    known: Known, elected: ClusterView, status: ReplicationStatus, heard_s: float | None, now: Stamp
) -> Known:
    times = [] if heard_s is None else [heard_s]
    if elected.is_active_primary and elected.active is not None and _is_listed(status, elected.active.status):
        times.append(elected.active.ended_s)
    if not times:
        return known
    follows_at = _stamp(max(times), now)
    if known.follows_at is not None and not _is_later(follows_at, known.follows_at):
        return known
    return replace(known, follows_at=follows_at)


def _is_listed(status: ReplicationStatus, source: ReplicationStatus | None) -> bool:
    is_ready = status.connection_state in (ConnectionState.READY, ConnectionState.ABSENT)
    is_listed = (
        source is not None and source.known_secondaries is not None and status.secondary_id in source.known_secondaries
    )
    return is_ready and is_listed and status.state is StreamState.STREAM_WALS


def _learn_loss(known: Known, elected: ClusterView, status: ReplicationStatus, now: Stamp) -> Known:
    node = elected.active
    if not elected.is_active_primary or node is None or node.status is None:
        return known
    version = node.health.version if node.health else known.source_version
    samples = _sample(known.wal_samples, node.ended_s, node.status.last_kind_wal)
    loss = estimate(samples, node.status, status, now_s=node.ended_s)
    loss_at = _stamp(node.ended_s, now)
    return replace(known, wal_samples=samples, loss=loss, loss_at=loss_at, source_version=version)


def loss_told(known: Known, now: Stamp) -> str:
    """The loss for people, as a bound: what was written after the positions were read last is in no reading."""
    loss = known.loss
    if loss.seconds is None and loss.wal is None:
        return "unknown"
    amount = f"{loss.seconds:.0f} s" if loss.seconds is not None else f"{loss.wal} WAL entries"
    told = f"at least {amount} by {loss.told_by}"
    age_s = inf if known.loss_at is None else known.loss_at.age_s(now)
    if not isfinite(age_s):
        return told
    return f"{told}, read {age_s:.0f} s before the promote; what was written later is not in it"


def _sample(samples: tuple[tuple[float, int], ...], at_s: float, wal: int | None) -> tuple[tuple[float, int], ...]:
    if wal is None or (samples and samples[-1][0] >= at_s):
        return samples
    if samples and samples[-1][1] > wal:
        samples = ()  # another life of the counter
    return (*samples, (at_s, wal))[-WAL_SAMPLES:]


def estimate(
    samples: tuple[tuple[float, int], ...], source: ReplicationStatus, secondary: ReplicationStatus, *, now_s: float
) -> Loss:
    """What the secondary lacks of the primary: positions first, then the canary's age, else unknown.

    A remote WAL of 0 or none is unknown, not "everything" (failure mode 20); equal merkle roots are exact. Seconds are
    told by positions only where the samples reach back to one that the secondary has.
    """
    if source.merkle_root and source.merkle_root == secondary.merkle_root:
        return Loss(seconds=0.0, wal=0, told_by="equal merkle roots")
    ages = [peer.canary_age_ms for peer in secondary.peers or () if peer.canary_age_ms is not None]
    canary_s = min((age / 1000.0 for age in ages if age > 0), default=None)
    if secondary.last_remote_wal and source.last_kind_wal is not None:
        missing = max(0, source.last_kind_wal - secondary.last_remote_wal)
        by_wal_s = _behind_s(samples, secondary.last_remote_wal, now_s) if missing else 0.0
        return Loss(seconds=canary_s if by_wal_s is None else by_wal_s, wal=missing, told_by="WAL positions")
    return Loss(seconds=canary_s, told_by="canary age") if canary_s is not None else Loss()


def _behind_s(samples: tuple[tuple[float, int], ...], has_wal: int, now_s: float) -> float | None:
    if not samples or samples[0][1] > has_wal:
        return None
    return max(0.0, now_s - next((at_s for at_s, wal in samples if wal > has_wal), now_s))


def is_within_age(at: Stamp | None, life: Stamp | None, *, max_age_s: float, skew_s: float) -> bool:
    """True when an observation at `at` still speaks of the last sign of life."""
    if at is None or life is None:
        return False
    return -max_age_s <= _ahead_s(at, life) <= skew_s
