"""A run that was left alone for long does not act by what its operator knew then: it waits for a human."""

from __future__ import annotations

from dataclasses import replace

from tests.support.stage import Stage
from watchdogd.core.ledger import RunState
from watchdogd.core.policy import Level, PairPolicy, Timing
from watchdogd.errors import Need
from watchdogd.lab.faults import FaultKind

LEFT_ALONE_S = 60.0


def soon_stale(policy: PairPolicy) -> PairPolicy:
    return replace(policy, timing=replace(policy.timing, resume_max_age_s=LEFT_ALONE_S))


def at_defaults() -> Stage:
    return Stage(level=Level.APPROVE, timing=Timing(), change=soon_stale)


async def asked_for_and_paused(stage: Stage) -> int:
    """Somebody asks for a failover before its window is full, and thinks better of it; the fault to clear."""
    await stage.run_until(60)
    lost = stage.fault(FaultKind.BLACKOUT, "region:east")
    await stage.run_for(20)
    assert not (await stage.ask("failover", target="west", waive=["window"])).is_error
    await stage.ask("pause")
    await stage.run_for(5)
    assert stage.ledger.run is not None
    assert stage.world.applied == []
    return lost


async def test_a_waiver_is_not_carried_over_a_long_pause_into_another_outage() -> None:
    """DESIGN section 6: untouched for long before its point of no return, a run parks."""
    async with at_defaults() as stage:
        lost = await asked_for_and_paused(stage)
        stage.world.faults.clear(lost)
        await stage.run_for(LEFT_ALONE_S)
        assert stage.facts.elected is not None
        assert stage.facts.elected.is_active_primary
        lost = stage.fault(FaultKind.BLACKOUT, "region:east")
        await stage.run_for(20)
        await stage.ask("resume")
        await stage.run_for(10)
        run = stage.ledger.run
        assert run is not None
        assert (run.state, run.parked_need) == (RunState.PARKED, Need.STALE_RUN)
        stage.world.faults.clear(lost)
        await stage.run_for(15)
        assert stage.world.applied == []
        assert stage.ledger.run is None, "the source is back: a veto, parked or not"


async def test_a_run_that_was_left_alone_goes_on_when_a_human_says_so() -> None:
    async with at_defaults() as stage:
        await asked_for_and_paused(stage)
        await stage.run_for(LEFT_ALONE_S)
        await stage.ask("resume")
        await stage.run_for(10)
        run = stage.ledger.run
        assert run is not None
        assert not (await stage.ask("run-retry", run_id=run.run_id)).is_error
        await stage.run_for(60)
        assert stage.ledger.elected == "west"


async def test_a_late_run_with_a_waiver_does_not_go_on_by_itself_after_a_long_pause() -> None:
    async with at_defaults() as stage:
        await stage.run_until(60)
        stage.fault(FaultKind.BLACKOUT, "region:east")
        await stage.run_for(20)
        cut = stage.fault(FaultKind.DROP, "link:bastion>west")
        assert not (await stage.ask("failover", target="west", waive=["window"])).is_error
        await stage.run_for(30)
        run = stage.ledger.run
        assert run is not None
        assert run.parked_need == Need.DEADLINE
        await stage.ask("pause")
        stage.world.faults.clear(cut)
        await stage.run_for(LEFT_ALONE_S)
        await stage.ask("resume")
        await stage.run_for(30)
        assert stage.world.applied == []
        assert stage.ledger.run is not None
        assert stage.ledger.run.parked_need == Need.STALE_RUN


async def test_a_late_run_that_waives_nothing_goes_on_by_what_it_sees_after_a_long_pause() -> None:
    async with at_defaults() as stage:
        await stage.run_until(60)
        stage.fault(FaultKind.BLACKOUT, "region:east")
        await stage.run_for(70)
        assert not (await stage.ask("failover", target="west")).is_error
        cut = stage.fault(FaultKind.DROP, "link:bastion>west")
        await stage.run_for(30)
        run = stage.ledger.run
        assert run is not None
        assert run.parked_need == Need.DEADLINE
        await stage.ask("pause")
        await stage.run_for(LEFT_ALONE_S)
        stage.world.faults.clear(cut)
        await stage.run_for(30)
        assert stage.world.applied == []
        await stage.ask("resume")
        await stage.run_for(60)
        assert stage.ledger.elected == "west"
