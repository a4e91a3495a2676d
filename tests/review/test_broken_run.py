"""A run that a bug of ours broke is not tried again before a human says so, whether or not that can be written down."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from tests.support.stage import Stage, WorldDns
from watchdogd.core.ledger import RunState
from watchdogd.core.policy import Level
from watchdogd.errors import Need
from watchdogd.ports import ChangeRef
from watchdogd.runbooks.context import RunContext


@pytest.mark.parametrize("is_full", [False, True], ids=["writable", "a full disk"])
async def test_a_run_that_broke_is_not_tried_again_by_itself(monkeypatch: pytest.MonkeyPatch, is_full: bool) -> None:
    tried: list[str] = []

    async with Stage(level=Level.AUTO) as stage:

        async def breaks(ctx: RunContext) -> None:
            tried.append(ctx.run_id)
            stage.journal.refusal = "the disk is full" if is_full else ""
            raise ValueError("a bug")

        monkeypatch.setattr("watchdogd.daemon.running.execute", breaks)
        await stage.run_until(25)
        stage.lose("east")
        with capture_logs() as said:
            await stage.run_for(60)
            assert len(tried) == 1
            stage.journal.refusal = ""
            await stage.run_for(10)
        assert len(tried) == 1
        about = [line["event"] for line in said if line["event"] in ("run_not_parked", "run_parked")]
        assert about == [*["run_not_parked"] * is_full, "run_parked"], "once each, however long the disk is full"
        run = stage.ledger.run
        assert run is not None
        assert (run.state, run.parked_need) == (RunState.PARKED, Need.BUG)
        await stage.ask("run-retry", run_id=run.run_id)
        await stage.run_for(5)
        assert len(tried) == 2


async def test_a_name_whose_run_broke_keeps_no_second_primary_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN section 6: a run whose remaining steps are convergent gives the slot back at once to settle-debt."""

    async def breaks(dns: WorldDns, change: ChangeRef) -> bool:
        raise ValueError("a bug")

    monkeypatch.setattr("tests.support.stage.WorldDns.is_in_sync", breaks)
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        lost = stage.lose("east")
        with capture_logs():  # a traceback takes long to print
            await stage.run_for(45)
        run = stage.ledger.run
        assert run is not None
        assert (run.runbook, run.parked_need) == ("cutover-dns", Need.BUG)
        stage.world.faults.clear(lost)
        await stage.run_for(25)
        assert [(effect.verb, effect.cluster) for effect in stage.world.applied] == [
            ("promote", "west"),
            ("demote", "east"),
        ]
