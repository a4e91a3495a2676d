"""The beats of a probe round, by timers of the event loop that the round is heard on."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from watchdogd.core.lateness import Beats
from watchdogd.ports import Clock


class Beating:
    """Inside the block it beats; after it `late_s` is how late the loop was, summed. A short round costs one timer."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.late_s = 0.0
        self._clock = clock
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        self.began_s = self._clock.now_s()
        self._beats = Beats.of(self.timeout_s, at_s=self.began_s)
        self._timer = self._loop.call_later(self._beats.every_s, self._beat)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self.ended_s = self._clock.now_s()
        self.late_s = self._beats.late_until(self.ended_s)

    def _beat(self) -> None:
        self._beats = self._beats.came(self._clock.now_s())
        self._timer = self._loop.call_later(self._beats.every_s, self._beat)
