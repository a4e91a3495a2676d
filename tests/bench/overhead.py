"""CPU and memory of the daemon's own process, for some numbers of pairs, against a bare loop of the same requests."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.configs import toml
from tests.support.live_daemon import started
from tests.support.live_pair import PAIR, ROOT, ServedWorld, config_of, free_port, write_secret
from watchdogd.lab.lab_file import LabFile, NoLab

WARM_S = 10.0, 0.4  # for the first pair, and for each one
MEASURED_S = float(os.environ.get("WATCHDOGD_BENCH_SECONDS", "45"))
LAB_UP_S_MAX = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process used."""

    pairs: int
    cpu_share: float  # of one core
    memory_mb: float
    lab_share: float
    situations: str = ""


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident memory."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


async def measured(pid: int, lab_pid: int, pairs: int) -> Cost:
    """Its CPU over `MEASURED_S`, after it has warmed up."""
    await asyncio.sleep(WARM_S[0] + WARM_S[1] * pairs)
    clock = asyncio.get_running_loop()
    begun_s, before_s, lab_before_s = clock.time(), cpu_s(pid), cpu_s(lab_pid)
    await asyncio.sleep(MEASURED_S)
    took_s = clock.time() - begun_s
    return Cost(
        pairs=pairs,
        cpu_share=(cpu_s(pid) - before_s) / took_s,
        lab_share=(cpu_s(lab_pid) - lab_before_s) / took_s,
        memory_mb=memory_mb(pid),
    )


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


async def cost_of_daemon(folder: Path, pairs: int) -> Cost:
    """The daemon, watching so many pairs at default timing."""
    async with lab(folder) as (file, lab_pid):
        world = write_config(folder, file, pairs)
        async with started(world.config, world.socket, environ=world.environ) as daemon:
            cost = await measured(daemon.pid, lab_pid, pairs)
            seen = (await daemon.explain(f"pair{pairs - 1}")).get("situation", "nothing")
            await daemon.terminate()
    return Cost(
        pairs=pairs, cpu_share=cost.cpu_share, memory_mb=cost.memory_mb, lab_share=cost.lab_share, situations=seen
    )


async def cost_of_bare_loop(folder: Path, pairs: int) -> Cost:
    """The same requests by aiohttp and nothing else."""
    async with lab(folder) as (_, lab_pid):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.bare_loop", str(folder / "lab"), str(pairs), cwd=ROOT
        )
        try:
            return await measured(process.pid, lab_pid, pairs)
        finally:
            process.kill()
            await process.wait()
