"""What a stream does by itself: break and connect again, deliver what was written, fall back to a comparison.

Sources: INTERNALS, README-DR, TRACE12.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from watchdogd.lab import heartbeats, resolving, syncing
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.node import ActiveMemory, Mode
from watchdogd.lab.roles import Break, SyncState
from watchdogd.lab.store import LogEntry
from watchdogd.lab.stream import Stream

_BACKLOG_STEP_S = 0.1
"""How often a stream that is behind takes the next portion."""


def due_s(stream: Stream) -> float:
    """When something happens on it by itself next; inf for never."""
    memory, link = stream.memory, stream.link
    if memory is None:
        return inf
    if memory.connected_s is None:
        return inf if memory.reconnect_at_s is None else memory.reconnect_at_s
    match link.state:
        case SyncState.IDLE:
            return memory.heartbeat_due_s
        case SyncState.MERKLE_DIFF | SyncState.MERKLE_SYNC:
            return min(memory.heartbeat_due_s, link.state_until_s)
        case SyncState.STREAM_WALS:
            return min(memory.heartbeat_due_s, _guard_due_s(stream), _next_write_s(stream))


def step(stream: Stream, now_s: float) -> None:
    """Bring it up to `now_s`."""
    memory, link = stream.memory, stream.link
    if memory is None:
        return
    cause = why_broken(stream)
    if cause is not None:
        _stand_broken(stream, memory, cause, now_s)
        return
    if memory.connected_s is None and not _connect(stream, memory, now_s):
        return
    elapsed_s, link.alive_s = now_s - link.alive_s, now_s
    if link.state is SyncState.IDLE and not syncing.is_blocked(stream):
        syncing.begin(stream, now_s)
    _sync(stream, now_s)
    if link.state is SyncState.STREAM_WALS and not _is_thrown_back(stream, now_s):
        _deliver(stream, memory, now_s, elapsed_s)
    if memory.heartbeat_due_s <= now_s:
        memory.heartbeat_due_s = now_s + stream.cluster.knobs.heartbeat_s
        heartbeats.beat(stream, now_s)


def drain(stream: Stream, now_s: float) -> None:
    """Let a secondary that is connected have the rest at once."""
    memory, link = stream.memory, stream.link
    if memory is None or memory.connected_s is None or why_broken(stream) is not None:
        return
    if link.position is not None and link.state is SyncState.STREAM_WALS:
        _take(stream, memory, [*stream.primary.store.log_from(link.position)], now_s)


def why_broken(stream: Stream) -> Break | None:
    """Why nothing can move on it now; None if it can."""
    near, far, primary, network = stream.near, stream.far, stream.primary, stream.ground.network
    if near is None:
        return Break.REFUSED
    if network.holds(FaultKind.READY_STALE, near.target):
        return Break.STALE
    if stream.link.is_misled:
        return Break.SWALLOWED
    targets = [near.target, far.target if far is not None else f"{primary.name}/1"]
    cut = network.replication_break(stream.cluster.name, primary.name, targets)
    if cut is None and near.active is not None and near.active.connected_s is None:
        cut = _why_not_connected(stream)
    if cut is None and not _is_let_in(stream):
        cut = Break.REFUSED
    return cut


def _why_not_connected(stream: Stream) -> Break | None:
    """What stands in the way of a connection, and would not break one that stands."""
    if not resolving.is_found(stream):
        return Break.REFUSED
    return stream.ground.network.connect_break(stream.cluster.name, stream.link.primary)


def _is_let_in(stream: Stream) -> bool:
    """Whether its primary is one, of the same set, and knows the secondary by its id."""
    role, own = stream.primary.roles[stream.kind], stream.cluster.roles[stream.kind]
    return (
        stream.far is not None
        and role.mode is Mode.PRIMARY
        and role.set_id == own.set_id
        and role.known_secondaries.get(stream.link.secondary_id) == stream.cluster.name
    )


def _stand_broken(stream: Stream, memory: ActiveMemory, cause: Break, now_s: float) -> None:
    """Nothing moves; where only the way back is cut, the primary still hears of its secondary."""
    link = stream.link
    if link.failover_addrs:
        _turn_elsewhere(stream)
    if link.broken_s is None:
        link.broken_s = now_s
    link.cause = cause
    memory.connected_s = memory.reconnect_at_s = None
    if stream.ground.network.is_one_way(link.primary, stream.cluster.name) and memory.heartbeat_due_s <= now_s:
        memory.heartbeat_due_s = now_s + stream.cluster.knobs.heartbeat_s
        heartbeats.reach_primary(stream, now_s)


def _turn_elsewhere(stream: Stream) -> None:
    """A performance secondary whose primary is gone finds the cluster that was promoted in its place (TRACE12)."""
    name, link = resolving.elsewhere(stream), stream.link
    if name is None or name == link.primary:
        return
    link.primary, link.position, link.is_misled = name, None, False
    link.known_addrs = [stream.ground.spec.cluster_addr(n.target) for n in stream.primary.voters]
    link.bootstrap_addr = link.known_addrs[0]


def _connect(stream: Stream, memory: ActiveMemory, now_s: float) -> bool:
    link = stream.link
    if memory.reconnect_at_s is None:
        memory.reconnect_at_s = now_s + stream.cluster.knobs.reconnect_s
    if now_s < memory.reconnect_at_s:
        return False
    memory.connected_s, memory.was_connected, memory.reconnect_at_s = now_s, True, None
    memory.heartbeat_due_s = link.alive_s = now_s
    link.broken_s = link.cause = None
    is_even = link.state is SyncState.STREAM_WALS and link.position is not None
    if not is_even or not _reaches_back(stream):
        syncing.begin(stream, now_s)
    link.streams_since_s = now_s
    return True


def _sync(stream: Stream, now_s: float) -> None:
    link = stream.link
    if stream.suffers(FaultKind.SYNCING):
        link.state, link.state_until_s = SyncState.MERKLE_SYNC, inf
    elif stream.suffers(FaultKind.MOUNT_CONFLICT):
        link.state, link.state_until_s = SyncState.IDLE, inf
    else:
        if link.state_until_s == inf:  # what held it is over
            syncing.fetch(stream, now_s)
        syncing.step(stream, now_s)


def _is_thrown_back(stream: Stream, now_s: float) -> bool:
    """Whether it has nothing to go on from: the log does not reach back, or its guard is missing."""
    is_even = not stream.suffers(FaultKind.MERKLE_CORRUPTED)
    if is_even and _reaches_back(stream) and now_s < _guard_due_s(stream):
        return False
    syncing.begin(stream, now_s)
    return True


def _reaches_back(stream: Stream) -> bool:
    position = stream.link.position
    return position is None or stream.primary.store.holds_log_from(position)


def _guard_due_s(stream: Stream) -> float:
    """When its guard goes missing."""
    return stream.link.streams_since_s + stream.cluster.knobs.guard_missing_every_s


def _next_write_s(stream: Stream) -> float:
    """When the next write arrives, or the next portion of those that are late."""
    link = stream.link
    written_s = None if link.position is None else stream.primary.store.written_s(link.position)
    if written_s is None:
        return inf
    arrives_s = written_s + stream.delay_s
    return arrives_s if arrives_s > link.alive_s else link.alive_s + _BACKLOG_STEP_S


def _deliver(stream: Stream, memory: ActiveMemory, now_s: float, elapsed_s: float) -> None:
    position, source = stream.link.position, stream.primary.store
    if position is None or position == source.end:
        return
    limit = int(stream.cluster.knobs.stream_wal_per_s * elapsed_s) + 1
    _take(stream, memory, source.log_since(position, now_s - stream.delay_s + 1e-9, limit), now_s)


def _take(stream: Stream, memory: ActiveMemory, entries: Iterable[LogEntry], now_s: float) -> None:
    cluster, link = stream.cluster, stream.link
    for entry in entries:
        if stream.is_of_performance and cluster.store.is_kept_from(entry):
            link.state = SyncState.IDLE
            break
        link.position = (link.position or 0) + 1
        if entry.is_local and stream.is_of_performance:
            continue
        cluster.store.apply(entry, now_s=now_s)
        link.last_remote_wal = link.reached_wal = entry.wal
        memory.remote_wal_seen = True
    cluster.has_of[link.primary] = link.position or 0
