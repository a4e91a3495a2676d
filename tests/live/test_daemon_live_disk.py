"""The daemon's state when the disk fails under it: nothing is sent that could not be written down, and it goes on."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio

from tests.support.live_daemon import Line, started
from tests.support.live_disks import Ratchet, fill_for_good, small_disk
from tests.support.live_pair import (
    DETECTED_S_MAX,
    PAIR,
    ServedWorld,
    closed_gates,
    happened,
    sent_to,
    served_world,
    until_ready,
)
from tests.support.live_stories import Story, Told, names_asked_for, told_together
from watchdogd.adapters.clock import SystemClock, read_boot_id
from watchdogd.adapters.store.journal import open_journal
from watchdogd.core.entries import FirstElected
from watchdogd.core.model import ClusterId, PairId
from watchdogd.lab.events import What

pytestmark = [
    pytest.mark.live,
    pytest.mark.real,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

SOON_S = 60.0
SLOWLY_S = 120.0  # every write fails first, and is tried again a second later
PROMOTED = sent_to("dr/secondary/promote", "west")
PUBLISHED = happened(What.NAME_PUBLISHED, cluster="west")
FENCED, UNFENCED = happened(What.FENCED, cluster="east"), happened(What.UNFENCED, cluster="east")


NOTHING = hashlib.sha256(b"").hexdigest()


class Machine(Protocol):
    def root(self, why: str) -> None: ...


def paged(key_end: str) -> Callable[[Line], bool]:
    return lambda line: line["event"] == "notice_told" and str(line["key"]).endswith(key_end)


def is_looking(explained: Mapping[str, Any]) -> bool:
    """Every node was looked at within the last two rounds."""
    nodes = [node for cluster in explained["facts"]["clusters"] for node in cluster["nodes"]]
    return bool(nodes) and all(node["age_s"] <= 6.0 for node in nodes)


async def whole_to_the_end(world: ServedWorld, *, timeout_s: float = DETECTED_S_MAX) -> None:
    """Published, back, demoted, unfenced; promoted once, and nothing was lost, by the lab's truth."""
    await world.seen(PUBLISHED, timeout_s=timeout_s)
    world.lab.clear_faults()
    await world.seen(happened(What.APPLIED, verb="demote", cluster="east"), timeout_s=timeout_s)
    await world.seen(UNFENCED, timeout_s=timeout_s)
    assert [(effect.verb, effect.cluster) for effect in world.lab.world.applied] == [
        ("promote", "west"),
        ("demote", "east"),
    ], world.story()
    assert world.lab.world.counts.two_writable_primaries_s == 0


def unjournalled(world: ServedWorld, state_dir: Path) -> list[str]:
    """What the lab saw of us and the journal does not know: an intent has to be durable before its effect."""
    with closing(sqlite3.connect(f"file:{state_dir / 'journal.db'}?mode=ro", uri=True)) as connection:
        kinds = [kind for (kind,) in connection.execute("SELECT kind FROM entries")]
    missing = []
    for seen, kind in (
        (world.sent("dr/secondary/promote"), "promote_intended"),
        (world.events(What.FENCED), "fence_intended"),
        (world.sent("dr/primary/demote"), "step_intended"),
        (world.events(What.NAME_CHANGED), "step_intended"),
    ):
        if seen and kind not in kinds:
            missing.append(f"{seen[0].detail} without {kind}")
    return missing


# ---------------------------------------------------------------------------------------------------------- stories


def writes_fail(*, spare: int) -> Story:
    async def story(folder: Path) -> None:
        async with served_world(folder) as world, world.daemon() as daemon:
            await until_ready(daemon)
            ratchet = Ratchet(world, daemon, spare=spare)
            async with asyncio.TaskGroup() as tasks:
                turning = tasks.create_task(ratchet.turn_forever())
                world.lose_region("east")
                told = await daemon.said(paged("state"), timeout_s=DETECTED_S_MAX)
                assert "check its free space and its health" in told["why"]
                await daemon.until(is_looking, timeout_s=SOON_S)
                await whole_to_the_end(world, timeout_s=SLOWLY_S)
                turning.cancel()
            assert ratchet.failed >= 8, "a failover and what follows it is many more transactions than that"
            assert unjournalled(world, world.state_dir) == []
            assert not [line for line in daemon.log if line["event"] in ("run_broke", "loop_died")]

    return story


async def an_incident_fits_on_a_full_disk(folder: Path) -> None:
    async with served_world(folder) as world:
        with small_disk(world.state_dir) as disk:
            async with world.daemon() as daemon:
                await until_ready(daemon)
                disk.fill()
                world.lose_region("east")
                await whole_to_the_end(world)
                assert unjournalled(world, world.state_dir) == []


async def full_for_good_before_the_outage(folder: Path) -> None:
    """No run is opened; it looks and pages, and goes on when there is space."""
    async with served_world(folder) as world:
        with small_disk(world.state_dir) as disk:
            async with world.daemon() as daemon:
                await until_ready(daemon)
                await fill_for_good(disk, daemon)
                world.lose_region("east")
                told = await daemon.said(paged("state"), timeout_s=SOON_S)
                assert "the disk is full: free some space" in told["why"]
                held = await daemon.until(
                    lambda e: closed_gates(e) == {"state"} and is_looking(e), timeout_s=DETECTED_S_MAX
                )
                assert held["situation"] in ("S-08", "S-32")
                assert not world.events(What.FENCED)
                assert not world.events(What.SENT)
                disk.empty()
                await whole_to_the_end(world)


async def full_for_good_in_the_middle(folder: Path) -> None:
    """The fence is on and cannot be written down: no promote is sent until it can be."""
    async with served_world(folder) as world:
        with small_disk(world.state_dir) as disk:
            async with world.daemon() as daemon:
                await until_ready(daemon)
                await fill_for_good(disk, daemon)
                disk.empty()
                world.lose_region("east")
                await world.seen(FENCED, timeout_s=DETECTED_S_MAX)
                await fill_again(disk.fill, lambda: disk.is_full)
                await daemon.said(paged("journal"), timeout_s=SOON_S)
                await asyncio.sleep(5.0)  # nothing happens; that is the point
                await daemon.until(is_looking, timeout_s=SOON_S)
                assert not world.sent("dr/secondary/promote")
                disk.empty()
                await world.seen(PROMOTED, timeout_s=SOON_S)
                await whole_to_the_end(world)


async def fill_again(fill: Callable[[], None], is_full: Callable[[], bool]) -> None:
    """Until it stays full: the ballast may have been taken back, and is given up again by the next write."""
    full = 0
    async with asyncio.timeout(SOON_S):
        while full < 20:
            fill()
            await asyncio.sleep(0.05)
            full = full + 1 if is_full() else 0


def unusable(spoil: Callable[[Path], None], said: str) -> Story:
    """The state was spoilt before the start: nothing is done about an outage, and the file is not touched."""

    async def story(folder: Path) -> None:
        async with served_world(folder) as world:
            async with open_journal(world.state_dir, clock=SystemClock(), boot_id=read_boot_id()) as journal:
                await journal.append(PairId(PAIR), FirstElected(cluster=ClusterId("east")))
            spoil(world.state_dir / "journal.db")
            before = fingerprints(world.state_dir)
            async with world.daemon() as daemon:
                told = await daemon.said(lambda line: line["event"] == "state_unreadable", timeout_s=SOON_S)
                assert said in told["error"]
                assert "it was not changed" in told["error"]
                await daemon.said(paged("state"), timeout_s=SOON_S)
                world.lose_region("east")
                await asyncio.sleep(20.0)  # longer than it takes to fail over: nothing happens
                explained = await daemon.until(is_looking, timeout_s=SOON_S)
                assert "state" in closed_gates(explained)
                assert await daemon.terminate() == 0
            assert not world.events(What.SENT)
            assert not world.events(What.FENCED)
            after = fingerprints(world.state_dir)
            assert {name: after.get(name) for name in before} == before
            # Looking into a database needs its index; it is empty, and so is the log.
            assert set(after) - set(before) <= {"journal.db-shm", "journal.db-wal"}
            assert after.get("journal.db-wal") in (None, before.get("journal.db-wal"), NOTHING)

    return story


def damage(journal: Path) -> None:
    with journal.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 512)


def make_newer(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("PRAGMA user_version = 99")


def remove(journal: Path) -> None:
    journal.unlink()


def fingerprints(state_dir: Path) -> Mapping[str, str]:
    """Of everything that belongs to the journal."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(state_dir.glob("journal*"))}


async def a_second_daemon(folder: Path) -> None:
    """Refused with one sentence; the first goes on, and its socket stays its own."""
    async with served_world(folder) as world, world.daemon() as first:
        await first.until(lambda e: e["situation"] == "S-10", timeout_s=SOON_S)
        socket = world.socket.stat().st_ino
        async with started(world.config, world.socket, environ=world.environ) as second:
            assert await second.ended(timeout_s=SOON_S) == 3
            sentences = [text for text in second.raw if not text.startswith("{")]
            assert len(sentences) == 1
            assert str(world.state_dir) in sentences[0]
        assert world.socket.stat().st_ino == socket
        assert (await first.explain())["situation"] == "S-10"
        assert await first.terminate() == 0


STORIES: dict[str, Story] = {
    "every other write of a failover fails at first": writes_fail(spare=0),
    "the others do": writes_fail(spare=1),
    "the disk is full, and the incident still fits": an_incident_fits_on_a_full_disk,
    "the disk is full for good before the outage": full_for_good_before_the_outage,
    "the disk is full for good in the middle": full_for_good_in_the_middle,
    "the journal is damaged": unusable(damage, "move the whole state directory aside"),
    "the journal is of a newer version": unusable(make_newer, "Start the version that wrote it"),
    "the journal is gone": unusable(remove, "Restore it from a backup"),
    "a second daemon is started": a_second_daemon,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, need: Machine
) -> AsyncIterator[Told]:
    need.root("it mounts small file systems")
    async with told_together(STORIES, names_asked_for(request), tmp_path_factory.mktemp) as tasks:
        yield tasks


@pytest.mark.parametrize("story", STORIES)
async def test_the_daemon_does_the_right_thing_when(story: str, told: Told) -> None:
    if (failure := await told[story]) is not None:
        raise failure
