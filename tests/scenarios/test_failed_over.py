"""The main job at level auto, from the loss of a region to the settled debt."""

from __future__ import annotations

from tests.support.stage import Stage
from watchdogd.core.policy import Level
from watchdogd.ports import FenceOutcome, FenceResult
from watchdogd.rehearsal.site import EAST


async def test_a_lost_region_is_failed_over_the_name_follows_and_the_debt_is_settled() -> None:
    async with Stage(level=Level.AUTO, writers=1) as stage:
        await stage.run_until(30)
        lost = stage.lose("east")
        await stage.run_for(60)
        assert stage.world.primary() == "west"
        assert stage.names.published_cluster(90) == "west"
        assert stage.world.is_fenced(EAST)
        assert (stage.ledger.elected, stage.ledger.epoch) == ("west", 1)
        stage.world.faults.clear(lost)
        await stage.run_for(60)
        assert stage.world.primary() == "west"
        assert stage.ledger.open_debt is None
        assert not stage.world.is_fenced(EAST)
        assert stage.ledger.fences == {}
        assert [(effect.verb, effect.cluster) for effect in stage.world.applied] == [
            ("promote", "west"),
            ("demote", "east"),
        ]
        assert stage.world.counts.two_writable_primaries_s == 0
        assert stage.ledger.ack_asked_by is not None


async def test_a_fence_that_does_not_come_off_is_asked_again_until_it_does() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(30)
        lost = stage.lose("east")
        await stage.run_for(60)
        stage.fence.off_result = FenceResult(outcome=FenceOutcome.TRY_AGAIN, output="busy")
        stage.world.faults.clear(lost)
        await stage.run_for(90)
        assert stage.ledger.open_debt is None
        assert stage.world.is_fenced(EAST)
        stage.fence.off_result = None
        await stage.run_for(120)
        assert not stage.world.is_fenced(EAST)
        assert stage.ledger.fences == {}
        assert stage.ledger.run is None


async def test_a_fence_stays_on_a_cluster_that_nobody_sees_even_when_its_debt_is_forgiven() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(30)
        stage.lose("east")
        await stage.run_for(60)
        assert not (await stage.ask("forgive", cluster="east")).is_error
        await stage.run_for(180)
        assert stage.world.is_fenced(EAST)
        assert EAST in stage.ledger.fences
