"""The stream of one secondary, as a value: its rules stand in `streaming`, `syncing`, `heartbeats` and `resolving`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from watchdogd.lab.cluster import Cluster
from watchdogd.lab.counts import TrueCounts
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.network import Network
from watchdogd.lab.node import ActiveMemory, Node
from watchdogd.lab.roles import Kind, Link
from watchdogd.lab.spec import WorldSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the streams of one world share. `clock` gives the UTC seconds that a node shows at a moment of the lab's."""

    spec: WorldSpec
    clusters: Mapping[str, Cluster]
    network: Network
    clock: Callable[[str, float], float]
    counts: TrueCounts


@dataclass(frozen=True, slots=True)
class Stream:
    """What a secondary receives of one kind over its link, whose primary may change meanwhile."""

    ground: Ground
    cluster: Cluster
    kind: Kind
    link: Link

    @property
    def primary(self) -> Cluster:
        """The cluster that it comes from."""
        return self.ground.clusters[self.link.primary]

    @property
    def near(self) -> Node | None:
        """The active node of the secondary."""
        return self.cluster.serving()

    @property
    def far(self) -> Node | None:
        """The active node of the primary."""
        return self.primary.serving()

    @property
    def memory(self) -> ActiveMemory | None:
        """What the active node of the secondary remembers; its connection is there."""
        return None if (near := self.near) is None else near.active

    @property
    def is_of_performance(self) -> bool:
        """Whether what is local stays where it is."""
        return self.kind is Kind.PERFORMANCE

    @property
    def delay_s(self) -> float:
        """How long what was written takes to arrive."""
        across_s = self.ground.network.replication_delay_s(self.cluster.name, self.link.primary)
        return self.cluster.knobs.stream_delay_s + across_s

    def suffers(self, fault: FaultKind) -> bool:
        """Whether a fault holds on the secondary as a whole."""
        return self.ground.network.holds(fault, f"{self.cluster.name}/1")
