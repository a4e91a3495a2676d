"""What the journal's entries add up to: elections, debts, fences, the open run, pause and acknowledgement.

The ledger is the fold of all entries and nothing else, so a restart knows exactly what the daemon knew when it died.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import singledispatch

from watchdogd.core.entries import (
    AckAsked,
    Acked,
    Adopted,
    DebtClosed,
    DebtForgiven,
    ElectionConfirmed,
    ElectionVoided,
    FenceHeld,
    FenceIntended,
    FenceReleased,
    FenceUnsure,
    FirstElected,
    HoldLifted,
    HoldPlaced,
    Noted,
    Paused,
    PromoteIntended,
    Resumed,
    RunAbortAsked,
    Runbook,
    RunEnded,
    RunOpened,
    RunOutcome,
    RunParked,
    RunUnparked,
    StepDone,
    StepIntended,
    StepNotApplied,
    TokenAttemptEnded,
    TokenAttemptStarted,
    TokenDeleted,
    TokenLeft,
)
from watchdogd.core.model import ClusterId, RunId

RECENT_RUNS = 20


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
    state: RunState = RunState.OPEN
    steps: Mapping[str, StepRecord] = field(default_factory=dict)
    skipped: frozenset[str] = frozenset()
    parked_step: str = ""
    parked_need: str = ""
    parked_why: str = ""
    abort_asked: bool = False
    outcome: RunOutcome | None = None
    epoch: int | None = None  # set by its promote intent

    def step(self, name: str) -> StepRecord:
        """The record of one step; empty when it was never touched."""
        return self.steps.get(name, StepRecord())


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
    def epoch(self) -> int:
        """The latest epoch that counts; 0 before the first promotion."""
        return self.election.epoch if self.election else 0

    @property
    def next_epoch(self) -> int:
        """The number that the next election gets; a void number is never used again."""
        return max((e.epoch for e in self.elections), default=0) + 1

    @property
    def open_debt(self) -> Debt | None:
        """The newest debt that may still order a demote."""
        return next((d for d in reversed(self.debts) if d.is_open), None)


@singledispatch
def _apply(entry: Entry, ledger: Ledger, stamp: Stamp) -> Ledger:
    msg = f"no rule for {type(entry).__name__}"
    raise TypeError(msg)


def apply(ledger: Ledger, entry: Entry, stamp: Stamp) -> Ledger:
    """The ledger after one more entry."""
    after = _apply(entry, ledger, stamp)
    return replace(_touched(after, entry, stamp), entries=ledger.entries + 1, last=stamp)


def fold(entries: Iterable[tuple[Entry, Stamp]]) -> Ledger:
    """The ledger of all entries, oldest first."""
    ledger = Ledger()
    for entry, stamp in entries:
        ledger = apply(ledger, entry, stamp)
    return ledger


def _touched(ledger: Ledger, entry: Entry, stamp: Stamp) -> Ledger:
    if ledger.run is None or getattr(entry, "run_id", None) != ledger.run.run_id:
        return ledger
    return replace(ledger, run=replace(ledger.run, touched=stamp))


def _elect(ledger: Ledger, election: Election, stamp: Stamp, *, debtor: ClusterId | None) -> Ledger:
    # Whoever is elected cannot be ordered to demote by an earlier debt.
    debts = tuple(
        replace(d, state=DebtState.VOID) if d.is_open and d.debtor == election.cluster else d for d in ledger.debts
    )
    if debtor is not None:
        debts += (
            Debt(
                epoch=election.epoch,
                debtor=debtor,
                creditor=election.cluster,
                state=DebtState.PENDING,
                since=stamp,
            ),
        )
    return replace(ledger, elections=(*ledger.elections, election), debts=debts)


def _set_debt(ledger: Ledger, epoch: int, state: DebtState, *, only_open: bool = True) -> Ledger:
    debts = tuple(
        replace(d, state=state) if d.epoch == epoch and (d.is_open or not only_open) else d for d in ledger.debts
    )
    return replace(ledger, debts=debts)


def _set_election(ledger: Ledger, epoch: int, state: ElectionState) -> Ledger:
    elections = tuple(replace(e, state=state) if e.epoch == epoch else e for e in ledger.elections)
    return replace(ledger, elections=elections)


def _change_run(ledger: Ledger, run_id: RunId, **changes: object) -> Ledger:
    if ledger.run is None or ledger.run.run_id != run_id:
        return ledger
    return replace(ledger, run=replace(ledger.run, **changes))  # type: ignore[arg-type]


def _change_step(ledger: Ledger, run_id: RunId, step: str, record: StepRecord) -> Ledger:
    if ledger.run is None:
        return ledger
    return _change_run(ledger, run_id, steps={**ledger.run.steps, step: record})


def _step(ledger: Ledger, run_id: RunId, step: str) -> StepRecord:
    if ledger.run is None or ledger.run.run_id != run_id:
        return StepRecord()
    return ledger.run.step(step)


@_apply.register
def _(entry: FirstElected, ledger: Ledger, stamp: Stamp) -> Ledger:
    election = Election(epoch=0, cluster=entry.cluster, state=ElectionState.CONFIRMED)
    return _elect(ledger, election, stamp, debtor=None)


@_apply.register
def _(entry: Adopted, ledger: Ledger, stamp: Stamp) -> Ledger:
    # What was decided before no longer orders anything: a human has said which cluster counts.
    settled = replace(ledger, debts=tuple(replace(d, state=DebtState.VOID) if d.is_open else d for d in ledger.debts))
    election = Election(epoch=entry.epoch, cluster=entry.cluster, state=ElectionState.CONFIRMED)
    return _elect(settled, election, stamp, debtor=None)


@_apply.register
def _(entry: RunOpened, ledger: Ledger, stamp: Stamp) -> Ledger:
    run = Run(
        run_id=entry.run_id,
        incident_id=entry.incident_id,
        runbook=entry.runbook,
        source=entry.source,
        target=entry.target,
        situation=entry.situation,
        why=entry.why,
        opened=stamp,
        touched=stamp,
        waivers=frozenset(entry.waivers),
        accept_loss=entry.accept_loss,
        asked_by_uid=entry.asked_by_uid,
    )
    return replace(ledger, run=run)


@_apply.register
def _(entry: StepIntended, ledger: Ledger, stamp: Stamp) -> Ledger:
    record = _step(ledger, entry.run_id, entry.step)
    return _change_step(
        ledger, entry.run_id, entry.step, replace(record, intents=record.intents + 1, last_intent=stamp)
    )


@_apply.register
def _(entry: StepNotApplied, ledger: Ledger, stamp: Stamp) -> Ledger:
    record = _step(ledger, entry.run_id, entry.step)
    return _change_step(ledger, entry.run_id, entry.step, replace(record, not_applied=record.not_applied + 1))


@_apply.register
def _(entry: StepDone, ledger: Ledger, stamp: Stamp) -> Ledger:
    record = _step(ledger, entry.run_id, entry.step)
    return _change_step(ledger, entry.run_id, entry.step, replace(record, done=True))


@_apply.register
def _(entry: Noted, ledger: Ledger, stamp: Stamp) -> Ledger:
    return ledger


@_apply.register
def _(entry: PromoteIntended, ledger: Ledger, stamp: Stamp) -> Ledger:
    if any(e.epoch == entry.epoch for e in ledger.elections):
        return ledger  # a second send of the same election
    election = Election(epoch=entry.epoch, cluster=entry.elected, state=ElectionState.INTENDED, run_id=entry.run_id)
    elected = _elect(ledger, election, stamp, debtor=entry.debtor)
    return _change_run(elected, entry.run_id, epoch=entry.epoch)


@_apply.register
def _(entry: ElectionConfirmed, ledger: Ledger, stamp: Stamp) -> Ledger:
    pending = [d for d in ledger.debts if d.epoch == entry.epoch and d.state is DebtState.PENDING]
    confirmed = _set_election(ledger, entry.epoch, ElectionState.CONFIRMED)
    return _set_debt(confirmed, entry.epoch, DebtState.OWED) if pending else confirmed


@_apply.register
def _(entry: ElectionVoided, ledger: Ledger, stamp: Stamp) -> Ledger:
    return _set_debt(_set_election(ledger, entry.epoch, ElectionState.VOID), entry.epoch, DebtState.VOID)


@_apply.register
def _(entry: DebtClosed, ledger: Ledger, stamp: Stamp) -> Ledger:
    return _set_debt(ledger, entry.epoch, DebtState.CLOSED)


@_apply.register
def _(entry: DebtForgiven, ledger: Ledger, stamp: Stamp) -> Ledger:
    return _set_debt(ledger, entry.epoch, DebtState.FORGIVEN)


@_apply.register
def _(entry: FenceIntended, ledger: Ledger, stamp: Stamp) -> Ledger:
    fence = HeldFence(cluster=entry.cluster, epoch=entry.epoch, run_id=entry.run_id, state=FenceState.INTENDED)
    return replace(ledger, fences={**ledger.fences, entry.cluster: fence})


@_apply.register
def _(entry: FenceHeld, ledger: Ledger, stamp: Stamp) -> Ledger:
    return _set_fence(ledger, entry.cluster, FenceState.HELD)


@_apply.register
def _(entry: FenceUnsure, ledger: Ledger, stamp: Stamp) -> Ledger:
    return _set_fence(ledger, entry.cluster, FenceState.UNSURE)


@_apply.register
def _(entry: FenceReleased, ledger: Ledger, stamp: Stamp) -> Ledger:
    return replace(ledger, fences={c: f for c, f in ledger.fences.items() if c != entry.cluster})


def _set_fence(ledger: Ledger, cluster: ClusterId, state: FenceState) -> Ledger:
    if cluster not in ledger.fences:
        return ledger
    return replace(ledger, fences={**ledger.fences, cluster: replace(ledger.fences[cluster], state=state)})


@_apply.register
def _(entry: RunParked, ledger: Ledger, stamp: Stamp) -> Ledger:
    return _change_run(
        ledger,
        entry.run_id,
        state=RunState.PARKED,
        parked_step=entry.step,
        parked_need=entry.need,
        parked_why=entry.why,
    )


@_apply.register
def _(entry: RunUnparked, ledger: Ledger, stamp: Stamp) -> Ledger:
    if ledger.run is None or ledger.run.run_id != entry.run_id:
        return ledger
    skipped = ledger.run.skipped | ({entry.skip_step} if entry.skip_step else frozenset())
    return _change_run(
        ledger,
        entry.run_id,
        state=RunState.OPEN,
        skipped=skipped,
        waivers=ledger.run.waivers | frozenset(entry.waive),
        parked_step="",
        parked_need="",
        parked_why="",
    )


@_apply.register
def _(entry: RunAbortAsked, ledger: Ledger, stamp: Stamp) -> Ledger:
    return _change_run(ledger, entry.run_id, abort_asked=True, state=RunState.OPEN)


@_apply.register
def _(entry: RunEnded, ledger: Ledger, stamp: Stamp) -> Ledger:
    if ledger.run is None or ledger.run.run_id != entry.run_id:
        return ledger
    ended = replace(ledger.run, state=RunState.ENDED, outcome=entry.outcome, why=entry.why, touched=stamp)
    return replace(ledger, run=None, recent_runs=(*ledger.recent_runs, ended)[-RECENT_RUNS:])


@_apply.register
def _(entry: Paused, ledger: Ledger, stamp: Stamp) -> Ledger:
    pause = Pause(reason=entry.reason, since=stamp, until_utc_s=entry.until_utc_s, by_uid=entry.by_uid)
    return replace(ledger, pause=pause)


@_apply.register
def _(entry: Resumed, ledger: Ledger, stamp: Stamp) -> Ledger:
    return replace(ledger, pause=None)


@_apply.register
def _(entry: AckAsked, ledger: Ledger, stamp: Stamp) -> Ledger:
    return replace(ledger, ack_asked_by=entry.run_id)


@_apply.register
def _(entry: Acked, ledger: Ledger, stamp: Stamp) -> Ledger:
    return replace(ledger, ack_asked_by=None, hold="")


@_apply.register
def _(entry: HoldPlaced, ledger: Ledger, stamp: Stamp) -> Ledger:
    return replace(ledger, hold=entry.cause)


@_apply.register
def _(entry: HoldLifted, ledger: Ledger, stamp: Stamp) -> Ledger:
    return replace(ledger, hold="")


@_apply.register
def _(entry: TokenAttemptStarted, ledger: Ledger, stamp: Stamp) -> Ledger:
    return replace(ledger, attempts={**ledger.attempts, entry.cluster: entry.nonce})


@_apply.register
def _(entry: TokenAttemptEnded, ledger: Ledger, stamp: Stamp) -> Ledger:
    return replace(ledger, attempts={c: n for c, n in ledger.attempts.items() if c != entry.cluster})


@_apply.register
def _(entry: TokenLeft, ledger: Ledger, stamp: Stamp) -> Ledger:
    return replace(ledger, tokens_left={**ledger.tokens_left, entry.cluster: entry.fingerprint})


@_apply.register
def _(entry: TokenDeleted, ledger: Ledger, stamp: Stamp) -> Ledger:
    return replace(ledger, tokens_left={c: f for c, f in ledger.tokens_left.items() if c != entry.cluster})
