"""The memory of the real process is nobody's to read: asked of the kernel by a process of the same user."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from tests.support.live_daemon import started
from tests.support.live_pair import served_world

pytestmark = pytest.mark.live

# Root may look at everything. Without a capability it is a user like any other, whose own processes it may look at.
PLAIN = (
    ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")
    if os.geteuid() == 0
    else ()
)
START_S = 60.0


async def is_readable(pid: int) -> bool:
    """Whether a process of the same user may read what the kernel guards as it guards the memory itself."""
    reader = await asyncio.create_subprocess_exec(*PLAIN, "cat", f"/proc/{pid}/environ", stdout=DEVNULL, stderr=DEVNULL)
    return await reader.wait() == 0


async def test_a_running_daemon_cannot_be_dumped_or_read(tmp_path: Path) -> None:
    async with served_world(tmp_path) as world:
        running = started(world.config, world.socket, environ=world.environ, within=PLAIN)
        async with running as daemon:
            await daemon.said(lambda line: line["event"] == "started", timeout_s=START_S)
            assert not await is_readable(daemon.pid)
            assert not [line for line in daemon.log if line["event"] == "memory_can_be_dumped"]


async def test_any_other_process_of_the_same_user_is_readable() -> None:
    process = await asyncio.create_subprocess_exec(*PLAIN, "cat", stdin=PIPE, stdout=DEVNULL)
    try:
        async with asyncio.timeout(START_S):  # until setpriv has become cat
            while not await is_readable(process.pid):
                await asyncio.sleep(0.05)
    finally:
        process.kill()
        await process.wait()
