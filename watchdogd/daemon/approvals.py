"""The approval that a pair waits with: it begins its run when nothing blocks it any more, or never.

It is kept in memory only: whoever restarts the daemon approves anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import structlog

from watchdogd.core.approval import Approval, Fate, given, outlook
from watchdogd.core.commands import Command, line
from watchdogd.core.facts import Facts
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import PairId
from watchdogd.core.plan import Plan
from watchdogd.errors import Need, NeedsOperator
from watchdogd.ports import Notice, Notifier, Severity
from watchdogd.runbooks.opening import Wanted

KEY = "approval"

log = structlog.get_logger()


class Approvals:
    """The approval that one pair waits with: at most one, the newest."""

    def __init__(self, pair: PairId, notifier: Notifier) -> None:
        self._pair = pair
        self._notifier = notifier
        self._wanted: Wanted | None = None  # the run that it begins
        self._ended = ""  # why no approval is taken any more
        self.waiting: Approval | None = None

    def give(self, plan: Plan, wanted: Wanted, ledger: Ledger, *, by_uid: int, until_s: float) -> None:
        """Begin this plan once nothing blocks it, instead of whatever was approved before.

        Raises: NeedsOperator(STOPPED) when nobody would look at it any more.
        """
        if self._ended:
            raise NeedsOperator(Need.STOPPED, f"no approval is taken: {self._ended}; plan it again")
        agreed = plan.agreed
        self._wanted = wanted
        self.waiting = given(plan, ledger, by_uid=by_uid, reason=wanted.reason, until_s=until_s)
        self._tell(
            f"{agreed.action} to {agreed.target} is approved by uid {by_uid}: it goes once the window is full",
            Severity.WARN,
            command=line(Command.PAUSE, pair=self._pair),
        )

    def due(self, facts: Facts, plan: Plan | None, *, is_asked: bool) -> Wanted | None:
        """The approved run, once nothing blocks it and a row asks for it: handed out until it was begun, and no longer.

        `plan` is the same wish looked at now, None when it makes no sense any more. Once anything else of it has
        changed, the approval is gone, and people are told.
        """
        approval, wanted = self.waiting, self._wanted
        if approval is None or wanted is None:
            return None
        found = outlook(approval, facts, plan, is_asked=is_asked)
        match found.fate:
            case Fate.USED:
                begun = approval.begun_since(facts.ledger)
                run_id = begun.run_id if begun is not None else None
                log.info("approval_used", pair=self._pair, plan=approval.agreed.hash, run_id=run_id)
                self.waiting = None
            case Fate.GONE:
                self.drop(found.why)
            case Fate.WAITS | Fate.DUE:
                self.waiting = replace(approval, blocked_by=plan.blocked_by if plan is not None else ())
            case _:
                assert_never(found.fate)
        if found.fate is not Fate.DUE or plan is None:
            return None
        return replace(wanted, situation=plan.agreed.situation)  # the row that matches now

    def drop(self, why: str) -> None:
        """What waits, if anything, does not count any more."""
        approval, self.waiting = self.waiting, None
        if approval is not None:
            self._tell(f"the approval of plan {approval.agreed.hash} does not count any more: {why}", Severity.PAGE)

    def end(self, why: str) -> None:
        """What waits does not count any more, and whoever is about to give one is refused."""
        self._ended = why
        self.drop(why)

    def _tell(self, summary: str, severity: Severity, *, command: str = "") -> None:
        self._notifier.tell(Notice(pair=self._pair, key=KEY, severity=severity, summary=summary, command=command))
