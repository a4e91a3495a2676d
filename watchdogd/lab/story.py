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
Found = Value | tuple[str, ...] | tuple[float, ...] | None
SLACK_S = 0.05  # a second that ends a span is still in it


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that a file asks for. `wrong` says in one sentence how it was not so; empty where it held.

    For programs: `key` is what is looked at, `wanted` and `seen` are its values: of an expectation its words and the
    seconds of the lines that begin with `key`, of a budget the most and what was spent.
    """

    what: str
    wrong: str = ""
    key: str = ""
    wanted: Found = None
    seen: Found = None


def checks(
    scenario: Scenario, story: Story, counts: TrueCounts, *, slack_s: float = SLACK_S, budget_slack_s: float = 0.0
) -> tuple[Check, ...]:
    """Everything that the scenario asks for, and whether it held.

    `slack_s` widens every span of time, `budget_slack_s` every budget of seconds that is not nothing: for a world that
    goes by a real clock.
    """
    return (
        *(_expectation(wanted, story, slack_s) for wanted in scenario.expected),
        *(check for wanted in scenario.standing for check in _standing(wanted, story.states)),
        *_within(scenario.budget, counts, budget_slack_s),
        *(Check(what="everything that waits comes to its turn", wrong=wrong) for wrong in _never_due(scenario, story)),
    )


def in_words(value: Found) -> str:
    """A value as people say it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{value:g}"
        case tuple():
            return ", ".join(str(one) for one in value) or "none"
        case None:
            return "unknown"
        case _:
            return value or "none"


def _expectation(wanted: Expected, story: Story, slack_s: float) -> Check:
    asked, wrong = _asked(wanted), _unlike(wanted, story, slack_s)
    seen = tuple(round(line.at_s, 3) for line in _seen(wanted, story))
    return Check(what=asked, wrong=wrong, key=wanted.seen, wanted=asked, seen=seen)


def _seen(wanted: Expected, story: Story) -> Sequence[Line]:
    return [line for line in story.of(wanted.seen) if all(f"gate {gate} " in line.more for gate in wanted.gates)]


def _asked(wanted: Expected) -> str:
    """What is expected, in words."""
    span = "" if wanted.before_s is None else f"before {wanted.before_s:g} s"
    if wanted.after_s:
        span = f"between {wanted.after_s:g} and {wanted.before_s:g} s" if span else f"after {wanted.after_s:g} s"
    said = [
        wanted.seen,
        "never" if wanted.never else "",
        "" if wanted.times is None else f"{wanted.times} times",
        f"with gates {', '.join(wanted.gates)}" if wanted.gates else "",
        span,
        f"counted from {wanted.since}" if wanted.since else "",
    ]
    return ", ".join(filter(None, said))


def _unlike(wanted: Expected, story: Story, slack_s: float) -> str:
    since_s = 0.0
    if wanted.since:
        first = next(story.of(wanted.since), None)
        if first is None:
            return f"{wanted.since!r} was never seen, so {wanted.seen!r} cannot be counted from it"
        since_s = first.at_s
    start_s = since_s + wanted.after_s - slack_s
    end_s = float("inf") if wanted.before_s is None else since_s + wanted.before_s + slack_s
    seen = _seen(wanted, story)
    hits = [line for line in seen if start_s <= line.at_s <= end_s]
    if wanted.never:
        return f"{wanted.seen!r} must not be, but was at {hits[0].at_s:.1f} s" if hits else ""
    if wanted.times is not None:
        seen_times = f"{wanted.seen!r} wanted {wanted.times} times, seen {len(hits)} times"
        return seen_times if len(hits) != wanted.times else ""
    at = ", ".join(f"{line.at_s:.1f}" for line in seen) or "never"
    gates = f" with gates {', '.join(wanted.gates)}" if wanted.gates else ""
    begin = f"{max(start_s, 0.0):.1f}"
    span = f"after {begin} s" if wanted.before_s is None else f"between {begin} and {end_s:.1f} s"
    return "" if hits else f"{wanted.seen!r}{gates} wanted {span}, seen: {at}"


def _standing(wanted: Standing, states: Sequence[tuple[float, State]]) -> Iterator[Check]:
    if not states:
        yield Check(what="how things stand", wrong="nothing is known of how things stood")
        return
    at_s = states[-1][0] if wanted.at_s is None else wanted.at_s
    _, state = min(states, key=lambda kept: abs(kept[0] - at_s))
    for key, value in wanted.state.items():
        found = state.get(key)
        wrong = "" if found == value else f"at {at_s:.0f} s {key} is {in_words(found)}, wanted {in_words(value)}"
        what = f"at {at_s:.0f} s {key} is {in_words(value)}"
        yield Check(what=what, wrong=wrong, key=key, wanted=value, seen=found)


def _within(budget: Budget, counts: TrueCounts, slack_s: float) -> Iterator[Check]:
    for name, value in counts.spent().items():
        most = getattr(budget, name)
        is_over = value > most + 1e-6 + (slack_s if most and name.endswith("_s") else 0.0)
        wrong = f"{name} is {value:g}, the budget is {most:g}" if is_over else ""
        yield Check(what=f"{name} at most {most:g}", wrong=wrong, key=name, wanted=most, seen=value)


def _never_due(scenario: Scenario, story: Story) -> Iterator[str]:
    """A line of the file that never came to its turn: the scenario does not show what it says."""
    for when in scenario.moments:
        due_s = story.due_s(when)
        if due_s is None:
            yield f"something waited for {when.seen!r} number {when.nth}, which never came"
        elif due_s >= scenario.until_s:
            yield f"something waited for {when.seen!r}, which came too late, at {due_s:.1f} s"
