"""What the conditions of a pair are read from, and since when each of them has held."""

from __future__ import annotations

from dataclasses import dataclass, field

from watchdogd.core.decision import Decision
from watchdogd.core.facts import Facts, Surroundings
from watchdogd.core.policy import PairPolicy
from watchdogd.core.telling import Holding
from watchdogd.core.watch import Reset
from watchdogd.ports import Notice, Severity


@dataclass(slots=True, kw_only=True)
class Timers:
    """Since when each condition has held; a condition that is not asked about begins anew."""

    since_s: dict[str, float] = field(default_factory=dict)
    seen_s: dict[str, float] = field(default_factory=dict)
    holding: Holding = field(default_factory=Holding)  # of the rows
    row_notices: tuple[Notice, ...] = ()  # of the row that is told
    _asked: set[str] = field(default_factory=set)

    def held_s(self, key: str, now_s: float) -> float:
        """How long `key` has been asked about, at every tick without a gap."""
        self._asked.add(key)
        self.seen_s[key] = now_s
        return now_s - self.since_s.setdefault(key, now_s)

    def bridged_s(self, key: str, now_s: float, gap_max_s: float) -> float:
        """As `held_s`, while nothing can be said of `key`, and for no longer than a short while; 0 after it."""
        if key not in self.since_s or now_s - self.seen_s[key] > gap_max_s:
            return 0.0
        self._asked.add(key)
        return now_s - self.since_s[key]

    def end_tick(self) -> None:
        """Forget what was not asked about in this tick."""
        self.since_s = {key: since for key, since in self.since_s.items() if key in self._asked}
        self.seen_s = {key: at_s for key, at_s in self.seen_s.items() if key in self._asked}
        self._asked.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the conditions are read from."""

    facts: Facts
    decision: Decision
    around: Surroundings
    policy: PairPolicy
    resets: tuple[Reset, ...]
    timers: Timers

    def notice(self, key: str, severity: Severity, summary: str, *details: str, command: str = "") -> Notice:
        return Notice(
            pair=self.facts.pair, key=key, severity=severity, summary=summary, details=details, command=command
        )

    def held_s(self, key: str) -> float:
        return self.timers.held_s(key, self.facts.now.at_s)

    def bridged_s(self, key: str) -> float:
        return self.timers.bridged_s(key, self.facts.now.at_s, self.policy.timing.gap_max_s)
