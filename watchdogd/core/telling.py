"""When a row is told to people: the table says how long it must have held."""

from __future__ import annotations

from typing import assert_never

from watchdogd.core.policy import Timing
from watchdogd.core.situations import Row, Told

WARN_AT = 0.5  # of a window


def is_due(row: Row, timing: Timing, *, held_s: float, progress: float) -> bool:
    """True when people hear of `row`: it has held for `held_s`, and the fullest window is `progress` full."""
    match row.told:
        case Told.AT_ONCE:
            return True
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
