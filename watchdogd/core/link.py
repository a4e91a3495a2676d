"""What the secondary says about the primary: the free second witness (DESIGN section 4).

Only its active node is asked, and only compared with what the same active node said before: heartbeats live in the
memory of each active node. Clocks of other machines are never compared with ours; only whether fields moved is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from watchdogd.core.model import ClusterView, ConnectionState, Mode, NodeAddress, NodeSeen, ReplicationStatus

# Channel states that say by themselves that nothing arrives. Source: UICS.
BROKEN_STATES = frozenset(
    {
        ConnectionState.CONNECTING,
        ConnectionState.IDLE,
        ConnectionState.TRANSIENT_FAILURE,
        ConnectionState.SHUTDOWN,
    }
)


class Hears(StrEnum):
    """The verdict of the secondary about the elected cluster."""

    SEES = "sees"  # something moved: a veto
    QUIET = "quiet"  # nothing moved yet, but not for long enough to say anything
    HEARS_NOTHING = "hears_nothing"
    BLIND = "blind"  # never agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """The three fields that only a living primary moves; heartbeats and canaries by the peer that they are of."""

    heartbeats_utc_s: Mapping[str, float] = field(default_factory=dict)
    canaries_age_ms: Mapping[str, int] = field(default_factory=dict)
    remote_wal: int | None = None

    def moved_since(self, earlier: Signals) -> bool:
        """True when a heartbeat or the remote WAL grew, or a canary became younger.

        Each peer is compared with itself: one that vanishes from the list and comes back unchanged has not moved.
        """
        is_wal_later = None not in (earlier.remote_wal, self.remote_wal) and self.wal > earlier.wal
        return is_wal_later or self.has_later_heartbeat(earlier) or self._has_younger_canary(earlier)

    @property
    def wal(self) -> int:
        """The remote WAL, 0 where none is shown."""
        return self.remote_wal or 0

    @property
    def newest_heartbeat_utc_s(self) -> float | None:
        """The newest heartbeat of all peers."""
        return max(self.heartbeats_utc_s.values(), default=None)

    def has_later_heartbeat(self, earlier: Signals) -> bool:
        """True when a peer's heartbeat grew, or a peer that was not there shows one newer than all before."""
        newest = earlier.newest_heartbeat_utc_s
        return any(
            at > earlier.heartbeats_utc_s.get(peer, -math.inf if newest is None else newest)
            for peer, at in self.heartbeats_utc_s.items()
        )

    def _has_younger_canary(self, earlier: Signals) -> bool:
        return any(age < earlier.canaries_age_ms.get(peer, 0) for peer, age in self.canaries_age_ms.items())

    def after(self, earlier: Signals) -> Signals:
        """These signals, and what only `earlier` ones show: a field that is missing for one answer has not moved."""
        return Signals(
            heartbeats_utc_s={**earlier.heartbeats_utc_s, **self.heartbeats_utc_s},
            canaries_age_ms={**earlier.canaries_age_ms, **self.canaries_age_ms},
            remote_wal=self.remote_wal if self.remote_wal is not None else earlier.remote_wal,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWatch:
    """The comparison in progress; begins anew with a new active node, and after a gap."""

    node: NodeAddress | None = None
    active_time: str | None = None
    signals: Signals | None = None
    begun_s: float = 0.0  # first observation of this comparison
    last_advance_s: float | None = None  # when we last saw something move
    seen_s: float = 0.0  # newest observation in which something moved, were it only the node's own clock
    server_utc_s: int = 0
    ever_reported: bool = False  # heartbeats or a canary were shown in this comparison
    broken_from_s: float | None = None  # connection_state has said broken since then; None: it does not
    named_from_s: float | None = None  # connection_state has been a word that we know since then
    life_s: float | None = None  # the latest sign of life heard, aged by the node's own clock; never forgotten
    begun_by: str = ""  # why the comparison began anew, empty for the first one

    @property
    def counted_from_s(self) -> float:
        """Where the window of this evidence begins: the last advance, or the begin of the comparison."""
        return self.begun_s if self.last_advance_s is None else self.last_advance_s

    def observe(self, view: ClusterView, *, gap_max_s: float) -> LinkWatch:
        """The comparison after one more look at the secondary; unchanged when nothing newer can be read of it."""
        node = view.active
        if node is None or node.status is None or node.health is None or view.mode is not Mode.SECONDARY:
            return self
        if node.ended_s <= self.seen_s:
            return self
        is_same = node.node == self.node and (node.names.active_time if node.names else None) == self.active_time
        if self.signals is None or not is_same:
            return self._begin(node, node.status, "new active node")
        now, server_utc_s = signals_of(node.status), node.health.server_time_utc_s
        moved = now.moved_since(self.signals)
        if not moved and server_utc_s == self.server_utc_s:
            return self  # its clock stands still: a frozen answer is no answer, and ends in a gap
        round_s = node.ended_s - node.started_s
        if node.ended_s - self.seen_s > gap_max_s + round_s:
            return self._begin(node, node.status, "gap")
        return self._compare(node, node.status, self.signals, now, moved=moved, server_utc_s=server_utc_s)

    def _begin(self, node: NodeSeen, status: ReplicationStatus, why: str) -> LinkWatch:
        return LinkWatch(
            node=node.node,
            active_time=node.names.active_time if node.names else None,
            signals=signals_of(status),
            begun_s=node.ended_s,
            seen_s=node.ended_s,
            server_utc_s=node.health.server_time_utc_s if node.health else 0,
            ever_reported=_reports(status),
            broken_from_s=_since(None, node.ended_s, holds=status.connection_state in BROKEN_STATES),
            named_from_s=_since(None, node.ended_s, holds=_is_named(status)),
            life_s=self.life_s,
            begun_by=why if self.node is not None else "",
        )

    def _compare(
        self,
        node: NodeSeen,
        status: ReplicationStatus,
        before: Signals,
        now: Signals,
        *,
        moved: bool,
        server_utc_s: int,
    ) -> LinkWatch:
        # What moved did so after the look before this one: more than that nothing but a heartbeat tells. The look that
        # saw it may be later than a loss, and must not make what it shows of the secondary a thing from before it.
        age_s = _age_s(before, now, server_utc_s)
        moved_s = self.seen_s if age_s is None else max(self.seen_s, node.ended_s - age_s)
        return replace(
            self,
            signals=now.after(before),
            last_advance_s=node.ended_s if moved else self.last_advance_s,
            life_s=_later(self.life_s, moved_s) if moved else self.life_s,
            seen_s=node.ended_s,
            server_utc_s=server_utc_s,
            ever_reported=self.ever_reported or _reports(status),
            broken_from_s=_since(self.broken_from_s, node.ended_s, holds=status.connection_state in BROKEN_STATES),
            named_from_s=_since(self.named_from_s, node.ended_s, holds=_is_named(status)),
        )

    def verdict(self, *, now_s: float, stale_after_s: float, fresh_s: float) -> Hears:
        """What the comparison says at `now_s`; BLIND when the newest observation is older than `fresh_s`."""
        if self.signals is None or now_s - self.seen_s > fresh_s:
            return Hears.BLIND
        if self.last_advance_s is not None and now_s - self.last_advance_s <= stale_after_s:
            return Hears.SEES
        if now_s - self.counted_from_s <= stale_after_s:
            return Hears.QUIET
        if self.ever_reported:
            return Hears.HEARS_NOTHING
        froms = [since for since in (self.broken_from_s, self.named_from_s) if since is not None]
        if not froms:
            return Hears.BLIND
        is_long = now_s - max(self.counted_from_s, min(froms)) > stale_after_s
        return Hears.HEARS_NOTHING if is_long else Hears.QUIET

    @property
    def is_ready(self) -> bool:
        """True when a channel that does not say broken is all that is reported: it lengthens the window."""
        return not self.ever_reported and self.broken_from_s is None and self.named_from_s is not None

    def full_at_s(self, *, down_after_s: float, stale_link_hold_s: float) -> float:
        """When nothing will have moved for long enough, if nothing moves.

        Counted from the last advance; where neither heartbeats nor a canary are reported, from when the channel began
        to say broken, or, after `stale_link_hold_s` more, from when it began to say anything.
        """
        if self.ever_reported:
            return self.counted_from_s + down_after_s
        ends = [
            max(self.counted_from_s, since) + down_after_s + hold_s
            for since, hold_s in ((self.broken_from_s, 0.0), (self.named_from_s, stale_link_hold_s))
            if since is not None
        ]
        return min(ends, default=self.counted_from_s + down_after_s + stale_link_hold_s)


def _since(before_s: float | None, at_s: float, *, holds: bool) -> float | None:
    if not holds:
        return None
    return at_s if before_s is None else before_s


def _later(one_s: float | None, two_s: float) -> float:
    return two_s if one_s is None else max(one_s, two_s)


def _age_s(before: Signals, now: Signals, server_utc_s: int) -> float | None:
    # Both are of the secondary's own clock, which is cut to whole seconds. None for what moved without a heartbeat.
    newest = now.newest_heartbeat_utc_s
    if newest is None or not now.has_later_heartbeat(before):
        return None
    return max(0.0, server_utc_s + 1 - newest)


def signals_of(status: ReplicationStatus) -> Signals:
    """The moving fields of one status; of peers that cannot be told apart the newest heartbeat and youngest canary."""
    heartbeats_utc_s: dict[str, float] = {}
    canaries_age_ms: dict[str, int] = {}
    for peer in status.peers or ():
        name = f"{peer.cluster_address} {peer.api_address}"
        if (at_utc_s := peer.last_heartbeat_utc_s) is not None:
            heartbeats_utc_s[name] = max(at_utc_s, heartbeats_utc_s.get(name, at_utc_s))
        if (age_ms := peer.canary_age_ms) is not None and age_ms > 0:
            canaries_age_ms[name] = min(age_ms, canaries_age_ms.get(name, age_ms))
    return Signals(
        heartbeats_utc_s=heartbeats_utc_s,
        canaries_age_ms=canaries_age_ms,
        # 0 is what a new active node shows before it has read its position: its first number is no movement.
        remote_wal=status.last_remote_wal or None,
    )


def _reports(status: ReplicationStatus) -> bool:
    signals = signals_of(status)
    return bool(signals.heartbeats_utc_s or signals.canaries_age_ms)


def _is_named(status: ReplicationStatus) -> bool:
    return status.connection_state not in (ConnectionState.ABSENT, ConnectionState.OTHER)
