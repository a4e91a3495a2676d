"""What moves between the clusters of one world, and the role changes that start and end it.

Sources: INTERNALS, README-DR, TRACE12, REPDOC, DRDOC2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import inf

from watchdogd.lab import streaming, syncing
from watchdogd.lab.cluster import Cluster, Wrapping
from watchdogd.lab.counts import AppliedEffect, TrueCounts
from watchdogd.lab.network import Network
from watchdogd.lab.node import Mode
from watchdogd.lab.roles import Change, Kind, Link, Role, SyncState, Upstream
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.stream import Ground, Stream


class Replication:
    """The streams of one world, and what begins and ends them."""

    def __init__(
        self,
        spec: WorldSpec,
        clusters: Mapping[str, Cluster],
        network: Network,
        clock: Callable[[str, float], float],
        applied: list[AppliedEffect],
        counts: TrueCounts,
    ) -> None:
        self._ground = Ground(spec=spec, clusters=clusters, network=network, clock=clock, counts=counts)
        self._spec, self._clusters, self._clock, self._applied = spec, clusters, clock, applied

    # ------------------------------------------------------------------ streams

    def next_due_s(self) -> float:
        """When something on a stream happens by itself next."""
        return min(map(streaming.due_s, self._streams()), default=inf)

    def step(self, now_s: float) -> None:
        """Bring every stream up to `now_s`."""
        for stream in self._streams():
            streaming.step(stream, now_s)

    def stream(self, cluster: Cluster, kind: Kind) -> Stream | None:
        """The stream of a secondary; None for a cluster that follows nobody."""
        link = cluster.roles[kind].link
        return None if link is None else Stream(self._ground, cluster, kind, link)

    def compare_again(self, cluster: Cluster, kind: Kind, now_s: float) -> None:
        """Let a stream begin anew with a comparison."""
        stream = self.stream(cluster, kind)
        if stream is not None and stream.link.state is SyncState.STREAM_WALS:
            syncing.begin(stream, now_s)

    def _streams(self) -> Iterator[Stream]:
        for cluster in self._clusters.values():
            for kind in Kind:
                if (stream := self.stream(cluster, kind)) is not None:
                    yield stream

    # ------------------------------------------------------------------ role changes

    def promote(self, cluster: Cluster, kind: Kind, now_s: float) -> None:
        """The secondary becomes primary; what had not arrived is not there; so are the ids of its own secondaries."""
        role = cluster.roles[kind]
        cluster.begin(Change.PROMOTE, cluster.knobs.promote_s, now_s)
        if kind is Kind.DR and role.link is not None:
            cluster.wrappings = self._arrived_wrappings(cluster, role.link, now_s)
        role.mode, role.link, role.known_secondaries = Mode.PRIMARY, None, self._remembered(cluster, role)
        role.last_reindex_utc_s, role.catching_up_since_s = 0.0, None
        role.ssct_generation += cluster.knobs.ssct_bump_on_promote
        if kind is Kind.DR:
            self._inherit(cluster, role)
        if not cluster.knobs.op_tokens_outlive_promotion:
            cluster.op_tokens.clear()  # an operation token is for a DR secondary
        self._record(now_s, Change.PROMOTE, cluster, kind)

    def _arrived_wrappings(self, cluster: Cluster, link: Link, now_s: float) -> dict[str, Wrapping]:
        """The primary's unused activation tokens that the stream had brought: tokens replicate over DR (REPL-OV)."""
        if not cluster.knobs.activation_tokens_replicate:
            return cluster.wrappings
        until_s = (now_s if link.broken_s is None else link.alive_s) - cluster.knobs.stream_delay_s
        theirs = self._clusters[link.primary].wrappings
        return {jti: wrapping for jti, wrapping in theirs.items() if wrapping.created_s <= until_s}

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
            for stream in self._streams():
                if stream.kind is kind and stream.primary is cluster:
                    streaming.drain(stream, now_s)
        cluster.begin(Change.DEMOTE, cluster.knobs.demote_s, now_s)
        role.mode, role.link, role.known_secondaries = Mode.SECONDARY, None, self._remembered(cluster, role)
        role.primary_cluster_addr = ""
        if kind is Kind.DR:
            role.inherited = cluster.roles[Kind.PERFORMANCE]
            cluster.roles[Kind.PERFORMANCE] = Role(mode=Mode.DISABLED)
        self._record(now_s, Change.DEMOTE, cluster, kind)

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
