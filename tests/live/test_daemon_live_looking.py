"""What the daemon makes of a world that it cannot read: it says what it met and where, pages, and moves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.live_daemon import DaemonProcess, Line, started
from tests.support.live_pair import ServedWorld, closed_gates, served_world, until_ready
from tests.support.live_stories import Story, Told, names_asked_for, told_together
from watchdogd.lab.certs import Flaw
from watchdogd.lab.events import What
from watchdogd.lab.faults import FaultKind

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SOON_S = 60.0
PAGED_S_MAX = 60.0
STRANGER = "11111111-2222-3333-4444-555555555555"


def page(row: str) -> Callable[[Line], bool]:
    return lambda line: line["event"] == "notice_told" and line["severity"] == "page" and row in line["why"]


def nodes_of(explained: Mapping[str, Any], cluster: str) -> list[Mapping[str, Any]]:
    return next(one["nodes"] for one in explained["facts"]["clusters"] if one["cluster"] == cluster)


def assert_nothing_was_done(world: ServedWorld) -> None:
    assert not world.lab.world.applied
    assert not world.events(What.SENT)
    assert not world.events(What.FENCED)
    assert not world.events(What.NAME_CHANGED)


async def a_primary_that_answers_nonsense(folder: Path) -> None:
    """The secondary hears nothing, and the primary's nodes answer with what is not Vault's: nobody has died."""
    async with served_world(folder) as world, world.daemon() as daemon:
        await until_ready(daemon)
        world.break_(FaultKind.DROP, "repl:east>west")
        world.break_(FaultKind.GARBAGE, "node:east/1", text="SSH-2.0-OpenSSH_9.2\r\n")
        world.break_(FaultKind.STRANGE, "node:east/2", text="<html>It works!</html>", status=200.0)
        world.break_(FaultKind.STRANGE, "node:east/3", text='{"errors":["quota"]}', status=429.0)
        told = await daemon.said(page("S-22"), timeout_s=PAGED_S_MAX)
        explained = await daemon.until(
            lambda e: e["facts"]["sight"] == "full" and all_say(e, "east", "strange", "sys/health"), timeout_s=SOON_S
        )
        assert explained["situation"] == "S-22"
        assert_told(told, world, "east", "that is no answer of Vault's: see what answers there")
        await asyncio.sleep(5.0)
        assert (await daemon.explain())["situation"] == "S-22"
        assert_nothing_was_done(world)


def assert_told(told: Line, world: ServedWorld, cluster: str, *said: str) -> None:
    """The page names every node of a cluster, with what it met there and the way out."""
    for node in world.file.clusters[cluster].nodes:
        (line,) = [line for line in told["details"] if line.startswith(f"{cluster} {node} cannot be read: ")]
        assert all(words in line for words in said), line


def all_say(explained: Mapping[str, Any], cluster: str, reading: str, words: str) -> bool:
    return all(node["reading"] == reading and words in node["why"] for node in nodes_of(explained, cluster))


async def another_cluster_behind_the_addresses(folder: Path) -> None:
    async with served_world(folder) as world, world.daemon() as daemon:
        await until_ready(daemon)
        world.break_(FaultKind.STRANGE, "cluster:east", cluster_id=STRANGER)
        told = await daemon.said(page("S-05"), timeout_s=PAGED_S_MAX)
        explained = await daemon.until(
            lambda e: e["situation"] == "S-05" and all_say(e, "east", "strange", STRANGER), timeout_s=SOON_S
        )
        assert all_say(explained, "east", "strange", world.file.clusters["east"].vault_id)
        assert_told(told, world, "east", STRANGER, "correct the addresses, or the pinned ids, of east")
        assert_nothing_was_done(world)


def bad_certificates(flaws: Mapping[str, tuple[Flaw, str]]) -> Story:
    """Nothing of the kind is evidence: it is our own fault, until somebody repairs it."""

    async def story(folder: Path) -> None:
        async with served_world(folder, flaws={name: flaw for name, (flaw, _) in flaws.items()}) as world:
            async with world.daemon() as daemon:
                told = await daemon.said(page("S-02"), timeout_s=PAGED_S_MAX)
                for name, (_, said) in flaws.items():
                    assert_told(told, world, name, "its certificate, and tls.ca_file and tls.server_name")
                    # A handshake that did not end in time is our own fault too, and passes.
                    await daemon.until(lambda e, n=name, words=said: all_say(e, n, "ours", words), timeout_s=SOON_S)
            assert_nothing_was_done(world)

    return story


async def everything_dead_from_the_first_start(folder: Path) -> None:
    """No cluster, no resolver, no AWS endpoint, no secret: it starts, answers, pages, and stops when told to."""
    async with served_world(folder) as world:
        pass  # nothing listens from here on
    remove_secrets(world)
    async with started(world.config, world.socket, environ=world.environ) as daemon:
        told = await daemon.said(page("S-02"), timeout_s=PAGED_S_MAX)
        assert "no cluster was ever seen as active primary with its pins" in told["why"]
        explained = await daemon.until(bool, timeout_s=SOON_S)
        assert {node["reading"] for name in ("east", "west") for node in nodes_of(explained, name)} == {"ours"}
        assert "no-credential" in closed_gates(explained)
        await stops(daemon)


async def everything_dead_at_a_later_start(folder: Path) -> None:
    """It knows what it once saw: blind, with its row and gates, and with what would act."""
    async with served_world(folder) as world:
        async with world.daemon() as daemon:
            await until_ready(daemon)
            await asyncio.sleep(10.0)  # what it remembers is written every 8 s
            await stops(daemon)
    remove_secrets(world)
    async with started(world.config, world.socket, environ=world.environ) as daemon:
        told = await daemon.said(page("S-36"), timeout_s=PAGED_S_MAX)
        assert "east is elected" in told["why"]
        explained = await daemon.until(bool, timeout_s=SOON_S)
        assert {node["reading"] for name in ("east", "west") for node in nodes_of(explained, name)} == {"silent"}
        assert {"self-check", "secondary-not-able"} <= closed_gates(explained)
        await stops(daemon)


def remove_secrets(world: ServedWorld) -> None:
    for name in ("dr_token_a", "dr_token_b"):
        (world.folder / name).unlink()


async def stops(daemon: DaemonProcess) -> None:
    assert await daemon.terminate() == 0
    assert not [line for line in daemon.log if line["event"] in ("loop_died", "run_broke")]


STORIES: dict[str, Story] = {
    "the primary's nodes answer nonsense": a_primary_that_answers_nonsense,
    "another cluster is behind the primary's addresses": another_cluster_behind_the_addresses,
    "certificates are expired or for another name": bad_certificates(
        {"east": (Flaw.EXPIRED, "expired"), "west": (Flaw.WRONG_NAME, "mismatch")}
    ),
    "certificates are of nobody whom we trust": bad_certificates(
        {"east": (Flaw.SELF_SIGNED, "self-signed"), "west": (Flaw.UNKNOWN_AUTHORITY, "unable to get local issuer")}
    ),
    "everything is dead from the first start": everything_dead_from_the_first_start,
    "everything is dead at a later start": everything_dead_at_a_later_start,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    async with told_together(STORIES, names_asked_for(request), tmp_path_factory.mktemp) as tasks:
        yield tasks


@pytest.mark.parametrize("story", STORIES)
async def test_the_daemon_does_the_right_thing_when(story: str, told: Told) -> None:
    if (failure := await told[story]) is not None:
        raise failure
