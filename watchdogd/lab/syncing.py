"""How a secondary that cannot stream gets even with its primary: merkle-diff, merkle-sync, and again if need be.

Sources: INTERNALS, README-DR, and the vendor's pages on Merkle sync loops and on monitoring (TS-merkle-sync, MON): the
primary's log has to reach back to where the sync began, else the secondary starts over; `sync_progress` counts up to
`sync_total_keys` meanwhile. How long both take depends on the installation, hence the knobs.
"""

from __future__ import annotations

from watchdogd.lab.roles import Link, Sync, SyncState
from watchdogd.lab.routes_kv2 import DATA
from watchdogd.lab.stream import Stream


def begin(stream: Stream, now_s: float) -> None:
    """Compare, from now on."""
    link, knobs = stream.link, stream.cluster.knobs
    link.state, link.sync = SyncState.MERKLE_DIFF, None
    link.state_until_s = now_s + knobs.merkle_diff_s + _differing(stream) / knobs.merkle_diff_keys_per_s


def step(stream: Stream, now_s: float) -> None:
    """What is due at `now_s`; what the end of a sync threw away is counted."""
    link = stream.link
    if link.state_until_s > now_s:
        return
    if link.state is SyncState.MERKLE_SYNC:
        _end(stream, now_s)
    elif link.state is SyncState.MERKLE_DIFF and is_blocked(stream):
        link.state = SyncState.IDLE
    elif link.state is SyncState.MERKLE_DIFF:
        fetch(stream, now_s)


def is_blocked(stream: Stream) -> bool:
    """Whether a local mount of a performance secondary is where its primary shares one: nothing moves until one goes.

    The vendor's page on troubleshooting (TS) tells of it as `state` idle and "local mount already exists".
    """
    return stream.is_of_performance and stream.cluster.store.clashes(stream.primary.store)


def fetch(stream: Stream, now_s: float) -> None:
    """Get what differs, as the primary has it now. What it writes meanwhile comes by the stream afterwards."""
    link, knobs, keys = stream.link, stream.cluster.knobs, _differing(stream)
    link.sync = Sync(source=stream.primary.store.copy(), keys=keys, begun_s=now_s)
    link.state = SyncState.MERKLE_SYNC
    link.state_until_s = now_s + knobs.merkle_sync_s + keys / knobs.merkle_sync_keys_per_s


def progress(link: Link, now_s: float) -> int:
    """How many of the keys that differed a sync has got so far."""
    if link.sync is None:
        return 0
    takes_s = link.state_until_s - link.sync.begun_s
    return min(link.sync.keys, int(link.sync.keys * (now_s - link.sync.begun_s) / takes_s)) if takes_s > 0 else 0


def _differing(stream: Stream) -> int:
    return stream.cluster.store.differing(stream.primary.store, is_shared_only=stream.is_of_performance)


def _end(stream: Stream, now_s: float) -> None:
    cluster, primary, link = stream.cluster, stream.primary, stream.link
    sync, link.sync = link.sync, None
    source = primary.store.copy() if sync is None else sync.source
    stream.ground.counts.writes_discarded += _only_here(stream)
    cluster.store.replace_with(source, is_shared_only=stream.is_of_performance)
    link.position, link.last_remote_wal, link.state = source.end, 0, SyncState.STREAM_WALS
    link.streams_since_s, link.reached_wal = now_s, source.last_shared_wal
    for name, position in primary.has_of.items():
        cluster.has_of[name] = max(position, cluster.has_of.get(name, 0))
    cluster.has_of[primary.name] = source.end
    if not primary.store.holds_log_from(source.end):
        begin(stream, now_s)


def _only_here(stream: Stream) -> int:
    """Secrets that a secondary wrote by itself and that its new primary never got."""
    name = stream.cluster.name
    return sum(
        entry.entry is not None
        and entry.entry.uid.startswith(f"{name}-")
        and entry.key.startswith(DATA)
        and not (entry.is_local and stream.is_of_performance)
        for entry in stream.cluster.store.log_from(stream.primary.has_of.get(name, 0))
    )
