"""A run whose remaining steps only wait or converge holds nothing hostage: neither a second primary, nor a loss."""

from __future__ import annotations

import asyncio

from tests.support.drill import Drill
from tests.support.drill_site import EAST, WEST, Setting
from watchdogd.core.entries import Runbook
from watchdogd.lab.faults import FaultKind


async def test_a_target_without_quorum_does_not_keep_a_returned_primary_beside_it() -> None:
    async with Drill(Setting(fence_waived="no fence here")) as drill:
        await drill.healthy()
        drill.site.lose(EAST)
        await drill.until(lambda: drill.site.applied("promote", WEST) == 1, within_s=60, every_s=0.05)
        await drill.until(lambda: drill.site.world.clusters[WEST].serving() is not None, within_s=30, every_s=0.05)
        serving = drill.site.world.clusters[WEST].serving()
        assert serving is not None
        for node in {"west/1", "west/2", "west/3"} - {serving.target}:
            drill.site.break_(FaultKind.HANG, f"node:{node}")
        await drill.until(
            lambda: drill.ledger.open_debt is not None and drill.ledger.open_debt.state == "owed", within_s=30
        )
        await asyncio.sleep(2.0)
        assert drill.run.runbook is Runbook.FAILOVER
        drill.site.mend(kind=FaultKind.CRASH)
        await drill.until(lambda: drill.site.applied("demote", EAST) == 1, within_s=30)
        assert drill.site.world.counts.two_writable_primaries_s <= 5.0
        assert drill.ledger.ack_asked_by is not None
        assert (Runbook.FAILOVER, "succeeded") in drill.ended
