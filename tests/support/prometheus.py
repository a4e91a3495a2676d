"""A real Prometheus that scrapes one target every second, asked over its own API."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.support.own_venv import NotHere, stop
from watchdogd.rehearsal.free_ports import free_port

START_S, ANSWER_S, POLL_S = 30.0, 5.0, 0.3


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    url: str

    async def values(self, query: str) -> list[float]:
        """What an instant query gives, one number per series; none while it cannot be asked."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        with suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{self.url}/api/v1/query", params={"query": query}) as reply,
            ):
                told = await reply.json()
                return [float(series["value"][1]) for series in told["data"]["result"]]
        return []

    async def until(self, query: str, *, timeout_s: float) -> list[float]:
        """The first answer to `query` that is not empty. A condition in the query filters what does not hold."""
        found: list[float] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not (found := await self.values(query)):
                    await asyncio.sleep(POLL_S)
        assert found, f"Prometheus has no {query} after {timeout_s:g} s"
        return found


@asynccontextmanager
async def scraping(program: str, target: str, folder: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes `target` while the block runs. Raises NotHere."""
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f'scrape_configs: [{{job_name: watchdogd, static_configs: [{{targets: ["{target}"]}}]}}]\n',
        encoding="ascii",
    )
    process = _started(program, config, port)
    prometheus = Prometheus(f"http://127.0.0.1:{port}")
    try:
        await _until_it_answers(prometheus, process)
        yield prometheus
    finally:
        stop(process)


async def _until_it_answers(prometheus: Prometheus, process: subprocess.Popen[bytes]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            while process.poll() is None and not await prometheus.values("vector(1)"):
                await asyncio.sleep(POLL_S)
    if not await prometheus.values("vector(1)"):
        raise NotHere("prometheus does not start")


def _started(program: str, config: Path, port: int) -> subprocess.Popen[bytes]:
    folder = config.parent
    with (folder / "prometheus.log").open("wb") as log:
        return subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
        )


async def complaints(program: str, exposition: bytes) -> str:
    """What `promtool check metrics` says; the empty string when it has nothing to say."""
    process = await asyncio.create_subprocess_exec(
        program, "check", "metrics", stdin=-1, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate(exposition)
    return said.decode() + ("" if process.returncode == 0 else f"exit {process.returncode}")
