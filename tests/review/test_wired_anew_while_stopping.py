"""A pair that a reload wires anew while the daemon stops: nothing begins on it any more."""

from __future__ import annotations

from tests.support.stage import Stage
from watchdogd.core.policy import Level


async def test_a_pair_that_is_wired_anew_after_term_begins_no_run() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        assert stage.app is not None
        await stage.app.stop("the daemon was told to stop")
        await stage.app.replace(stage.unit.gear)
        await stage.run_for(25)
        stage.lose("east")
        await stage.run_till("S-30", within_s=60)
        await stage.run_for(30)
        assert stage.ledger.run is None
        assert stage.world.applied == []
