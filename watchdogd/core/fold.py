"""How the journal's entries add up to the ledger: one rule per kind of entry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import singledispatch

from watchdogd.core.entries import (
    AckAsked,
    Acked,
    Adopted,
    DebtClosed,
    DebtForgiven,
    ElectionConfirmed,
    ElectionVoided,
    Entry,
    FenceHeld,
    FenceIntended,
    FenceReleased,
    FenceUnsure,
    FirstElected,
    ForeignSeen,
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
    Stamp,
    StepDone,
    StepIntended,
    StepNotApplied,
    TokenAttemptEnded,
    TokenAttemptStarted,
    TokenDeleted,
    TokenLeft,
)
from watchdogd.core.ledger import (
    Debt,
    DebtState,
    Election,
    ElectionState,
    FenceState,
    HeldFence,
    Ledger,
    Pause,
    Run,
    RunState,
    StepRecord,
)
from watchdogd.core.model import ClusterId, RunId

RECENT_RUNS = 20


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


def _void_open(ledger: Ledger) -> tuple[Debt, ...]:
    return tuple(replace(debt, state=DebtState.VOID) if debt.is_open else debt for debt in ledger.debts)


@_apply.register
def _(entry: Adopted, ledger: Ledger, stamp: Stamp) -> Ledger:
    if entry.epoch == ledger.epoch and ledger.is_confirmed_as_elected(entry.cluster):
        # Nothing new was elected. After something foreign no debt orders anything; without, it is owed as before.
        debts = _void_open(ledger) if ledger.foreign else ledger.debts
        return replace(ledger, debts=debts, foreign="", hold="")
    # What was decided before no longer orders anything: a human has said which cluster counts.
    settled = replace(ledger, debts=_void_open(ledger))
    election = Election(epoch=entry.epoch, cluster=entry.cluster, state=ElectionState.CONFIRMED)
    return replace(_elect(settled, election, stamp, debtor=None), foreign="")


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
        request_id=entry.request_id,
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
    # Only what was intended can be void: an election that was adopted or seen stays, whoever computed its number too.
    if not any(e.epoch == entry.epoch and e.state is ElectionState.INTENDED for e in ledger.elections):
        return ledger
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
        parked_answer=entry.answered,
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
        parked_answer="",
    )


@_apply.register
def _(entry: RunAbortAsked, ledger: Ledger, stamp: Stamp) -> Ledger:
    return _change_run(ledger, entry.run_id, abort_asked=True, state=RunState.OPEN)


@_apply.register
def _(entry: RunEnded, ledger: Ledger, stamp: Stamp) -> Ledger:
    if ledger.run is None or ledger.run.run_id != entry.run_id:
        return ledger
    ended = replace(ledger.run, state=RunState.ENDED, outcome=entry.outcome, why=entry.why, touched=stamp)
    return replace(
        ledger,
        run=None,
        recent_runs=(*ledger.recent_runs, ended)[-RECENT_RUNS:],
        name_given_up_at=_name_given_up_at(ended, ledger),
        debt_given_up_at=_debt_given_up_at(ended, ledger),
    )


def _name_given_up_at(ended: Run, ledger: Ledger) -> int | None:
    if ended.runbook is not Runbook.CUTOVER_DNS:
        return ledger.name_given_up_at
    match ended.outcome:
        case RunOutcome.ABORTED:
            return ledger.epoch
        case RunOutcome.SUCCEEDED:
            return None
        case _:
            return ledger.name_given_up_at


def _debt_given_up_at(ended: Run, ledger: Ledger) -> int | None:
    is_given_up = ended.runbook is Runbook.SETTLE_DEBT and ended.outcome is RunOutcome.ABORTED
    return ledger.open_debt.epoch if is_given_up and ledger.open_debt is not None else ledger.debt_given_up_at


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
def _(entry: ForeignSeen, ledger: Ledger, stamp: Stamp) -> Ledger:
    return replace(ledger, foreign=entry.what)


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
