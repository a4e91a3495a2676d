"""What the probes alone cost: the same requests as the daemon's, by aiohttp, with nothing else. Runs until killed.

Arguments: the lab's directory, and how many pairs to ask for. At every USR1 it says how many rounds there were so far.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import ssl
import sys
from collections import Counter
from pathlib import Path

import aiohttp

from watchdogd.adapters.vault.probe import HEALTH_PATH
from watchdogd.lab.lab_file import LabFile

INTERVAL_S, TIMEOUT_S = 3.0, 2.0
PATHS = (HEALTH_PATH, "sys/replication/dr/status", "sys/leader")


async def ask(session: aiohttp.ClientSession, node: str, name: str, tls: ssl.SSLContext) -> None:
    """One round, within the daemon's hard time-out."""
    async with asyncio.timeout(TIMEOUT_S):
        for path in PATHS:
            async with session.get(f"{node}/v1/{path}", ssl=tls, server_hostname=name) as reply:
                await reply.read()


class Loop:
    """Asks every node of every pair for ever, and counts."""

    def __init__(self, session: aiohttp.ClientSession, tls: ssl.SSLContext) -> None:
        self.counted = Counter({"rounds": 0, "unread": 0})
        self._session = session
        self._tls = tls

    async def ask_forever(self, node: str, name: str, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL_S
            try:
                await ask(self._session, node, name, self._tls)
            except (aiohttp.ClientError, TimeoutError):  # the daemon goes on, too
                self.counted["unread"] += 1
            self.counted["rounds"] += 1
            await asyncio.sleep(due - loop.time())

    def tell(self) -> None:
        print(json.dumps(self.counted), flush=True)  # noqa: T201  read by the bench


async def main(directory: Path, pairs: int) -> None:
    file = LabFile.read(directory)
    tls = ssl.create_default_context(cafile=file.ca_file)
    nodes = [(node, entry.dns_name) for entry in file.clusters.values() for node in entry.nodes]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
        loop = Loop(session, tls)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, loop.tell)
        for pair, (node, name) in itertools.product(range(pairs), nodes):
            tasks.create_task(loop.ask_forever(node, name, INTERVAL_S * pair / pairs))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
