"""Witnesses: who sees the primary vetoes for as long as it sees it, whoever else hangs, and makes nobody younger."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.support.stage import Stage
from watchdogd.adapters.settings import VaultWitness
from watchdogd.adapters.vault.transport import TlsOptions
from watchdogd.core.model import ClusterId, NodeAddress, Replication
from watchdogd.core.policy import Level
from watchdogd.daemon.gear import PairGear, Sighting, Witness
from watchdogd.daemon.wiring import open_gear
from watchdogd.lab.knobs import DeadLinkState, Knobs
from watchdogd.lab.spec import ClusterSpec, WorldSpec
from watchdogd.lab.wire import Place


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


async def seen_by_third(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """The daemon is started anew with the cluster `third` as a witness."""
    spec = stage.world.spec
    third = VaultWitness(
        name="third",
        nodes=tuple(NodeAddress(spec.api_addr(f"third/{n}", Place.BASTION)) for n in (1, 2, 3)),
        vault_id=stage.world.clusters["third"].vault_id,
        replication=Replication.DR,
        tls=TlsOptions(),
    )

    async def with_third(settings: Any, *given: Any, **more: Any) -> PairGear:
        return await open_gear(replace(settings, witnesses=(third,)), *given, **more)

    await stage.leave()
    patch.setattr("tests.support.stage.open_gear", with_third)
    await stage.start()


async def test_a_heartbeat_that_a_witness_heard_before_the_loss_is_no_life_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It vetoes for three beats. Were the primary said to live for as long, the state that the secondary falls into by
    # the loss would be its last known one, and no failover could ever follow.
    clusters = tuple(ClusterSpec(name=name) for name in ("east", "west", "third"))
    falls_idle = Knobs(dead_link_state=DeadLinkState.IDLE, idle_after_s=2.0)
    async with Stage(level=Level.AUTO, spec=WorldSpec(clusters=clusters, knobs=falls_idle)) as stage:
        await seen_by_third(stage, monkeypatch)
        await stage.run_until(25)
        stage.lose("east")
        await stage.run_for(25)
        assert [(effect.verb, effect.cluster) for effect in stage.world.applied] == [("promote", "west")]
