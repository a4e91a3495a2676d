"""Conditions become notices: told when they begin, and again often enough to stay the same page."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from watchdogd.core.model import PairId
from watchdogd.ports import Notice, Notifier, Severity

AGAIN_EVERY_S = 60.0
Over = Callable[[PairId, str], None]  # a condition has ended


class Alarms:
    """The conditions of one pair that were told and still hold."""

    def __init__(self, pair: PairId, notifier: Notifier, over: Over) -> None:
        self._pair = pair
        self._notifier = notifier
        self._over = over
        self._told: dict[str, tuple[Severity, float]] = {}
        self.standing: tuple[Notice, ...] = ()

    def take_over(self, before: Alarms) -> None:
        """Go on where the alarms of the same pair were: what holds is not told anew, what is over is ended."""
        self._told, self.standing = dict(before._told), before.standing

    def update(self, notices: Iterable[Notice], now_s: float) -> None:
        """Tell what is new, louder or due again, and end what is over."""
        self.standing = tuple(notices)
        keys = {notice.key for notice in self.standing}
        for key in [key for key in self._told if key not in keys]:
            del self._told[key]
            self._over(self._pair, key)
        for notice in self.standing:
            severity, told_s = self._told.get(notice.key, (None, 0.0))
            if severity is notice.severity and now_s - told_s < AGAIN_EVERY_S:
                continue
            self._told[notice.key] = (notice.severity, now_s)
            self._notifier.tell(notice)
