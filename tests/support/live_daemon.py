"""The daemon as its own process: started from a config file, asked over its socket, ended by its own handle."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

Line = Mapping[str, Any]
ROOT = Path(__file__).parents[2]
LINE_BYTES_MAX = 1 << 20
POLL_S = 0.2
TOO_MANY = 429  # ten requests a second is what a caller may ask
STOP_S_MAX = 90.0


class DaemonProcess:
    """One `watchdogd run`. Its log is collected line by line while it runs."""

    def __init__(self, process: asyncio.subprocess.Process, socket: Path, written: Path) -> None:
        self._process = process
        self._socket = socket
        self._written = written
        self._grown = asyncio.Event()
        self._reading: Sequence[asyncio.Task[None]] = ()
        self.raw: list[str] = []  # everything it wrote, on both streams
        self.log: list[Line] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    def read_in(self, tasks: asyncio.TaskGroup) -> None:
        streams = (self._process.stdout, self._process.stderr)
        self._reading = [tasks.create_task(self._read(stream)) for stream in streams if stream is not None]

    async def _read(self, stream: asyncio.StreamReader) -> None:
        async for raw in stream:
            text = raw.decode(errors="replace").rstrip("\n")
            self.raw.append(text)
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                self.log.append(line)
                self._wake()
        self._wake()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    # ------------------------------------------------------------------ ending and stopping it

    def send(self, signum: signal.Signals) -> None:
        self._process.send_signal(signum)

    async def ended(self, *, timeout_s: float = STOP_S_MAX) -> int:
        """Its exit status; everything it wrote has been read then."""
        async with asyncio.timeout(timeout_s):
            status = await self._process.wait()
            await asyncio.gather(*self._reading)
        return status

    async def kill(self) -> None:
        """Gone at once, as by the kernel's hand."""
        self._process.kill()
        await self.ended()

    async def terminate(self) -> int:
        """Asked to stop; its exit status."""
        self._process.terminate()
        return await self.ended()

    async def close(self) -> None:
        if self.is_running:
            self._process.kill()  # also when it is stopped by SIGSTOP
        await self.ended()
        with self._written.open("a", encoding="utf-8") as file:  # for whoever looks why a test failed
            file.write("\n".join([*self.raw, f"-- ended with {self._process.returncode}", ""]))

    # ------------------------------------------------------------------ asking it

    async def said(self, wanted: Callable[[Line], bool], *, timeout_s: float, since: int = 0) -> Line:
        """The first line of its log from line `since` on that is wanted. Fails with the last lines when it ended."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._next_line(wanted, since)
        except TimeoutError:
            raise AssertionError(f"not said within {timeout_s:g} s; it said last:\n{self.last_words()}") from None

    async def _next_line(self, wanted: Callable[[Line], bool], since: int) -> Line:
        while True:
            grown, lines = self._grown, self.log[since:]
            if (found := next(filter(wanted, lines), None)) is not None:
                return found
            since += len(lines)
            self._ensure_running()
            await grown.wait()

    def _ensure_running(self) -> None:
        if not self.is_running:
            raise AssertionError(f"it ended with {self._process.returncode}:\n{self.last_words()}")

    def last_words(self, lines: int = 12) -> str:
        return "\n".join(self.raw[-lines:])

    async def get(self, path: str) -> tuple[int, Any]:
        """One request to its socket. Raises: aiohttp.ClientError, TimeoutError."""
        return await self._ask("GET", path, None)

    async def post(self, path: str, body: Mapping[str, object]) -> tuple[int, Any]:
        return await self._ask("POST", path, body)

    async def _ask(self, method: str, path: str, body: Mapping[str, object] | None) -> tuple[int, Any]:
        while (answer := await self._ask_once(method, path, body))[0] == TOO_MANY:
            await asyncio.sleep(POLL_S)
        return answer

    async def _ask_once(self, method: str, path: str, body: Mapping[str, object] | None) -> tuple[int, Any]:
        timeout = aiohttp.ClientTimeout(total=20)
        connector = aiohttp.UnixConnector(str(self._socket))
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, f"http://watchdogd/v1{path}", json=body) as reply,
        ):
            return reply.status, await reply.json()

    async def explain(self, pair: str = "prod") -> Mapping[str, Any]:
        """What it says about a pair now; empty while it has not decided, or cannot be asked."""
        try:
            status, body = await self.get(f"/pairs/{pair}/explain")
        except (aiohttp.ClientError, TimeoutError):
            return {}
        return body if status == 200 else {}

    async def until(
        self, holds: Callable[[Mapping[str, Any]], bool], *, timeout_s: float, pair: str = "prod"
    ) -> Mapping[str, Any]:
        """The first explanation for which `holds`."""
        seen: Mapping[str, Any] = {}
        try:
            async with asyncio.timeout(timeout_s):
                while not (seen := await self.explain(pair)) or not holds(seen):
                    self._ensure_running()
                    await asyncio.sleep(POLL_S)
                return seen
        except TimeoutError:
            gates = [gate["why"] for gate in seen.get("gates", ()) if not gate["open"]]
            told = f"{seen.get('situation')} {seen.get('why')}; closed: {gates}"
            raise AssertionError(f"not so within {timeout_s:g} s: {told}\n{self.last_words()}") from None


@asynccontextmanager
async def started(
    config: Path,
    socket: Path,
    *,
    environ: Mapping[str, str] | None = None,
    program: Sequence[str] = ("-m", "watchdogd.cli.main"),
    within: Sequence[str] = (),
) -> AsyncIterator[DaemonProcess]:
    """`watchdogd run CONFIG` while the block runs, started by the command `within` where there is one."""
    process = await asyncio.create_subprocess_exec(
        *within,
        sys.executable,
        *program,
        "run",
        str(config),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
        cwd=ROOT,
        env={**os.environ, **(environ or {})},
    )
    daemon = DaemonProcess(process, socket, config.with_name("daemon.log"))
    async with asyncio.TaskGroup() as tasks:
        daemon.read_in(tasks)
        try:
            yield daemon
        finally:
            await daemon.close()
