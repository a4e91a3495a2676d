"""Signals and reloads on the real process: what changes is wired anew, what cannot keeps everything as it was."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import trustme

from tests.support.configs import Table
from tests.support.live_daemon import DaemonProcess
from tests.support.live_pair import PAIR, ServedWorld, closed_gates, happened, served_world, until_ready
from watchdogd.lab.events import What

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

SOON_S = 60.0
Doors = tuple[ServedWorld, DaemonProcess]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    async with served_world(tmp_path_factory.mktemp("signals")) as world, world.daemon() as daemon:
        await until_ready(daemon)
        yield world, daemon


async def reloaded(daemon: DaemonProcess, event: str = "config_reloaded") -> Any:
    since = len(daemon.log)
    daemon.send(signal.SIGHUP)
    return await daemon.said(lambda line: line["event"] == event, timeout_s=SOON_S, since=since)


def level(word: str) -> Callable[[Table], object]:
    return lambda table: table["pair"][PAIR]["levels"].update(failover=word)


async def until_healthy(daemon: DaemonProcess) -> None:
    """Ready but for the level, which is a gate of its own."""
    open_later = {"window", "secondary-sees", "level"}
    await daemon.until(lambda explained: closed_gates(explained) <= open_later, timeout_s=90)


async def level_of(daemon: DaemonProcess) -> str:
    _, body = await daemon.get("/status")
    return str(body["pairs"][0].get("level"))


async def test_a_hangup_applies_what_changed_and_says_what_it_was(doors: Doors) -> None:
    world, daemon = doors
    assert (await reloaded(daemon))["changed"] == []
    world.write_config(level("observe"))
    said = await reloaded(daemon)
    assert said["changed"] == [f"pair.{PAIR}.levels.failover: auto -> observe"]
    assert said["rewired"] == [PAIR]
    await until_healthy(daemon)
    assert await level_of(daemon) == "observe"
    world.write_config()
    await reloaded(daemon)
    assert (await daemon.get("/history?limit=20"))[1]["entries"][0]["kind"] in ("hold_placed", "hold_lifted")
    await until_ready(daemon)
    assert await level_of(daemon) == "auto"


def broken(table: Table) -> None:
    table["pair"][PAIR]["timing"]["probe_timeout"] = "5s"


def renamed(table: Table) -> None:
    pair = table["pair"][PAIR]
    pair["cluster"]["north"] = pair["cluster"].pop("west")
    pair["dns"]["targets"]["north"] = pair["dns"]["targets"].pop("west")


CANNOT: dict[str, tuple[Callable[[Table], object], str]] = {
    "a broken rule": (broken, "probe_timeout"),
    "a cluster renamed": (renamed, f"pair.{PAIR}.cluster"),
    "state_dir": (lambda table: table.update(state_dir="/var/lib/elsewhere"), "state_dir"),
    "socket": (lambda table: table["control"].update(socket="/run/elsewhere.sock"), "control.socket"),
    "listen": (lambda table: table["listen"].update(http="127.0.0.1:1"), "listen.http"),
    "a pair more": (lambda table: table["pair"].update(more=dict(table["pair"][PAIR])), "pair"),
}


@pytest.mark.parametrize("name", CANNOT)
async def test_what_cannot_be_applied_keeps_everything_as_it_was(doors: Doors, name: str) -> None:
    world, daemon = doors
    change, place = CANNOT[name]
    world.write_config(change, level("observe"))
    said = await reloaded(daemon, "config_not_reloaded")
    assert place in said["error"]["message"]
    assert await level_of(daemon) == "auto"
    world.write_config()
    status, body = await daemon.post("/reload", {"reason": "as it was"})
    assert (status, body["changed"]) == (200, [])


async def test_a_signal_that_is_switched_off_is_heard_and_does_nothing(doors: Doors) -> None:
    world, daemon = doors
    world.write_config(lambda table: table["control"].update(signals=["HUP"]))
    assert (await reloaded(daemon))["rewired"] == []
    for name in ("TERM", "USR1", "USR2"):
        since = len(daemon.log)
        daemon.send(signal.Signals[f"SIG{name}"])
        await daemon.said(
            lambda line, n=name: line["event"] == "signal_ignored" and line["signal"] == n,  # type: ignore[misc]
            timeout_s=SOON_S,
            since=since,
        )
    world.write_config()
    await reloaded(daemon)
    assert (await daemon.get("/status"))[1]["pairs"][0]["paused"] is None


async def test_usr1_without_anything_pending_does_nothing_and_says_so(doors: Doors) -> None:
    _, daemon = doors
    since = len(daemon.log)
    daemon.send(signal.SIGUSR1)
    said = await daemon.said(lambda line: line["event"] == "signal_refused", timeout_s=SOON_S, since=since)
    assert "exactly one pair" in said["error"]["message"]


async def test_usr2_pauses_until_a_human_resumes_also_over_a_restart(doors: Doors, tmp_path: Path) -> None:
    async with served_world(tmp_path) as world:
        async with world.daemon() as daemon:
            await until_ready(daemon)
            daemon.send(signal.SIGUSR2)
            await daemon.said(lambda line: line["event"] == "signal_obeyed", timeout_s=SOON_S)
            assert await daemon.terminate() == 0
        async with world.daemon() as daemon:
            await daemon.until(lambda explained: explained["situation"] == "S-10", timeout_s=60)
            assert (await daemon.get("/status"))[1]["pairs"][0]["paused"] == "SIGUSR2"
            assert (await daemon.post(f"/pairs/{PAIR}/resume", {"reason": "looked"}))[0] == 200


async def test_an_outage_that_exists_when_a_reload_raises_the_level_is_held_until_usr1_approves(tmp_path: Path) -> None:
    async with served_world(tmp_path) as world:
        world.write_config(level("observe"))
        async with world.daemon() as daemon:
            await until_healthy(daemon)
            world.lose_region("east")
            await daemon.until(lambda explained: explained["situation"] == "S-30", timeout_s=90)
            world.write_config()
            await reloaded(daemon)
            await daemon.until(lambda explained: explained["situation"] == "S-30", timeout_s=90)
            await asyncio.sleep(3.0)  # it decides once a second
            assert "level" in (await daemon.get("/status"))[1]["pairs"][0]["hold"]
            assert not world.lab.world.applied
            daemon.send(signal.SIGUSR1)
            await daemon.said(lambda line: line["event"] == "run_opened", timeout_s=SOON_S)
            world.write_config(level("observe"))
            assert "a run is open" in (await reloaded(daemon, "config_not_reloaded"))["error"]["message"]
            await world.seen(happened(What.APPLIED, verb="promote", cluster="west"), timeout_s=60)


async def test_what_comes_after_term_begins_nothing_and_a_pause_holds_the_next_process(tmp_path: Path) -> None:
    async with served_world(tmp_path) as world:
        async with world.daemon() as daemon:
            await until_ready(daemon)
            world.lose_region("east")
            await world.seen(happened(What.APPLIED, verb="promote", cluster="west"), timeout_s=90)
            world.write_config(level("observe"))
            for name in ("TERM", "HUP", "USR1", "USR2"):
                daemon.send(signal.Signals[f"SIG{name}"])
            assert await daemon.terminate() == 0, "TERM once more changes nothing"
            refused = {
                line["signal"]: line["error"]["message"] for line in daemon.log if line["event"] == "signal_refused"
            }
            assert refused.keys() == {"HUP", "USR1"}
            assert "told to stop" in refused["HUP"]
            assert [line["signal"] for line in daemon.log if line["event"] == "signal_obeyed"] == ["USR2"]
        world.write_config()
        async with world.daemon() as daemon:
            await daemon.until(lambda explained: explained["situation"] == "S-01", timeout_s=60)
            assert (await daemon.get("/status"))[1]["pairs"][0]["paused"] == "SIGUSR2"
            assert not world.events(What.NAME_CHANGED)
            assert (await daemon.post(f"/pairs/{PAIR}/resume", {"reason": "looked"}))[0] == 200
            await world.seen(happened(What.NAME_CHANGED), timeout_s=60)


async def metrics_of(world: ServedWorld) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://{world.http}/metrics") as reply:
        return await reply.text()


async def until_shown(world: ServedWorld, metric: str) -> None:
    async with asyncio.timeout(SOON_S):
        while metric not in await metrics_of(world):
            await asyncio.sleep(0.5)


async def test_a_ca_file_that_was_replaced_is_read_at_a_hangup_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    async with served_world(tmp_path) as world:
        used = tmp_path / "ca.pem"
        used.write_bytes(good := world.lab.authority.pem)

        def with_own_ca(table: Table) -> None:
            for cluster in table["pair"][PAIR]["cluster"].values():
                cluster["tls"]["ca_file"] = str(used)

        world.write_config(with_own_ca)
        async with world.daemon() as daemon:
            await until_ready(daemon)
            used.write_text("no certificate", encoding="utf-8")
            assert str(used) in (await reloaded(daemon, "config_not_reloaded"))["error"]["message"]
            assert (await daemon.explain())["situation"] == "S-10", "what was read before stays in use"
            used.write_bytes(trustme.CA().cert_pem.bytes())
            said = await reloaded(daemon)
            assert (said["changed"], said["rewired"]) == ([f"{used}: its content was replaced"], [PAIR])
            await until_shown(world, 'reading="ours"} 1.0')  # another authority vouches for nobody here
            await until_shown(world, 'watchdogd_config_reloads_total{outcome="refused"} 1.0')
            await until_shown(world, 'watchdogd_config_reloads_total{outcome="applied"} 1.0')
            used.write_bytes(good)
            await reloaded(daemon)
            await until_ready(daemon)
