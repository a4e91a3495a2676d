"""The provider that holds the name is asked before it is needed: a refusal is told while there is time."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.stage import PAIR, READER, Stage, WorldDns
from watchdogd.core.explain import Shape
from watchdogd.core.policy import Level
from watchdogd.daemon.protocol import Asked
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import Record, Severity

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
