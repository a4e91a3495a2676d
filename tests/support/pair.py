"""A pair as the core sees it: its policy, what its nodes say, and a small world of rounds that feeds a PairWatch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from watchdogd.core.decision import Decision, decide
from watchdogd.core.entries import FirstElected, Stamp
from watchdogd.core.facts import AnchorSeen, CredentialSeen, Facts, FenceSeen, Surroundings
from watchdogd.core.fold import fold
from watchdogd.core.known import Known
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import (
    ClusterId,
    ConnectionState,
    Health,
    Mode,
    NamedActive,
    NodeAddress,
    NodeSeen,
    PairId,
    Peer,
    Reading,
    Replication,
    ReplicationStatus,
    StreamState,
)
from watchdogd.core.policy import ClusterPolicy, FencePolicy, Level, Levels, OnFenceFailure, PairPolicy, Timing
from watchdogd.core.watch import PairWatch

EAST, WEST = ClusterId("east"), ClusterId("west")
REPLICATION_ID = "replication-1"
VAULT_ID = {EAST: "vault-east", WEST: "vault-west"}
UTC_AHEAD_S = 1_790_000_000.0  # the wall clock where boottime is 0
FENCE = FencePolicy(command=("fence", "east"), on_failure=OnFenceFailure.BLOCK)


def nodes_of(cluster: ClusterId, count: int = 3) -> tuple[NodeAddress, ...]:
    return tuple(NodeAddress(f"https://{cluster}-{n}:8200") for n in range(1, count + 1))


def policy_of(
    *,
    nodes: int = 3,
    timing: Timing | None = None,
    failover: Level = Level.AUTO,
    **changes: object,
) -> PairPolicy:
    clusters = {
        cluster: ClusterPolicy(
            cluster=cluster,
            address=f"https://vault-{cluster}:8200",
            nodes=nodes_of(cluster, nodes),
            vault_id=VAULT_ID[cluster],
            fence=FENCE,
        )
        for cluster in (EAST, WEST)
    }
    policy = PairPolicy(
        pair=PairId("prod"),
        replication=Replication.DR,
        home=EAST,
        replication_id=REPLICATION_ID,
        clusters=clusters,
        levels=Levels(failover=failover),
        timing=timing or Timing(),
    )
    return replace(policy, **changes)  # type: ignore[arg-type]


def stamp(at_s: float, *, boot_id: str = "boot-1") -> Stamp:
    return Stamp(at_s=at_s, at_utc_s=UTC_AHEAD_S + at_s, boot_id=boot_id)


def elected(cluster: ClusterId = EAST) -> Ledger:
    """A ledger that knows one election: epoch 0."""
    return fold([(FirstElected(cluster=cluster), stamp(0.0))])


def around(now_s: float, *, started_s: float = 0.0, **changes: object) -> Surroundings:
    """Surroundings in which every gate that does not ask about probes is open."""
    surroundings = Surroundings(
        now=stamp(now_s),
        started_s=started_s,
        anchors=(
            AnchorSeen(address="gw:443", place="own", is_reachable=True, seen_s=now_s),
            AnchorSeen(address="sts:443", place="neutral", is_reachable=True, seen_s=now_s),
            AnchorSeen(address="dns:853", place="neutral", is_reachable=True, seen_s=now_s),
        ),
        credentials=(CredentialSeen(name="a", is_present=True, is_proven=True),),
        fences={EAST: FenceSeen(is_configured=True, answers=True), WEST: FenceSeen(is_configured=True, answers=True)},
    )
    return replace(surroundings, **changes)  # type: ignore[arg-type]


def health_of(cluster: ClusterId, *, at_s: float = 0.0, standby: bool = False, **changes: object) -> Health:
    health = Health(
        initialized=True,
        sealed=False,
        standby=standby,
        performance_standby=False,
        dr_mode=Mode.UNKNOWN,
        performance_mode=Mode.DISABLED,
        server_time_utc_s=int(UTC_AHEAD_S + at_s),
        version="1.19.0+ent",
        enterprise=True,
        cluster_name=str(cluster),
        cluster_id=VAULT_ID[cluster],
        last_wal=None,
        license=None,
        removed_from_cluster=False,
        ha_connection_healthy=None,
        clock_skew_ms=0,
        primary_canary_age_ms=None,
    )
    return replace(health, **changes)  # type: ignore[arg-type]


def names_of(cluster: ClusterId, *, is_self: bool, active: int = 1, active_time: str | None = None) -> NamedActive:
    return NamedActive(
        ha_enabled=True,
        is_self=is_self,
        address=f"https://{cluster}-{active}:8200",
        cluster_address=f"https://{cluster}-{active}:8201",
        active_time=active_time or f"2026-01-01T00:00:0{active}Z",
    )


def peer_of(cluster: ClusterId, heartbeat_s: float | None, *, canary_age_ms: int | None = None, n: int = 1) -> Peer:
    """One entry of `primaries[]`; the heartbeat is given on our clock."""
    return Peer(
        api_address=f"https://{cluster}-{n}:8200",
        cluster_address=f"https://{cluster}-{n}:8201",
        connection_status="connected",
        last_heartbeat_utc_s=None if heartbeat_s is None else UTC_AHEAD_S + heartbeat_s,
        canary_age_ms=canary_age_ms,
        clock_skew_ms=0,
    )


def status_of(mode: Mode, **changes: object) -> ReplicationStatus:
    state = StreamState.RUNNING if mode is Mode.PRIMARY else StreamState.STREAM_WALS
    status = ReplicationStatus(mode=mode, cluster_id=REPLICATION_ID, state=state)
    return replace(status, **changes)  # type: ignore[arg-type]


def silent(cluster: ClusterId, n: int, at_s: float, *, took_s: float = 0.1) -> NodeSeen:
    return seen(cluster, n, at_s, Reading.SILENT, took_s=took_s)


def seen(cluster: ClusterId, n: int, at_s: float, reading: Reading, *, took_s: float = 0.1, **more: Any) -> NodeSeen:
    """A round of node `n` that ended at `at_s`."""
    node = NodeSeen(
        cluster=cluster,
        node=nodes_of(cluster, n)[n - 1],
        started_s=at_s - took_s,
        ended_s=at_s,
        reading=reading,
        why=reading.value,
    )
    return replace(node, **more)


def active(cluster: ClusterId, n: int, at_s: float, status: ReplicationStatus | None, **more: Any) -> NodeSeen:
    shown: dict[str, Any] = {
        "health": health_of(cluster, at_s=at_s),
        "names": names_of(cluster, is_self=True, active=n),
    }
    return seen(cluster, n, at_s, Reading.ACTIVE, status=status, **{**shown, **more})


def follows(cluster: ClusterId, n: int, at_s: float) -> NodeSeen:
    return seen(
        cluster, n, at_s, Reading.FOLLOWS,
        health=health_of(cluster, at_s=at_s, standby=True), names=names_of(cluster, is_self=False),
    )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Rounds:
    """East is primary and dies at `dies_s`; west follows it. Every node is probed at its own phase."""

    policy: PairPolicy = field(default_factory=policy_of)
    dies_s: float = float("inf")
    phases_s: Mapping[NodeAddress, float] = field(default_factory=dict)
    tick_phase_s: float = 0.0
    beat_phase_s: float = 0.0
    answer_s: float = 0.02
    silence_s: float = 2.0  # how long a dead node keeps a round waiting
    loss: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    has_peers: bool = True
    has_connection_state: bool = True
    is_ready_for_ever: bool = False
    ready_s: float = 0.0  # after the loss: how long the channel goes on saying ready
    state_after_loss: StreamState = StreamState.STREAM_WALS
    west_changes_s: float = float("inf")  # when another node of west becomes active
    wal_per_s: float = 0.0
    started_s: float = 0.0
    known: Known = field(default_factory=Known)
    watch: PairWatch | None = None

    def run(self, until_s: float, *, tick_s: float = 1.0) -> Iterator[tuple[float, Facts, Decision]]:
        """Every tick from the start until `until_s`: when, what was seen, and what is decided."""
        watch, ledger = PairWatch(policy=self.policy, known=self.known), elected()
        due = sorted(self._observations(until_s), key=lambda node: node.ended_s)
        at_s, index = self.started_s + self.tick_phase_s, 0
        while at_s <= until_s:
            while index < len(due) and due[index].ended_s <= at_s:
                watch = watch.observe(due[index])
                index += 1
            watch, facts = watch.assess(ledger, around(at_s, started_s=self.started_s))
            self.watch = watch
            yield at_s, facts, decide(facts, self.policy)
            at_s += tick_s

    def first(self, situation: str, until_s: float) -> float | None:
        """When `situation` is decided first."""
        return next((at_s for at_s, _, decision in self.run(until_s) if decision.row.id == situation), None)

    def _observations(self, until_s: float) -> Iterator[NodeSeen]:
        for cluster in (EAST, WEST):
            for n, address in enumerate(self.policy.cluster(cluster).nodes, start=1):
                at_s = self.started_s + self.phases_s.get(address, 0.0)
                while at_s <= until_s:
                    yield self._round(cluster, n, at_s)
                    at_s += self.policy.timing.interval_s

    def _round(self, cluster: ClusterId, n: int, started_s: float) -> NodeSeen:
        if self.chance.random() < self.loss or (cluster == EAST and started_s + self.answer_s > self.dies_s):
            return silent(cluster, n, started_s + self.silence_s, took_s=self.silence_s)
        at_s = started_s + self.answer_s
        nodes = len(self.policy.cluster(cluster).nodes)
        is_late = cluster == WEST and at_s >= self.west_changes_s
        if n != (min(2, nodes) if is_late else 1):
            return follows(cluster, n, at_s)
        if cluster == EAST:
            return active(
                EAST,
                n,
                at_s,
                status_of(Mode.PRIMARY, last_kind_wal=1000 + int(self.wal_per_s * at_s), known_secondaries=("west",)),
            )
        return active(WEST, n, at_s, self._secondary(at_s, is_late=is_late))

    def _secondary(self, at_s: float, *, is_late: bool) -> ReplicationStatus:
        alive_s = min(at_s, self.dies_s)
        beat_s = self.beat_phase_s + 5.0 * ((alive_s - self.beat_phase_s) // 5.0)
        if is_late and beat_s < self.west_changes_s:
            peers: tuple[Peer, ...] = ()  # heartbeats live in the memory of each active node
        else:
            peers = (peer_of(EAST, beat_s),)
        is_cut = at_s > self.dies_s + self.ready_s and not self.is_ready_for_ever
        state = ConnectionState.TRANSIENT_FAILURE if is_cut else ConnectionState.READY
        return status_of(
            Mode.SECONDARY,
            state=StreamState.STREAM_WALS if at_s <= self.dies_s else self.state_after_loss,
            connection_state=state if self.has_connection_state else ConnectionState.ABSENT,
            peers=peers if self.has_peers else None,
            last_remote_wal=1000 + int(self.wal_per_s * alive_s),
            secondary_id="west",
        )
