"""Witnesses: who sees the primary vetoes for as long as it sees it, whoever else hangs, and makes nobody younger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.stage import Stage
from watchdogd.adapters.settings import PairSettings, VaultWitness
from watchdogd.adapters.vault.names import NameTable
from watchdogd.adapters.vault.transport import TlsOptions
from watchdogd.core.model import ClusterId, NodeAddress, Replication
from watchdogd.core.policy import Level
from watchdogd.daemon.gear import PairGear, Sighting, Witness
from watchdogd.daemon.wiring import Seams, open_gear
from watchdogd.lab.knobs import DeadLinkState, Knobs
from watchdogd.lab.spec import ClusterSpec, WorldSpec
from watchdogd.lab.wire import Place
from watchdogd.ports import HttpReply, HttpRequest, HttpTransport


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


class Reporting:
    """The one node of a performance secondary that goes on hearing its primary, whatever becomes of anybody else."""

    node = NodeAddress("https://reporting.example.net:8200")
    vault_id = "6c1d7c3e-2f0a-4a55-8f5e-0a9d5f1b7c22"

    async def __call__(
        self, request: HttpRequest, *, timeout_s: float, only_on_connection: int | None = None
    ) -> HttpReply:
        now_s = asyncio.get_running_loop().time()
        beat_utc = datetime.fromtimestamp(1_790_000_000.0 + 5.0 * (now_s // 5.0), UTC)
        bodies: dict[str, dict[str, object]] = {
            "sys/health": {
                "initialized": True,
                "sealed": False,
                "standby": False,
                "server_time_utc": 1_790_000_000 + int(now_s),
                "version": "1.19.0+ent",
                "cluster_id": self.vault_id,
            },
            "sys/leader": {"ha_enabled": True, "is_self": True, "leader_address": self.node},
            "sys/replication/performance/status": {
                "mode": "secondary",
                "cluster_id": "9a4d1c2e-6d77-0c1b-7f6c-2f1a35a7a001",
                "state": "stream-wals",
                "primaries": [{"cluster_address": "https://east:8201", "last_heartbeat": beat_utc.isoformat()}],
            },
        }
        path = request.url.removeprefix(f"{self.node}/v1/").partition("?")[0]
        return HttpReply(status=200, headers={}, body=json.dumps(bodies[path]).encode(), connection=1)


async def seen_by_reporting(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """The daemon is started anew with a witness as in config/watchdogd.toml: of the other kind of replication."""
    given = VaultWitness(
        name="reporting",
        nodes=(Reporting.node,),
        vault_id=Reporting.vault_id,
        replication=Replication.PERFORMANCE,
        tls=TlsOptions(),
    )

    async def with_reporting(settings: PairSettings, anchors: Any, seams: Seams, **more: Any) -> PairGear:
        @asynccontextmanager
        async def transport(node: NodeAddress, tls: TlsOptions, names: NameTable) -> AsyncIterator[HttpTransport]:
            if node == Reporting.node:
                yield Reporting()
                return
            async with seams.transport(node, tls, names) as wire:
                yield wire

        with_it = replace(settings, witnesses=(given,))
        return await open_gear(with_it, anchors, replace(seams, transport=transport), **more)

    await stage.leave()
    patch.setattr("tests.support.stage.open_gear", with_reporting)
    await stage.start()


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


async def test_a_witness_of_the_other_kind_of_replication_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    # The id of its replication set is not in the config: it may be any. Were it blind, `auto` would stand on it, and
    # nothing would tell a dead primary from one that is only cut off.
    async with Stage(level=Level.AUTO) as stage:
        await seen_by_reporting(stage, monkeypatch)
        await stage.run_until(25)
        stage.lose("east")
        await stage.run_for(40)
        assert stage.world.applied == []
        assert [gate.gate for gate in stage.facts.closed_gates() if gate.gate.startswith("witness")] == [
            "witness:reporting"
        ]
