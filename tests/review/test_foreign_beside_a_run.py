"""What somebody else changed is seen beside an open run, too: a name that cannot be moved hides nothing."""

from __future__ import annotations

from tests.support.stage import Stage
from watchdogd.core.policy import Level
from watchdogd.lab.faults import FaultKind
from watchdogd.rehearsal.site import WEST


async def test_a_debt_orders_nothing_after_a_demote_by_hand_while_the_name_waits_for_its_provider() -> None:
    """DESIGN section 2: a debt orders a demote only while nothing foreign happened since."""
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.fault(FaultKind.AWS_DEAD, "aws")
        lost = stage.lose("east")
        await stage.run_for(45)
        assert stage.ledger.run is not None
        assert stage.ledger.run.runbook == "cutover-dns"
        await stage.by_hand("demote", WEST)
        await stage.run_for(15)
        assert stage.ledger.foreign == "west was made secondary, and not by us"
        stage.world.faults.clear(lost)  # people have chosen it
        await stage.run_for(20)
        await stage.by_hand("promote", WEST)  # and somebody errs
        await stage.run_for(30)
        assert stage.situations[-1] == "S-48" or stage.decision.beneath.id == "S-48"
        assert [(effect.verb, effect.cluster) for effect in stage.world.applied] == [
            ("promote", "west"),
            ("demote", "west"),
            ("promote", "west"),
        ]
