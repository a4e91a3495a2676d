"""How a secondary that cannot stream gets even with its primary: merkle-diff, merkle-sync, and again if need be.

Sources: INTERNALS, README-DR, and the vendor's pages on Merkle sync loops and on monitoring (TS-merkle-sync, MON): the
primary's log has to reach back to where the sync began, else the secondary starts over; `sync_progress` counts up to
`sync_total_keys` meanwhile. How long both take depends on the installation, hence the knobs.
"""

from __future__ import annotations

from watchdogd.lab.cluster import Cluster
from watchdogd.lab.roles import Kind, Link, Sync, SyncState
from watchdogd.lab.routes_kv2 import DATA


def begin(cluster: Cluster, kind: Kind, link: Link, primary: Cluster, now_s: float) -> None:
    """Compare, from now on."""
    keys = cluster.store.differing(primary.store, is_shared_only=kind is Kind.PERFORMANCE)
    link.state, link.sync = SyncState.MERKLE_DIFF, None
    link.state_until_s = now_s + cluster.knobs.merkle_diff_s + keys / cluster.knobs.merkle_diff_keys_per_s


def step(cluster: Cluster, kind: Kind, link: Link, primary: Cluster, now_s: float) -> int:
    """What is due at `now_s`. Returns how many of the secondary's own secrets the end of a sync threw away."""
    if link.state_until_s > now_s:
        return 0
    if link.state is SyncState.MERKLE_DIFF:
        if is_blocked(cluster, kind, primary):
            link.state = SyncState.IDLE
            return 0
        fetch(cluster, kind, link, primary, now_s)
    elif link.state is SyncState.MERKLE_SYNC:
        return _end(cluster, kind, link, primary, now_s)
    return 0


def is_blocked(cluster: Cluster, kind: Kind, primary: Cluster) -> bool:
    """Whether a local mount of a performance secondary is where its primary shares one: nothing moves until one goes.

    The vendor's page on troubleshooting (TS) tells of it as `state` idle and "local mount already exists".
    """
    return kind is Kind.PERFORMANCE and cluster.store.clashes(primary.store)


def fetch(cluster: Cluster, kind: Kind, link: Link, primary: Cluster, now_s: float) -> None:
    """Get what differs, as the primary has it now. What it writes meanwhile comes by the stream afterwards."""
    keys = cluster.store.differing(primary.store, is_shared_only=kind is Kind.PERFORMANCE)
    link.sync = Sync(source=primary.store.copy(), keys=keys, begun_s=now_s)
    link.state = SyncState.MERKLE_SYNC
    link.state_until_s = now_s + cluster.knobs.merkle_sync_s + keys / cluster.knobs.merkle_sync_keys_per_s


def progress(link: Link, now_s: float) -> int:
    """How many of the keys that differed a sync has got so far."""
    if link.sync is None:
        return 0
    takes_s = link.state_until_s - link.sync.begun_s
    return min(link.sync.keys, int(link.sync.keys * (now_s - link.sync.begun_s) / takes_s)) if takes_s > 0 else 0


def _end(cluster: Cluster, kind: Kind, link: Link, primary: Cluster, now_s: float) -> int:
    sync, link.sync = link.sync, None
    source = primary.store.copy() if sync is None else sync.source
    thrown_away = _only_here(cluster, kind, primary)
    cluster.store.replace_with(source, is_shared_only=kind is Kind.PERFORMANCE)
    link.position, link.last_remote_wal, link.state = source.end, 0, SyncState.STREAM_WALS
    link.streams_since_s, link.reached_wal = now_s, source.last_shared_wal
    for name, position in primary.has_of.items():
        cluster.has_of[name] = max(position, cluster.has_of.get(name, 0))
    cluster.has_of[primary.name] = source.end
    if not primary.store.holds_log_from(source.end):
        begin(cluster, kind, link, primary, now_s)
    return thrown_away


def _only_here(cluster: Cluster, kind: Kind, primary: Cluster) -> int:
    """Secrets that this cluster wrote by itself and that its new primary never got."""
    own = f"{cluster.name}-"
    return sum(
        entry.entry is not None
        and entry.entry.uid.startswith(own)
        and entry.key.startswith(DATA)
        and not (entry.is_local and kind is Kind.PERFORMANCE)
        for entry in cluster.store.log_from(primary.has_of.get(cluster.name, 0))
    )
