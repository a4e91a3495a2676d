"""A cluster's part in replication: what it is, whom it follows, and the window in which that changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from watchdogd.lab.node import Mode
from watchdogd.lab.store import Store


class Kind(StrEnum):
    """The two kinds of replication; `path` is their part of the API."""

    DR = "dr"
    PERFORMANCE = "performance"


class SyncState(StrEnum):
    """`state` of a secondary (README-DR, VVD); `running` belongs to primaries."""

    STREAM_WALS = "stream-wals"
    MERKLE_DIFF = "merkle-diff"
    MERKLE_SYNC = "merkle-sync"
    IDLE = "idle"


class Break(StrEnum):
    """Why nothing moves on a link."""

    REFUSED = "refused"  # the far side answers, and not as our primary
    SWALLOWED = "swallowed"  # packets go nowhere
    STALE = "stale"  # the fault ready_stale: still said to be ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """One merkle-sync under way: the primary's data as it was when it began, and how many keys differed."""

    source: Store
    keys: int
    begun_s: float


@dataclass(slots=True, kw_only=True)
class Link:
    """The stream of one secondary. `position` is the log position of its primary up to which it has everything."""

    primary: str
    secondary_id: str
    bootstrap_addr: str
    known_addrs: list[str]
    failover_addrs: list[str] = field(default_factory=list)  # of a performance link: the DR secondaries of its primary
    is_misled: bool = False  # the address that it was given is none of its primary's
    position: int | None
    last_remote_wal: int = 0
    reached_wal: int = 0  # the same, and known after a sync too
    state: SyncState = SyncState.STREAM_WALS
    state_until_s: float = 0.0
    sync: Sync | None = None
    streams_since_s: float = 0.0
    alive_s: float = 0.0  # until when the stream stood
    broken_s: float | None = None
    cause: Break | None = None
    last_start_utc_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """What a secondary learns from an activation token: which cluster to follow, where, and under which id."""

    primary: str
    secondary_id: str
    set_id: str
    cluster_addr: str


@dataclass(slots=True, kw_only=True)
class Role:
    """One kind of replication on one cluster. `set_id` is the `cluster_id` of the replication status."""

    mode: Mode
    set_id: str = ""
    known_secondaries: dict[str, str] = field(default_factory=dict)  # id of an unrevoked token -> cluster, once used
    link: Link | None = None
    primary_cluster_addr: str = ""  # of a primary: what enable or promote was given for its secondaries
    last_reindex_utc_s: float = 0.0
    ssct_generation: int = 0
    catching_up_since_s: float | None = None
    inherited: Role | None = None  # of a DR secondary: what it will be in performance replication once promoted


class Change(StrEnum):
    """Role changes; the values are the verbs of the API, with the side where two sides have the same one."""

    PROMOTE = "promote"
    DEMOTE = "demote"
    UPDATE_PRIMARY = "update-primary"
    ENABLE_PRIMARY = "primary/enable"
    DISABLE_PRIMARY = "primary/disable"
    ENABLE_SECONDARY = "secondary/enable"
    DISABLE_SECONDARY = "secondary/disable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time in which a role change has been accepted and the active node is being rebuilt."""

    change: Change
    until_s: float
    modes_before: tuple[Mode, Mode]
    back_as: int  # the node that will be active again, unless it cannot
