"""The machine of the daemon reboots in the middle of a run: CLOCK_BOOTTIME begins anew, and no age is taken over it."""

from __future__ import annotations

import asyncio
import re

from tests.support.stage import Stage
from watchdogd.core.policy import Level

TOOK = re.compile(r"(?:procedure: |the name is at west after )([^;]*)")


async def rebooted_after_the_promote(stage: Stage, *, wall_clock_back_s: float = 0.0) -> None:
    await stage.run_until(25)
    stage.lose("east")
    while stage.ledger.run is None or not stage.ledger.run.step("promote").intents:
        await stage.run_for(0.5)
    await stage.kill()
    at_s = asyncio.get_running_loop().time()
    stage.boot_id = stage.journal.boot_id = "boot-2"
    stage.clock.suspended_s, stage.clock.stepped_s = -at_s, at_s - wall_clock_back_s
    await stage.start()
    await stage.run_for(20)
    assert stage.world.primary() == "west"


def told(stage: Stage) -> list[str]:
    """How long the failover, and then the move of the name, are said to have taken."""
    texts = [text for notice in stage.notifier.told for text in (notice.summary, *notice.details)]
    return [
        found[1] for text in texts if (found := re.search(r"(?:procedure: |the name is at west after )([^;]*)", text))
    ]


async def test_how_long_a_run_took_is_told_over_a_reboot() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await rebooted_after_the_promote(stage)
        procedure, cutover = (float(took.removesuffix(" s")) for took in told(stage))
        assert 0 < procedure < 60
        assert 0 < cutover < 60


async def test_when_no_clock_knows_how_long_a_run_took_it_is_said_so() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await rebooted_after_the_promote(stage, wall_clock_back_s=86_400.0)
        assert told(stage)[0] == "a time that no clock can tell"
