"""One thread that owns one connection: the loop never waits for a disk, and writes never overtake each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Writer:
    """Runs jobs one after the other, in the order in which they were handed over."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, job: Callable[[], T]) -> T:
        """What `job` returns or raises. A caller that is cancelled stops waiting; a job that has begun ends anyway."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    async def close(self, last_job: Callable[[], None]) -> None:
        """Run `last_job` after everything else, and let the thread go."""
        try:
            await self.run(last_job)
        finally:
            self._thread.shutdown(wait=False)
