"""What the runbooks and the daemon need of the world: Protocols only, where production and tests differ."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from watchdogd.core.entries import Entry, Recorded
from watchdogd.core.facts import Facts
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import ClusterId, NodeSeen, PairId


class Clock(Protocol):
    """CLOCK_BOOTTIME for every window, deadline and age; UTC for people, TLS and expiry."""

    def now_s(self) -> float:
        """Seconds on CLOCK_BOOTTIME."""

    def wall_utc(self) -> datetime:
        """Aware UTC now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request to one address. `url` is absolute; `body` is bytes already encoded. Its repr shows no secret."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """Status, headers and bytes: JSON decoding is the parser's. Its repr shows no secret."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    connection: int = 0  # which connection of this channel carried it; grows with every new one
    peer: str = ""  # the address that it came from, where the channel knows


class HttpTransport(Protocol):
    """The one seam at HTTP."""

    async def __call__(
        self, request: HttpRequest, *, timeout_s: float, only_on_connection: int | None = None
    ) -> HttpReply:
        """Send `request` and return the answer, whatever its status.

        With `only_on_connection` the request goes out over that very connection or not at all (Unreachable RESET).

        Raises: Unreachable (nothing was sent), OutcomeUnknown (it may have been), MalformedReply (body too large).
        """


HISTORY_MAX = 1000  # entries at once


class Journal(Protocol):
    """The durable intents, effects, epochs, debts, fences and runs of one daemon."""

    def ledger(self, pair: PairId) -> Ledger:
        """What the entries of `pair` that are durable now add up to."""

    async def append(self, pair: PairId, *entries: Entry) -> None:
        """Write `entries` in one transaction; durable when this returns.

        Raises: NeedsOperator(JOURNAL) when it cannot be written; then nothing of it is durable.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalHealth:
    """How the journal fares. `trouble` is the sentence for people, empty while it is writable."""

    is_writable: bool
    trouble: str = ""
    last_write_s: float | None = None  # how long the latest write took, stored or not
    stored: int = 0  # transactions since the start
    failed: int = 0
    has_ballast: bool = True  # the space kept back for an incident is there


class Chronicle(Journal, Protocol):
    """The journal as the daemon sees it: also its history and its health."""

    @property
    def health(self) -> JournalHealth:
        """As of the latest write or answer; never waits."""

    @property
    def pairs(self) -> Sequence[PairId]:
        """Every pair that it speaks of, whether or not the config has it."""

    async def answered(self) -> JournalHealth:
        """Wait until whoever writes has answered; a journal that could not write is tried again with a tiny write.

        Never raises. Waits for as long as the disk hangs: the caller bounds it.
        """

    async def history(self, pair: PairId | None, *, limit: int, before: int | None = None) -> Sequence[Recorded]:
        """At most `limit` (and HISTORY_MAX) entries of `pair` (None: of all), newest first, with `seq` < `before`.

        Raises: NeedsOperator(JOURNAL) when it cannot be read.
        """


class Memory(Protocol):
    """What is worth remembering but given up first: last known, proofs, addresses that worked."""

    def get(self, pair: PairId, key: str) -> Mapping[str, object] | None:
        """The value last put, or None."""

    async def put(self, pair: PairId, values: Mapping[str, Mapping[str, object]]) -> bool:
        """Remember `values`; False when it could not be stored. Never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One complete new probe round of the clusters asked for, fed into the watch, and the facts after it.

    `ended_s` is the end of the slowest round in it: the age of a last look counts from there.
    """

    started_s: float
    ended_s: float
    facts: Facts


class Eyes(Protocol):
    """How a run looks at the world. Looking is always allowed."""

    async def look(self, *, only: ClusterId | None = None) -> Look:
        """Probe every node of both clusters (or of `only`) anew. Never raises; what is not seen is unknown."""

    async def through_published_address(self, cluster: ClusterId) -> bool:
        """True when the address that clients would be sent to shows an active primary with the pinned id.

        One bounded request to the load balancer's address; False for anything else. Never raises.
        """


Ensure = Callable[[], object]  # raises what forbids to send now


class Hands(Protocol):
    """How a run changes a Vault cluster. Every call goes to the node of `at`, over the connection `at` was seen on.

    All raise: Unreachable (nothing was sent), Refused (certainly not applied), OutcomeUnknown. `ensure` is called when
    all is at hand, and nothing is waited for any more: what it raises is raised, and nothing was sent.
    """

    async def demote(self, at: NodeSeen, credential: str, *, ensure: Ensure) -> None:
        """Ask the node to demote its cluster with the named one of `demoters`."""

    def demoters(self) -> Sequence[str]:
        """The names of what may demote and can be read now, the first to try first."""

    async def promote(self, at: NodeSeen, credential: str, *, ensure: Ensure, force: bool = False) -> None:
        """Ask the node to promote its cluster with the named credential."""

    async def prove(self, at: NodeSeen, credential: str) -> None:
        """Show that `credential` is accepted by the cluster of `at` now, and remember the proof.

        Returns when it was; raises Refused(DENIED) when it was not, Refused(UNSUPPORTED) where it cannot be shown.
        """

    def credentials(self) -> Sequence[str]:
        """The names of the prepared credentials that can be read now, in the order of the config."""

    async def generate_token(self, at: NodeSeen, on_started: Callable[[str], Awaitable[None]]) -> str:
        """Generate an operation token from key shares; `on_started` is told the nonce first.

        Returns the name under which `promote` knows it; it lives in memory only. Raises Refused(UNSUPPORTED) where no
        shares are configured, Refused(CONFLICT) when somebody else's attempt is in progress.
        """

    async def delete_token(self, at: NodeSeen, credential: str) -> None:
        """Delete a token that `generate_token` made."""

    def fingerprint(self, credential: str) -> str:
        """What may be written down of a credential."""


class FenceVerb(StrEnum):
    """The three verbs of the fence command."""

    CHECK = "check"
    ON = "on"
    OFF = "off"


class FenceOutcome(StrEnum):
    """What one call of the fence command came to."""

    DONE = "done"  # exit 0: `on` means stopped and it looked
    TRY_AGAIN = "try_again"  # exit 75
    FAILED = "failed"  # any other exit
    TIMED_OUT = "timed_out"  # hung, and was killed


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceResult:
    """The outcome and the first 4 KiB of what the command printed, redacted. `why` is one short sentence for people."""

    outcome: FenceOutcome
    output: str = ""
    why: str = ""


class Fence(Protocol):
    """The fence command of the config (DESIGN section 6)."""

    async def __call__(self, verb: FenceVerb, cluster: ClusterId, *, epoch: int, run_id: str) -> FenceResult:
        """Run the command for `cluster` and wait for it, bounded by its timeout; idempotent. Never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The service name as the provider has it: exactly what a compare-and-swap compares."""

    targets: tuple[str, ...]
    ttl_s: int
    rtype: str = "CNAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRef:
    """The provider's handle of one accepted change."""

    change_id: str


class DnsProvider(Protocol):
    """Where the service name is written."""

    async def observe(self) -> Record:
        """The record as the provider holds it. Raises: Unreachable, Refused, OutcomeUnknown, MalformedReply."""

    async def swap(self, expected: Record, wanted: Record, comment: str) -> ChangeRef:
        """Replace `expected` by `wanted` in one atomic change.

        Raises: Refused(CONFLICT) when the record is not `expected`; Refused(NOT_YET) when throttled;
        Refused(DENIED); OutcomeUnknown; Unreachable.
        """

    async def is_in_sync(self, change: ChangeRef) -> bool:
        """True once every server of the provider has the change. Raises as `observe`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What each server that was asked answered for the service name; None where it could not be asked."""

    by_server: Mapping[str, str | None]


class DnsWatch(Protocol):
    """The service name as the world resolves it."""

    async def authoritative(self) -> Answers:
        """Ask every authoritative server; bounded; never raises."""

    async def resolvers(self) -> Answers:
        """Ask the configured resolvers; bounded; never raises."""


class Severity(StrEnum):
    """How loud."""

    PAGE = "page"
    WARN = "warn"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that people must be told. `key` is constant per condition: the same key again is the same page."""

    pair: PairId
    key: str
    severity: Severity
    summary: str
    details: Sequence[str] = ()
    command: str = ""  # what the operator would type


class Notifier(Protocol):
    """Where notices go. Never blocks, never raises."""

    def tell(self, notice: Notice) -> None:
        """Hand over `notice`; delivery is its own business."""
