"""What is said of a row, and when: the table says how long it must have held, and what may be concluded then."""

from __future__ import annotations

from typing import assert_never

from watchdogd.core.facts import Facts
from watchdogd.core.policy import Timing
from watchdogd.core.situations import Row, Told

WARN_AT = 0.5  # of a window


def is_due(row: Row, timing: Timing, *, held_s: float, progress: float) -> bool:
    """True when people hear of `row`: it has held for `held_s`, and the fullest window is `progress` full."""
    match row.told:
        case Told.AT_ONCE:
            return True
        case Told.TWO_ROUNDS:
            return held_s >= timing.fresh_s
        case Told.WINDOW:
            return held_s >= timing.down_after_s
        case Told.HALF_WINDOW:
            return progress >= WARN_AT
        case Told.BEATS_FADED:
            return held_s >= timing.heartbeat_stale_after_s + timing.interval_s
        case Told.LINK_DOWN:
            return held_s >= timing.link_down_alert_s
        case _:
            assert_never(row.told)


def why(row: Row, facts: Facts) -> str:
    """What is seen, for people. It concludes nothing: what a secondary heard may be from just before a loss."""
    link = next((window for window in facts.windows if window.name == "link"), None)
    return f"{row.why}: {link.why}" if row.says_who_sees and link is not None else row.why


def why_told(row: Row, facts: Facts) -> str:
    """As `why`, once the row is due: with what is concluded from it."""
    return "; ".join(part for part in (why(row, facts), row.claim) if part)
