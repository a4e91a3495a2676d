"""The daemon as a process against a lab on real sockets: a lost region, and everything that may happen in the middle.

The stories are told side by side, each with a world and a daemon of its own. What is asserted comes from the lab.
"""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.live_daemon import DaemonProcess
from tests.support.live_leaks import everything_it_shows, kept_by, where_secrets_show
from tests.support.live_pair import DETECTED_S_MAX, ServedWorld, happened, sent_to, served_world, until_ready
from tests.support.live_stories import Story, Told, names_asked_for, told_together
from watchdogd.lab.events import Event, What
from watchdogd.lab.faults import FaultKind

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SOON_S = 60.0
PROMOTE, DEMOTE = "dr/secondary/promote", "dr/primary/demote"
PROMOTED = sent_to(PROMOTE, "west")
DEMOTED = sent_to(DEMOTE, "east")
PUBLISHED = happened(What.NAME_PUBLISHED, cluster="west")
UNFENCED = happened(What.UNFENCED, cluster="east")


# ---------------------------------------------------------------------------------------------------------- helpers


async def settled(world: ServedWorld) -> None:
    """The region is back and every fault is gone: the old primary is demoted, and its fence comes off."""
    await world.seen(happened(What.APPLIED, verb="demote", cluster="east"), timeout_s=DETECTED_S_MAX)
    await world.seen(UNFENCED, timeout_s=SOON_S)
    assert world.lab.world.primary() == "west"
    assert world.lab.names.published_cluster(world.lab.now_s()) == "west"


def assert_nothing_was_lost(world: ServedWorld) -> None:
    """By the lab's own truth: one promotion, never two primaries, no acknowledged write gone."""
    assert [(effect.verb, effect.cluster) for effect in world.lab.world.applied] == [
        ("promote", "west"),
        ("demote", "east"),
    ], world.story()
    counts = world.lab.world.counts
    assert counts.two_writable_primaries_s == 0
    assert counts.acknowledged_writes_lost == 0


async def until_decided(daemon: DaemonProcess, situation: str, *, timeout_s: float = SOON_S) -> None:
    await daemon.until(lambda e: e["situation"] == situation, timeout_s=timeout_s)


async def ended_well(daemon: DaemonProcess) -> None:
    assert await daemon.terminate() == 0
    broke = [line for line in daemon.log if line["event"] in ("run_broke", "loop_died")]
    assert not broke


# ---------------------------------------------------------------------------------------------------------- stories


async def a_lost_region(folder: Path) -> None:
    """Lost, failed over, published, back, demoted, unfenced; and no secret of the lab shows anywhere."""
    async with served_world(folder) as world, world.daemon() as daemon:
        await until_ready(daemon)
        assert not world.lab.world.applied
        lost_s = world.lab.now_s()
        world.lose_region("east")
        fenced = await world.seen(happened(What.FENCED, cluster="east"), timeout_s=DETECTED_S_MAX)
        promoted = await world.seen(PROMOTED, timeout_s=SOON_S)
        published = await world.seen(PUBLISHED, timeout_s=SOON_S)
        heard_s = lost_s - 5.0  # the last heartbeat may have been as old as that
        assert heard_s + 15.0 <= fenced.at_s <= promoted.at_s <= published.at_s <= lost_s + 77.76
        shown = await everything_it_shows(daemon, world)
        world.lab.clear_faults()
        await settled(world)
        await until_decided(daemon, "S-13")
        shown |= await everything_it_shows(daemon, world)
        await ended_well(daemon)
        assert_nothing_was_lost(world)
        shown |= {"log": "\n".join(daemon.raw).encode(), **kept_by(world.state_dir)}
        assert where_secrets_show(shown, world.secrets) == []
        assert where_secrets_show(kept_by(folder), world.secrets), "this very search finds what is there"


def killed_when(seen: Callable[[Event], bool], *, back_first: bool = False) -> Story:
    """Killed in the turn of the lab's loop in which it sees the request, before it answers; started again."""

    async def story(folder: Path) -> None:
        async with served_world(folder) as world:
            async with world.daemon() as daemon:
                await until_ready(daemon)
                world.lose_region("east")
                if back_first:
                    await world.seen(PUBLISHED, timeout_s=DETECTED_S_MAX)
                    world.lab.clear_faults()
                await world.seen(seen, timeout_s=DETECTED_S_MAX)
                await daemon.kill()
            async with world.daemon() as daemon:
                await world.seen(PUBLISHED, timeout_s=DETECTED_S_MAX)
                world.lab.clear_faults()
                await settled(world)
                await until_decided(daemon, "S-13")
                await ended_well(daemon)
            assert_nothing_was_lost(world)

    return story


async def suspended_after_the_last_look(folder: Path) -> None:
    """Its intent waits for the journal, it is stopped, the old primary returns, it goes on: nothing is sent."""
    async with served_world(folder) as world, world.daemon() as daemon:
        await until_ready(daemon)
        fault = world.lose_region("east")
        await daemon.said(step_ended("fence", "done"), timeout_s=DETECTED_S_MAX)
        with held_for_writing(world.state_dir / "journal.db"):
            await asyncio.sleep(0.7)  # it has looked by now, and waits: nothing outside tells when
            daemon.send(signal.SIGSTOP)
        await returned(world, "east", fault)
        daemon.send(signal.SIGCONT)
        await gave_up(world, daemon)
        assert "the last look is" in str([entry["why"] for entry in await history(daemon, "step_not_applied")])
        await ended_well(daemon)


async def suspended_in_the_last_look(folder: Path) -> None:
    """A look that began before a suspension and ended after it is no look: its silences are our own."""
    async with served_world(folder) as world, world.daemon() as daemon:
        await until_ready(daemon)
        fault = world.break_(FaultKind.BLACKOUT, "region:east")  # a look at it lasts for a whole probe time-out
        await daemon.said(step_ended("fence", "done"), timeout_s=DETECTED_S_MAX)
        await asyncio.sleep(0.3)
        daemon.send(signal.SIGSTOP)
        await returned(world, "east", fault)
        daemon.send(signal.SIGCONT)
        await gave_up(world, daemon)
        await ended_well(daemon)


async def returned(world: ServedWorld, cluster: str, fault: int) -> None:
    """The fault is over, and the cluster has served again for longer than a last look may be old."""
    world.lab.clear_faults(fault)
    async with asyncio.timeout(SOON_S):
        while world.lab.world.primary() != cluster:
            await asyncio.sleep(0.05)
    await asyncio.sleep(5.0)  # past `stall_after`, and past what a last look may be old


async def gave_up(world: ServedWorld, daemon: DaemonProcess) -> None:
    """The run ended, its epoch is void, its fence is off, and no promote ever arrived."""
    await world.seen(UNFENCED, timeout_s=DETECTED_S_MAX)
    calm = await daemon.until(
        lambda e: e["situation"] == "S-10" and e["facts"]["run"] is None, timeout_s=DETECTED_S_MAX
    )
    assert not world.sent(PROMOTE)
    assert not world.lab.world.applied
    assert world.lab.world.primary() == "east"
    assert (calm["facts"]["elected"], calm["facts"]["epoch"]) == ("east", 0)
    assert (calm["facts"]["debts"], calm["facts"]["fences"]) == ([], [])
    ended = [entry for entry in await history(daemon, "run_ended")]
    assert [entry["outcome"] for entry in ended] == ["aborted"]


async def told_to_stop_in_the_middle(folder: Path) -> None:
    """TERM while the fence goes on: there is no safe point before the target is verified as primary."""
    async with served_world(folder) as world:
        async with world.daemon() as daemon:
            await until_ready(daemon)
            world.lose_region("east")
            await world.seen(happened(What.FENCED, cluster="east"), timeout_s=DETECTED_S_MAX)
            asked_s = world.lab.now_s()
            assert await daemon.terminate() == 0
            assert world.lab.now_s() - asked_s <= 80.0
            assert world.applied("promote", "west") == 1
            assert world.lab.world.primary() == "west"
        async with world.daemon() as daemon:
            first = await daemon.said(lambda line: line["event"].startswith("run_"), timeout_s=SOON_S)
            assert first["event"] == "run_resumed"
            assert first["runbook"] == "failover"
            await world.seen(PUBLISHED, timeout_s=DETECTED_S_MAX)
            world.lab.clear_faults()
            await settled(world)
            await ended_well(daemon)
        assert_nothing_was_lost(world)


def step_ended(step: str, outcome: str) -> Callable[[dict[str, object]], bool]:
    return lambda line: line["event"] == "step_finished" and (line["step"], line["outcome"]) == (step, outcome)


@contextmanager
def held_for_writing(path: Path) -> Iterator[None]:
    """Nobody else can write into a database while the block runs."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def history(daemon: DaemonProcess, kind: str) -> list[dict[str, object]]:
    _, body = await daemon.get("/history?limit=1000")
    return [told["entry"] for told in body["entries"] if told["kind"] == kind]


STORIES: dict[str, Story] = {
    "a region is lost and comes back": a_lost_region,
    "killed when the fence is on": killed_when(happened(What.FENCED, cluster="east")),
    "killed when the promote arrives": killed_when(PROMOTED),
    "killed when the name is changed": killed_when(happened(What.NAME_CHANGED)),
    "killed when the demote arrives": killed_when(DEMOTED, back_first=True),
    "suspended between the last look and the promote": suspended_after_the_last_look,
    "suspended in the middle of the last look": suspended_in_the_last_look,
    "told to stop in the middle": told_to_stop_in_the_middle,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    async with told_together(STORIES, names_asked_for(request), tmp_path_factory.mktemp) as tasks:
        yield tasks


@pytest.mark.parametrize("story", STORIES)
async def test_the_daemon_does_the_right_thing_when(story: str, told: Told) -> None:
    if (failure := await told[story]) is not None:
        raise failure
