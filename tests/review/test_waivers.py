"""What a waiver does not cover: a veto that was not to be seen yet, and what a waived node says once it can be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scenarios.test_orders import gates_of
from tests.support.stage import Stage
from watchdogd.core.entries import RunOutcome
from watchdogd.core.policy import FencePolicy, Level, PairPolicy
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import FenceOutcome, FenceResult
from watchdogd.rehearsal.site import EAST


def without_a_fence(policy: PairPolicy) -> PairPolicy:
    waived = FencePolicy(waived="none yet")
    return replace(policy, clusters={c: replace(p, fence=waived) for c, p in policy.clusters.items()})


@pytest.mark.parametrize("until_s", [25.0, 26.0])  # where in the five seconds between two heartbeats it starts anew
async def test_who_waives_the_window_waits_for_a_secondary_that_was_not_heard_for_long_enough(until_s: float) -> None:
    # Only our own path is lost. A daemon that has just started has compared the secondary with itself for a second.
    async with Stage(level=Level.AUTO, change=without_a_fence) as stage:
        await stage.run_until(until_s)
        stage.fault(FaultKind.DROP, "link:bastion>east")
        await stage.run_for(30)
        await stage.kill()
        await stage.start()
        await stage.run_for(1.5)
        answer = await stage.ask("failover", target="west", waive="window")
        assert gates_of(answer) == {"secondary-blind"}
        await stage.run_for(30)
        assert gates_of(await stage.ask("failover", target="west", waive="window")) == {"secondary-sees"}
        assert stage.world.counts.two_writable_primaries_s == 0


async def test_who_waives_the_window_of_a_true_loss_waits_for_three_heartbeats() -> None:
    async with Stage(level=Level.APPROVE, change=without_a_fence) as stage:
        await stage.run_until(25)
        stage.lose("east")
        await stage.run_for(5)
        await stage.kill()
        await stage.start()
        await stage.run_for(stage.policy.timing.heartbeat_stale_after_s + 2)
        assert not (await stage.ask("failover", target="west", waive="window")).is_error
        await stage.run_for(30)
        assert stage.ledger.elected == "west"


async def test_a_waived_node_that_turns_out_sealed_ends_the_failover() -> None:
    # It is one unseal away from being a primary, as any other sealed node: the waiver was for what could not be read.
    async with Stage(level=Level.APPROVE) as stage:
        await stage.run_until(25)
        unreadable = stage.fault(FaultKind.STRANGE, "node:east/1", status=429, text="slow down")
        stage.fault(FaultKind.CRASH, "node:east/2")
        stage.fault(FaultKind.CRASH, "node:east/3")
        await stage.run_for(60)
        stage.fence.result = FenceResult(outcome=FenceOutcome.TRY_AGAIN)
        waive = [f"node:{stage.policy.cluster(EAST).nodes[0]}", "window"]
        assert not (await stage.ask("failover", target="west", waive=waive)).is_error
        await stage.run_for(3)
        stage.world.faults.clear(unreadable)
        stage.fault(FaultKind.SEAL, "node:east/1")
        await stage.run_for(4)
        stage.fence.result = None
        await stage.run_for(20)
        assert [run.outcome for run in stage.ledger.recent_runs] == [RunOutcome.ABORTED]
        assert "sealed" in stage.ledger.recent_runs[0].why
        assert stage.world.applied == []
