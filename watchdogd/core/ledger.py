"""What the journal's entries add up to: elections, debts, fences, the open run, pause and acknowledgement.

The ledger is the fold of all entries (`core.fold`) and nothing else, so a restart knows exactly what the daemon knew
when it died.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from watchdogd.core.entries import Runbook, RunOutcome, Stamp
from watchdogd.core.model import ClusterId, RunId


class DebtState(StrEnum):
    """A demotion debt is memory, not an order (DESIGN section 2)."""

    PENDING = "pending"  # written with the promote intent
    OWED = "owed"  # the target was seen as primary
    CLOSED = "closed"  # the debtor was seen as secondary by its own active node
    VOID = "void"  # the promote was certainly never applied
    FORGIVEN = "forgiven"  # an operator said that the cluster never comes back


class ElectionState(StrEnum):
    """How far an election came."""

    INTENDED = "intended"
    CONFIRMED = "confirmed"
    VOID = "void"


class FenceState(StrEnum):
    """How far a fence came. INTENDED counts as held until it was turned off: the command may have run."""

    INTENDED = "intended"
    HELD = "held"
    UNSURE = "unsure"  # `on` failed, hung or was killed: what it did is unknown, so it must be turned off


class RunState(StrEnum):
    """Where one run stands."""

    OPEN = "open"
    PARKED = "parked"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    """One epoch."""

    epoch: int
    cluster: ClusterId
    state: ElectionState
    run_id: RunId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """At `epoch` we elected `creditor` while `debtor` was primary."""

    epoch: int
    debtor: ClusterId
    creditor: ClusterId
    state: DebtState
    since: Stamp

    @property
    def is_open(self) -> bool:
        """True while it may still order a demote."""
        return self.state in (DebtState.PENDING, DebtState.OWED)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFence:
    """A fence that must be turned off one day."""

    cluster: ClusterId
    epoch: int
    run_id: RunId
    state: FenceState


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """What the journal knows of one step of one run."""

    intents: int = 0
    not_applied: int = 0
    done: bool = False
    last_intent: Stamp | None = None

    @property
    def is_unsure(self) -> bool:
        """True when an intent has no known outcome: it may have been applied."""
        return self.intents > self.not_applied and not self.done

    @property
    def was_never_applied(self) -> bool:
        """True when nothing was sent, or everything that was sent was certainly not applied."""
        return self.intents == self.not_applied and not self.done

    @property
    def may_have_been_applied(self) -> bool:
        """True when something was sent that was not certainly refused, whether its end was seen or not."""
        return self.intents > self.not_applied


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a runbook."""

    run_id: RunId
    incident_id: str
    runbook: Runbook
    source: ClusterId
    target: ClusterId
    situation: str
    why: str
    opened: Stamp
    touched: Stamp
    waivers: frozenset[str] = frozenset()
    accept_loss: bool = False
    asked_by_uid: int | None = None
    request_id: str = ""
    state: RunState = RunState.OPEN
    steps: Mapping[str, StepRecord] = field(default_factory=dict)
    skipped: frozenset[str] = frozenset()
    parked_step: str = ""
    parked_need: str = ""
    parked_why: str = ""
    parked_answer: str = ""  # of whoever answered the latest attempt, where `parked_why` says it
    abort_asked: bool = False
    outcome: RunOutcome | None = None
    epoch: int | None = None  # set by its promote intent

    def step(self, name: str) -> StepRecord:
        """The record of one step; empty when it was never touched."""
        return self.steps.get(name, StepRecord())

    @property
    def took_s(self) -> float:
        """Seconds from its begin to the newest entry of it, also over a reboot; infinite when no clock can tell."""
        return self.opened.age_s(self.touched)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Why and until when nothing starts."""

    reason: str
    since: Stamp
    until_utc_s: float | None = None
    by_uid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The fold of all entries of one pair."""

    entries: int = 0
    last: Stamp | None = None
    elections: tuple[Election, ...] = ()
    debts: tuple[Debt, ...] = ()
    fences: Mapping[ClusterId, HeldFence] = field(default_factory=dict)
    run: Run | None = None  # the one that holds the slot
    recent_runs: tuple[Run, ...] = ()  # ended ones, newest last
    pause: Pause | None = None
    ack_asked_by: RunId | None = None
    hold: str = ""
    foreign: str = ""  # what somebody else changed, until it is adopted
    name_given_up_at: int | None = None  # the epoch at which an operator aborted to move the name
    debt_given_up_at: int | None = None  # the epoch of the debt that an operator aborted to settle
    attempts: Mapping[ClusterId, str] = field(default_factory=dict)  # our nonces
    tokens_left: Mapping[ClusterId, str] = field(default_factory=dict)  # fingerprints

    @property
    def election(self) -> Election | None:
        """The latest election that is not void."""
        return next((e for e in reversed(self.elections) if e.state is not ElectionState.VOID), None)

    @property
    def elected(self) -> ClusterId | None:
        """The cluster that the latest epoch names."""
        return self.election.cluster if self.election else None

    @property
    def runs(self) -> tuple[Run, ...]:
        """Every run that is remembered, the newest last."""
        return self.recent_runs if self.run is None else (*self.recent_runs, self.run)

    @property
    def clusters(self) -> frozenset[ClusterId]:
        """Every cluster that an entry which still counts speaks of."""
        runs = (self.run,) if self.run is not None else ()
        return frozenset(
            {
                *(election.cluster for election in self.elections),
                *(debt.debtor for debt in self.debts),
                *self.fences,
                *(cluster for run in runs for cluster in (run.source, run.target)),
            }
        )

    @property
    def left_open(self) -> tuple[str, ...]:
        """What somebody still has to settle, each in a few words."""
        run, debt = self.run, self.open_debt
        return (
            *((f"the open run {run.run_id}",) if run is not None else ()),
            *((f"the debt of {debt.debtor} since epoch {debt.epoch}",) if debt is not None else ()),
            *(f"a fence on {cluster}" for cluster in self.fences),
            *((f"a pause ({self.pause.reason})",) if self.pause is not None else ()),
        )

    @property
    def guarded(self) -> ClusterId | None:
        """The cluster whose loss the evidence speaks of: the one that the latest *confirmed* election names.

        It differs from `elected` only while a promote of ours is intended and not yet seen to have taken effect.
        """
        return next((e.cluster for e in reversed(self.elections) if e.state is ElectionState.CONFIRMED), None)

    def is_confirmed_as_elected(self, cluster: ClusterId) -> bool:
        """True when the latest election names `cluster` and was seen to have taken effect."""
        return self.elected == cluster == self.guarded

    @property
    def epoch(self) -> int:
        """The latest epoch that counts; 0 before the first promotion."""
        return self.election.epoch if self.election else 0

    @property
    def next_epoch(self) -> int:
        """The number that the next election gets; a void number is never used again."""
        return max((e.epoch for e in self.elections), default=0) + 1

    def is_fence_settled(self, cluster: ClusterId) -> bool:
        """True when the debt that the fence of `cluster` belongs to was closed: `cluster` was seen as secondary.

        A debt that is void or forgiven says nothing of `cluster`: it may still be primary, unseen.
        """
        fence = self.fences.get(cluster)
        return fence is not None and any(
            debt.epoch == fence.epoch and debt.debtor == cluster and debt.state is DebtState.CLOSED
            for debt in self.debts
        )

    @property
    def open_debt(self) -> Debt | None:
        """The newest debt that may still order a demote."""
        return next((d for d in reversed(self.debts) if d.is_open), None)

    @property
    def is_debt_given_up(self) -> bool:
        """True when an operator aborted to settle the open debt: the next run waits for its command."""
        return self.open_debt is not None and self.open_debt.epoch == self.debt_given_up_at
