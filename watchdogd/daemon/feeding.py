"""Feeding the service manager's watchdog: only when everybody has done a round, and the journal has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from watchdogd.adapters.systemd import ServiceManager
from watchdogd.core.headline import headline, one_line
from watchdogd.core.model import PairId
from watchdogd.daemon.measuring import Measuring
from watchdogd.daemon.unit import PairUnit
from watchdogd.ports import Chronicle, Clock

FEED_EVERY_S = 5.0
ANSWER_S_MAX = 10.0  # a journal that takes longer hangs: that is a restart, a failing one is not

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Feeder:
    """Remembers how far every loop was when all of them were last seen to have gone on."""

    units: Mapping[PairId, PairUnit]
    journal: Chronicle
    rounds: dict[PairId, dict[str, int]] = field(default_factory=dict)
    counted_of: dict[PairId, PairUnit] = field(default_factory=dict)  # a reload makes a new one, which counts anew

    async def hanging(self) -> tuple[str, ...]:
        """Every loop that finished no round since the last call that named none; the journal when it does not answer.

        A journal that answers with an error does answer: a failing disk is a gate, a metric and a page.
        """
        if not await self._journal_answers():
            return ("the journal",)
        for pair, unit in self.units.items():
            if self.counted_of.get(pair) is not unit:
                self.counted_of[pair] = unit
                self.rounds.pop(pair, None)
        now = {pair: unit.rounds() for pair, unit in self.units.items()}
        hang = tuple(
            f"{pair}: {loop}"
            for pair, counted in now.items()
            for loop, count in counted.items()
            if count <= self.rounds.get(pair, {}).get(loop, 0)
        )
        if not hang:
            self.rounds = now
        return hang

    async def _journal_answers(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                await self.journal.answered()
        except TimeoutError:
            return False
        return True


async def feed_forever(
    units: Mapping[PairId, PairUnit], journal: Chronicle, manager: ServiceManager, measuring: Measuring, clock: Clock
) -> None:
    """Ask, feed, and say in one line how every pair fares; for ever."""
    loop = asyncio.get_running_loop()
    feeder = Feeder(units=units, journal=journal)
    while True:
        due = loop.time() + FEED_EVERY_S
        await asyncio.sleep(FEED_EVERY_S)
        measuring.lagged(loop.time() - due)
        hang = await feeder.hanging()
        measuring.surveyed(units.values(), clock.wall_utc().timestamp(), is_fed=not hang)
        if hang:
            log.warning("watchdog_not_fed", why=", ".join(hang))
            manager.status(f"no round was finished lately by {', '.join(hang)}; {standing_line(units.values())}")
        else:
            manager.alive()
            manager.status(standing_line(units.values()))


def standing_line(units: Iterable[PairUnit]) -> str:
    """One line about every pair that was decided about."""
    said = ((unit.policy, unit.deciding.standing) for unit in units)
    return one_line(headline(now.facts, now.decision, policy) for policy, now in said if now is not None)
