"""What the signals do. One that is switched off is heard and does nothing: its default would end the process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Mapping

import structlog

from watchdogd.adapters.settings import Settings
from watchdogd.daemon.forcing import force
from watchdogd.daemon.orders import Orders
from watchdogd.daemon.protocol import Answer, Asked, Caller

NAMES = ("TERM", "HUP", "USR1", "USR2")
SWITCHED_OFF = "[control] signals does not name it"

log = structlog.get_logger()
Spawn = Callable[[Coroutine[object, object, None]], asyncio.Task[None]]


class Signals:
    """TERM stops at a safe point, HUP reloads, USR1 forces the pending decision, USR2 pauses every pair."""

    def __init__(self, orders: Orders, *, stop: Callable[[], None], spawn: Spawn) -> None:
        self._orders = orders
        self._stop = stop
        self._spawn = spawn

    def obey(self, settings: Settings) -> None:
        """From now on these are obeyed and the rest is only logged. INT, of whoever runs it by hand, always stops."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._stop)
        for name, handler in self._handlers().items():
            loop.add_signal_handler(
                signal.Signals[f"SIG{name}"], handler if name in settings.signals else _ignored(name, SWITCHED_OFF)
            )

    def _handlers(self) -> Mapping[str, Callable[[], object]]:
        return {
            "TERM": self._stop,
            "HUP": lambda: self._spawn(self._answered("HUP", self._reload)),
            "USR1": lambda: self._spawn(self._answered("USR1", self._force)),
            "USR2": lambda: self._spawn(self._answered("USR2", self._pause)),
        }

    async def _answered(self, name: str, order: Callable[[Caller], Coroutine[object, object, Answer]]) -> None:
        # Who sent it is not known: root, or a process of our own uid.
        answer = await order(Caller(uid=os.getuid(), may_act=True))
        if answer.is_error:
            log.warning("signal_refused", signal=name, error=answer.body["error"])
        else:
            log.warning("signal_obeyed", signal=name, **answer.body)

    async def _reload(self, caller: Caller) -> Answer:
        return await self._orders.ask(Asked(verb="reload", body={"reason": "SIGHUP"}), caller)

    async def _force(self, caller: Caller) -> Answer:
        return await force(self._orders, caller)

    async def _pause(self, caller: Caller) -> Answer:
        return await self._orders.ask(Asked(verb="pause", pair="*", body={"reason": "SIGUSR2"}), caller)


def obey_from_the_start(settings: Settings, stop: Callable[[], None]) -> None:
    """Before anything else: a run may be resumed before all doors are open, and it is to end at a safe point."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop)
    for name in NAMES:
        can_stop = name == "TERM" and name in settings.signals
        loop.add_signal_handler(
            signal.Signals[f"SIG{name}"], stop if can_stop else _ignored(name, "the daemon is only starting")
        )


def heed_no_more() -> None:
    """The runs have stopped, and every door is being closed: whoever would obey is gone."""
    loop = asyncio.get_running_loop()
    for name in ("INT", *NAMES):
        loop.add_signal_handler(signal.Signals[f"SIG{name}"], _ignored(name, "the daemon is about to end"))


def _ignored(name: str, why: str) -> Callable[[], object]:
    return lambda: log.warning("signal_ignored", signal=name, why=why)
