"""A loop whose time jumps to the next thing that is due: an hour of waiting takes as long as what is done in it."""

from __future__ import annotations

import asyncio

import looptime

IDLE_S_MAX = 5.0  # of real time: a loop that has nothing left to wait for is an error, not a hang


class VirtualLoop(looptime.LoopTimeEventLoop, asyncio.SelectorEventLoop):
    """Time that jumps."""


def virtual_loop() -> asyncio.AbstractEventLoop:
    """A new one; for `asyncio.Runner(loop_factory=virtual_loop)`."""
    loop = VirtualLoop()
    loop.setup_looptime(noop_cycles=1, idle_timeout=IDLE_S_MAX)
    return loop


def move(loop: asyncio.AbstractEventLoop, by_s: float) -> None:
    """Let the clock of a virtual loop jump while nothing of it runs, as it does for a process that was stopped.

    Looptime has no call for it: `setup_looptime(start=...)` would also forget the threads that the loop waits for. The
    names are those of looptime 0.9; where they are others, this is a KeyError.
    """
    own = vars(loop)
    own["_LoopTimeEventLoop__now"] += round(by_s * own["_LoopTimeEventLoop__resolution_reciprocal"])
