"""What the runbooks and the daemon need of the world: Protocols only, where production and tests differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from watchdogd.core.entries import Entry
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import ClusterId, PairId


class Clock(Protocol):
    """CLOCK_BOOTTIME for every window, deadline and age; UTC for people, TLS and expiry."""

    def now_s(self) -> float:
        """Seconds on CLOCK_BOOTTIME."""

    def wall_utc(self) -> datetime:
        """Aware UTC now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request to one address. `url` is absolute; `body` is bytes already encoded."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """Status, headers and bytes: JSON decoding is the parser's."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    connection: int = 0  # which connection of this channel carried it; grows with every new one


class HttpTransport(Protocol):
    """The one seam at HTTP."""

    async def __call__(
        self, request: HttpRequest, *, timeout_s: float, only_on_connection: int | None = None
    ) -> HttpReply:
        """Send `request` and return the answer, whatever its status.

        With `only_on_connection` the request goes out over that very connection or not at all (Unreachable RESET).

        Raises: Unreachable (nothing was sent), OutcomeUnknown (it may have been), MalformedReply (body too large).
        """


class Journal(Protocol):
    """The durable intents, effects, epochs, debts, fences and runs of one daemon."""

    def ledger(self, pair: PairId) -> Ledger:
        """What the entries of `pair` that are durable now add up to."""

    async def append(self, pair: PairId, *entries: Entry) -> None:
        """Write `entries` in one transaction; durable when this returns.

        Raises: NeedsOperator(JOURNAL) when it cannot be written; then nothing of it is durable.
        """


class Memory(Protocol):
    """What is worth remembering but given up first: last known, proofs, addresses that worked."""

    def get(self, pair: PairId, key: str) -> Mapping[str, object] | None:
        """The value last put, or None."""

    async def put(self, pair: PairId, values: Mapping[str, Mapping[str, object]]) -> bool:
        """Remember `values`; False when it could not be stored. Never raises."""


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
    """The outcome and the first 4 KiB of what the command printed, redacted."""

    outcome: FenceOutcome
    output: str = ""


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
