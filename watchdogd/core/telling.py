"""What is said of a row, and when: the table says how long it must have held, and what may be concluded then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import assert_never

from watchdogd.core.decision import Decision, Execution
from watchdogd.core.entries import Runbook
from watchdogd.core.facts import Facts, Signature
from watchdogd.core.ledger import RunState
from watchdogd.core.policy import Timing
from watchdogd.core.situations import Act, Row, Told

WARN_AT = 0.5  # of a window
NOT_ABLE = "secondary-not-able"  # the gate


class Loudness(IntEnum):
    """How loud a row is told."""

    QUIET = 0
    WARNS = 1
    PAGES = 2


def is_due(row: Row, timing: Timing, *, held_s: float, unread_s: float, progress: float) -> bool:
    """True when people hear of `row`: it has held for `held_s`, and the fullest window is `progress` full.

    `unread_s`: for how much of that time nobody could look. A look that failed while a window runs says nothing yet.
    """
    match row.told:
        case Told.AT_ONCE:
            return True
        case Told.TWO_ROUNDS:
            return held_s >= timing.fresh_s
        case Told.WINDOW:
            return held_s >= timing.down_after_s and (not row.names_unread or unread_s > timing.gap_max_s)
        case Told.HALF_WINDOW:
            return progress >= WARN_AT
        case Told.BEATS_FADED:
            return held_s >= timing.heartbeat_stale_after_s + timing.interval_s
        case Told.LINK_DOWN:
            return held_s >= timing.link_down_alert_s
        case _:
            assert_never(row.told)


def loudness(row: Row, *, goes: bool = False) -> Loudness:
    """How loud `row` is told by its act. `goes`: what is asked for is being done, and its run tells it."""
    match row.act:
        case Act.NOTHING | Act.CONTINUE:
            return Loudness.QUIET
        case Act.ALERT | Act.HEAL | Act.LAST_PRIMARY:
            return Loudness.WARNS
        case Act.PAGE | Act.FREEZE | Act.RELEASE_FENCE:
            return Loudness.PAGES
        case Act.FAILOVER | Act.SETTLE_DEBT | Act.ROLL_BACK | Act.CUTOVER_DNS:
            return Loudness.QUIET if goes else Loudness.PAGES
        case _:
            assert_never(row.act)


def row_told(facts: Facts, decision: Decision) -> Row | None:
    """The row that people hear of: what an open run acts on it tells itself, and beside one that waits all is told."""
    run = facts.ledger.run
    if run is None or (run.runbook is not Runbook.CUTOVER_DNS and run.state is not RunState.PARKED):
        return decision.row
    is_its_own = decision.beneath.act == run.runbook.value
    will_have_the_slot = run.runbook is Runbook.CUTOVER_DNS and any(
        todo.execution is Execution.GO and {gate.gate for gate in todo.blocked_by} == {"slot"} for todo in decision.todo
    )
    return None if is_its_own or will_have_the_slot else decision.beneath


def why(row: Row, facts: Facts) -> str:
    """What is seen, for people. It concludes nothing: what a secondary heard may be from just before a loss."""
    link = next((window for window in facts.windows if window.name == "link"), None)
    seen = f"{row.why}: {link.why}" if row.says_who_sees and link is not None else row.why
    lacks = next((gate.why for gate in facts.closed_gates() if gate.gate == NOT_ABLE), "")
    if not row.says_standby or not lacks:
        return seen
    return f"{seen}; no standby to fail over to ({facts.partner.cluster}: {lacks})"


def why_told(row: Row, facts: Facts) -> str:
    """As `why`, once the row is due: with what is concluded from it."""
    return "; ".join(part for part in (why(row, facts), row.claim) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One time that is counted: the row that matched last, since when, at which tick last, and how much was unread."""

    row: Row
    since_s: float
    seen_s: float
    unread_s: float = 0.0  # of its time, how long nobody could look

    def on(self, row: Row, now_s: float) -> Held:
        """One tick later: `row` shares its time, and goes on with it."""
        failed_s = now_s - self.seen_s if row.names_unread else 0.0
        return Held(row=row, since_s=self.since_s, seen_s=now_s, unread_s=self.unread_s + failed_s)

    def lasts_beside(self, row: Row, seen: Signature, timing: Timing, now_s: float) -> bool:
        """True while its time is not over, although another row may match now."""
        is_fresh = now_s - self.seen_s <= timing.gap_max_s
        return is_fresh and (row.hold == self.row.hold or not _is_over(self.row, row, seen))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How long rows have held, and which one people hear of; a value that is fed once a tick.

    What could not be read for a short while says nothing: for `gap_max` it neither begins a hold anew nor takes a page
    away. What was seen, and contradicts a row, ends its hold at once (DESIGN section 4 asks the same of the evidence).
    A row that is due waits for no quieter one that is told. Rows that share their time are one state of which now this
    and now that can be read: a mixture is told after one window, once more of it than `gap_max` could not be read.
    """

    held: Mapping[str, Held] = field(default_factory=dict)  # by hold
    told: Row | None = None  # the one that people hear of now; not always the one that matches
    told_s: float = 0.0  # when it matched last

    def feed(self, row: Row | None, seen: Signature, timing: Timing, *, progress: float, now_s: float) -> Holding:
        """The holding after a tick at which `row` is what would be told; None where nothing is told beside a run."""
        if row is None:
            return Holding()
        lasting = {hold: one for hold, one in self.held.items() if one.lasts_beside(row, seen, timing, now_s)}
        now = lasting.get(row.hold, Held(row=row, since_s=now_s, seen_s=now_s)).on(row, now_s)
        after = replace(self, held={**lasting, row.hold: now})
        due = is_due(row, timing, held_s=now_s - now.since_s, unread_s=now.unread_s, progress=progress)
        if self._goes_on(row, seen, timing, now_s) and not (due and self._is_quieter_than(row)):
            return after
        return replace(after, told=row if due else None, told_s=now_s)

    def _goes_on(self, row: Row, seen: Signature, timing: Timing, now_s: float) -> bool:
        """True while the row that was told is told still, although `row` matches now."""
        told = self.told
        if told is None or told.alarm == row.alarm or row.told is Told.AT_ONCE:
            return False
        return now_s - self.told_s <= timing.gap_max_s and not _is_over(told, row, seen)

    def _is_quieter_than(self, row: Row) -> bool:
        return self.told is None or loudness(self.told) < loudness(row)


def _is_over(held: Row, row: Row, seen: Signature) -> bool:
    return row.is_healthy or held.is_denied_by(seen)
