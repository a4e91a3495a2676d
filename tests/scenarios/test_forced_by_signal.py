"""SIGUSR1: it approves and skips waiting time, passes over no veto, and does nothing under `observe`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.scenarios.test_orders import code_of, gates_of
from tests.support.stage import Stage
from watchdogd.core.policy import Level
from watchdogd.daemon.forcing import force
from watchdogd.lab.faults import FaultKind
from watchdogd.rehearsal.lab_settings import DEMO
from watchdogd.rehearsal.site import OPERATOR


async def test_it_skips_the_waiting_time_of_the_one_pair_that_is_suspect() -> None:
    # Nothing but time is waited for: the secondary has fallen silent already.
    async with Stage(level=Level.AUTO, timing=replace(DEMO, down_after_s=60.0, cold_start_s=60.0)) as stage:
        await stage.run_until(25)
        stage.fault(FaultKind.CRASH, "region:east")
        lost_s = asyncio.get_running_loop().time()
        answer = await force(stage.orders, OPERATOR)
        while answer.is_error and asyncio.get_running_loop().time() < lost_s + 30:
            await stage.run_for(1)
            answer = await force(stage.orders, OPERATOR)
        assert answer.status == 202
        assert stage.ledger.run is not None
        assert stage.ledger.run.waivers == {"window"}
        await stage.run_for(30)
        assert stage.world.primary() == "west"


async def test_a_failover_asked_for_now_skips_the_waiting_time_and_no_veto() -> None:
    async with Stage(level=Level.OBSERVE, timing=replace(DEMO, down_after_s=60.0, cold_start_s=60.0)) as stage:
        await stage.run_until(25)
        alive = await stage.ask("failover", target="west", now=True)
        assert "is an active primary" in str(alive.body)
        stage.fault(FaultKind.CRASH, "region:east")
        await stage.run_for(5)
        assert gates_of(await stage.ask("failover", target="west", now=True)) == {"secondary-sees"}
        await stage.run_for(20)
        assert "window" in gates_of(await stage.ask("failover", target="west"))
        assert (await stage.ask("failover", target="west", now=True)).status == 202
        assert stage.ledger.run is not None
        assert stage.ledger.run.waivers == {"window"}


async def test_it_is_the_approval_of_an_outage_that_is_held() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        await stage.ask("pause")
        stage.lose("east")
        await stage.run_for(30)
        assert "paused" in gates_of(await force(stage.orders, OPERATOR))
        await stage.ask("resume")
        await stage.run_for(20)
        assert stage.ledger.hold
        assert (await force(stage.orders, OPERATOR)).status == 202
        await stage.run_for(30)
        assert stage.world.primary() == "west"


@pytest.mark.parametrize("is_lost", [False, True])
async def test_it_does_nothing_under_observe_or_when_nothing_is_pending(is_lost: bool) -> None:
    async with Stage(level=Level.OBSERVE if is_lost else Level.AUTO) as stage:
        await stage.run_until(25)
        if is_lost:
            stage.lose("east")
            await stage.run_till("S-30", within_s=60)
        assert code_of(await force(stage.orders, OPERATOR)) == "stale"
        await stage.run_for(30)
        assert stage.world.applied == []


async def test_it_passes_over_no_veto() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        for n in (1, 2, 3):  # silent for us alone: the secondary goes on hearing it
            stage.fault(FaultKind.DROP, f"node:east/{n}", place="bastion")
        await stage.run_for(12)
        assert stage.decision.phase == "suspect"
        assert "secondary-sees" in gates_of(await force(stage.orders, OPERATOR))
        await stage.run_for(30)
        assert stage.world.applied == []
