"""What the secondary says about the primary: the free second witness (DESIGN section 4).

Only its active node is asked, and only compared with what the same active node said before: heartbeats live in the
memory of each active node. Clocks of other machines are never compared with ours; only whether fields moved is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    """The three fields that only a living primary moves."""

    heartbeat_utc_s: float | None
    remote_wal: int | None
    canary_age_ms: int | None

    def moved_since(self, earlier: Signals) -> bool:
        """True when a heartbeat or the remote WAL grew, or the canary became younger."""
        return (
            _grew(earlier.heartbeat_utc_s, self.heartbeat_utc_s)
            or _grew(earlier.remote_wal, self.remote_wal)
            or _grew(self.canary_age_ms, earlier.canary_age_ms)
        )


def _grew(before: float | None, after: float | None) -> bool:
    return before is not None and after is not None and after > before


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWatch:
    """The comparison in progress; begins anew with a new active node, and after a gap."""

    node: NodeAddress | None = None
    active_time: str | None = None
    signals: Signals | None = None
    begun_s: float = 0.0  # first observation of this comparison
    last_advance_s: float | None = None  # when we last saw something move
    seen_s: float = 0.0  # newest observation
    counted_server_utc_s: int = 0  # the node's own clock where the window begins
    server_utc_s: int = 0
    ever_reported: bool = False  # heartbeats or a canary were shown in this comparison
    always_broken: bool = True  # connection_state said broken throughout
    always_named: bool = True  # connection_state was a word that we know throughout
    moved_by: str = ""
    resets: int = 0

    @property
    def counted_from_s(self) -> float:
        """Where the window of this evidence begins: the last advance, or the begin of the comparison."""
        return self.begun_s if self.last_advance_s is None else self.last_advance_s

    def observe(self, view: ClusterView, *, gap_max_s: float) -> LinkWatch:
        """The comparison after one more look at the secondary; unchanged when nothing newer can be read of it."""
        node = view.active
        if node is None or node.status is None or node.health is None or view.mode is not Mode.SECONDARY:
            return self
        if node.ended_s <= self.seen_s and node.node == self.node:
            return self
        is_same = node.node == self.node and (node.names.active_time if node.names else None) == self.active_time
        round_s = node.ended_s - node.started_s
        if not is_same or self.signals is None or node.ended_s - self.seen_s > gap_max_s + round_s:
            return self._begin(node, node.status)
        return self._compare(node, node.status)

    def _begin(self, node: NodeSeen, status: ReplicationStatus) -> LinkWatch:
        server_utc_s = node.health.server_time_utc_s if node.health else 0
        return LinkWatch(
            node=node.node,
            active_time=node.names.active_time if node.names else None,
            signals=signals_of(status),
            begun_s=node.ended_s,
            seen_s=node.ended_s,
            counted_server_utc_s=server_utc_s,
            server_utc_s=server_utc_s,
            ever_reported=_reports(status),
            always_broken=status.connection_state in BROKEN_STATES,
            always_named=_is_named(status),
            resets=self.resets + (self.node is not None),
        )

    def _compare(self, node: NodeSeen, status: ReplicationStatus) -> LinkWatch:
        now, before = signals_of(status), self.signals
        moved = before is not None and (now.moved_since(before) or _appeared(before, now))
        server_utc_s = node.health.server_time_utc_s if node.health else self.server_utc_s
        return replace(
            self,
            signals=_newest(before, now),
            last_advance_s=node.ended_s if moved else self.last_advance_s,
            seen_s=node.ended_s,
            counted_server_utc_s=server_utc_s if moved else self.counted_server_utc_s,
            server_utc_s=server_utc_s,
            ever_reported=self.ever_reported or _reports(status),
            # What moved proves that the channel worked until then: the states since then count.
            always_broken=(moved or self.always_broken) and status.connection_state in BROKEN_STATES,
            always_named=(moved or self.always_named) and _is_named(status),
            moved_by=node.node if moved else self.moved_by,
        )

    def verdict(self, *, now_s: float, stale_after_s: float, fresh_s: float) -> Hears:
        """What the comparison says at `now_s`; BLIND when the newest observation is older than `fresh_s`."""
        if self.signals is None or now_s - self.seen_s > fresh_s:
            return Hears.BLIND
        if self.last_advance_s is not None and now_s - self.last_advance_s <= stale_after_s:
            return Hears.SEES
        if self.seen_s - self.counted_from_s <= stale_after_s:
            return Hears.QUIET
        if self.server_utc_s <= self.counted_server_utc_s:
            return Hears.BLIND  # its clock stands still: a frozen answer is no answer
        if self.ever_reported or self.always_broken or self.is_ready:
            return Hears.HEARS_NOTHING
        return Hears.BLIND

    @property
    def is_ready(self) -> bool:
        """True when only a channel that was not broken throughout is reported: it lengthens the window."""
        return not self.ever_reported and not self.always_broken and self.always_named

    def window_s(self, *, down_after_s: float, stale_link_hold_s: float) -> float:
        """How long nothing may have moved before it counts, in seconds from `counted_from_s`."""
        return down_after_s + (stale_link_hold_s if self.is_ready else 0.0)


def signals_of(status: ReplicationStatus) -> Signals:
    """The moving fields of one status; the newest heartbeat and youngest canary of all peers."""
    peers = status.peers or ()
    heartbeats = [peer.last_heartbeat_utc_s for peer in peers if peer.last_heartbeat_utc_s is not None]
    canaries = [peer.canary_age_ms for peer in peers if peer.canary_age_ms is not None and peer.canary_age_ms > 0]
    return Signals(
        heartbeat_utc_s=max(heartbeats, default=None),
        remote_wal=status.last_remote_wal,
        canary_age_ms=min(canaries, default=None),
    )


def _reports(status: ReplicationStatus) -> bool:
    signals = signals_of(status)
    return signals.heartbeat_utc_s is not None or signals.canary_age_ms is not None


def _is_named(status: ReplicationStatus) -> bool:
    return status.connection_state not in (ConnectionState.ABSENT, ConnectionState.OTHER)


def _appeared(before: Signals, now: Signals) -> bool:
    return before.heartbeat_utc_s is None and now.heartbeat_utc_s is not None


def _newest(before: Signals | None, now: Signals) -> Signals:
    # A field that vanishes for one answer must not look like movement when it comes back.
    if before is None:
        return now
    return Signals(
        heartbeat_utc_s=now.heartbeat_utc_s if now.heartbeat_utc_s is not None else before.heartbeat_utc_s,
        remote_wal=now.remote_wal if now.remote_wal is not None else before.remote_wal,
        canary_age_ms=now.canary_age_ms if now.canary_age_ms is not None else before.canary_age_ms,
    )
