"""A pause that stops an open run ends like any other: an outage that already exists is held until somebody looked."""

from __future__ import annotations

from tests.support.stage import Stage
from watchdogd.core.policy import Level
from watchdogd.lab.faults import FaultKind


async def test_a_run_that_a_pause_stopped_is_held_like_an_outage_that_already_existed() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.fault(FaultKind.BLACKOUT, "region:east")  # a look at it takes its whole time-out
        while stage.ledger.run is None:
            await stage.run_for(0.05)
        await stage.ask("pause")
        await stage.run_for(900)
        assert stage.world.applied == []
        await stage.ask("resume")
        await stage.run_for(60)
        assert stage.ledger.hold
        assert stage.world.applied == []
        await stage.ask("ack")
        await stage.run_for(60)
        assert stage.ledger.elected == "west"


async def test_a_pause_that_ends_before_anybody_looked_is_held_like_an_outage_that_already_existed() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        await stage.ask("pause")
        stage.lose("east")
        await stage.run_for(20)
        await stage.kill()
        await stage.start()
        await stage.ask("resume")
        await stage.run_for(60)
        assert stage.ledger.hold
        assert stage.world.applied == []
        await stage.ask("ack")
        await stage.run_for(60)
        assert stage.ledger.elected == "west"
