"""How a node shows its part in replication: the object of `sys/replication/dr/status` and its sister.

Sources: REPDOC, DRDOC2 (2024 samples), DRDOC-OLD (2020), TRACE12, README-DR, UICS; section 2 of the reference. Numbers
and strings are mixed on purpose: epochs and the fields of peers are strings.
"""

from __future__ import annotations

from math import floor

from watchdogd.lab import syncing
from watchdogd.lab.call import Call, rfc3339
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knobs import DeadLinkState, Knobs, PeersWhenDemoted
from watchdogd.lab.node import ActiveMemory, Mode, Peer
from watchdogd.lab.roles import Break, Kind, Link, Role, SyncState
from watchdogd.lab.store import Store

_NEVER_EPOCH = "-62135596800"  # Go's zero time
_CONNECTING_S = 1.0

Status = dict[str, object]


def replication_status(call: Call, kind: Kind) -> Status:
    """One kind of replication as the answering node shows it; keys in the order of Go's maps."""
    role = call.cluster.shown_role(kind)
    memory = call.node.active if call.cluster.serving() is call.node else None
    match role.mode:
        case Mode.PRIMARY:
            shown = _primary(call, kind, role, memory)
        case Mode.SECONDARY:
            shown = _secondary(call, kind, role, memory)
        case _:
            shown = {"mode": "disabled"}
    if memory is not None and memory.reindex_until_s is not None and call.knobs.reindexing_state and "state" in shown:
        shown["state"] = call.knobs.reindexing_state
    return dict(sorted(shown.items()))


def canary_age_ms(link: Link, knobs: Knobs, now_s: float) -> int:
    """The age of the newest canary record that came over a link."""
    received_s = (now_s if link.broken_s is None else link.alive_s) - knobs.stream_delay_s
    return int((now_s - floor(received_s / knobs.canary_every_s) * knobs.canary_every_s) * 1000)


def root_of(store: Store, kind: Kind) -> str:
    """The merkle root over what goes over one kind of replication: those of TRACE12 differ on one cluster."""
    return store.merkle_root if kind is Kind.DR else store.shared_root


def wal_of(store: Store, kind: Kind) -> int:
    """The newest log entry that goes over one kind of replication; local ones go over DR alone."""
    return store.last_wal if kind is Kind.DR else store.last_shared_wal


def _reports(knob: bool | None, version: tuple[int, ...], since: tuple[int, ...]) -> bool:
    return version >= since if knob is None else knob


def _extras(call: Call, role: Role) -> Status:
    """What both sides carry in newer versions (2024 samples)."""
    if call.cluster.version < (1, 16):
        return {}
    checked_utc_s = call.cluster.merkle_checked_utc_s
    return {
        "corrupted_merkle_tree": call.world.network.holds(FaultKind.MERKLE_CORRUPTED, call.node.target),
        "last_corruption_check_epoch": _NEVER_EPOCH if checked_utc_s is None else str(int(checked_utc_s)),
        "ssct_generation_counter": role.ssct_generation,
    }


def _primary(call: Call, kind: Kind, role: Role, memory: ActiveMemory | None) -> Status:
    store, version = call.cluster.store, call.cluster.version
    shown: Status = {
        "cluster_id": role.set_id,
        "known_secondaries": sorted(role.known_secondaries),
        "last_reindex_epoch": str(int(role.last_reindex_utc_s)),
        "last_wal": store.last_wal,
        "merkle_root": root_of(store, kind),
        "mode": "primary",
        "primary_cluster_addr": role.primary_cluster_addr,
        "state": "running",
    } | _extras(call, role)
    if version >= call.knobs.last_kind_wal_since:
        shown[f"last_{kind}_wal"] = wal_of(store, kind)
    if _reports(call.knobs.reports_heartbeats, version, (1, 5)):
        peers = memory.peers if memory is not None else {}
        shown["secondaries"] = [
            _peer(call, peer, None if link is None else canary_age_ms(link, call.knobs, call.now_s), stale=False)
            | {"node_id": secondary_id}
            for secondary_id, cluster in sorted(role.known_secondaries.items())
            for peer in [peers.get(f"{kind}/{secondary_id}")]
            if peer is not None
            for link in [call.world.clusters[cluster].roles[kind].link]
        ]
    return shown


def _secondary(call: Call, kind: Kind, role: Role, memory: ActiveMemory | None) -> Status:
    link, version, knobs = role.link, call.cluster.version, call.knobs
    shown: Status = {
        "cluster_id": role.set_id,
        "last_reindex_epoch": str(int(role.last_reindex_utc_s)),
        "merkle_root": root_of(call.cluster.store, kind),
        "mode": "secondary",
    } | _extras(call, role)
    if link is None:
        if not knobs.merkle_root_when_demoted:
            del shown["merkle_root"]
        return shown | _following_nobody(call)
    shown |= {
        "known_primary_cluster_addrs": list(link.known_addrs),
        "last_remote_wal": remote_wal(link, memory, knobs),
        "primary_cluster_addr": link.bootstrap_addr,
        "secondary_id": link.secondary_id,
        "state": _state(link, knobs, call.now_s).value,
    }
    if link.state is SyncState.MERKLE_SYNC and link.sync is not None:
        shown |= {"sync_progress": syncing.progress(link, call.now_s), "sync_total_keys": link.sync.keys}
    if version >= (1, 16):
        shown["last_start"] = rfc3339(link.last_start_utc_s, offset_minutes=knobs.utc_offset_minutes)
    if _reports(knobs.reports_connection_state, version, knobs.connection_state_since):
        shown["connection_state"] = _connection_state(link, memory, knobs, call.now_s)
    if _reports(knobs.reports_heartbeats, version, (1, 5)):
        peer = None if memory is None else memory.peers.get(f"{kind}/{link.primary}")
        age_ms = canary_age_ms(link, knobs, call.now_s)
        shown["primaries"] = [] if peer is None else [_peer(call, peer, age_ms, stale=link.cause is Break.STALE)]
    return shown


def _following_nobody(call: Call) -> Status:
    """A demoted primary before update-primary: state idle (README-DR); how peers look is UNCONFIRMED."""
    shown: Status = {
        "last_remote_wal": 0,
        "primary_cluster_addr": "",
        "secondary_id": "",
        "state": SyncState.IDLE.value,
    }
    demoted, since = call.knobs.connection_state_when_demoted, call.knobs.connection_state_since
    if demoted is not None and _reports(call.knobs.reports_connection_state, call.cluster.version, since):
        shown["connection_state"] = demoted
    if call.knobs.peers_when_demoted is PeersWhenDemoted.ABSENT:
        return shown
    peers: list[Status] | None = [] if call.knobs.peers_when_demoted is PeersWhenDemoted.EMPTY else None
    return shown | {"primaries": peers, "known_primary_cluster_addrs": peers}


def remote_wal(link: Link, memory: ActiveMemory | None, knobs: Knobs) -> int:
    """The newest entry of its primary's that a secondary says it has."""
    if knobs.remote_wal_zero_after_restart and (memory is None or not memory.remote_wal_seen):
        return 0
    return link.last_remote_wal


def _state(link: Link, knobs: Knobs, now_s: float) -> SyncState:
    if link.broken_s is None or link.cause is Break.STALE:
        return link.state
    idle = knobs.dead_link_state is DeadLinkState.IDLE and now_s - link.broken_s >= knobs.idle_after_s
    return SyncState.IDLE if idle else link.state


def _connection_state(link: Link, memory: ActiveMemory | None, knobs: Knobs, now_s: float) -> str:
    """The gRPC channel's state (UICS). A channel that was ready does not notice a black hole for a while."""
    if link.cause is Break.STALE or (link.broken_s is None and memory is None):
        return "ready"
    if memory is not None and memory.connected_s is not None:
        return "ready"
    since_s = max(link.broken_s or 0.0, memory.since_s if memory is not None else 0.0)
    age_s = now_s - since_s
    if link.cause is Break.SWALLOWED and (memory is None or memory.was_connected):
        return "ready" if age_s < knobs.blackhole_ready_s else "transient_failure"
    if link.cause is Break.SWALLOWED:
        return "connecting" if age_s < knobs.blackhole_ready_s else "transient_failure"
    return "connecting" if link.cause is None or age_s < _CONNECTING_S else "transient_failure"


def _peer(call: Call, peer: Peer, canary_ms: int | None, *, stale: bool) -> Status:
    connected = stale or call.now_s - peer.at_s < call.knobs.heartbeat_lost_after_s
    shown: Status = {
        "api_address": peer.api_address,
        "cluster_address": peer.cluster_address,
        "connection_status": "connected" if connected else "disconnected",
        "last_heartbeat": rfc3339(peer.at_utc_s, offset_minutes=call.knobs.utc_offset_minutes),
    }
    if call.cluster.version >= (1, 16):
        shown |= {"clock_skew_ms": str(peer.clock_skew_ms), "last_heartbeat_duration_ms": str(peer.duration_ms)}
    if canary_ms is not None and _reports(call.knobs.reports_canary, call.cluster.version, (1, 16)):
        shown["replication_primary_canary_age_ms"] = str(canary_ms)
    return shown
