"""CPU and memory of the daemon's own process, for some numbers of pairs, against a bare loop of the same requests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.support.configs import toml
from tests.support.live_daemon import DaemonProcess, started
from tests.support.live_pair import PAIR, ROOT, ServedWorld, config_of, write_secret
from watchdogd.core.model import Reading
from watchdogd.lab.lab_file import LabFile, NoLab
from watchdogd.rehearsal.free_ports import free_port

STEADY = "S-10"
ASK_EVERY_S = 2.0
START_S_MAX = 120.0  # until every pair is steady; what comes later is measured as it is, and missed
SETTLE_S = 15.0  # after the last pair is steady: proofs, names, the first records
BARE_WARM_S = 10.0, 0.1  # for the first pair, and for each one
LAB_UP_S_MAX = SAYS_S_MAX = 30.0
ANSWERED = {Reading.ACTIVE.value, Reading.FOLLOWS.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What was used while the measurement ran, in cores."""

    process: float
    lab: float
    rest: float  # everything else on the machine, the bench itself included


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What it took until every pair was steady."""

    seconds: float | None  # None: not within START_S_MAX
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process used, and how much of its work it got done."""

    pairs: int
    used: Used
    memory_mb: float
    rounds: int  # probe rounds that ended while it was measured
    unread: int  # of them: not read
    start: Start | None = None
    at_end: tuple[tuple[str, int], ...] = ()  # pairs by their situation, the most frequent first

    @property
    def is_watching(self) -> bool:
        """True when every pair was read: steady after the start, and steady at the end."""
        return self.start is not None and self.start.seconds is not None and self.at_end == ((STEADY, self.pairs),)


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_cpu_s() -> float:
    """What all processes of the machine used so far: user, nice, system, interrupts."""
    fields = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()[1:]
    return sum(int(fields[n]) for n in (0, 1, 2, 5, 6)) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident memory."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


async def used_over(seconds: float, pid: int, lab_pid: int) -> Used:
    """The CPU of both, and of everybody else, from now on."""
    clock = asyncio.get_running_loop()

    def read() -> tuple[float, float, float, float]:
        return clock.time(), cpu_s(pid), cpu_s(lab_pid), machine_cpu_s()

    before = read()
    await asyncio.sleep(seconds)
    took_s, own_s, lab_s, all_s = (now - then for now, then in zip(read(), before, strict=True))
    return Used(process=own_s / took_s, lab=lab_s / took_s, rest=max(0.0, all_s - own_s - lab_s) / took_s)


@asynccontextmanager
async def lab(folder: Path) -> AsyncIterator[tuple[LabFile, int]]:
    """A lab in a process of its own."""
    directory = folder / "lab"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watchdogd.cli.lab", "up", "--dir", str(directory), "--port", str(free_port()),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LAB_UP_S_MAX):
            while (file := _read(directory)) is None:
                await asyncio.sleep(0.2)
        yield file, process.pid
    finally:
        process.terminate()
        await process.wait()


def _read(directory: Path) -> LabFile | None:
    try:
        return LabFile.read(directory)
    except NoLab:
        return None


def write_config(folder: Path, file: LabFile, pairs: int) -> ServedWorld:
    """The config of `pairs` pairs at default timing, all of them this one lab's."""
    world = ServedWorld(lab=None, file=file, folder=folder, http_port=free_port())  # type: ignore[arg-type]
    world.state_dir.mkdir(mode=0o700, exist_ok=True)
    for name in ("dr_token_a", "dr_token_b"):
        write_secret(folder / name, file.credentials[name])
    table: dict[str, Any] = config_of(world)
    pair = table["pair"].pop(PAIR)
    del pair["timing"]
    pair["levels"] = {"failover": "auto", "accept_two_primaries_on_partition": True}
    for cluster in pair["cluster"].values():
        cluster["fence"] = {"waived": "a benchmark"}
    table["pair"] = {f"pair{number}": pair for number in range(pairs)}
    world.config.write_text(toml(table), encoding="utf-8")
    return world


# -- the daemon ------------------------------------------------------------------------------------------------------


async def cost_of_daemon(folder: Path, pairs: int, seconds: float) -> Cost:
    """The daemon, watching so many pairs at default timing."""
    async with lab(folder) as (file, lab_pid):
        world = write_config(folder, file, pairs)
        async with started(world.config, world.socket, environ=world.environ) as daemon:
            start = await until_steady(lambda: situations(daemon), pairs, lambda: cpu_s(daemon.pid))
            await asyncio.sleep(SETTLE_S)
            before = await probes(world)
            used = await used_over(seconds, daemon.pid, lab_pid)
            after = await probes(world)
            at_end = await situations(daemon)
            memory = memory_mb(daemon.pid)
            await daemon.terminate()
    done = {reading: count - before.get(reading, 0) for reading, count in after.items()}
    return Cost(
        pairs=pairs,
        used=used,
        memory_mb=memory,
        rounds=sum(done.values()),
        unread=sum(count for reading, count in done.items() if reading not in ANSWERED),
        start=start,
        at_end=tuple(at_end.most_common()),
    )


async def until_steady(ask: Callable[[], Awaitable[Counter[str]]], pairs: int, spent_s: Callable[[], float]) -> Start:
    """Wait until all pairs are; gives up after START_S_MAX."""
    clock = asyncio.get_running_loop()
    begun_s = clock.time()
    while (await ask())[STEADY] < pairs:
        if clock.time() - begun_s > START_S_MAX:
            return Start(seconds=None, cpu_s=spent_s())
        await asyncio.sleep(ASK_EVERY_S)
    return Start(seconds=clock.time() - begun_s, cpu_s=spent_s())


async def situations(daemon: DaemonProcess) -> Counter[str]:
    """How many pairs are in which situation; empty while nobody answers."""
    try:
        status, body = await daemon.get("/status")
    except (aiohttp.ClientError, TimeoutError):
        return Counter()
    pairs = body["pairs"] if status == 200 else ()
    return Counter(pair.get("situation", "undecided") for pair in pairs)


async def probes(world: ServedWorld) -> Counter[str]:
    """The finished rounds of all nodes by what was read, as the metrics say; empty while nobody answers."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
            session.get(f"http://{world.http}/metrics") as reply,
        ):
            text = await reply.text()
    except (aiohttp.ClientError, TimeoutError):
        return Counter()
    counted = Counter[str]()
    for family in text_string_to_metric_families(text):
        for sample in family.samples if family.name == "watchdogd_probes" else ():
            counted[sample.labels["reading"]] += int(sample.value)
    return counted


# -- the bare loop ---------------------------------------------------------------------------------------------------


async def cost_of_bare_loop(folder: Path, pairs: int, seconds: float) -> Cost:
    """The same requests by aiohttp and nothing else."""
    async with lab(folder) as (_, lab_pid):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.bare_loop", str(folder / "lab"), str(pairs),
            stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        try:
            await asyncio.sleep(BARE_WARM_S[0] + BARE_WARM_S[1] * pairs)
            before = await counted_by(process)
            used = await used_over(seconds, process.pid, lab_pid)
            after = await counted_by(process)
            memory = memory_mb(process.pid)
        finally:
            process.kill()
            await process.wait()
    done = {what: after[what] - before[what] for what in after}
    return Cost(pairs=pairs, used=used, memory_mb=memory, rounds=done["rounds"], unread=done["unread"])


async def counted_by(process: asyncio.subprocess.Process) -> Mapping[str, int]:
    """The rounds of the bare loop so far."""
    if process.stdout is None:
        raise ValueError("the bare loop has no pipe")
    process.send_signal(signal.SIGUSR1)
    async with asyncio.timeout(SAYS_S_MAX):
        return dict(json.loads(await process.stdout.readline()))
