"""The faults and acts of a scenario, each at its second or when a line of the story is told."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from math import inf

from watchdogd.lab.scenario import ActLine, FaultLine, Scenario
from watchdogd.lab.story import Line, Story


class TimeLine:
    """What has not happened yet."""

    def __init__(self, scenario: Scenario) -> None:
        self._due: list[tuple[float, int, FaultLine | ActLine]] = []
        self._waiting: list[FaultLine | ActLine] = []
        self._order = itertools.count()
        lines: list[FaultLine | ActLine] = [*scenario.faults, *scenario.acts]
        for line in lines:
            if line.when.at_s is not None:
                self._push(line.when.at_s, line)
            else:
                self._waiting.append(line)

    @property
    def next_s(self) -> float:
        """When the next thing is due that has a second."""
        return self._due[0][0] if self._due else inf

    def take(self, until_s: float) -> Iterator[tuple[float, FaultLine | ActLine]]:
        """What is due by then, one after the other."""
        while self.next_s <= until_s:
            at_s, _, line = heapq.heappop(self._due)
            yield at_s, line

    def begun_by(self, told: Line, story: Story) -> Iterator[FaultLine | ActLine]:
        """What waited for this line and happens now; what happens a while after it gets its second."""
        for waiting in [w for w in self._waiting if told.begins(w.when.seen)]:
            if story.due_s(waiting.when) is None:
                continue
            self._waiting.remove(waiting)
            if waiting.when.plus_s:
                self._push(told.at_s + waiting.when.plus_s, waiting)
            else:
                yield waiting

    def _push(self, at_s: float, line: FaultLine | ActLine) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), line))
