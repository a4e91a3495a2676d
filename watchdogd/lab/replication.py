"""What moves between clusters: streams, syncs, heartbeats, and the role changes that start and end them.

Sources: INTERNALS, README-DR, TRACE12, REPDOC, DRDOC2. Heartbeats live in the memory of the two active nodes that
exchanged them; a new active node starts with none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import inf

from watchdogd.lab import resolving, syncing
from watchdogd.lab.cluster import Cluster
from watchdogd.lab.counts import AppliedEffect, TrueCounts
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.network import Network
from watchdogd.lab.node import ActiveMemory, Mode, Node, Peer
from watchdogd.lab.roles import Break, Change, Kind, Link, Role, SyncState, Upstream
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.store import LogEntry

_BACKLOG_STEP_S = 0.1
"""How often a stream that is behind takes the next portion."""


class Replication:
    """The streams of one world. `clock` gives the UTC seconds that a node shows at a moment of the lab's clock."""

    def __init__(
        self,
        spec: WorldSpec,
        clusters: Mapping[str, Cluster],
        network: Network,
        clock: Callable[[str, float], float],
        applied: list[AppliedEffect],
        counts: TrueCounts,
    ) -> None:
        self._spec, self._clusters, self._network, self._clock = spec, clusters, network, clock
        self._applied, self._counts = applied, counts

    # ------------------------------------------------------------------ streams

    def next_due_s(self) -> float:
        """When something on a link happens by itself next."""
        return min((self._due_s(c, kind) for c in self._clusters.values() for kind in Kind), default=inf)

    def step(self, now_s: float) -> None:
        """Bring every link up to `now_s`."""
        for cluster in self._clusters.values():
            for kind in Kind:
                link, node = cluster.roles[kind].link, cluster.serving()
                if link is not None and node is not None and node.active is not None:
                    self._step_link(cluster, kind, link, node, node.active, now_s)

    def why_broken(self, cluster: Cluster, kind: Kind, link: Link) -> Break | None:
        """Why nothing can move on a link now; None if it can."""
        primary, node = self._clusters[link.primary], cluster.serving()
        if node is None:
            return Break.REFUSED
        if self._network.holds(FaultKind.READY_STALE, node.target):
            return Break.STALE
        if link.is_misled:
            return Break.SWALLOWED
        far = primary.serving()
        targets = [node.target, far.target if far is not None else f"{primary.name}/1"]
        cut = self._network.replication_break(cluster.name, primary.name, targets)
        if cut is not None:
            return cut
        if node.active is not None and node.active.connected_s is None and not self._is_found(cluster, primary, link):
            return Break.REFUSED
        cut = self._network.connect_break(cluster.name, primary.name)
        if cut is not None and node.active is not None and node.active.connected_s is None:
            return cut
        role = primary.roles[kind]
        if far is None or role.mode is not Mode.PRIMARY or role.set_id != cluster.roles[kind].set_id:
            return Break.REFUSED
        if role.known_secondaries.get(link.secondary_id) != cluster.name:
            return Break.REFUSED
        return None

    def _is_found(self, cluster: Cluster, primary: Cluster, link: Link) -> bool:
        discovers = cluster.knobs.resolver_discover_servers
        return resolving.is_found(self._spec, primary, link, discovers=discovers)

    def _due_s(self, cluster: Cluster, kind: Kind) -> float:
        link, node = cluster.roles[kind].link, cluster.serving()
        if link is None or node is None or node.active is None:
            return inf
        if node.active.connected_s is None:
            return inf if node.active.reconnect_at_s is None else node.active.reconnect_at_s
        due = node.active.heartbeat_due_s
        if link.state is not SyncState.STREAM_WALS:
            return min(due, link.state_until_s) if link.state is not SyncState.IDLE else due
        due = min(due, link.streams_since_s + cluster.knobs.guard_missing_every_s)
        written_s = None if link.position is None else self._clusters[link.primary].store.written_s(link.position)
        if written_s is None:
            return due
        arrives_s = written_s + self._delay_s(cluster, link)
        return min(due, arrives_s if arrives_s > link.alive_s else link.alive_s + _BACKLOG_STEP_S)

    def _delay_s(self, cluster: Cluster, link: Link) -> float:
        return cluster.knobs.stream_delay_s + self._network.replication_delay_s(cluster.name, link.primary)

    def _step_link(
        self, cluster: Cluster, kind: Kind, link: Link, node: Node, memory: ActiveMemory, now_s: float
    ) -> None:
        cause = self.why_broken(cluster, kind, link)
        if cause is not None and link.failover_addrs:
            self._turn_elsewhere(cluster, link)
        if cause is not None:
            if link.broken_s is None:
                link.broken_s = now_s
            link.cause = cause
            memory.connected_s = memory.reconnect_at_s = None
            if self._network.is_one_way(link.primary, cluster.name) and memory.heartbeat_due_s <= now_s:
                memory.heartbeat_due_s = now_s + cluster.knobs.heartbeat_s
                self._be_heard(kind, link, node, now_s)
            return
        if memory.connected_s is None and not self._connect(cluster, kind, link, memory, now_s):
            return
        elapsed_s, link.alive_s = now_s - link.alive_s, now_s
        if link.state is SyncState.IDLE and not syncing.is_blocked(cluster, kind, self._clusters[link.primary]):
            syncing.begin(cluster, kind, link, self._clusters[link.primary], now_s)
        self._sync(cluster, kind, link, now_s)
        if link.state is SyncState.STREAM_WALS and not self._is_thrown_back(cluster, kind, link, now_s):
            self._stream(cluster, kind, link, memory, now_s, elapsed_s)
        if memory.heartbeat_due_s <= now_s:
            memory.heartbeat_due_s = now_s + cluster.knobs.heartbeat_s
            self._beat(cluster, kind, link, node, memory, now_s)

    def compare_again(self, cluster: Cluster, kind: Kind, now_s: float) -> None:
        """Let a stream begin anew with a comparison."""
        link = cluster.roles[kind].link
        if link is not None and link.state is SyncState.STREAM_WALS:
            syncing.begin(cluster, kind, link, self._clusters[link.primary], now_s)

    def _turn_elsewhere(self, cluster: Cluster, link: Link) -> None:
        """A performance secondary whose primary is gone finds the cluster that was promoted in its place (TRACE12)."""
        name = resolving.elsewhere(self._spec, self._clusters, cluster, link)
        if name is None or name == link.primary:
            return
        link.primary, link.position, link.is_misled = name, None, False
        link.known_addrs = [self._spec.cluster_addr(n.target) for n in self._clusters[name].voters]
        link.bootstrap_addr = link.known_addrs[0]

    def _connect(self, cluster: Cluster, kind: Kind, link: Link, memory: ActiveMemory, now_s: float) -> bool:
        if memory.reconnect_at_s is None:
            memory.reconnect_at_s = now_s + cluster.knobs.reconnect_s
        if now_s < memory.reconnect_at_s:
            return False
        memory.connected_s, memory.was_connected, memory.reconnect_at_s = now_s, True, None
        memory.heartbeat_due_s = link.alive_s = now_s
        link.broken_s = link.cause = None
        primary = self._clusters[link.primary]
        is_even = link.state is SyncState.STREAM_WALS and link.position is not None
        if not is_even or not primary.store.holds_log_from(link.position or 0):
            syncing.begin(cluster, kind, link, primary, now_s)
        link.streams_since_s = now_s
        return True

    def _is_thrown_back(self, cluster: Cluster, kind: Kind, link: Link, now_s: float) -> bool:
        """Whether a stream has nothing to go on from: the log does not reach back, or its guard is missing."""
        primary = self._clusters[link.primary]
        reaches = link.position is None or primary.store.holds_log_from(link.position)
        is_even = not self._network.holds(FaultKind.MERKLE_CORRUPTED, f"{cluster.name}/1")
        if is_even and reaches and now_s < link.streams_since_s + cluster.knobs.guard_missing_every_s:
            return False
        syncing.begin(cluster, kind, link, primary, now_s)
        return True

    def _sync(self, cluster: Cluster, kind: Kind, link: Link, now_s: float) -> None:
        if self._network.holds(FaultKind.SYNCING, f"{cluster.name}/1"):
            link.state, link.state_until_s = SyncState.MERKLE_SYNC, inf
            return
        if self._network.holds(FaultKind.MOUNT_CONFLICT, f"{cluster.name}/1"):
            link.state, link.state_until_s = SyncState.IDLE, inf
            return
        primary = self._clusters[link.primary]
        if link.state_until_s == inf:
            syncing.fetch(cluster, kind, link, primary, now_s)
        self._counts.writes_discarded += syncing.step(cluster, kind, link, primary, now_s)

    def _stream(
        self, cluster: Cluster, kind: Kind, link: Link, memory: ActiveMemory, now_s: float, elapsed_s: float
    ) -> None:
        source = self._clusters[link.primary].store
        if link.position is None or link.position == source.end:
            return
        limit = int(cluster.knobs.stream_wal_per_s * elapsed_s) + 1
        arrived = source.log_since(link.position, now_s - self._delay_s(cluster, link) + 1e-9, limit)
        self._take(cluster, kind, link, memory, arrived, now_s)

    def _take(
        self,
        cluster: Cluster,
        kind: Kind,
        link: Link,
        memory: ActiveMemory,
        entries: Iterable[LogEntry],
        now_s: float,
    ) -> None:
        for entry in entries:
            if kind is Kind.PERFORMANCE and cluster.store.is_kept_from(entry):
                link.state = SyncState.IDLE
                break
            link.position = (link.position or 0) + 1
            if entry.is_local and kind is Kind.PERFORMANCE:
                continue
            cluster.store.apply(entry, now_s=now_s)
            link.last_remote_wal = link.reached_wal = entry.wal
            memory.remote_wal_seen = True
        cluster.has_of[link.primary] = link.position or 0

    def _beat(self, cluster: Cluster, kind: Kind, link: Link, node: Node, memory: ActiveMemory, now_s: float) -> None:
        primary = self._clusters[link.primary]
        far = primary.serving()
        if far is None or far.active is None:
            return
        here_utc_s, there_utc_s = self._clock(node.target, now_s), self._clock(far.target, now_s)
        skew_ms = round((there_utc_s - here_utc_s) * 1000)
        took_ms = round(2000 * self._network.replication_delay_s(cluster.name, primary.name))  # there and back
        memory.peers[f"{kind}/{primary.name}"] = self._peer(far, "", here_utc_s, now_s, skew_ms, took_ms)
        if not self._network.is_one_way(cluster.name, primary.name):
            self._be_heard(kind, link, node, now_s)
        if cluster.knobs.resolver_discover_servers:
            link.known_addrs = [self._spec.cluster_addr(n.target) for n in primary.voters]
        if kind is Kind.PERFORMANCE:
            link.failover_addrs = resolving.failover_addrs(self._spec, self._clusters, primary)
        else:
            cluster.roles[kind].inherited = _copied(primary.roles[Kind.PERFORMANCE])

    def _be_heard(self, kind: Kind, link: Link, node: Node, now_s: float) -> None:
        """A secondary's heartbeat reaches the active node of its primary, whether or not an answer comes back."""
        far = self._clusters[link.primary].serving()
        if far is None or far.active is None:
            return
        here_utc_s, there_utc_s = self._clock(node.target, now_s), self._clock(far.target, now_s)
        skew_ms = -round((there_utc_s - here_utc_s) * 1000)
        took_ms = round(2000 * self._network.replication_delay_s(node.target.partition("/")[0], link.primary))
        far.active.peers[f"{kind}/{link.secondary_id}"] = self._peer(
            node, link.secondary_id, there_utc_s, now_s, skew_ms, took_ms
        )

    def _peer(self, node: Node, node_id: str, utc_s: float, now_s: float, skew_ms: int, duration_ms: int) -> Peer:
        return Peer(
            node_id=node_id,
            api_address=self._spec.api_addr(node.target),
            cluster_address=self._spec.cluster_addr(node.target),
            at_utc_s=utc_s,
            at_s=now_s,
            clock_skew_ms=skew_ms,
            duration_ms=duration_ms,
        )

    # ------------------------------------------------------------------ role changes

    def promote(self, cluster: Cluster, kind: Kind, now_s: float) -> None:
        """The secondary becomes primary; what had not arrived is not there; so are the ids of its own secondaries."""
        role = cluster.roles[kind]
        cluster.begin(Change.PROMOTE, cluster.knobs.promote_s, now_s)
        role.mode, role.link, role.known_secondaries = Mode.PRIMARY, None, self._remembered(cluster, role)
        role.last_reindex_utc_s, role.catching_up_since_s = 0.0, None
        role.ssct_generation += cluster.knobs.ssct_bump_on_promote
        if kind is Kind.DR:
            self._inherit(cluster, role)
        if not cluster.knobs.op_tokens_outlive_promotion:
            cluster.op_tokens.clear()  # an operation token is for a DR secondary
        self._record(now_s, Change.PROMOTE, cluster, kind)

    def _inherit(self, cluster: Cluster, role: Role) -> None:
        """Promoted in place of a performance primary it is one, of a secondary it follows on as that (DRDOC2 3.9)."""
        inherited, role.inherited = role.inherited, None
        if inherited is None:
            return
        cluster.roles[Kind.PERFORMANCE], link = inherited, inherited.link
        if link is not None:
            link.position, link.state = None, SyncState.IDLE
            known = self._clusters[link.primary].roles[Kind.PERFORMANCE].known_secondaries
            if link.secondary_id in known:
                known[link.secondary_id] = cluster.name

    def demote(self, cluster: Cluster, kind: Kind, now_s: float) -> None:
        """The primary becomes a secondary that follows nobody, with its ids and its data (DRDOC2 3.3)."""
        role = cluster.roles[kind]
        if cluster.knobs.demote_drains:
            self._drain(cluster, kind, now_s)
        cluster.begin(Change.DEMOTE, cluster.knobs.demote_s, now_s)
        role.mode, role.link, role.known_secondaries = Mode.SECONDARY, None, self._remembered(cluster, role)
        role.primary_cluster_addr = ""
        if kind is Kind.DR:
            role.inherited = cluster.roles[Kind.PERFORMANCE]
            cluster.roles[Kind.PERFORMANCE] = Role(mode=Mode.DISABLED)
        self._record(now_s, Change.DEMOTE, cluster, kind)

    def _drain(self, primary: Cluster, kind: Kind, now_s: float) -> None:
        """Let every secondary that is connected have the rest at once."""
        for cluster in self._clusters.values():
            link, node = cluster.roles[kind].link, cluster.serving()
            if link is None or link.primary != primary.name or node is None or node.active is None:
                continue
            is_up = node.active.connected_s is not None and self.why_broken(cluster, kind, link) is None
            if is_up and link.position is not None and link.state is SyncState.STREAM_WALS:
                self._take(cluster, kind, link, node.active, [*primary.store.log_from(link.position)], now_s)

    def enable(self, cluster: Cluster, kind: Kind, primary_cluster_addr: str, now_s: float) -> None:
        """primary/enable: a new set with an id of its own, which nobody follows yet."""
        cluster.begin(Change.ENABLE_PRIMARY, cluster.knobs.enable_s, now_s)
        set_id = cluster.chance.uuid()
        cluster.roles[kind] = Role(mode=Mode.PRIMARY, set_id=set_id, primary_cluster_addr=primary_cluster_addr)
        self._record(now_s, Change.ENABLE_PRIMARY, cluster, kind)

    def disable(self, cluster: Cluster, kind: Kind, now_s: float) -> None:
        """Out of its set, with its data. Whoever followed it is refused from now on, and for ever (DRDOC2 3.4)."""
        was_primary = cluster.roles[kind].mode is Mode.PRIMARY
        change = Change.DISABLE_PRIMARY if was_primary else Change.DISABLE_SECONDARY
        cluster.begin(change, cluster.knobs.disable_s, now_s)
        cluster.roles[kind] = Role(mode=Mode.DISABLED)
        cluster.op_tokens.clear()
        self._record(now_s, change, cluster, kind)

    def enable_secondary(self, cluster: Cluster, kind: Kind, found: Upstream, now_s: float) -> None:
        """secondary/enable: wiped, with the primary's keys from now on; its data comes by the first sync (TC)."""
        keys = self._clusters[found.primary].keys
        if keys is not None:
            cluster.become_a_copy(keys, now_s)
        if kind is Kind.DR:
            cluster.roles[Kind.PERFORMANCE] = Role(mode=Mode.DISABLED)
        cluster.begin(Change.ENABLE_SECONDARY, cluster.knobs.secondary_enable_s, now_s)
        cluster.roles[kind] = Role(mode=Mode.SECONDARY)
        self._link(cluster, kind, found, now_s)
        self._record(now_s, Change.ENABLE_SECONDARY, cluster, kind, found.primary)

    def follow(self, cluster: Cluster, kind: Kind, found: Upstream, now_s: float) -> None:
        """update-primary: follow another primary from now on; data that differs goes in the sync that comes."""
        cluster.begin(Change.UPDATE_PRIMARY, cluster.knobs.update_primary_s, now_s)
        self._link(cluster, kind, found, now_s)
        self._record(now_s, Change.UPDATE_PRIMARY, cluster, kind, found.primary)

    def turn_to(self, cluster: Cluster, kind: Kind, link: Link, address: str, now_s: float) -> None:
        """update-primary by addresses: the same id and data, at the cluster that answers at this address."""
        target = self._spec.target_of(address)
        cluster.begin(Change.UPDATE_PRIMARY, cluster.knobs.update_primary_s, now_s)
        name = link.primary if target is None else target[1].partition("/")[0]
        if name != link.primary:
            link.primary, link.position = name, None
        link.bootstrap_addr, link.known_addrs, link.is_misled = address, [address], False
        self._record(now_s, Change.UPDATE_PRIMARY, cluster, kind, link.primary)

    def _link(self, cluster: Cluster, kind: Kind, found: Upstream, now_s: float) -> None:
        utc_s, role = self._clock(f"{cluster.name}/1", now_s), cluster.roles[kind]
        target = self._spec.target_of(found.cluster_addr)
        role.link = Link(
            primary=found.primary,
            secondary_id=found.secondary_id,
            bootstrap_addr=found.cluster_addr,
            known_addrs=[found.cluster_addr],
            is_misled=target is None or target[1].partition("/")[0] != found.primary,
            position=None,
            state=SyncState.IDLE,
            alive_s=now_s,
            broken_s=now_s,
            last_start_utc_s=utc_s,
        )
        role.last_reindex_utc_s, role.set_id = utc_s, found.set_id
        known = self._clusters[found.primary].roles[kind].known_secondaries
        if found.secondary_id in known:
            known[found.secondary_id] = cluster.name

    def forget(self, cluster: Cluster, kind: Kind, now_s: float) -> None:
        """update-primary with an empty token: stay secondary, follow nobody (DRDOC2 3.10)."""
        cluster.begin(Change.UPDATE_PRIMARY, cluster.knobs.update_primary_s, now_s)
        cluster.roles[kind].link = None
        self._record(now_s, Change.UPDATE_PRIMARY, cluster, kind, "nobody")

    def _remembered(self, cluster: Cluster, role: Role) -> dict[str, str]:
        """The ids that outlast a role change, none of which lets anybody in (README-DR: new tokens are needed)."""
        return dict.fromkeys(role.known_secondaries, "") if cluster.knobs.remembers_secondaries else {}

    def _record(self, now_s: float, change: Change, cluster: Cluster, kind: Kind, detail: str = "") -> None:
        self._applied.append(
            AppliedEffect(at_s=now_s, verb=change.value, cluster=cluster.name, kind=kind.value, detail=detail)
        )


def _copied(role: Role) -> Role:
    """A role as it is now, to be had later."""
    link = role.link
    own = None if link is None else replace(link, known_addrs=[*link.known_addrs], sync=None)
    return replace(role, known_secondaries=dict(role.known_secondaries), link=own)
