"""What happened in a scenario, line by line, and whether that is what its file expects. Pure.

A line begins with its subject: `situation S-30`, `run failover succeeded`, `step failover.fence sent`,
`applied promote west`, `page S-32`, `journal promote_intended`, `published west`, `act kill`, `world …`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from watchdogd.lab.counts import TrueCounts
from watchdogd.lab.scenario import Budget, Expected, Scenario, Standing, Value, When

State = Mapping[str, Value | tuple[str, ...]]
_SLACK_S = 0.05  # a second that ends a span is still in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: when, what, and more about it that is no part of what it is recognised by."""

    at_s: float
    text: str
    more: str = ""

    def begins(self, words: str) -> bool:
        """True when the line begins with these whole words."""
        return self.text == words or self.text.startswith(f"{words} ")

    def __str__(self) -> str:
        return f"{self.at_s:9.3f} {self.text}{f' | {self.more}' if self.more else ''}"


@dataclass(slots=True)
class Story:
    """Every line in order, and how things stood whenever somebody wanted to know."""

    lines: list[Line] = field(default_factory=list)
    states: list[tuple[float, State]] = field(default_factory=list)

    def add(self, at_s: float, text: str, more: str = "") -> Line:
        """One more line."""
        line = Line(at_s=at_s, text=text, more=more)
        self.lines.append(line)
        return line

    def of(self, words: str) -> Iterator[Line]:
        """The lines that begin with these words."""
        return (line for line in self.lines if line.begins(words))

    def due_s(self, when: When) -> float | None:
        """When a moment is, or was; None while it is not known yet."""
        if when.at_s is not None:
            return when.at_s
        hits = [line for line in self.of(when.seen)]
        return hits[when.nth - 1].at_s + when.plus_s if len(hits) >= when.nth else None

    def text(self) -> str:
        """The whole story; the same seed gives the same bytes."""
        return "".join(f"{line}\n" for line in self.lines)


def judge(scenario: Scenario, story: Story, counts: TrueCounts) -> tuple[str, ...]:
    """Everything that is not as the scenario expects, each in one sentence; empty when all is."""
    return (
        *(fault for wanted in scenario.expected for fault in _unlike(wanted, story)),
        *(fault for wanted in scenario.standing for fault in _standing(wanted, story.states)),
        *_over_budget(scenario.budget, counts),
        *_never_due(scenario, story),
    )


def _unlike(wanted: Expected, story: Story) -> Iterator[str]:
    since_s = 0.0
    if wanted.since:
        first = next(story.of(wanted.since), None)
        if first is None:
            yield f"{wanted.since!r} was never seen, so {wanted.seen!r} cannot be counted from it"
            return
        since_s = first.at_s
    start_s = since_s + wanted.after_s - _SLACK_S
    end_s = float("inf") if wanted.before_s is None else since_s + wanted.before_s + _SLACK_S
    seen = [line for line in story.of(wanted.seen) if all(f"gate {gate} " in line.more for gate in wanted.gates)]
    hits = [line for line in seen if start_s <= line.at_s <= end_s]
    if wanted.never and hits:
        yield f"{wanted.seen!r} must not be, but was at {hits[0].at_s:.1f} s"
    elif not wanted.never and wanted.times is not None and len(hits) != wanted.times:
        yield f"{wanted.seen!r} wanted {wanted.times} times, seen {len(hits)} times"
    elif not wanted.never and not hits and wanted.times is None:
        at = ", ".join(f"{line.at_s:.1f}" for line in seen) or "never"
        gates = f" with gates {', '.join(wanted.gates)}" if wanted.gates else ""
        yield f"{wanted.seen!r}{gates} wanted between {start_s:.1f} and {end_s:.1f} s, seen: {at}"


def _standing(wanted: Standing, states: Sequence[tuple[float, State]]) -> Iterator[str]:
    if not states:
        yield "nothing is known of how things stood"
        return
    at_s = states[-1][0] if wanted.at_s is None else wanted.at_s
    _, state = min(states, key=lambda kept: abs(kept[0] - at_s))
    for key, value in wanted.state.items():
        if state.get(key) != value:
            yield f"at {at_s:.0f} s {key} is {state.get(key)!r}, wanted {value!r}"


def _over_budget(budget: Budget, counts: TrueCounts) -> Iterator[str]:
    spent = {
        "two_writable_primaries_s": counts.two_writable_primaries_s,
        "acknowledged_writes_lost": float(counts.acknowledged_writes_lost),
        "no_primary_s": counts.no_primary_s,
        "name_at_non_primary_s": counts.name_at_non_primary_s,
    }
    for name, value in spent.items():
        if value > getattr(budget, name) + 1e-6:
            yield f"{name} is {value:g}, the budget is {getattr(budget, name):g}"


def _never_due(scenario: Scenario, story: Story) -> Iterator[str]:
    """A line of the file that never came to its turn: the scenario does not show what it says."""
    for when in scenario.moments:
        due_s = story.due_s(when)
        if due_s is None:
            yield f"something waited for {when.seen!r} number {when.nth}, which never came"
        elif due_s >= scenario.until_s:
            yield f"something waited for {when.seen!r}, which came too late, at {due_s:.1f} s"
