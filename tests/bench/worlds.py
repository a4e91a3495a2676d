"""The lab itself: how fast its world is played, how soon it is up, and ten of its pairs at once."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.overhead import STEADY, cpu_s, situations, until_steady
from tests.support.configs import toml
from tests.support.live_daemon import DaemonProcess, Line, started
from tests.support.live_pair import (
    DETECTED_S_MAX,
    PAIR,
    READY_S_MAX,
    ROOT,
    ServedWorld,
    config_of,
    happened,
    is_ready,
    served_world,
)
from watchdogd.lab.events import What
from watchdogd.lab.lab_file import LabFile, NoLab
from watchdogd.rehearsal.files import scenarios_of
from watchdogd.rehearsal.play import play
from watchdogd.rehearsal.virtual_time import virtual_loop

FAILOVER = "region-lost-at-defaults"
# What any server of its kind has to do before it can answer: start, read its libraries, make a certificate.
BARE_SERVER = "import aiohttp.web, dns.message, trustme; trustme.CA().issue_cert('127.0.0.1')"
UP_S_MAX, POLL_S, LOOK_EVERY_S = 30.0, 0.01, 2.0
PUBLISHED_S_MAX = 60.0


class WentWrong(Exception):
    """What was to be measured did not happen as it should; the text says what did."""


# -- the world in virtual time ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A whole failover on the whole stack: seconds of the world, and what they took."""

    world_s: float
    real_s: float
    rounds: int


def played(rounds: int) -> Played:
    """The same failover so many times, each as its file says. Raises WentWrong."""
    (scenario,) = scenarios_of(FAILOVER)
    begun_s = time.perf_counter()
    for _ in range(rounds):
        with asyncio.Runner(loop_factory=virtual_loop) as runner:
            came = runner.run(play(scenario))
        if came.wrong or came.broken:
            raise WentWrong(str(came))
    return Played(world_s=scenario.until_s * rounds, real_s=time.perf_counter() - begun_s, rounds=rounds)


# -- starting it -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """Seconds until `watchdogd-lab up` answers, and until a bare server with the same libraries could; medians."""

    lab_s: float
    bare_s: float


async def up(folder: Path, rounds: int) -> Up:
    """By turns, so that both meet the same machine. Raises TimeoutError."""
    labs, bare = [], []
    for number in range(rounds):
        labs.append(await _lab_up_s(folder / f"lab-{number}"))
        bare.append(await _ended_s("-c", BARE_SERVER))
    return Up(lab_s=statistics.median(labs), bare_s=statistics.median(bare))


async def _lab_up_s(directory: Path) -> float:
    """Until everything listens: `lab.json` stands from then on."""
    begun_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watchdogd.cli.lab", "up", "--dir", str(directory),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(UP_S_MAX):
            while not _is_up(directory):
                await asyncio.sleep(POLL_S)
        return time.perf_counter() - begun_s
    finally:
        process.terminate()
        await process.wait()


def _is_up(directory: Path) -> bool:
    try:
        return bool(LabFile.read(directory).control_url)
    except NoLab:
        return False


async def _ended_s(*arguments: str) -> float:
    begun_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT)
    async with asyncio.timeout(UP_S_MAX):
        if await process.wait():
            raise WentWrong(f"{arguments} ended with {process.returncode}")
    return time.perf_counter() - begun_s


# -- one of several pairs is lost ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One daemon, so many pairs, one of them lost: seconds from the loss, and whether the rest stayed steady."""

    pairs: int
    steady_s: float | None  # until all of them were; None: never
    decided_s: float
    published_s: float
    daemon_cpu: float  # of a core, from the loss to the name
    lab_cpu: float
    disturbed: int  # pairs beside it that were ever seen not to be steady


async def beside(folder: Path, pairs: int) -> Beside:
    """Every pair is a world of its own on real sockets, all of them in this process; the first one loses its region."""
    async with AsyncExitStack() as stack:
        worlds = []
        for number in range(pairs):
            place = folder / f"w{number}"
            place.mkdir()
            worlds.append(await stack.enter_async_context(served_world(place, seed=number + 1)))
        daemon = await stack.enter_async_context(_watching(worlds))
        start = await until_steady(lambda: situations(daemon), pairs, lambda: cpu_s(daemon.pid))
        await daemon.until(is_ready, pair=_name(0), timeout_s=READY_S_MAX)
        return await _lost(daemon, worlds, start.seconds)


def _watching(worlds: Sequence[ServedWorld]) -> AbstractAsyncContextManager[DaemonProcess]:
    """One daemon for all of them: the config of the first, with a pair of each."""
    first, table = worlds[0], config_of(worlds[0])
    table["pair"] = {_name(number): config_of(world)["pair"][PAIR] for number, world in enumerate(worlds)}
    first.config.write_text(toml(table), encoding="utf-8")
    return started(first.config, first.socket, environ=first.environ)


def _name(number: int) -> str:
    return f"pair{number}"


async def _lost(daemon: DaemonProcess, worlds: Sequence[ServedWorld], steady_s: float | None) -> Beside:
    first, clock = worlds[0], asyncio.get_running_loop()
    seen: set[str] = set()
    cpu_before, own_before, begun_s = cpu_s(daemon.pid), time.process_time(), clock.time()
    lost_s = first.lab.now_s()
    first.lose_region("east")
    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(_look_at_the_rest(daemon, seen))
        await daemon.said(_decides(_name(0)), timeout_s=DETECTED_S_MAX)
        decided_s = first.lab.now_s() - lost_s
        name = await first.seen(happened(What.NAME_PUBLISHED, cluster="west"), timeout_s=PUBLISHED_S_MAX)
        looking.cancel()
    took_s = clock.time() - begun_s
    return Beside(
        pairs=len(worlds),
        steady_s=steady_s,
        decided_s=decided_s,
        published_s=name.at_s - lost_s,
        daemon_cpu=(cpu_s(daemon.pid) - cpu_before) / took_s,
        lab_cpu=(time.process_time() - own_before) / took_s,
        disturbed=len(seen),
    )


def _decides(pair: str) -> Callable[[Line], bool]:
    return lambda line: line.get("pair") == pair and line.get("situation") == "S-30"


async def _look_at_the_rest(daemon: DaemonProcess, seen: set[str]) -> None:
    """Note every pair but the first that is not steady."""
    while True:
        _, body = await daemon.get("/status")
        seen |= {pair["pair"] for pair in body["pairs"][1:] if pair.get("situation") != STEADY}
        await asyncio.sleep(LOOK_EVERY_S)


# -- all of it -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Worlds:
    """What one run measured of the lab."""

    story: Played
    up: Up
    ups: int
    beside: Sequence[Beside]
