"""Everything that a daemon shows or keeps, and which secrets are in it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

import aiohttp

from tests.support.live_daemon import DaemonProcess
from tests.support.live_pair import PAIR, ServedWorld

QUESTIONS = (
    "/status",
    f"/pairs/{PAIR}/explain",
    f"/pairs/{PAIR}/plan?action=failover&target=west",
    f"/pairs/{PAIR}/plan?action=failover&target=east",
    "/history?limit=1000",
    "/timing",
    "/version",
)
PIECE = 24  # of a secret; a longer spelling is looked for piece by piece
LOOK_EVERY_S = 0.05
SHORT = 8  # what is shorter is no secret, and would be found by chance


async def everything_it_shows(daemon: DaemonProcess, world: ServedWorld) -> dict[str, bytes]:
    """What a running daemon answers, and what the machine shows of its process."""
    shown: dict[str, bytes] = {}
    for question in QUESTIONS:
        status, body = await daemon.get(question)
        shown[f"GET {question}"] = json.dumps(body).encode()
        assert status in (200, 404, 409, 422), body
    for run in await _runs(daemon):
        shown[f"GET /runs/{run}"] = json.dumps((await daemon.get(f"/runs/{run}"))[1]).encode()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        for path in ("/metrics", "/healthz", "/readyz", "/"):
            async with session.get(f"http://{world.http}{path}") as reply:
                shown[f"http {path}"] = await reply.read()
        async with session.get(f"http://{world.http}/events") as reply:
            shown["http /events"] = await reply.content.readuntil(b"\r\n\r\n")
    process = Path("/proc") / str(daemon.pid)
    shown["command line"] = (process / "cmdline").read_bytes()
    shown["environment"] = (process / "environ").read_bytes()
    return shown


async def _runs(daemon: DaemonProcess) -> set[str]:
    _, body = await daemon.get("/history?limit=1000")
    runs = {told["entry"].get("run_id") for told in body["entries"]}
    return {run for run in runs if isinstance(run, str) and run}


def kept_by(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, byte for byte."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def where_secrets_show(shown: Mapping[str, bytes], secrets: Mapping[str, str]) -> list[str]:
    """Which secret is in what, as it is or in another spelling, whole or a long piece; empty when none is anywhere."""
    pieces = {name: pieces_of(secret) for name, secret in secrets.items() if len(secret) >= SHORT}
    return [
        f"{name} in {place}"
        for place, text in shown.items()
        for name, wanted in pieces.items()
        if any(piece in text for piece in wanted)
    ]


def pieces_of(secret: str) -> tuple[bytes, ...]:
    """Every spelling of a secret, cut so that a piece of it that somebody shortened is found too."""
    return tuple({piece for spelling in _spellings(secret) for piece in _cut(spelling)})


def _cut(text: bytes) -> list[bytes]:
    if len(text) <= PIECE:
        return [text]
    return [text[at : at + PIECE] for at in range(0, len(text) - PIECE + 1, PIECE // 2)]


def _spellings(secret: str) -> set[bytes]:
    """Itself, hex, base64 at each of the three places in a longer text, percent; of a hex secret its bytes as well."""
    raws = {secret.encode()}
    with suppress(ValueError):
        raws.add(bytes.fromhex(secret))
    found = {secret.encode(), quote(secret, safe="").encode(), repr(secret.encode())[2:-1].encode()}
    for raw in raws:
        found |= {raw, raw.hex().encode(), raw.hex().upper().encode()}
        for before in range(3):
            encoded = base64.b64encode(b"\0" * before + raw)
            inner = encoded[[0, 2, 3][before] : len(encoded) - 4]  # what the neighbours cannot change
            found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return {spelling for spelling in found if len(spelling) >= SHORT}


class ProcessWatch:
    """Every command line and environment below a process, looked at again and again while the block runs."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.seen: dict[str, bytes] = {}

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Self]:
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(self._look_forever())
            try:
                yield self
            finally:
                looking.cancel()

    async def _look_forever(self) -> None:
        while True:
            for process in _below(self._pid):
                self._look_at(process)
            await asyncio.sleep(LOOK_EVERY_S)

    def _look_at(self, process: Path) -> None:
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if command == Path(f"/proc/{self._pid}/cmdline").read_bytes():
                return  # forked, and not yet the other program: still the daemon itself
            self.seen[f"command line {command!r}"] = command
            self.seen[f"environment of {command!r}"] = (process / "environ").read_bytes()


def _below(pid: int) -> list[Path]:
    """The processes that a process started, and theirs."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    below, known = {pid}, 0
    while len(below) > known:
        known = len(below)
        below |= {child for child, parent in parents.items() if parent in below}
    return [Path(f"/proc/{child}") for child in below - {pid}]
