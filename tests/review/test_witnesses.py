"""One witness that hangs takes nothing away from another: who sees the primary vetoes for as long as it sees it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.support.stage import Stage
from watchdogd.core.model import ClusterId
from watchdogd.core.policy import Level
from watchdogd.daemon.gear import PairGear, Sighting, Witness
from watchdogd.daemon.wiring import open_gear


async def watched_by(stage: Stage, patch: pytest.MonkeyPatch, **witnesses: Witness) -> None:
    """The daemon is started anew with these."""

    async def with_witnesses(*given: Any, **more: Any) -> PairGear:
        return replace(await open_gear(*given, **more), witnesses=witnesses)

    await stage.leave()
    patch.setattr("tests.support.stage.open_gear", with_witnesses)
    await stage.start()


async def test_a_witness_that_hangs_does_not_silence_one_that_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sees(cluster: ClusterId) -> Sighting:
        return Sighting(sees=True, why="exit 0")

    async def hangs(cluster: ClusterId) -> Sighting:
        await asyncio.sleep(60.0)
        return Sighting(sees=False, why="no answer within 60 s")

    async with Stage(level=Level.AUTO) as stage:
        await watched_by(stage, monkeypatch, slow=hangs, sees=sees)
        await stage.run_until(25)
        stage.lose("east")
        await stage.run_for(150)
        assert stage.world.applied == []
        assert stage.ledger.run is None
