"""An approval given while the window still runs: what it waits for, and what ends it.

DESIGN section 9: an approval may be given while the window is running, and the evidence is checked again after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from watchdogd.core.facts import Facts, GateAnswer
from watchdogd.core.ledger import Ledger, Run
from watchdogd.core.model import RunId
from watchdogd.core.plan import Agreed, Plan

CHANGED_BY_WAITING = frozenset({"situation", "closed"})  # of a plan, while its window fills


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What was approved and by whom, and until when it counts (on the monotonic clock of the facts)."""

    agreed: Agreed
    by_uid: int
    reason: str
    until_s: float
    holds: tuple[str, str]  # that were there already; a new one is something new to decide on
    after: RunId | None  # the newest run when it was given: once there is a newer one, it was used or is too old
    blocked_by: tuple[GateAnswer, ...]  # when it was looked at last; with none, it waits for a row that asks for it

    def begun_since(self, ledger: Ledger) -> Run | None:
        """The newest run, when it was begun after this was given."""
        newest = _newest_run(ledger)
        return newest if newest is not None and newest.run_id != self.after else None


class Fate(StrEnum):
    """What becomes of an approval."""

    WAITS = "waits"
    DUE = "due"  # nothing blocks it any more, and a row asks for it
    USED = "used"  # its run was begun, by it or by itself
    GONE = "gone"  # it is not what was approved any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What becomes of an approval now; `why` only where it is gone."""

    fate: Fate
    why: str = ""


def given(plan: Plan, ledger: Ledger, *, by_uid: int, reason: str, until_s: float) -> Approval:
    """The approval of `plan`, as it is given now."""
    newest = _newest_run(ledger)
    return Approval(
        agreed=plan.agreed,
        by_uid=by_uid,
        reason=reason,
        until_s=until_s,
        holds=_holds(ledger),
        after=newest.run_id if newest is not None else None,
        blocked_by=plan.blocked_by,
    )


def outlook(approval: Approval, facts: Facts, plan: Plan | None, *, is_asked: bool) -> Outlook:
    """What becomes of `approval` now.

    `plan` is the same wish looked at now, None when it makes no sense any more. `is_asked`: a row asks for its action.
    """
    begun = approval.begun_since(facts.ledger)
    if begun is not None and begun.runbook is approval.agreed.action:
        return Outlook(fate=Fate.USED)
    changed = "; ".join(_changes(approval, facts, plan))
    if changed or plan is None:
        return Outlook(fate=Fate.GONE, why=changed)
    return Outlook(fate=Fate.DUE if is_asked and not plan.blocked_by else Fate.WAITS)


def _newest_run(ledger: Ledger) -> Run | None:
    """The run that is open, or else the one that ended last."""
    return ledger.run or next(reversed(ledger.recent_runs), None)


def _holds(ledger: Ledger) -> tuple[str, str]:
    """What holds automation back: a hold of ours, and what somebody else changed."""
    return ledger.hold, ledger.foreign


def _changes(approval: Approval, facts: Facts, plan: Plan | None) -> Iterator[str]:
    """Why it is not the plan that was approved any more."""
    ledger = facts.ledger
    if (begun := approval.begun_since(ledger)) is not None:
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
