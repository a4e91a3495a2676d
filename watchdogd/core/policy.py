"""What the operator decided, as one frozen value: thresholds, levels, pins and addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from watchdogd.core.model import ClusterId, NodeAddress, PairId, Pins, Replication


class Environment(StrEnum):
    """Where the daemon runs. Outside production a shorter window is allowed, and only loopback nodes are."""

    PRODUCTION = "production"
    DEMO = "demo"
    LAB = "lab"

    @property
    def is_simulated(self) -> bool:
        """True where nobody's data can be lost."""
        return self is not Environment.PRODUCTION


class Level(StrEnum):
    """How far an action goes by itself."""

    OBSERVE = "observe"
    APPROVE = "approve"
    AUTO = "auto"


class OnFenceFailure(StrEnum):
    """What a fence that does not confirm does to a failover."""

    BLOCK = "block"
    PAGE_AND_GO_ON = "page-and-go-on"


WITNESS_SLOW_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """INTERFACES section 1; all in seconds, on CLOCK_BOOTTIME."""

    interval_s: float = 3.0
    probe_timeout_s: float = 2.0
    down_after_s: float = 50.0
    down_rounds: int = 8
    up_after_s: float = 15.0
    up_rounds: int = 3
    gap_max_s: float = 9.0
    heartbeat_stale_after_s: float = 15.0
    stale_link_hold_s: float = 60.0
    last_look_max_age_s: float = 2.0
    stall_after_s: float = 10.0
    clock_divergence_s: float = 2.0
    cold_start_s: float = 50.0
    link_down_alert_s: float = 120.0
    link_down_heal_s: float = 900.0
    last_known_max_age_s: float = 900.0
    failure_skew_s: float = 120.0
    cooldown_s: float = 1800.0
    credential_horizon_s: float = 72 * 3600.0
    credential_warn_s: float = 96 * 3600.0
    resume_max_age_s: float = 600.0

    @property
    def fresh_s(self) -> float:
        """How old an observation may be and still speak of now: two rounds that took as long as they may."""
        return 2 * (self.interval_s + self.probe_timeout_s)

    @property
    def witness_kept_s(self) -> float:
        """How long an answer of a witness counts: beyond three rounds and a slow answer it is nothing."""
        return self.witness_timeout_s_max + self.interval_s

    @property
    def witness_timeout_s_max(self) -> float:
        """What a witness saw counts until it is asked again, one interval after it answered."""
        return 2 * self.interval_s + WITNESS_SLOW_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """One level per action. `failover` has no default in the config."""

    failover: Level
    settle_debt: Level = Level.AUTO
    cutover_dns: Level = Level.AUTO
    heal: Level = Level.APPROVE
    rejoin: Level = Level.APPROVE
    accept_two_primaries_on_partition: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FencePolicy:
    """The fence command of one cluster, or the sentence that waives it."""

    command: tuple[str, ...] = ()
    timeout_s: float = 10.0
    on_failure: OnFenceFailure | None = None
    waived: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPolicy:
    """One cluster of a pair."""

    cluster: ClusterId
    address: str  # what clients use; never evidence of death, never the target of a mutation
    nodes: tuple[NodeAddress, ...]
    vault_id: str
    fence: FencePolicy = FencePolicy()
    ignore: frozenset[NodeAddress] = frozenset()
    is_tls_verified: bool = True

    @property
    def probed_nodes(self) -> tuple[NodeAddress, ...]:
        """The nodes that count."""
        return tuple(node for node in self.nodes if node not in self.ignore)


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessPolicy:
    """Somebody else who may see the elected cluster."""

    name: str
    is_independent: bool = False
    timeout_s: float = 0.0  # of its command; 0 where the probe's own time-out bounds it
    vault_id: str = ""  # of a cluster; empty for a command


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorPolicy:
    """One address of the self-check; `place` is "own", "neutral" or "near:CLUSTER"."""

    address: str
    place: str

    @property
    def near(self) -> ClusterId | None:
        """The cluster that this anchor stands beside."""
        head, _, cluster = self.place.partition(":")
        return ClusterId(cluster) if head == "near" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialPolicy:
    """How many ways in are configured; the secrets themselves stay in the shell."""

    dr_operation_tokens: int = 0
    key_shares: int = 0
    token_ttl_s: float | None = None  # set together: the daemon mints
    rotate_every_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPolicy:
    """One pair: two clusters in one replication relationship, with one service name."""

    pair: PairId
    replication: Replication
    home: ClusterId
    replication_id: str
    clusters: Mapping[ClusterId, ClusterPolicy]
    levels: Levels
    timing: Timing = Timing()
    max_loss_s: float = 60.0
    max_loss_wal: int = 1000
    sealed_is_down: bool = False
    min_unsealed: int | Literal["quorum"] = "quorum"
    flaps_max: int = 3  # more than so many in 15 minutes is flapping
    two_primaries: Literal["freeze", "propose-lowest-wal"] = "freeze"
    two_secondaries: Literal["alert", "last-primary"] = "alert"
    witnesses: tuple[WitnessPolicy, ...] = ()
    record: str = ""
    ttl_s: int = 30
    dns_targets: Mapping[ClusterId, str] = field(default_factory=dict)
    credentials: CredentialPolicy = CredentialPolicy()

    @property
    def cluster_ids(self) -> tuple[ClusterId, ...]:
        """Both clusters, in the order of the config."""
        return tuple(self.clusters)

    def cluster(self, cluster: ClusterId) -> ClusterPolicy:
        """The policy of one of the two clusters."""
        return self.clusters[cluster]

    def partner_of(self, cluster: ClusterId) -> ClusterId:
        """The cluster that is not `cluster`."""
        return next(c for c in self.clusters if c != cluster)

    def pins(self, cluster: ClusterId) -> Pins:
        """The ids that `cluster` must show."""
        return Pins(vault_id=self.clusters[cluster].vault_id, replication_id=self.replication_id)

    def min_serving_nodes(self, cluster: ClusterId) -> int:
        """How many unsealed nodes with a leader `cluster` needs to be promoted."""
        if self.min_unsealed == "quorum":
            return len(self.clusters[cluster].probed_nodes) // 2 + 1
        return self.min_unsealed

    def verifies_a_fence(self, source: ClusterId | None, waivers: frozenset[str]) -> bool:
        """True when a run with `waivers` that leaves `source` has a fence to verify before it promotes."""
        return source is not None and bool(self.clusters[source].fence.command) and "fence" not in waivers

    def tells_a_partition(self, elected: ClusterId) -> bool:
        """True when something besides our own evidence tells a dead `elected` from a partitioned one (DESIGN 4)."""
        fence = self.clusters[elected].fence
        return (
            bool(fence.command and fence.on_failure is OnFenceFailure.BLOCK)
            or any(witness.is_independent for witness in self.witnesses)
            or self.levels.accept_two_primaries_on_partition
        )

    def failover_level(self, elected: ClusterId | None) -> Level:
        """The level in force while `elected` is the cluster that would be left: `auto` needs `tells_a_partition`."""
        if self.levels.failover is Level.AUTO and (elected is None or not self.tells_a_partition(elected)):
            return Level.APPROVE
        return self.levels.failover


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that was decided for one daemon. Its rules are `watchdogd.core.rules.violations`."""

    pairs: Mapping[PairId, PairPolicy]
    environment: Environment = Environment.PRODUCTION
    anchors: tuple[AnchorPolicy, ...] = ()
