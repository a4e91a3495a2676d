"""The provider that holds the name is asked before it is needed: a refusal is told while there is time."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.stage import READER, Stage, WorldDns
from watchdogd.adapters.metrics import Metrics
from watchdogd.core.explain import Shape
from watchdogd.core.policy import Level, Policy
from watchdogd.daemon.measuring import Measuring
from watchdogd.daemon.protocol import Asked
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import Record, Severity
from watchdogd.rehearsal.site import PAIR

KEY = "name_provider"


async def said_of_it(stage: Stage) -> list[str]:
    answer = await stage.orders.ask(Asked(verb="explain", pair=PAIR), READER)
    evidence: list[Shape] = answer.body["evidence"]  # type: ignore[assignment]
    return [str(one["seen"]) for one in evidence if one["source"] == "provider of the name"]


async def test_a_provider_that_does_not_answer_is_told_while_the_pair_is_well_and_ends_with_it() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(30)
        assert await said_of_it(stage) == ["shows the record"]
        stage.fault(FaultKind.AWS_DEAD, "aws")
        await stage.run_for(400)
        (told, *_) = [notice for notice in stage.notifier.told if notice.key == KEY]
        assert told.severity is Severity.WARN
        assert "could not be moved now" in told.summary
        assert await said_of_it(stage) != ["shows the record"]
        stage.world.faults.clear()
        await stage.run_for(40)
        assert await said_of_it(stage) == ["shows the record"]
        assert stage.world.applied == []


def measured(stage: Stage, metrics: Metrics, check: str) -> float | None:
    """The metric of one part of being ready, as it would be scraped now."""
    Measuring(metrics, Policy(pairs={PAIR: stage.policy})).surveyed([stage.unit], stage.clock.now_s(), is_fed=True)
    return metrics.registry.get_sample_value("watchdogd_readiness_check", {"pair": PAIR, "check": check})


async def test_the_metrics_say_which_part_of_being_ready_is_missing() -> None:
    metrics = Metrics()
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(60)
        for check in ("name-provider", "proof", "anchors", "merkle-tree"):
            assert measured(stage, metrics, check) == 1, check
        ready = metrics.registry.get_sample_value("watchdogd_failover_ready", {"pair": PAIR})
        assert ready == 1
        stage.fault(FaultKind.AWS_DEAD, "aws")
        stage.reachable = False
        await stage.run_for(400)
        assert measured(stage, metrics, "name-provider") == measured(stage, metrics, "anchors") == 0
        assert measured(stage, metrics, "proof") == 1
        assert metrics.registry.get_sample_value("watchdogd_failover_ready", {"pair": PAIR}) == 0


async def test_it_is_left_alone_while_the_pair_is_not_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_s: list[float] = []
    observe = WorldDns.observe

    async def counted(dns: WorldDns) -> Record:
        asked_s.append(asyncio.get_running_loop().time())
        return await observe(dns)

    monkeypatch.setattr(WorldDns, "observe", counted)
    async with Stage(level=Level.OBSERVE) as stage:
        await stage.run_until(400)
        assert len(asked_s) == 2, "at the start, and every five minutes"
        stage.lose("east")
        await stage.run_for(900)
        assert len(asked_s) == 2
