"""What the probes alone cost: the same requests as the daemon's, by aiohttp, with nothing else. Runs until killed.

Arguments: the lab's directory, and how many pairs to ask for.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import sys
from pathlib import Path

import aiohttp

from watchdogd.adapters.vault.probe import HEALTH_PATH
from watchdogd.lab.lab_file import LabFile

INTERVAL_S, TIMEOUT_S = 3.0, 2.0
PATHS = (HEALTH_PATH, "sys/replication/dr/status", "sys/leader")


async def ask(session: aiohttp.ClientSession, node: str, name: str, tls: ssl.SSLContext) -> None:
    for path in PATHS:
        async with session.get(f"{node}/v1/{path}", ssl=tls, server_hostname=name) as reply:
            await reply.read()


async def ask_forever(session: aiohttp.ClientSession, node: str, name: str, tls: ssl.SSLContext, wait_s: float) -> None:
    await asyncio.sleep(wait_s)
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL_S
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # the daemon goes on, too
            await ask(session, node, name, tls)
        await asyncio.sleep(due - loop.time())


async def main(directory: Path, pairs: int) -> None:
    file = LabFile.read(directory)
    tls = ssl.create_default_context(cafile=file.ca_file)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    nodes = [(node, entry.dns_name) for entry in file.clusters.values() for node in entry.nodes]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session, asyncio.TaskGroup() as tasks:
        for pair, (node, name) in itertools.product(range(pairs), nodes):
            tasks.create_task(ask_forever(session, node, name, tls, INTERVAL_S * pair / pairs))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
