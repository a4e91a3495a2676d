"""What survives a kill of the daemon in a drill: the world, the service name, and what is durable."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tests.support.drill_dns import NAME, NameModel, target_of
from watchdogd.core.entries import Recorded
from watchdogd.core.known import Known
from watchdogd.core.model import ClusterId, NodeAddress, PairId, Replication
from watchdogd.core.policy import (
    ClusterPolicy,
    CredentialPolicy,
    FencePolicy,
    Level,
    Levels,
    OnFenceFailure,
    PairPolicy,
    Timing,
)
from watchdogd.lab.clients import SimClient
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.roles import Kind
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.wire import Place
from watchdogd.lab.world import World
from watchdogd.secret import Secret

PAIR = PairId("prod")
EAST, WEST = ClusterId("east"), ClusterId("west")
TICK_S, TURN_S = 1.0, 0.25
# Short windows: what is rehearsed here is the procedure, not the detection.
TIMING = Timing(
    interval_s=1.0,
    probe_timeout_s=0.8,
    down_after_s=5.0,
    down_rounds=4,
    up_after_s=2.0,
    up_rounds=2,
    gap_max_s=1.5,
    heartbeat_stale_after_s=5.0,
    stale_link_hold_s=1.0,
    cold_start_s=5.0,
    clock_divergence_s=2.0,
)
KNOBS = Knobs(promote_s=3.0, demote_s=1.0, heartbeat_s=1.0, heartbeat_lost_after_s=4.0, election_s=1.0)
MUTATIONS = {"promote": "secondary/promote", "demote": "primary/demote"}
Burn = Callable[[str], None]  # told the name of a point; raises to crash there


def no_fuse(point: str) -> None:
    """Nothing happens at any point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a drill varies."""

    timing: Timing = TIMING
    knobs: Knobs = KNOBS
    on_failure: OnFenceFailure = OnFenceFailure.BLOCK
    fence_waived: str = ""
    tokens: tuple[str, ...] = ("dr_token_a", "dr_token_b")  # of the world's credentials
    shares: int = 0
    vault_version: str = "1.19.0"
    failover: Level = Level.AUTO
    propagation_s: float = 3.0
    is_dns_manual: bool = False
    client_every_s: float | None = 1.0


@dataclass(slots=True, kw_only=True)
class Site:
    """Everything that a kill of the daemon leaves as it is. `now_s` is the clock of the world and of the machine."""

    setting: Setting
    world: World
    names: NameModel
    ahead_s: float  # of the loop's time
    durable: tuple[Recorded, ...] = ()
    known: Known = field(default_factory=Known)
    answered: set[NodeAddress] = field(default_factory=set)
    denied: set[tuple[str, ClusterId]] = field(default_factory=set)  # credentials that a cluster has refused
    held: set[ClusterId] = field(default_factory=set)  # what the fence command has closed
    sent: list[tuple[float, str, str]] = field(default_factory=list)  # (when, verb, cluster) of mutations that left us

    @classmethod
    def found(cls, setting: Setting) -> Site:
        """A healthy pair, replicating, its name at east, with one client writing."""
        loop_s = asyncio.get_running_loop().time()
        clusters = tuple(replace(c, vault_version=setting.vault_version) for c in WorldSpec().clusters)
        world = World(WorldSpec(clusters=clusters, knobs=setting.knobs), seed=7, now_s=1000.0)
        addresses = {name: world.spec.ip(Place.CLIENTS, f"{name}/lb") for name in world.clusters}
        names = NameModel.found(
            addresses, published=EAST, propagation_s=setting.propagation_s, epoch_utc_s=world.epoch_utc_s
        )
        world.published_cluster = names.published
        if setting.client_every_s is not None:
            world.clients.append(
                SimClient(
                    name="app",
                    service_name=NAME,
                    token=world.credentials()["client_token"],
                    resolve=names.resolve,
                    every_s=setting.client_every_s,
                    due_s=world.now_s,
                )
            )
        return cls(setting=setting, world=world, names=names, ahead_s=world.now_s - loop_s)

    def snapshot(self) -> bytes:
        """The site as it is, to be taken up again as often as wanted."""
        self.world.tick(self.now_s())
        return pickle.dumps(self)

    @classmethod
    def restored(cls, snapshot: bytes) -> Site:
        """The site of a snapshot, now."""
        site: Site = pickle.loads(snapshot)  # noqa: S301  our own bytes
        site.ahead_s = site.world.now_s - asyncio.get_running_loop().time() + 1e-6  # never a moment earlier than it was
        return site

    def now_s(self) -> float:
        """CLOCK_BOOTTIME, and the world's time."""
        return asyncio.get_running_loop().time() + self.ahead_s

    def wall_utc(self) -> datetime:
        """The wall clock of the machine: right."""
        return datetime.fromtimestamp(self.world.epoch_utc_s, UTC) + timedelta(seconds=self.now_s())

    def secret(self, name: str) -> Secret:
        """One of the world's credentials."""
        return Secret(self.world.credentials()[name])

    # -- the world's own doing -----------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Bring the world to now."""
        self.world.tick(self.now_s())

    def break_(self, kind: FaultKind, target: str, **params: str | float | bool) -> int:
        """A fault from now on; returns its id."""
        self.tick()
        return self.world.faults.add(Fault(kind=kind, target=target, params=params))

    def lose(self, cluster: ClusterId) -> int:
        """Every process of the cluster is gone."""
        return self.break_(FaultKind.CRASH, f"cluster:{cluster}")

    def mend(self, **which: object) -> None:
        """Take faults down again: `kind`, `target`, or all."""
        self.tick()
        self.world.faults.clear(**which)  # type: ignore[arg-type]
        self.tick()

    def promote_by_hand(self, cluster: ClusterId) -> None:
        """A person promotes it, whatever we think."""
        self.tick()
        self.world.promote(self.world.clusters[cluster], Kind.DR)

    def demote_by_hand(self, cluster: ClusterId) -> None:
        """A person demotes it."""
        self.tick()
        self.world.demote(self.world.clusters[cluster], Kind.DR)

    def point_name_at(self, target: str) -> None:
        """A person changes the name at the provider."""
        self.names.put(target, self.now_s())

    def applied(self, verb: str, cluster: str | None = None) -> int:
        """How often Vault really applied `verb`, whoever asked."""
        return sum(e.verb == verb and cluster in (None, e.cluster) for e in self.world.applied)

    def sent_to(self, verb: str, cluster: ClusterId | None = None) -> int:
        """How often the daemon has asked for it."""
        return sum(v == verb and cluster in (None, c) for _, v, c in self.sent)


def policy_of(site: Site) -> PairPolicy:
    """The policy of a drill, as a config of that world would build it."""
    setting, world = site.setting, site.world
    fence = FencePolicy(command=("fence",), on_failure=setting.on_failure)
    if setting.fence_waived:
        fence = FencePolicy(waived=setting.fence_waived)
    return PairPolicy(
        pair=PAIR,
        replication=Replication.DR,
        home=EAST,
        replication_id=world.clusters[EAST].roles[Kind.DR].set_id,
        clusters={
            cluster: ClusterPolicy(
                cluster=cluster,
                address=world.spec.api_addr(f"{cluster}/lb", Place.BASTION),
                nodes=tuple(NodeAddress(world.spec.api_addr(f"{cluster}/{n}", Place.BASTION)) for n in (1, 2, 3)),
                vault_id=world.clusters[cluster].vault_id,
                fence=fence,
            )
            for cluster in (EAST, WEST)
        },
        levels=Levels(failover=setting.failover, accept_two_primaries_on_partition=True),
        timing=setting.timing,
        record=NAME,
        dns_targets={EAST: target_of(EAST), WEST: target_of(WEST)},
        credentials=CredentialPolicy(dr_operation_tokens=len(setting.tokens), key_shares=setting.shares),
    )
