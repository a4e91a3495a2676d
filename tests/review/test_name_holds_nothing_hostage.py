"""A name that cannot be moved holds nothing hostage: not the next failover, and not the page that names it (I13)."""

from __future__ import annotations

from tests.support.stage import Stage
from watchdogd.core.entries import Runbook
from watchdogd.core.policy import Level
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.roles import Kind, Upstream
from watchdogd.rehearsal.site import EAST, WEST


async def west_is_primary_and_the_name_cannot_be_moved(stage: Stage) -> None:
    """East is demoted, follows west and is able; the run that moves the name still asks a provider that is dead."""
    await stage.run_until(30)
    stage.fault(FaultKind.AWS_DEAD, "aws")
    lost = stage.lose("east")
    await stage.run_for(60)
    assert stage.world.primary() == "west"
    stage.world.faults.clear(lost)
    await stage.run_for(60)
    world = stage.world
    west = world.clusters[WEST].roles[Kind.DR]
    west.known_secondaries["east-1"] = ""
    found = Upstream(
        primary=WEST, secondary_id="east-1", set_id=west.set_id, cluster_addr=world.spec.cluster_addr("west/1")
    )
    world.replication.follow(world.clusters[EAST], Kind.DR, found, world.now_s)
    await stage.run_for(60)
    assert stage.ledger.open_debt is None
    assert stage.ledger.run is not None
    assert stage.ledger.run.runbook is Runbook.CUTOVER_DNS


async def test_a_loss_is_failed_over_while_the_name_still_waits_for_its_provider() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await west_is_primary_and_the_name_cannot_be_moved(stage)
        await stage.ask("ack")
        stage.lose("west")
        await stage.run_for(60)
        assert stage.world.primary() == "east"
        assert stage.ledger.elected == "east"


async def test_a_loss_that_a_gate_holds_is_paged_while_the_name_still_waits_for_its_provider() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await west_is_primary_and_the_name_cannot_be_moved(stage)
        stage.notifier.told.clear()
        stage.lose("west")
        await stage.run_for(60)
        assert stage.world.primary() is None
        assert "S-32" in stage.notifier.pages
