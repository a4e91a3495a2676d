"""One node: its process, its seal, and what it keeps only in memory."""

from dataclasses import dataclass, field
from enum import StrEnum

from watchdogd.lab.seal_keys import SealKeys


class Mode(StrEnum):
    """Replication modes as the API spells them (REPLCONST)."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    DISABLED = "disabled"
    UNKNOWN = "unknown"


@dataclass(slots=True, kw_only=True)
class Peer:
    """The last heartbeat exchanged with one peer, in the memory of one active node."""

    node_id: str
    api_address: str
    cluster_address: str
    at_utc_s: float
    at_s: float
    clock_skew_ms: int
    duration_ms: int


@dataclass(slots=True)
class Attempt:
    """A token generation in progress: one slot, shared by generate-root and the DR operation token (GENROOT)."""

    nonce: str
    otp: str
    otp_made_here: bool
    is_dr: bool
    is_foreign: bool = False  # made by the fault `foreign_attempt`
    shares: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class ActiveMemory:
    """What dies with an active node: heartbeats, the stream's connection, the attempt, promote's patience."""

    since_s: float
    since_utc_s: float
    peers: dict[str, Peer] = field(default_factory=dict)
    connected_s: float | None = None  # since when its stream stands; None: not connected
    reconnect_at_s: float | None = None
    was_connected: bool = False
    heartbeat_due_s: float = 0.0
    remote_wal_seen: bool = False
    attempt: Attempt | None = None
    reindex_until_s: float | None = None
    upgrades_until_s: dict[str, float] = field(default_factory=dict)  # of mounts that became key-value version 2


@dataclass(slots=True)
class Node:
    """One process of a cluster. `told` is what its active node told it of the replication modes: (dr, performance)."""

    target: str  # east/1
    number: int
    up: bool = True
    sealed: bool = False
    removed: bool = False
    stopped: bool = False  # the process sleeps; what it has in memory stays
    slow_s: float = 0.0  # what its storage takes
    initialized: bool = True  # it knows of a cluster's keys: its own, or those of the active node that it joins
    joined: bool = True  # it counts for the quorum
    poisoned: bool = False  # sealed by itself when its cluster became a secondary; its storage goes on (TC)
    unseal_at_s: float | None = None
    told: tuple[Mode, Mode] = (Mode.UNKNOWN, Mode.UNKNOWN)
    echo_s: float | None = None  # the last HA heartbeat with an active node since the process started
    active: ActiveMemory | None = None
    unseal_shares: list[bytes] = field(default_factory=list)
    unseal_nonce: str = ""

    @property
    def can_vote(self) -> bool:
        """Whether it takes part in raft: running, unsealed, not removed."""
        return self.answers and not self.sealed and not self.removed

    @property
    def answers(self) -> bool:
        """Whether there is a process that runs."""
        return self.up and not self.stopped

    @property
    def holds_storage(self) -> bool:
        """Whether its storage counts for the quorum of the others."""
        return self.can_vote or (self.poisoned and self.answers and not self.removed)

    def stop(self) -> None:
        """The process ends; what was in memory is gone."""
        self.up = self.poisoned = False
        self._forget()

    def start(self, *, unseal_at_s: float | None) -> None:
        """The process starts, sealed as every Vault is, and unseals by itself at `unseal_at_s` if it can."""
        self.up, self.sealed, self.unseal_at_s = True, True, unseal_at_s
        self._forget()

    def seal(self) -> None:
        """Seal it: the listener stays, memory goes."""
        self.sealed, self.poisoned, self.unseal_at_s = True, False, None
        self._forget()

    def poison(self, *, unseal_at_s: float | None) -> None:
        """The active node has replaced the keys: a standby seals itself (the poison pill, TC)."""
        self.seal()
        self.poisoned, self.unseal_at_s = True, unseal_at_s

    def unseal(self) -> None:
        """Unsealed: a standby that has heard nothing yet."""
        self.sealed, self.poisoned, self.unseal_at_s = False, False, None
        self.initialized = self.joined = True
        self.unseal_shares, self.unseal_nonce = [], ""

    def submit_share(self, share: bytes, keys: SealKeys) -> bool:
        """One unseal share. True once it is unsealed; ValueError when the threshold was reached with wrong shares."""
        if share not in self.unseal_shares:
            self.unseal_shares.append(share)
        if len(self.unseal_shares) < keys.threshold:
            return False
        shares, self.unseal_shares, self.unseal_nonce = self.unseal_shares, [], ""
        if not keys.fit(shares):
            raise ValueError("cipher: message authentication failed")
        self.unseal()
        return True

    def _forget(self) -> None:
        self.active, self.echo_s = None, None
        self.told = (Mode.UNKNOWN, Mode.UNKNOWN)
        self.unseal_shares, self.unseal_nonce = [], ""
