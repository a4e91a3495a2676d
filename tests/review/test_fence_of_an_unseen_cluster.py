"""A fence stays on a cluster that nobody has seen to be secondary, whatever became of the debt (I15)."""

from __future__ import annotations

import asyncio

from tests.support.drill import Drill
from tests.support.drill_site import EAST, WEST
from watchdogd.core.ledger import RunState
from watchdogd.ports import FenceVerb


async def test_adopting_what_was_promoted_by_hand_does_not_open_the_old_primary_that_nobody_sees() -> None:
    async with Drill() as drill:
        await drill.healthy()
        drill.site.lose(EAST)
        drill.daemon.journal.slow_s = lambda point: 10.0 if "promote_intended" in point else 0.0
        await drill.until(lambda: drill.site.held == {EAST}, within_s=60)
        drill.site.promote_by_hand(WEST)
        await drill.until(lambda: drill.ledger.run is not None and drill.run.state is RunState.PARKED, within_s=60)
        await drill.adopt(WEST)
        await asyncio.sleep(90.0)
        assert drill.site.held == {EAST}
        assert drill.site.world.counts.two_writable_primaries_s == 0.0
        drill.site.mend()
        await asyncio.sleep(60.0)
        assert drill.site.held == {EAST}
        assert FenceVerb.OFF not in drill.daemon.fence.verbs(EAST)
        assert drill.site.world.counts.two_writable_primaries_s == 0.0
        drill.site.demote_by_hand(EAST)
        await drill.until(lambda: not drill.site.held, within_s=180)
