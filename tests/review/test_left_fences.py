"""A fence that was left on a secondary comes off: by itself, or by a command that people are told."""

from __future__ import annotations

from dataclasses import replace

from tests.support.stage import Stage
from watchdogd.core.policy import Level, PairPolicy
from watchdogd.ports import FenceOutcome, FenceResult
from watchdogd.rehearsal.site import EAST

BUSY = FenceResult(outcome=FenceOutcome.TRY_AGAIN, output="busy")


def at_approve(policy: PairPolicy) -> PairPolicy:
    return replace(policy, levels=replace(policy.levels, settle_debt=Level.APPROVE))


def heals_soon(policy: PairPolicy) -> PairPolicy:
    return replace(policy, timing=replace(policy.timing, link_down_alert_s=20.0, link_down_heal_s=40.0))


async def settled_but_for_its_fence(stage: Stage) -> None:
    await stage.run_until(25)
    lost = stage.lose("east")
    await stage.run_for(45)
    stage.fence.off_result = BUSY
    stage.world.faults.clear(lost)
    await stage.run_till("S-40", within_s=60)
    if stage.policy.levels.settle_debt is Level.APPROVE:
        assert not (await stage.ask("start", runbook="settle-debt", target="west")).is_error
    await stage.run_for(50)
    assert stage.ledger.open_debt is None
    assert stage.world.is_fenced(EAST)


async def test_below_auto_there_is_a_command_that_turns_it_off() -> None:
    async with Stage(level=Level.AUTO, change=at_approve) as stage:
        await settled_but_for_its_fence(stage)
        stage.fence.off_result = None
        told = next(notice for notice in stage.notifier.told if notice.key == "S-19")
        assert told.command == "watchdogctl approve settle-debt west --pair prod --reason '...'"
        assert stage.world.is_fenced(EAST), "nothing of it goes by itself"
        assert not (await stage.ask("start", runbook="settle-debt", target="west")).is_error
        await stage.run_for(30)
        assert not stage.world.is_fenced(EAST)
        assert stage.ledger.fences == {}


async def test_it_comes_off_while_its_cluster_waits_to_be_rejoined() -> None:
    async with Stage(level=Level.AUTO, change=heals_soon) as stage:
        await settled_but_for_its_fence(stage)
        await stage.run_till("S-14", within_s=120)
        stage.fence.off_result = None
        await stage.run_for(75)
        assert not stage.world.is_fenced(EAST)
