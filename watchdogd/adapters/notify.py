"""Notices for people: logged, counted, and the latest of each kept. Needs no disk, so a page never fails to be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

import structlog

from watchdogd.core.model import PairId
from watchdogd.ports import Clock, Notice, Severity

KEPT_MAX = 500  # conditions come from enums and config; a bound all the same
RENEW_AFTER_S = 900.0  # not told for this long: the condition was over, and the next one is news


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The latest notice of one condition, and how often it was handed over since it was news."""

    notice: Notice
    first_utc: datetime
    last_utc: datetime
    last_s: float
    count: int = 1


class LogNotifier:
    """The `Notifier` port. The same pair and key again is the same page: counted and kept, logged once.

    It is news again when its severity changes, after `clear`, or when it was not told for RENEW_AFTER_S.
    """

    def __init__(self, clock: Clock, log: structlog.typing.FilteringBoundLogger) -> None:
        self._clock = clock
        self._log = log
        self._told: dict[tuple[PairId, str], Told] = {}
        self._news: Counter[Severity] = Counter()

    @property
    def told(self) -> tuple[Told, ...]:
        """Every condition that is kept, the one told longest ago first."""
        return tuple(self._told.values())

    @property
    def news(self) -> Mapping[Severity, int]:
        """How many notices were news, by severity."""
        return MappingProxyType(self._news)

    def tell(self, notice: Notice) -> None:
        """Keep `notice`, and log it when it is news. Never raises."""
        place = (notice.pair, notice.key)
        now_s, now_utc = self._clock.now_s(), self._clock.wall_utc()
        known = self._told.pop(place, None)
        if known and known.notice.severity is notice.severity and now_s - known.last_s <= RENEW_AFTER_S:
            self._told[place] = replace(known, notice=notice, last_utc=now_utc, last_s=now_s, count=known.count + 1)
            return
        self._told[place] = Told(notice=notice, first_utc=now_utc, last_utc=now_utc, last_s=now_s)
        self._news[notice.severity] += 1
        while len(self._told) > KEPT_MAX:
            self._told.pop(next(iter(self._told)))
        self._write(notice)

    def clear(self, pair: PairId, key: str) -> None:
        """The condition is over: the next notice of it is news."""
        self._told.pop((pair, key), None)

    def _write(self, notice: Notice) -> None:
        write = {Severity.PAGE: self._log.error, Severity.WARN: self._log.warning, Severity.INFO: self._log.info}
        try:
            write[notice.severity](
                "notice_told",
                pair=notice.pair,
                key=notice.key,
                severity=notice.severity.value,
                why=notice.summary,
                details=list(notice.details),
                command=notice.command,
            )
        except (OSError, ValueError):
            return  # nobody reads our standard error any more: what is kept is still shown
