"""The demo's eyes close when they are told to, whatever a library does with that."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace

from watchdogd.cli.demo_watch import Watch


class Swallowing(Watch):
    """Its resolver answers at the very moment of a cancellation, as `asyncio.wait_for` of Python 3.11 lets it."""

    def __init__(self) -> None:
        self.lab = SimpleNamespace(client_resolver="127.0.0.1:53")  # type: ignore[assignment]
        self.names = []
        self.asked = asyncio.Event()

    async def resolve(self, server: str) -> str:
        if not self.asked.is_set():
            self.asked.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
        return ""


async def test_a_loop_whose_cancellation_was_swallowed_ends_all_the_same() -> None:
    watch = Swallowing()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watch.follow_name(None))  # type: ignore[arg-type]
        await watch.asked.wait()
        following.cancel()
        done, _ = await asyncio.wait([following], timeout=1.0)
        following.cancel()  # so that the test ends where the loop did not
    assert done
