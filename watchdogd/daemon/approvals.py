"""An approval given while the window still runs: it begins its run when nothing blocks it any more, or never.

DESIGN section 9: an approval may be given while the window is running, and the evidence is checked again after it.
It is kept in memory only: whoever restarts the daemon approves anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import structlog

from watchdogd.core.facts import Facts
from watchdogd.core.ledger import Ledger, Run
from watchdogd.core.model import PairId, RunId
from watchdogd.core.plan import Agreed, Plan
from watchdogd.ports import Notice, Notifier, Severity
from watchdogd.runbooks.opening import Wanted

CHANGED_BY_WAITING = frozenset({"situation", "closed"})  # of a plan, while its window fills
KEY = "approval"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What was approved, the run that it begins, and until when it counts (on the monotonic clock of the facts)."""

    agreed: Agreed
    wanted: Wanted
    until_s: float
    holds: tuple[str, str]  # that were there already; a new one is something new to decide on
    after: RunId | None  # the newest run when it was given: once there is a newer one, it was used or is too old


def newest_run(ledger: Ledger) -> Run | None:
    """The run that is open, or else the one that ended last."""
    return ledger.run or next(reversed(ledger.recent_runs), None)


class Approvals:
    """The approval that one pair waits with: at most one, the newest."""

    def __init__(self, pair: PairId, notifier: Notifier) -> None:
        self._pair = pair
        self._notifier = notifier
        self.waiting: Approval | None = None

    def give(self, agreed: Agreed, wanted: Wanted, ledger: Ledger, *, until_s: float) -> None:
        """Begin this plan once nothing blocks it, instead of whatever was approved before."""
        newest = newest_run(ledger)
        after = newest.run_id if newest is not None else None
        self.waiting = Approval(agreed=agreed, wanted=wanted, until_s=until_s, holds=_holds(ledger), after=after)
        by = f"uid {wanted.asked_by_uid}"
        self._tell(
            f"{agreed.action} to {agreed.target} is approved by {by}: it goes once the window is full",
            Severity.WARN,
            command=f"watchdogctl pause --pair {self._pair} --reason '...'",
        )

    def due(self, facts: Facts, plan: Plan | None, *, is_asked: bool) -> Wanted | None:
        """The approved run, once nothing blocks it and a row asks for it: handed out until it was begun, and no longer.

        `plan` is the same wish looked at now, None when it makes no sense any more. Once anything else of it has
        changed, the approval is gone, and people are told.
        """
        approval = self.waiting
        if approval is None:
            return None
        begun = _begun_since(approval, facts.ledger)
        if begun is not None and begun.runbook is approval.agreed.action:
            self.waiting = None  # it goes already, or has ended
            log.info("approval_used", pair=self._pair, plan=approval.agreed.hash, run_id=begun.run_id)
            return None
        changed = "; ".join(_changes(approval, facts, plan))
        if changed or plan is None:
            self.drop(changed)
            return None
        if plan.blocked_by or not is_asked:
            return None
        return replace(approval.wanted, situation=plan.agreed.situation)  # the row that matches now

    def drop(self, why: str) -> None:
        """What waits, if anything, does not count any more."""
        approval, self.waiting = self.waiting, None
        if approval is not None:
            self._tell(f"the approval of plan {approval.agreed.hash} does not count any more: {why}", Severity.PAGE)

    def _tell(self, summary: str, severity: Severity, *, command: str = "") -> None:
        self._notifier.tell(Notice(pair=self._pair, key=KEY, severity=severity, summary=summary, command=command))


def _holds(ledger: Ledger) -> tuple[str, str]:
    """What holds automation back: a hold of ours, and what somebody else changed."""
    return ledger.hold, ledger.foreign


def _begun_since(approval: Approval, ledger: Ledger) -> Run | None:
    newest = newest_run(ledger)
    return newest if newest is not None and newest.run_id != approval.after else None


def _changes(approval: Approval, facts: Facts, plan: Plan | None) -> Iterator[str]:
    """Why it is not the plan that was approved any more."""
    ledger = facts.ledger
    if (begun := _begun_since(approval, ledger)) is not None:
        yield f"{begun.runbook} {begun.run_id} was begun"
    if ledger.pause is not None:
        yield f"paused: {ledger.pause.reason}"
    if (holds := _holds(ledger)) != approval.holds:
        yield f"held: {', '.join(filter(None, holds)) or 'no more'}"
    if facts.elected is not None and facts.elected.is_active_primary:
        yield f"{facts.elected.cluster} is an active primary again"
    if facts.now.at_s > approval.until_s:
        yield "it could not be begun in time"
    if plan is None:
        yield "there is no such plan now"
    else:
        yield from plan.agreed.changed_since(approval.agreed, apart_from=CHANGED_BY_WAITING)
