"""What a world is made of: clusters, regions, versions, addresses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdogd.lab.knobs import Knobs
from watchdogd.lab.wire import Place

EMPTY = "none"
"""The kind of a world whose clusters begin empty."""
LB_HOST = 100
"""The last number of a load balancer's address, `127.PLACE.CLUSTER.100`."""

NODES_MAX = LB_HOST - 1
PORT_MAX = 65535

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,38}[A-Za-z0-9])?")  # it becomes a label of the zone
_VERSION = re.compile(r"\d+(\.\d+){1,3}(\+(ce|ent))?")
_PLACES: Mapping[str, int] = {place.value: n for n, place in enumerate(Place, start=1)}
_ADDRESS = re.compile(r"^(?:https?://)?127\.(\d+)\.(\d+)\.(\d+)(?::\d+)?(?:/.*)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """One cluster. `region` is the cluster's name unless said; ids are drawn from the seed unless given."""

    name: str
    nodes: int = 3
    region: str = ""
    vault_version: str = "1.19.0"
    vault_id: str = ""
    knobs: Knobs | None = None  # None: the world's

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"a cluster is called by letters, digits and dashes, not {self.name!r}")
        if not 1 <= self.nodes <= NODES_MAX:
            raise ValueError(f"a cluster has 1 to {NODES_MAX} nodes, not {self.nodes}")
        if not _VERSION.fullmatch(self.vault_version):
            raise ValueError(f"{self.vault_version!r} is no version of Vault: as 1.19.0, or 1.19.0+ce")

    @property
    def number(self) -> str:
        """The version without its edition."""
        return self.vault_version.partition("+")[0]

    @property
    def is_community(self) -> bool:
        """Whether it is Community Edition, `1.19.0+ce`: no replication, no performance standbys, no licence."""
        return self.vault_version.endswith("+ce")

    @property
    def shown_version(self) -> str:
        """As sys/health and seal-status say it."""
        return self.number if self.is_community else f"{self.number}+ent"

    @property
    def in_region(self) -> str:
        """The region's name."""
        return self.region or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    """A world: the first cluster begins as primary, every other one as its secondary.

    Of kind `none` every cluster begins empty: processes that are not initialised, with no keys and no tokens.
    """

    clusters: tuple[ClusterSpec, ...] = (ClusterSpec(name="east"), ClusterSpec(name="west"))
    kind: str = "dr"  # dr | performance | none
    bastion_region: str = "bastion"
    port: int = 8200
    knobs: Knobs = field(default_factory=Knobs)
    _numbers: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [c.name for c in self.clusters]
        object.__setattr__(self, "_numbers", {name: k for k, name in enumerate(names, start=1)})
        if len(set(names)) != len(names) or not names:
            raise ValueError(f"a world needs clusters with different names, got {names}")
        if self.kind not in ("dr", "performance", EMPTY):
            raise ValueError(f"replication kind is dr, performance or {EMPTY}, got {self.kind!r}")
        if not 1 <= self.port <= PORT_MAX:
            raise ValueError(f"a port is from 1 to {PORT_MAX}, not {self.port}")
        if not self.is_empty and any(c.is_community for c in self.clusters):
            raise ValueError(f"Community Edition does not replicate: a world of it is of kind {EMPTY}")

    @property
    def is_empty(self) -> bool:
        """Whether every cluster begins empty."""
        return self.kind == EMPTY

    def cluster(self, name: str) -> ClusterSpec:
        """The cluster called `name`; KeyError if there is none."""
        for spec in self.clusters:
            if spec.name == name:
                return spec
        raise KeyError(name)

    def ip(self, place: str, target: str) -> str:
        """`127.PLACE.CLUSTER.NODE` of a target (`east/1`, `east/lb`) as seen from a place."""
        name, _, host = target.partition("/")
        node = LB_HOST if host == "lb" else int(host)
        return f"127.{_PLACES[place]}.{self._numbers[name]}.{node}"

    def api_addr(self, target: str, place: str = Place.INTERIOR) -> str:
        """`https://IP:PORT` of a target. Vault itself tells the addresses of the interior place."""
        return f"https://{self.ip(place, target)}:{self.port}"

    def cluster_addr(self, target: str) -> str:
        """Where replication and request forwarding listen: the next port."""
        return f"https://{self.ip(Place.INTERIOR, target)}:{self.port + 1}"

    def target_of(self, address: str) -> tuple[str, str] | None:
        """`(place, target)` of an address or URL of this world; None if it is not one of ours."""
        match = _ADDRESS.match(address)
        if match is None:
            return None
        place, k, node = (int(g) for g in match.groups())
        if not (1 <= place <= len(Place) and 1 <= k <= len(self.clusters)):
            return None
        spec = self.clusters[k - 1]
        if node == LB_HOST:
            return list(Place)[place - 1], f"{spec.name}/lb"
        return (list(Place)[place - 1], f"{spec.name}/{node}") if 1 <= node <= spec.nodes else None

    def targets(self) -> Mapping[str, str]:
        """Every target of the world with its cluster's name: nodes first, then the load balancer."""
        return {
            target: c.name
            for c in self.clusters
            for target in [*(f"{c.name}/{n}" for n in range(1, c.nodes + 1)), f"{c.name}/lb"]
        }
