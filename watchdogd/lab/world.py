"""The world: clusters, links, faults and true counts under one clock. Pure, seeded, deterministic.

The same seed, spec and sequence of calls gives the same bytes. Nothing here reads a clock or opens a socket.

What this world cannot show: writes that a node accepts and then loses inside its own cluster (raft commits at once),
a primary whose nodes are cut from each other inside one region, several namespaces, PGP-encrypted tokens.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping

from watchdogd.lab.clients import SimClient
from watchdogd.lab.cluster import Cluster
from watchdogd.lab.counts import AppliedEffect, Crash, SentRequest, TrueCounts
from watchdogd.lab.delivery import at_node, deliver, heed_balancer
from watchdogd.lab.faults import FaultBoard, FaultKind
from watchdogd.lab.heeding import heed
from watchdogd.lab.network import OPEN, Network
from watchdogd.lab.node import Mode
from watchdogd.lab.replication import Replication
from watchdogd.lab.roles import Kind, Upstream
from watchdogd.lab.seeded import Seeded
from watchdogd.lab.setup import found
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.store import Entry
from watchdogd.lab.transcript import Transcript
from watchdogd.lab.wire import Exchange, Place, Wire

EPOCH_UTC_S = 1_772_366_400.0
"""What the wall clocks of a world show at its second 0 unless said otherwise: 2026-03-01T12:00:00Z."""
NODES_CA_FILE = "/etc/vault.d/ca.pem"
_STEP_MAX_S, _STEP_MIN_S = 1.0, 0.001


class World:
    """All clusters of one lab. `now_s` is the lab's own clock; wall clocks show `epoch_utc_s + now_s`."""

    published_cluster: Callable[[float], str | None] | None = None
    """Where the service name points, as the authoritative servers publish it; set by whoever owns the zone."""

    def __init__(self, spec: WorldSpec, *, seed: int, now_s: float = 0.0, epoch_utc_s: float = EPOCH_UTC_S) -> None:
        self.spec, self.kind = spec, Kind.DR if spec.is_empty else Kind(spec.kind)
        self.now_s, self.epoch_utc_s = now_s, epoch_utc_s
        self.targets = spec.targets()
        self.transcript = Transcript()
        self.faults = FaultBoard(now_s)
        self.network = Network(spec, self.faults)
        founded = found(spec, seed=seed, now_s=now_s, epoch_utc_s=epoch_utc_s, transcript=self.transcript)
        self.clusters: Mapping[str, Cluster] = founded.clusters
        self._credentials = founded.credentials
        self.applied: list[AppliedEffect] = []
        self.sent: list[SentRequest] = []
        self.crashed: list[Crash] = []
        self.ca_files = {NODES_CA_FILE}  # on the disk of every node: they hold the authority of the clusters' API
        self.asked: set[str] = set()  # every endpoint that was, as `routes.endpoint_of` names it
        self.counts = TrueCounts()
        self.replication = Replication(spec, self.clusters, self.network, self.utc_s, self.applied, self.counts)
        self.clients: list[SimClient] = []
        self.elected = spec.clusters[0].name  # the lab's own truth: where the newest promotion went
        self._acknowledged: dict[str, str] = {}  # key -> uid of the write that a client was told was done
        self._late: list[tuple[float, int, Wire, str]] = []
        self._chance = Seeded(seed, "network")
        self._turns = 0
        self._heeded = -1
        self._noted: dict[int, str] = {}
        self._settle()

    # ------------------------------------------------------------------ time

    def tick(self, now_s: float) -> None:
        """Advance to `now_s` in steps of at most 1 s, never past an event. Faults changed meanwhile take hold first."""
        self._settle()
        while self.now_s < now_s:
            due_s = max(self._next_due_s(), self.now_s + _STEP_MIN_S)
            self._step(min(now_s, due_s, self.now_s + _STEP_MAX_S))

    def utc_s(self, target: str, now_s: float) -> float:
        """What the wall clock of a node shows at a moment of the lab's clock."""
        return self.epoch_utc_s + now_s + self.network.skew_s(target)

    def _next_due_s(self) -> float:
        due = min(self.replication.next_due_s(), self.faults.next_end_s())
        for cluster in self.clusters.values():
            due = min(due, cluster.next_due_s())
        for client in self.clients:
            due = min(due, client.due_s)
        return min(due, self._late[0][0]) if self._late else due

    def _step(self, to_s: float) -> None:
        self._count(to_s - self.now_s)
        self.now_s = to_s
        self.faults.pass_to(to_s)
        if not self._settle():
            self._advance()
        while self._late and self._late[0][0] <= to_s:
            _, _, wire, target = heapq.heappop(self._late)
            self._land(wire, target)
        for client in self.clients:
            if client.due_s <= to_s:
                client.act(self, to_s)

    def _settle(self) -> bool:
        """Let faults that changed take hold now; false if none had."""
        if self._heeded == self.faults.version:
            return False
        self._heeded = self.faults.version
        self._note_faults()
        for cluster in self.clusters.values():
            heed(cluster, self.faults, self.now_s)
            heed_balancer(self, cluster)
        self._advance()
        return True

    def _note_faults(self) -> None:
        hung = {i: f"{fault.kind} {fault.target}" for i, fault in self.faults.items()}
        for i in sorted(hung.keys() - self._noted.keys()):
            self.transcript.note(self.now_s, f"fault: {hung[i]}")
        for i in sorted(self._noted.keys() - hung.keys()):
            self.transcript.note(self.now_s, f"fault over: {self._noted[i]}")
        self._noted = hung

    def _advance(self) -> None:
        for name, cluster in self.clusters.items():
            cluster.step(self.now_s, self.utc_s(f"{name}/1", self.now_s))
        self.replication.step(self.now_s)

    # ------------------------------------------------------------------ requests

    def exchange(self, wire: Wire, *, now_s: float) -> Exchange:
        """One HTTP request that arrives at `now_s`. Raises nothing: whatever is wrong with it is an answer."""
        self.tick(now_s)
        return deliver(self, wire, self._chance)

    def land_later(self, wire: Wire, target: str, at_s: float) -> None:
        """Let a request take effect at a node at a later moment; nobody sees its answer."""
        self._turns += 1
        heapq.heappush(self._late, (at_s, self._turns, wire, target))

    def _land(self, wire: Wire, target: str) -> None:
        cluster = self.clusters[target.partition("/")[0]]
        node = cluster.node(int(target.partition("/")[2]))
        at_node(self, cluster, node, wire, OPEN, delay_s=0.0)

    def next_turn(self) -> int:
        """Whose turn it is at a load balancer."""
        self._turns += 1
        return self._turns

    # ------------------------------------------------------------------ acts

    def fence(self, cluster: str, on: bool) -> None:
        """Close or open the client network of the cluster's region. Bastion and replication stay as they are."""
        self.network.fence(self.clusters[cluster].region, on=on)
        self.transcript.note(self.now_s, f"client network of {cluster} {'closed' if on else 'open'}")

    def is_fenced(self, cluster: str) -> bool:
        """Whether the client network of the cluster's region is closed."""
        return self.network.is_fenced(self.clusters[cluster].region)

    def promote(self, cluster: Cluster, kind: Kind) -> None:
        """Promote, now. The newest promotion is the truth that acknowledged writes are measured against."""
        self.replication.promote(cluster, kind, self.now_s)
        self.transcript.note(self.now_s, f"{cluster.name} accepted promote")
        if cluster.roles[self.kind].mode is Mode.PRIMARY:
            self._elect(cluster)

    def enable_primary(self, cluster: Cluster, kind: Kind, primary_cluster_addr: str) -> None:
        """Begin a set, now. The first one of an empty world says which kind is counted."""
        if self.spec.is_empty and not self._is_replicating():
            self.kind = kind
        self.replication.enable(cluster, kind, primary_cluster_addr, self.now_s)
        self.transcript.note(self.now_s, f"{cluster.name} accepted primary/enable")
        if kind is self.kind:
            self._elect(cluster)

    def enable_secondary(self, cluster: Cluster, kind: Kind, found: Upstream) -> None:
        """Wipe a cluster and let it follow, now. What was written to it alone is lost."""
        self.replication.enable_secondary(cluster, kind, found, self.now_s)
        self.transcript.note(self.now_s, f"{cluster.name} accepted secondary/enable")
        self._elect(self.clusters[self.elected])

    def _elect(self, cluster: Cluster) -> None:
        self.elected = cluster.name
        held = ((key, uid, cluster.store.get(key)) for key, uid in self._acknowledged.items())
        self.counts.lost_keys = {key for key, uid, entry in held if entry is None or entry.uid != uid}

    def demote(self, cluster: Cluster, kind: Kind) -> None:
        """Demote, now."""
        self.replication.demote(cluster, kind, self.now_s)
        self.transcript.note(self.now_s, f"{cluster.name} accepted demote")

    def acknowledge(self, cluster: Cluster, key: str, entry: Entry) -> None:
        """A client was told that this write is done."""
        self.counts.acknowledged_writes += 1
        self._acknowledged[key] = entry.uid
        if cluster.name != self.elected and self._is_replicating():
            self.counts.lost_keys.add(key)

    # ------------------------------------------------------------------ truth

    def primary(self) -> str | None:
        """The one cluster that is active primary now; None for none or several."""
        names = self.active_primaries()
        return names[0] if len(names) == 1 else None

    def active_primaries(self) -> tuple[str, ...]:
        """Every cluster that serves as primary now, reachable or not."""
        self._settle()
        return tuple(name for name, c in self.clusters.items() if c.is_active_primary(self.kind))

    def credentials(self) -> Mapping[str, str]:
        """What a person would have been given at set-up.

        `root_token client_token role_id secret_id dr_token_a dr_token_b share_1 … share_N`; of a performance secondary
        `root_token_NAME client_token_NAME`.
        """
        return self._credentials

    def clients_reach(self, name: str) -> bool:
        """Whether anything in the clients' place gets through to the cluster: its load balancer, or its active node."""
        path = self.network.path(Place.CLIENTS, f"{name}/lb")
        if path.is_open and path.first(FaultKind.LB_5XX) is None and path.first(FaultKind.LB_EMPTY) is None:
            return True
        active = self.clusters[name].serving()
        return active is not None and self.network.path(Place.CLIENTS, active.target).is_open

    def _count(self, seconds: float) -> None:
        primaries = [name for name, c in self.clusters.items() if c.is_active_primary(self.kind)]
        writable = [name for name in primaries if self.clients_reach(name)]
        if len(writable) > 1:
            self.counts.two_writable_primaries_s += seconds
        if not writable and self._is_replicating() and any(self._could_serve(name) for name in self.clusters):
            self.counts.no_primary_s += seconds
        if primaries and self.published_cluster is not None:
            published = self.published_cluster(self.now_s)
            if published is not None and published not in primaries:
                self.counts.name_at_non_primary_s += seconds

    def _is_replicating(self) -> bool:
        """Whether there is a set of which a primary could be missing."""
        return any(c.roles[self.kind].mode is not Mode.DISABLED for c in self.clusters.values())

    def _could_serve(self, name: str) -> bool:
        """Whether this cluster could serve clients if it were primary; a fence is our own doing and does not count."""
        return self.clusters[name].could_serve and (self.is_fenced(name) or self.clients_reach(name))
