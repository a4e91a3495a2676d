"""Feeding the service manager's watchdog: only when everybody has done a round, and the journal has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from watchdogd.adapters.systemd import ServiceManager
from watchdogd.daemon.measuring import Measuring
from watchdogd.daemon.unit import PairUnit
from watchdogd.ports import Chronicle, Clock

FEED_EVERY_S = 5.0
ANSWER_S_MAX = 10.0  # a journal that takes longer hangs: that is a restart, a failing one is not

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Feeder:
    """Remembers how far every loop was when it was last asked."""

    units: tuple[PairUnit, ...]
    journal: Chronicle
    rounds: dict[str, tuple[int, ...]] = field(default_factory=dict)

    async def is_well(self) -> bool:
        """True when every probe loop and every decision loop finished a round since the last call that was true."""
        if not await self._journal_answers():
            log.warning("journal_hangs")
            return False
        now = {unit.policy.pair: unit.rounds() for unit in self.units}
        for pair, counted in now.items():
            before = self.rounds.get(pair, (0,) * len(counted))
            if not all(after > earlier for after, earlier in zip(counted, before, strict=True)):
                return False
        self.rounds = {str(pair): counted for pair, counted in now.items()}
        return True

    async def _journal_answers(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                await self.journal.answered()
        except TimeoutError:
            return False
        return True


async def feed_forever(
    units: Iterable[PairUnit], journal: Chronicle, manager: ServiceManager, measuring: Measuring, clock: Clock
) -> None:
    """Ask, feed, and say in one line how every pair fares; for ever."""
    loop = asyncio.get_running_loop()
    feeder = Feeder(units=tuple(units), journal=journal)
    while True:
        due = loop.time() + FEED_EVERY_S
        await asyncio.sleep(FEED_EVERY_S)
        measuring.lagged(loop.time() - due)
        is_well = await feeder.is_well()
        measuring.surveyed(feeder.units, clock.wall_utc().timestamp(), is_fed=is_well)
        if is_well:
            manager.alive()
        manager.status(_line(feeder.units))


def _line(units: tuple[PairUnit, ...]) -> str:
    standing = [(unit.policy.pair, unit.deciding.standing) for unit in units]
    return "; ".join(
        f"{pair}: {now.decision.phase} {now.decision.row.id} {now.decision.row.why}"
        for pair, now in standing
        if now is not None
    )
