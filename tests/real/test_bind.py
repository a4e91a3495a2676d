"""BIND as the authoritative server: the adapter of Route 53 swaps, the daemon's resolver reads it back from BIND."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.conftest import Need
from tests.support import bind
from tests.support.bind import Bind
from tests.support.own_venv import NotHere
from tests.support.route53_bind import Bridge, bridged
from watchdogd.adapters.dns.resolver import NameWatch, NameWatchSettings
from watchdogd.adapters.dns.route53 import Clients, Route53, Route53Settings, open_route53
from watchdogd.core.model import PairId
from watchdogd.errors import Refusal, Refused
from watchdogd.ports import Record
from watchdogd.rehearsal.memory import DictMemory

pytestmark = pytest.mark.real

ZONE, ZONE_ID, NAME, TTL_S = "example.test", "Z0123456789ABCDEFGHIJ", "vault.example.test", 6
EAST, WEST, ELSEWHERE = "vault-east.example.test", "vault-west.example.test", "elsewhere.example.test"
AT_EAST, AT_WEST = (Record(targets=(target,), ttl_s=TTL_S) for target in (EAST, WEST))
SOON_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A provider in front of a BIND, and the resolver that asks BIND itself."""

    bind: Bind
    bridge: Bridge
    provider: Route53
    watch: NameWatch

    async def published(self) -> str | None:
        return (await self.watch.authoritative()).by_server[self.bind.server]


@pytest.fixture
async def bench(need: Need, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    named = need.program("named", package="bind9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    try:
        async with (
            bind.running(named, ZONE, f"vault {TTL_S} CNAME vault-east") as server,
            bridged(server, zone_id=ZONE_ID, name=NAME) as bridge,
            open_route53(Route53Settings(zone_id=ZONE_ID, record=NAME, endpoint_url=bridge.url), Clients()) as provider,
        ):
            settings = NameWatchSettings(record=NAME, authoritative=(server.server,))
            watch = NameWatch(settings, pair=PairId("prod"), memory=DictMemory())
            yield Bench(bind=server, bridge=bridge, provider=provider, watch=watch)
    except NotHere as exc:
        pytest.skip(str(exc))


async def test_a_swap_is_read_back_from_bind(bench: Bench) -> None:
    assert await bench.provider.observe() == AT_EAST
    assert await bench.published() == EAST
    change = await bench.provider.swap(AT_EAST, AT_WEST, "watchdogd pair prod epoch 2")
    async with asyncio.timeout(SOON_S):
        while not await bench.provider.is_in_sync(change):
            await asyncio.sleep(0.05)
    assert await bench.published() == WEST
    assert await bench.provider.observe() == AT_WEST
    assert [batch.comment for batch in bench.bridge.changes.values()] == ["watchdogd pair prod epoch 2"]


@pytest.mark.parametrize(
    "expected",
    [Record(targets=(WEST,), ttl_s=TTL_S), Record(targets=(EAST,), ttl_s=TTL_S + 1)],
    ids=["another target", "another TTL"],
)
async def test_a_stale_writer_changes_nothing(bench: Bench, expected: Record) -> None:
    with pytest.raises(Refused) as refused:
        await bench.provider.swap(expected, Record(targets=(ELSEWHERE,), ttl_s=TTL_S), "stale")
    assert refused.value.kind is Refusal.CONFLICT
    assert await bench.published() == EAST
    assert not bench.bridge.changes


async def test_of_two_writers_at_once_bind_lets_one_through(bench: Bench) -> None:
    wanted = (AT_WEST, Record(targets=(ELSEWHERE,), ttl_s=TTL_S))
    ends = await asyncio.gather(
        *(bench.provider.swap(AT_EAST, record, f"writer {n}") for n, record in enumerate(wanted)),
        return_exceptions=True,
    )
    lost = [end for end in ends if isinstance(end, Refused)]
    assert [end.kind for end in lost] == [Refusal.CONFLICT]
    assert len(bench.bridge.changes) == 1
    assert await bench.published() in (WEST, ELSEWHERE)
