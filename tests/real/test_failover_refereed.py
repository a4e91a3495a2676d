"""A whole failover of a real daemon: BIND publishes the name, a real Prometheus watches, promtool reads the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Need
from tests.support import bind
from tests.support.bind import Bind
from tests.support.configs import Table
from tests.support.live_pair import (
    DETECTED_S_MAX,
    PAIR,
    Change,
    ServedWorld,
    served_world,
    until_ready,
)
from tests.support.own_venv import NotHere
from tests.support.prometheus import Prometheus, complaints, scraping
from tests.support.route53_bind import Bridge, bridged
from watchdogd.lab.events import What

pytestmark = [pytest.mark.real, pytest.mark.live, pytest.mark.timeout(240)]

SCRAPED_S_MAX = 30.0  # the first scrape comes after the discovery's own 5 s
STORED_S_MAX = 30.0
POLL_S = 0.1
SEEN_AFTERWARDS = (
    f'watchdogd_epoch{{pair="{PAIR}"}} == 1',
    'watchdogd_dns_serving{cluster="west"} == 1',
    'watchdogd_demotion_debt{cluster="east"} == 1',
    'watchdogd_runs_total{runbook="failover",outcome="succeeded"} == 1',
    "changes(watchdogd_epoch[10m]) == 1",
    "max_over_time(watchdogd_window_progress_ratio[10m]) > 0",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refereed:
    """Who looks on."""

    world: ServedWorld
    server: Bind
    bridge: Bridge
    scraped: Prometheus


def named_by(server: Bind, bridge: Bridge) -> Change:
    """The config for a name that is changed through the bridge and looked up at BIND."""

    def change(table: Table) -> None:
        dns = table["pair"][PAIR]["dns"]  # type: ignore[index]
        dns |= {"endpoint_url": bridge.url, "authoritative": [server.server], "resolvers": [server.server]}

    return change


async def metrics_of(world: ServedWorld) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(f"http://{world.http}/metrics") as reply:
        return await reply.read()


async def until_published(server: Bind, name: str, target: str) -> None:
    async with asyncio.timeout(DETECTED_S_MAX):
        while (found := await server.cname(name)) is None or found[0] != f"{target}.":
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def refereed(need: Need, folder: Path) -> AsyncIterator[Refereed]:
    """A lab, a BIND that publishes its service name, and a Prometheus that scrapes a daemon yet to be started."""
    named = need.program("named", package="bind9")
    prometheus = need.program("prometheus", package="prometheus")
    try:
        async with AsyncExitStack() as stack:
            world = await stack.enter_async_context(served_world(folder))
            file, name = world.file, world.file.service_name
            record = f"{name}. {file.ttl_s} CNAME {file.clusters['east'].dns_name}."
            server = await stack.enter_async_context(bind.running(named, name.partition(".")[2], record))
            bridge = await stack.enter_async_context(bridged(server, zone_id=file.zone_id, name=name))
            scraped = await stack.enter_async_context(scraping(prometheus, world.http, folder))
            world.write_config(named_by(server, bridge))
            yield Refereed(world=world, server=server, bridge=bridge, scraped=scraped)
    except NotHere as exc:
        pytest.skip(str(exc))


async def test_a_failover_is_published_by_bind_and_seen_by_prometheus(need: Need, tmp_path: Path) -> None:
    promtool = need.program("promtool", package="prometheus")
    async with refereed(need, tmp_path) as by, by.world.daemon() as daemon:
        world, scraped = by.world, by.scraped
        await until_ready(daemon)
        assert await complaints(promtool, await metrics_of(world)) == ""
        await scraped.until(f'watchdogd_epoch{{pair="{PAIR}"}} == 0', timeout_s=SCRAPED_S_MAX)
        await scraped.until('watchdogd_dns_serving{cluster="east"} == 1', timeout_s=SCRAPED_S_MAX)
        world.lose_region("east")
        await until_published(by.server, world.file.service_name, world.file.clusters["west"].dns_name)
        assert world.applied("promote", "west") == 1
        assert not world.events(What.NAME_CHANGED), "nobody but BIND was told"
        assert len(by.bridge.changes) == 1
        for query in SEEN_AFTERWARDS:
            await scraped.until(query, timeout_s=STORED_S_MAX)
        assert await complaints(promtool, await metrics_of(world)) == ""
