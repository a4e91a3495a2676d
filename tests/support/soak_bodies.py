"""What the nodes of a pair say, taken from the lab's bodies through the production parser, with the moving fields open.

A soak looks at more rounds than the lab's world could answer. Each state of a node is asked of a real world once; what
moves with time (clocks, heartbeats, WAL, the number of the active node) is put in for every round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from tests.support.pair import EAST, FENCE, WEST
from watchdogd.adapters.vault.probe import Prober
from watchdogd.core.model import (
    ClusterId,
    Mode,
    NodeAddress,
    NodeSeen,
    PairId,
    RawRound,
    Reading,
    Replication,
    ReplicationStatus,
)
from watchdogd.core.policy import ClusterPolicy, Level, Levels, PairPolicy, Timing
from watchdogd.core.readings import read
from watchdogd.errors import Cause, OutcomeUnknown, Unreachable
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.roles import Kind
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.wire import Outcome, Place, Wire
from watchdogd.lab.world import World
from watchdogd.ports import HttpReply, HttpRequest

NODES = 3
CALM_S = 30.0  # a new world has beaten and elected by then
LATER_S = 90.0  # and whatever a fault does has been done by then
SPEC = WorldSpec()


def address_of(cluster: ClusterId, n: int) -> NodeAddress:
    """Where the bastion asks node `n`."""
    return NodeAddress(SPEC.api_addr(f"{cluster}/{n}", Place.BASTION))


ADDRESSES = {cluster: tuple(address_of(cluster, n) for n in range(1, NODES + 1)) for cluster in (EAST, WEST)}


def policy_of(world: World, timing: Timing | None = None) -> PairPolicy:
    """A pair of `world` under `auto`, behind fences that block."""
    clusters = {
        cluster: ClusterPolicy(
            cluster=cluster,
            address=SPEC.api_addr(f"{cluster}/lb", Place.CLIENTS),
            nodes=ADDRESSES[cluster],
            vault_id=world.clusters[cluster].vault_id,
            fence=FENCE,
        )
        for cluster in (EAST, WEST)
    }
    return PairPolicy(
        pair=PairId("prod"),
        replication=Replication.DR,
        home=EAST,
        replication_id=world.clusters[EAST].roles[Kind.DR].set_id,
        clusters=clusters,
        levels=Levels(failover=Level.AUTO),
        timing=timing or Timing(),
    )


@dataclass(slots=True)
class AtOnce:
    """A transport without delays: the world is asked at one moment, and what hangs has hung already."""

    world: World
    at_s: float

    async def __call__(
        self, request: HttpRequest, *, timeout_s: float, only_on_connection: int | None = None
    ) -> HttpReply:
        """As the port says."""
        found = self.world.spec.target_of(request.url)
        assert found is not None
        path = request.url.split("/", 3)[3]
        wire = Wire(
            place=Place.BASTION, target=found[1], method="GET", path_and_query=f"/{path}", headers=request.headers
        )
        exchange = self.world.exchange(wire, now_s=self.at_s)
        match exchange.outcome:
            case Outcome.ANSWER:
                return HttpReply(status=exchange.status, headers=exchange.headers, body=exchange.body, connection=1)
            case Outcome.REFUSE | Outcome.DROP:
                raise Unreachable(Cause.REFUSED if exchange.outcome is Outcome.REFUSE else Cause.TIMEOUT, found[1])
            case Outcome.UNTRUSTED:
                raise Unreachable(Cause.TLS, found[1])
            case Outcome.RESET | Outcome.HANG:
                raise OutcomeUnknown("no answer")
            case Outcome.GARBAGE:
                raise OutcomeUnknown("not HTTP", answered=True)

    def now_s(self) -> float:
        """As the clock's port says."""
        return self.at_s

    def answered(self, node: NodeAddress, peer: str = "") -> None:
        """As the table of names does."""

    def answered_as_another(self, node: NodeAddress) -> None:
        """As the table of names does."""

    def silent(self, node: NodeAddress) -> None:
        """As the table of names does."""

    def ever_answered(self, node: NodeAddress) -> bool:
        """Every node of this pair once did."""
        return True


def probe(world: World, at_s: float) -> dict[tuple[ClusterId, int], NodeSeen]:
    """Every node of `world` at one moment, through the production prober, parser and readings."""
    policy, seam = policy_of(world), AtOnce(world, at_s)

    async def rounds() -> list[RawRound]:
        return [
            await Prober(
                cluster=cluster,
                node=node,
                kind=Replication.DR,
                transport=seam,
                addresses=seam,
                clock=seam,  # type: ignore[arg-type]
            ).probe_round(timeout_s=1.0)
            for cluster in (EAST, WEST)
            for node in ADDRESSES[cluster]
        ]

    with asyncio.Runner() as runner:
        raws = runner.run(rounds())
    return {
        (raw.cluster, ADDRESSES[raw.cluster].index(raw.node) + 1): read(raw, policy.pins(raw.cluster)) for raw in raws
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """One answer of each kind, by cluster; the number of the node and the moment are put in."""

    policy: PairPolicy
    active: Mapping[ClusterId, NodeSeen]
    follows: Mapping[ClusterId, NodeSeen]
    leaderless: Mapping[ClusterId, NodeSeen]
    sealed: Mapping[ClusterId, NodeSeen]
    silent: NodeSeen
    strange: NodeSeen
    utc_ahead_s: float


def faulty(kind: FaultKind, target: str, **params: str | float | bool) -> dict[tuple[ClusterId, int], NodeSeen]:
    """A calm world, a fault, and what its nodes say when all of it has come to pass."""
    world = World(SPEC, seed=1)
    world.tick(CALM_S)
    world.faults.add(Fault(kind=kind, target=target, place=None, params=params))
    world.tick(LATER_S)
    return probe(world, LATER_S)


@cache
def bodies() -> Bodies:
    """Asked of the lab once for each process."""
    world = World(SPEC, seed=1)
    world.tick(CALM_S)
    calm = probe(world, CALM_S)
    no_quorum = {cluster: faulty(FaultKind.QUORUM_LOSS, f"cluster:{cluster}") for cluster in (EAST, WEST)}
    sealed = {cluster: faulty(FaultKind.SEAL, f"cluster:{cluster}") for cluster in (EAST, WEST)}
    found = Bodies(
        policy=policy_of(world),
        active={cluster: calm[cluster, 1] for cluster in (EAST, WEST)},
        follows={cluster: calm[cluster, 2] for cluster in (EAST, WEST)},
        leaderless={cluster: no_quorum[cluster][cluster, 2] for cluster in (EAST, WEST)},
        sealed={cluster: sealed[cluster][cluster, 2] for cluster in (EAST, WEST)},
        silent=faulty(FaultKind.CRASH, "region:east")[EAST, 1],
        strange=faulty(FaultKind.GARBAGE, "node:east/1", text="SSH-2.0-OpenSSH_9.2")[EAST, 1],
        utc_ahead_s=world.epoch_utc_s,
    )
    wanted = [(found.active, Reading.ACTIVE), (found.follows, Reading.FOLLOWS), (found.sealed, Reading.SEALED)]
    wanted.append((found.leaderless, Reading.LEADERLESS))
    assert all(node.reading is reading for nodes, reading in wanted for node in nodes.values())
    assert (found.silent.reading, found.strange.reading) == (Reading.SILENT, Reading.STRANGE)
    assert all(node.status and node.status.mode is not Mode.UNKNOWN for node in found.active.values())
    return found


def status_of(node: NodeSeen) -> ReplicationStatus:
    """The replication status of an answer that has one."""
    assert node.status is not None
    return node.status


def placed(node: NodeSeen, cluster: ClusterId, n: int, started_s: float, ended_s: float, utc_s: float) -> NodeSeen:
    """`node` as the answer of node `n` in one round; its own clock is whole seconds, as Vault shows it."""
    health = None if node.health is None else replace(node.health, server_time_utc_s=int(utc_s))
    return replace(
        node,
        cluster=cluster,
        node=ADDRESSES[cluster][n - 1],
        started_s=started_s,
        ended_s=ended_s,
        health=health,
    )
