"""Everything that a daemon shows or keeps, and which secrets are in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

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
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
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
    """Which secret is in what; empty when none is anywhere."""
    return [
        f"{name} in {place}"
        for place, text in shown.items()
        for name, secret in secrets.items()
        if len(secret) >= SHORT and secret.encode() in text
    ]
