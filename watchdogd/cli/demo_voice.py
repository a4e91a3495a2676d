"""How the demo speaks: one line per event with its time and its source, plain without a terminal."""

from __future__ import annotations

import asyncio
import heapq
import os
import textwrap
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import count
from typing import TextIO

WIDTH = 100
INDENT = 24  # where the text of a line begins: mark and time, then the source
HOLD_S = 0.4  # lines wait so long for an earlier one of another source
TURN_S = 0.1


class Tone(StrEnum):
    """How a line is meant. The value is its colour on a terminal (ECMA-48 SGR)."""

    PLAIN = ""
    MUTED = "2"
    TITLE = "1"
    GOOD = "32"
    BAD = "31"
    WARN = "33"
    ACT = "36"


class Voice:
    """Writes to `out`. Times are seconds since the start, and since the death once there was one ("T+")."""

    def __init__(self, out: TextIO, now_s: Callable[[], float], environ: Mapping[str, str] = os.environ) -> None:
        self._out = out
        self.now_s = now_s
        self._is_coloured = out.isatty() and "NO_COLOR" not in environ and environ.get("TERM") != "dumb"
        self._waiting: list[tuple[float, int, list[tuple[str, Tone]]]] = []
        self._order = count()
        self.zero_s: float | None = None  # when the region died

    def title(self, text: str) -> None:
        """A new act. Everything that waits is written first."""
        self.flush()
        self._write("")
        self._write(text, Tone.TITLE)

    def line(self, text: str = "", tone: Tone = Tone.PLAIN) -> None:
        """A line as it is, without a time. Everything that waits is written first."""
        self.flush()
        self._write(text, tone)

    def say(self, who: str, text: str, *more: str, at_s: float | None = None, tone: Tone = Tone.PLAIN) -> None:
        """What happened at `at_s` (default now), and what else there is to it, below."""
        when_s = self.now_s() if at_s is None else at_s
        head = f"  {self.time(when_s)}  {who:<9}"
        first, *wrapped = _wrapped(text) or [""]
        lines = [(head.ljust(INDENT) + first, tone), *((" " * INDENT + rest, tone) for rest in wrapped)]
        for extra in more:
            lines += [(" " * INDENT + rest, Tone.MUTED) for rest in _wrapped(extra)]
        heapq.heappush(self._waiting, (when_s, next(self._order), lines))

    def time(self, at_s: float) -> str:
        """`at_s` as the first column shows it."""
        if self.zero_s is None or at_s < self.zero_s:
            return f"{at_s:8.1f} s"
        return f"T+{at_s - self.zero_s:6.1f} s"

    def flush(self, before_s: float = float("inf")) -> None:
        """Write what waits and happened before `before_s`."""
        while self._waiting and self._waiting[0][0] < before_s:
            for text, tone in heapq.heappop(self._waiting)[2]:
                self._write(text, tone)

    async def flow(self) -> None:
        """Write what happened, in its order, until cancelled."""
        while True:
            self.flush(self.now_s() - HOLD_S)
            await asyncio.sleep(TURN_S)

    def _write(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        coloured = f"\x1b[{tone.value}m{text}\x1b[0m" if self._is_coloured and tone is not Tone.PLAIN else text
        self._out.write(coloured + "\n")
        self._out.flush()


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - INDENT, break_on_hyphens=False)
