"""A debt is not forgiven under the run that makes or settles it, and forgiving opens nothing that nobody sees."""

from __future__ import annotations

from tests.support.stage import Stage
from watchdogd.core.entries import Runbook
from watchdogd.core.policy import Level
from watchdogd.lab.faults import FaultKind
from watchdogd.rehearsal.site import EAST


async def test_forgiving_while_the_demote_is_unknown_opens_no_second_primary() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        lost = stage.lose("east")
        await stage.run_for(60)
        never = {"method": "POST", "path": "primary/demote", "seconds": 1e6}
        stage.fault(FaultKind.APPLIED_LATE, "cluster:east", **never)  # type: ignore[arg-type]
        stage.world.faults.clear(lost)
        await stage.run_till("S-40", within_s=30)
        while stage.ledger.run is None or not stage.ledger.run.step("demote").intents:
            await stage.run_for(0.25)
        away = stage.fault(FaultKind.BLACKOUT, "region:east")
        await stage.run_for(4)
        answer = await stage.ask("forgive", cluster="east")
        assert answer.body["error"]["code"] == "run_in_progress"  # type: ignore[index,call-overload]
        await stage.run_for(60)
        stage.world.faults.clear(away)
        await stage.run_for(10)
        assert stage.world.is_fenced(EAST)
        assert stage.world.counts.two_writable_primaries_s == 0


async def test_the_debt_of_a_promote_that_is_under_way_is_not_forgiven() -> None:
    """DESIGN I9: from the first byte of promote there is a durable debt."""
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.lose("east")
        while stage.ledger.open_debt is None:
            await stage.run_for(0.5)
        assert stage.ledger.run is not None
        assert stage.ledger.run.runbook is Runbook.FAILOVER
        assert (await stage.ask("forgive", cluster="east")).is_error
        await stage.run_for(60)
        assert stage.ledger.open_debt is not None
        assert not (await stage.ask("forgive", cluster="east")).is_error
