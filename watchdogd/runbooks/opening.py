"""Take the slot of a pair for one run: durable before anything is done."""

from __future__ import annotations

from dataclasses import dataclass

from watchdogd.core.entries import Runbook, RunOpened
from watchdogd.core.ledger import Ledger, Run
from watchdogd.core.model import ClusterId, PairId, RunId
from watchdogd.core.observed import RUNS_OF_ROLES
from watchdogd.errors import Need, NeedsOperator
from watchdogd.ports import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A run that is to be opened."""

    runbook: Runbook
    source: ClusterId
    target: ClusterId
    situation: str
    why: str
    waivers: frozenset[str] = frozenset()
    asked_by_uid: int | None = None
    reason: str = ""
    request_id: str = ""


async def open_run(journal: Journal, pair: PairId, wanted: Wanted) -> Run:
    """Open a run and return it; it holds the slot from now on.

    Raises: NeedsOperator(STOPPED) when another run holds the slot, NeedsOperator(JOURNAL) when nothing can be written.
    """
    ledger = journal.ledger(pair)
    if ledger.run is not None:
        raise NeedsOperator(Need.STOPPED, f"{ledger.run.runbook} {ledger.run.run_id} holds the slot")
    run_id = RunId(f"{pair}-{ledger.entries + 1}-{wanted.runbook}")
    await journal.append(
        pair,
        RunOpened(
            run_id=run_id,
            incident_id=incident_of(ledger, run_id, wanted),
            runbook=wanted.runbook,
            source=wanted.source,
            target=wanted.target,
            situation=wanted.situation,
            why=wanted.why,
            waivers=tuple(sorted(wanted.waivers)),
            asked_by_uid=wanted.asked_by_uid,
            reason=wanted.reason,
            request_id=wanted.request_id,
        ),
    )
    run = journal.ledger(pair).run
    if run is None:
        raise NeedsOperator(Need.BUG, "the run that was just opened is not there")
    return run


def incident_of(ledger: Ledger, run_id: RunId, wanted: Wanted) -> str:
    """The incident a new run belongs to.

    A run that moves the primary begins one of its own; what follows it the same way belongs to it, until the next one.
    """
    if wanted.runbook not in RUNS_OF_ROLES:
        for run in reversed(ledger.recent_runs):
            if (run.source, run.target) == (wanted.source, wanted.target):
                return run.incident_id
            if run.runbook in RUNS_OF_ROLES:
                break
    return f"incident-{run_id}"
