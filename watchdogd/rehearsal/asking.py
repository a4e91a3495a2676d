"""The two that are asked during a play with real processes: the lab's control endpoint, and the daemon's socket."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from watchdogd.lab.lab_file import LabFile

EVENTS_WAIT_S, ASK_TIMEOUT_S = 5.0, 5.0


class Asking:
    """Sessions that are open inside the block."""

    def __init__(self, lab: LabFile, socket: Path) -> None:
        timeout = aiohttp.ClientTimeout(total=EVENTS_WAIT_S + ASK_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {lab.control_token}"}
        self._lab = aiohttp.ClientSession(lab.control_url, headers=headers, timeout=timeout)
        self._daemon = aiohttp.ClientSession(
            "http://daemon", connector=aiohttp.UnixConnector(str(socket)), timeout=aiohttp.ClientTimeout(ASK_TIMEOUT_S)
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._lab)
        await self._stack.enter_async_context(self._daemon)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def lab(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """One request to the lab. Raises: aiohttp.ClientError."""
        async with self._lab.request(method, path, json=body) as reply:
            reply.raise_for_status()
            return await reply.json()

    async def daemon(self, method: str, path: str, body: Mapping[str, object] | None = None) -> tuple[int, Any]:
        """One request to the daemon: status and body; 0 where nobody answers, as while it is dead."""
        try:
            async with self._daemon.request(method, f"/v1{path}", json=body) as reply:
                return reply.status, await reply.json()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, None
