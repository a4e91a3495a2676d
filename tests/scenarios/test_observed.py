"""What the daemon sees and says at level observe, where it never touches anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.stage import Stage
from watchdogd.core.decision import Execution
from watchdogd.core.entries import RunOutcome
from watchdogd.core.facts import Sight
from watchdogd.core.policy import FencePolicy, Level, PairPolicy, Timing
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import FenceOutcome, FenceResult, Severity
from watchdogd.rehearsal.lab_settings import DEMO
from watchdogd.rehearsal.site import EAST

HEALTHY_BY_S = 20.0


def unfenced(policy: PairPolicy) -> PairPolicy:
    """A pair whose primary no fence holds."""
    east = replace(policy.cluster(EAST), fence=FencePolicy(waived="SEC-1"))
    return replace(policy, clusters={**policy.clusters, EAST: east})


def detection_s(timing: Timing) -> float:
    """Interval, probe time-out, the longest window and one tick: what `watchdogd timing` prints as detection."""
    window_s = max(timing.down_after_s, timing.heartbeat_stale_after_s)
    return timing.interval_s + timing.probe_timeout_s + window_s + 1.0


async def healthy(stage: Stage) -> None:
    """Past the cold start, everything proven, the link seen."""
    await stage.run_until(HEALTHY_BY_S)
    assert stage.timeline[-1].situation == "S-10"


async def test_a_healthy_pair_is_s_10_and_ready() -> None:
    async with Stage() as stage:
        await stage.run_until(30)
        assert (stage.timeline[-1].situation, stage.timeline[-1].name_situation) == ("S-10", "N-10")
        assert stage.ledger.elected == "east"
        assert {gate.gate for gate in stage.facts.closed_gates()} == {"level", "window", "secondary-sees"}
        assert stage.notifier.pages == ()


@pytest.mark.parametrize("timing", [DEMO, Timing()], ids=["demo", "defaults"])
async def test_a_lost_region_would_fail_over_within_the_printed_bound(timing: Timing) -> None:
    async with Stage(timing=timing) as stage:
        await stage.run_until(90)
        stage.lose("east")
        at_s = await stage.run_till("S-30", within_s=90)
        assert at_s - 90 <= detection_s(timing)
        todo = stage.decision.todo[0]
        assert (todo.runbook, todo.execution, todo.target, todo.goes) == ("failover", Execution.WOULD, "west", False)
        assert "S-30" in stage.notifier.pages
        assert "lost_sight" not in stage.notifier.pages
        assert stage.world.applied == []


async def test_losing_only_our_own_path_is_s_20_and_never_a_failover() -> None:
    async with Stage() as stage:
        await healthy(stage)
        stage.fault(FaultKind.DROP, "link:bastion>east")
        await stage.run_till("S-20", within_s=10)
        await stage.run_for(60)
        assert stage.timeline[-1].situation == "S-20"
        assert stage.facts.sight is Sight.SEES
        assert not stage.decision.todo
        assert "lost_sight" in stage.notifier.pages


async def test_losing_only_the_replication_link_is_shown_and_later_asks_for_a_heal() -> None:
    async with Stage() as stage:
        await healthy(stage)
        stage.fault(FaultKind.DROP, "repl:east>west")
        await stage.run_till("S-13", within_s=60)
        assert stage.timeline[-1].situation == "S-13"
        await stage.run_for(stage.policy.timing.link_down_heal_s)
        assert stage.timeline[-1].situation == "S-14"
        assert "S-30" not in stage.situations
        assert stage.notifier.pages == ()


async def test_a_sealed_primary_is_paged_and_left_alone() -> None:
    async with Stage() as stage:
        await healthy(stage)
        stage.fault(FaultKind.SEAL, "cluster:east")
        await stage.run_till("S-24", within_s=20)
        await stage.run_for(60)
        assert stage.timeline[-1].situation == "S-24"
        assert stage.decision.todo == ()
        assert stage.ledger.runs == ()
        assert "S-24" in stage.notifier.pages


async def test_nobody_fails_over_past_a_sealed_primary_whatever_is_waived() -> None:
    """It is one unseal away from being a primary: promote would come as its nodes hold their election."""
    async with Stage(level=Level.APPROVE, change=unfenced, writers=2) as stage:
        await healthy(stage)
        stage.fault(FaultKind.SEAL, "cluster:east")
        await stage.run_till("S-24", within_s=20)
        await stage.run_for(2)
        answer = await stage.ask("failover", target="west", waive="window")
        assert answer.is_error
        assert "sealed does not count as down" in str(answer.body)
        assert stage.ledger.runs == ()
        stage.world.faults.clear(kind=FaultKind.SEAL)
        await stage.run_for(60)
        assert stage.world.counts.two_writable_primaries_s == 0
        assert stage.world.applied == []


async def test_a_failover_without_its_window_ends_when_a_node_of_the_primary_turns_out_sealed() -> None:
    """Its processes come back sealed while the fence closes; then somebody unseals them."""
    async with Stage(level=Level.APPROVE, writers=2) as stage:
        await healthy(stage)
        stage.fault(FaultKind.CRASH, "cluster:east")
        await stage.run_till("S-30", within_s=60)
        stage.fence.result = FenceResult(outcome=FenceOutcome.TRY_AGAIN)
        assert not (await stage.ask("failover", target="west", waive="window")).is_error
        await stage.run_for(2)
        stage.fault(FaultKind.SEAL, "cluster:east")
        stage.world.faults.clear(kind=FaultKind.CRASH)
        await stage.run_for(4)
        stage.fence.result = None
        await stage.run_for(10)
        (run,) = stage.ledger.runs
        assert run.outcome is RunOutcome.ABORTED
        assert "sealed does not count as down" in run.why
        stage.world.faults.clear(kind=FaultKind.SEAL)
        await stage.run_for(60)
        assert stage.world.counts.two_writable_primaries_s == 0
        assert stage.world.applied == []


async def test_both_regions_out_of_sight_is_never_taken_for_a_failure() -> None:
    async with Stage() as stage:
        await healthy(stage)
        stage.reachable = False
        stage.fault(FaultKind.DROP, "link:bastion>east")
        stage.fault(FaultKind.DROP, "link:bastion>west")
        await stage.run_for(120)
        assert "S-30" not in stage.situations
        assert stage.timeline[-1].situation == "S-36"


async def test_a_suspicion_is_warned_of_at_half_of_its_window_and_names_what_is_missing() -> None:
    async with Stage(timing=Timing()) as stage:
        await stage.run_until(90)
        stage.lose("east")
        await stage.run_for(0.4 * Timing().down_after_s)
        assert stage.timeline[-1].situation == "S-26"
        assert "suspect" not in stage.notifier.keys()
        await stage.run_for(0.3 * Timing().down_after_s)
        warned = [notice for notice in stage.notifier.told if notice.key == "suspect"]
        assert [notice.severity for notice in warned] == [Severity.WARN]
        assert any("whole window" in line for line in warned[0].details)
