"""The facts that the journal keeps, one class each.

The journal is append-only: an entry is a fact with a stamp, and the entries of one `append` are one transaction.
Renaming or removing an entry or a field is a format change: it needs a version and a reader for the older one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from types import MappingProxyType
from typing import ClassVar

from watchdogd.core.model import ClusterId, PairId, RunId


class Runbook(StrEnum):
    """The procedures."""

    FAILOVER = "failover"
    SETTLE_DEBT = "settle-debt"
    CUTOVER_DNS = "cutover-dns"
    REJOIN = "rejoin"
    HEAL = "heal"
    SWITCHOVER = "switchover"
    RELEASE_FENCE = "release-fence"
    ROLL_BACK = "roll-back"  # promote the source of our aborted run back


class RunOutcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    ABORTED = "aborted"  # given up before its point of no return, everything undone
    ROLLED_BACK = "rolled_back"
    ADOPTED = "adopted"  # an operator took the world as it is
    SUPERSEDED = "superseded"  # the world came to the wanted end by itself, or a more urgent run took the slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """When an entry was written: boottime of one boot, and wall clock for people and for ages across boots."""

    at_s: float
    at_utc_s: float
    boot_id: str = ""

    def age_s(self, now: Stamp) -> float:
        """Seconds from this stamp to `now`, never negative; infinite when nobody can tell.

        That is so when the wall clock went back over a reboot: then neither clock knows how long ago it was, and
        what may be too old is.
        """
        if self.boot_id == now.boot_id:
            return max(0.0, now.at_s - self.at_s)
        return now.at_utc_s - self.at_utc_s if now.at_utc_s >= self.at_utc_s else inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fact. Subclasses carry only text, numbers, booleans, None and tuples of text: they are stored as JSON."""

    kind: ClassVar[str] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An entry as the journal holds it. `seq` grows with every entry of the whole journal."""

    seq: int
    pair: PairId
    stamp: Stamp
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstElected(Entry):
    """Epoch 0: the first cluster seen as active primary with its pins."""

    kind: ClassVar[str] = "first_elected"
    cluster: ClusterId


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted(Entry):
    """An operator recorded that `cluster` is the elected one: a new epoch, or the epoch that had elected it already."""

    kind: ClassVar[str] = "adopted"
    epoch: int
    cluster: ClusterId
    by_uid: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOpened(Entry):
    """A run took the slot of the pair."""

    kind: ClassVar[str] = "run_opened"
    run_id: RunId
    incident_id: str
    runbook: Runbook
    source: ClusterId
    target: ClusterId
    situation: str
    why: str
    waivers: tuple[str, ...] = ()
    asked_by_uid: int | None = None
    reason: str = ""
    accept_loss: bool = False
    request_id: str = ""  # of who asked: the same request again after a crash began this run already


@dataclass(frozen=True, slots=True, kw_only=True)
class StepIntended(Entry):
    """About to act: without StepDone or StepNotApplied after it, the outcome is unknown."""

    kind: ClassVar[str] = "step_intended"
    run_id: RunId
    step: str
    address: str = ""
    look_ended_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepNotApplied(Entry):
    """The latest intent of the step was certainly not applied."""

    kind: ClassVar[str] = "step_not_applied"
    run_id: RunId
    step: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone(Entry):
    """The step's end was observed (or waived by name)."""

    kind: ClassVar[str] = "step_done"
    run_id: RunId
    step: str
    seen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Entry):
    """Something worth keeping with a run: evidence, loss estimate, what a command printed."""

    kind: ClassVar[str] = "noted"
    run_id: RunId
    step: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteIntended(Entry):
    """In the transaction of the promote's StepIntended: the epoch, and the debt it creates (pending)."""

    kind: ClassVar[str] = "promote_intended"
    run_id: RunId
    epoch: int
    elected: ClusterId
    debtor: ClusterId


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionConfirmed(Entry):
    """The elected cluster was seen as active primary with its pins: the debt is owed."""

    kind: ClassVar[str] = "election_confirmed"
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionVoided(Entry):
    """The promote of this epoch was certainly never applied: void with its debt, and the epoch before counts again."""

    kind: ClassVar[str] = "election_voided"
    epoch: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DebtClosed(Entry):
    """The debtor was seen as secondary by its own active node, whoever did it."""

    kind: ClassVar[str] = "debt_closed"
    epoch: int
    seen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebtForgiven(Entry):
    """An operator said that the debtor never comes back."""

    kind: ClassVar[str] = "debt_forgiven"
    epoch: int
    by_uid: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceIntended(Entry):
    """About to run `fence on` for `cluster`."""

    kind: ClassVar[str] = "fence_intended"
    cluster: ClusterId
    epoch: int
    run_id: RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceHeld(Entry):
    """`fence on` exited 0: client writes are stopped and it looked."""

    kind: ClassVar[str] = "fence_held"
    cluster: ClusterId


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceUnsure(Entry):
    """`fence on` did not confirm: it must still be turned off one day."""

    kind: ClassVar[str] = "fence_unsure"
    cluster: ClusterId
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceReleased(Entry):
    """`fence off` exited 0."""

    kind: ClassVar[str] = "fence_released"
    cluster: ClusterId


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParked(Entry):
    """The run waits for a human or the world; it keeps its slot and goes on looking."""

    kind: ClassVar[str] = "run_parked"
    run_id: RunId
    step: str
    need: str
    why: str
    answered: str = ""  # what the step's latest attempt was answered, where `why` says it


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUnparked(Entry):
    """`run retry`, `skip` or `proceed`, or a resume: `skip_step` is passed over, `waive` joins the run's waivers."""

    kind: ClassVar[str] = "run_unparked"
    run_id: RunId
    by_uid: int | None = None
    verb: str = ""
    skip_step: str = ""
    waive: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAbortAsked(Entry):
    """Somebody asked the run to give up and undo what it can; durable, so that a restart goes on giving up."""

    kind: ClassVar[str] = "run_abort_asked"
    run_id: RunId
    by_uid: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Entry):
    """The run gave its slot back."""

    kind: ClassVar[str] = "run_ended"
    run_id: RunId
    outcome: RunOutcome
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Entry):
    """No run starts until `Resumed`, or until `until_utc_s`."""

    kind: ClassVar[str] = "paused"
    reason: str
    by_uid: int | None = None
    until_utc_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Entry):
    """The pause is over. `expired` when it ran out by itself."""

    kind: ClassVar[str] = "resumed"
    by_uid: int | None = None
    expired: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AckAsked(Entry):
    """An automatic failover wants a human to have looked before the next one."""

    kind: ClassVar[str] = "ack_asked"
    run_id: RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Acked(Entry):
    """A human has looked."""

    kind: ClassVar[str] = "acked"
    by_uid: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced(Entry):
    """An outage that already existed is held at `approve` until the primary was UP once, or `ack`."""

    kind: ClassVar[str] = "hold_placed"
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLifted(Entry):
    """The elected cluster was UP once."""

    kind: ClassVar[str] = "hold_lifted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSeen(Entry):
    """A role changed, and not by an entry of ours: no debt orders anything until `Adopted`."""

    kind: ClassVar[str] = "foreign_seen"
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAttemptStarted(Entry):
    """Our own generate-operation-token attempt: after a crash its nonce tells that it is ours."""

    kind: ClassVar[str] = "token_attempt_started"
    cluster: ClusterId
    nonce: str
    run_id: RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAttemptEnded(Entry):
    """Our attempt is over: completed, or cancelled by us."""

    kind: ClassVar[str] = "token_attempt_ended"
    cluster: ClusterId


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLeft(Entry):
    """A generated operation token exists on `cluster` and must be deleted one day. Never the token itself."""

    kind: ClassVar[str] = "token_left"
    cluster: ClusterId
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDeleted(Entry):
    """The left-over token was deleted, or its deletion was refused as expected and is recorded."""

    kind: ClassVar[str] = "token_deleted"
    cluster: ClusterId
    how: str = ""


ENTRY_TYPES: Mapping[str, type[Entry]] = MappingProxyType(
    {
        entry.kind: entry
        for entry in (
            FirstElected, Adopted, RunOpened, StepIntended, StepNotApplied, StepDone, Noted, PromoteIntended,
            ElectionConfirmed, ElectionVoided, DebtClosed, DebtForgiven, FenceIntended, FenceHeld, FenceUnsure,
            FenceReleased, RunParked, RunUnparked, RunAbortAsked, RunEnded, Paused, Resumed, AckAsked, Acked,
            HoldPlaced, HoldLifted, ForeignSeen, TokenAttemptStarted, TokenAttemptEnded, TokenLeft, TokenDeleted,
        )
    }
)  # fmt: skip
