"""The words of DESIGN section 2 and 4 as values: what was seen, by whom, and when.

Every time here is seconds on CLOCK_BOOTTIME (`_s`) unless its name ends in `_utc` or `_utc_s`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

ClusterId = NewType("ClusterId", str)  # what the config calls a cluster, e.g. "east"
PairId = NewType("PairId", str)
EVERY_PAIR = PairId("*")  # of what belongs to no single pair
NodeAddress = NewType("NodeAddress", str)  # "https://10.1.0.11:8200"
RunId = NewType("RunId", str)


class Replication(StrEnum):
    """Which replication a pair is watched for; also the segment of the API path."""

    DR = "dr"
    PERFORMANCE = "performance"


class Mode(StrEnum):
    """`mode` of replication status; UNKNOWN also for what was not seen. Source: REPLCONST, LAB2."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    DISABLED = "disabled"
    BOOTSTRAPPING = "bootstrapping"
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"


class StreamState(StrEnum):
    """`state` of replication status. ABSENT where the field is not there, OTHER for a word that we do not know."""

    RUNNING = "running"
    STREAM_WALS = "stream-wals"
    MERKLE_DIFF = "merkle-diff"
    MERKLE_SYNC = "merkle-sync"
    IDLE = "idle"
    ABSENT = "absent"
    OTHER = "other"


class ConnectionState(StrEnum):
    """`connection_state` of a secondary: the gRPC channel state in lower case. Source: UICS."""

    READY = "ready"
    CONNECTING = "connecting"
    IDLE = "idle"
    TRANSIENT_FAILURE = "transient_failure"
    SHUTDOWN = "shutdown"
    ABSENT = "absent"
    OTHER = "other"


class Reading(StrEnum):
    """What one node said in one probe (DESIGN section 4)."""

    ACTIVE = "active"
    FOLLOWS = "follows"
    LEADERLESS = "leaderless"
    SEALED = "sealed"
    UNINIT = "uninit"
    SILENT = "silent"
    OURS = "ours"
    STRANGE = "strange"


class Reach(StrEnum):
    """What a cluster is, seen or believed."""

    UP = "up"
    DOWN = "down"  # seen to be down, by something that could have seen it up
    UNKNOWN = "unknown"  # could not look; never folded into DOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    """`license` of sys/health."""

    state: str
    terminated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The body of sys/health. Sealed and redacting nodes show no ids: None is silence, not a mismatch."""

    initialized: bool
    sealed: bool
    standby: bool
    performance_standby: bool
    dr_mode: Mode
    performance_mode: Mode
    server_time_utc_s: int
    version: str
    enterprise: bool | None
    cluster_name: str | None
    cluster_id: str | None
    last_wal: int | None
    license: License | None
    removed_from_cluster: bool
    ha_connection_healthy: bool | None
    clock_skew_ms: int | None
    primary_canary_age_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedActive:
    """The body of sys/leader: who this node says is active. `address` is empty while it knows nobody."""

    ha_enabled: bool
    is_self: bool
    address: str
    cluster_address: str
    active_time: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One entry of `primaries[]` or `secondaries[]`. Absent, empty and zero-time heartbeats are None."""

    api_address: str
    cluster_address: str
    connection_status: str
    last_heartbeat_utc_s: float | None
    canary_age_ms: int | None
    clock_skew_ms: int | None
    node_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationStatus:
    """The `data` of sys/replication/{dr,performance}/status. Every key but `mode` may be absent."""

    mode: Mode
    cluster_id: str | None = None
    state: StreamState = StreamState.ABSENT
    connection_state: ConnectionState = ConnectionState.ABSENT
    last_wal: int | None = None
    last_kind_wal: int | None = None  # last_dr_wal or last_performance_wal, by the pair's kind
    last_remote_wal: int | None = None
    merkle_root: str | None = None
    peers: tuple[Peer, ...] | None = None  # primaries[] or secondaries[]; None where the array is absent
    known_secondaries: tuple[str, ...] | None = None
    known_primary_cluster_addrs: tuple[str, ...] | None = None
    secondary_id: str | None = None
    corrupted_merkle_tree: bool = False
    sync_progress: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSeen:
    """One whole probe round of one address, parsed and read.

    `started_s`/`ended_s` bound the round. `why` is one short sentence for people.
    """

    cluster: ClusterId
    node: NodeAddress
    started_s: float
    ended_s: float
    reading: Reading
    why: str
    health: Health | None = None
    names: NamedActive | None = None
    status: ReplicationStatus | None = None
    malformed: tuple[str, ...] = ()  # endpoints whose reply could not be parsed
    active_by_health_alone: bool = False  # health says active while sys/leader errs or names nobody
    connection: int | None = None  # as in RawRound: what a mutation after this look goes out over
    wrong_id: str = ""  # the sentence that names an id other than pinned; empty where none was shown that differs
    we_were_late: bool = False  # it reads OURS because our own event loop was late

    @property
    def is_life(self) -> bool:
        """True for what counts as life of the cluster."""
        return self.reading in (Reading.ACTIVE, Reading.FOLLOWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """The ids that the config pins for one cluster, empty where it pins none: of a witness of the other replication.

    Source: api-reference section 2 (`cluster_id` field).
    """

    vault_id: str
    replication_id: str


class Attempt(StrEnum):
    """How the exchange of one endpoint of a probe round ended, before anything was read out of it."""

    ANSWERED = "answered"
    SILENT = "silent"  # refused, reset, or no byte of an answer within the hard timeout
    BROKEN = "broken"  # some bytes, then nothing that can be read
    OURS = "ours"  # TLS, name or local errors, or we were late
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One endpoint of a probe round, as the client hands it to `core.readings`."""

    attempt: Attempt
    status: int | None = None
    detail: str = ""
    timed_out: bool = False  # it was we who gave up: nobody refused, reset or answered


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRound:
    """What one address answered in one round. `address_known` is False where no address was ever resolved."""

    cluster: ClusterId
    node: NodeAddress
    started_s: float
    ended_s: float
    health_raw: Raw
    names_raw: Raw
    status_raw: Raw
    health: Health | None = None
    names: NamedActive | None = None
    replication: ReplicationStatus | None = None
    ever_answered: bool = True  # this address once worked (durable)
    connection: int | None = None  # carried both health and replication status; None where no single one did
    timeout_s: float = math.inf  # what the round had
    late_s: float = 0.0  # of it, and beyond its end: how late our own event loop was, summed


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """One cluster as seen at one instant: the newest observation of every node that is not ignored."""

    cluster: ClusterId
    reach: Reach
    at_s: float  # the end of the oldest round in it
    nodes: tuple[NodeSeen, ...] = ()
    active: NodeSeen | None = None  # the node that says is_self, ids as pinned
    wrong: str = ""  # ids not as pinned, replication disabled, CE: the sentence that says so
    unsure: tuple[NodeSeen, ...] = ()  # neither life nor counted as down: while it is so, it is not seen to be down

    @property
    def mode(self) -> Mode:
        """The replication role, from the active node only."""
        if self.active is None or self.active.status is None:
            return Mode.UNKNOWN
        return self.active.status.mode

    @property
    def is_active_primary(self) -> bool:
        """True when the cluster's own active node says that it is primary, with the pinned ids."""
        return self.active is not None and self.mode is Mode.PRIMARY

    @property
    def is_active_secondary(self) -> bool:
        """True when the cluster's own active node says that it is secondary, with the pinned ids."""
        return self.active is not None and self.mode is Mode.SECONDARY

    @property
    def says_corrupted(self) -> bool:
        """True when its active node says that its merkle tree is corrupted."""
        status = self.active.status if self.active is not None else None
        return status is not None and status.corrupted_merkle_tree

    def all_are(self, *readings: Reading) -> bool:
        """True when there are nodes and every one of them reads as one of `readings`."""
        return bool(self.nodes) and all(node.reading in readings for node in self.nodes)
