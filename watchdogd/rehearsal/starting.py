"""What a daemon with a process of its own is started with, in a demo and in a play alike."""

from __future__ import annotations

import asyncio
from asyncio import Server
from pathlib import Path

from watchdogd.rehearsal.processes import Unmet

SOCKET_PATH_MAX = 107  # sun_path without its closing zero. Source: unix(7)


def must_fit(socket: Path) -> None:
    """Raises Unmet for the path of a control socket that no socket can have."""
    if len(str(socket)) > SOCKET_PATH_MAX:
        raise Unmet(f"{socket} is too long for a socket: set TMPDIR to a shorter directory")


def aws_environment(*, access_key_id: str, secret_access_key: str, region: str) -> dict[str, str]:
    """The credentials that the lab made up; nobody's own AWS profile has a say."""
    return {
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret_access_key,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


class Anchor:
    """Something outside every cluster that takes connections, until it is cut."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._port = 0

    async def __aenter__(self) -> Anchor:
        await self._listen()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._close()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self._port}"

    async def cut(self, for_s: float) -> None:
        """Refuse connections for so long; for ever without a number."""
        self._close()
        if for_s:
            await asyncio.sleep(for_s)
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", self._port)
        self._port = int(self._server.sockets[0].getsockname()[1])

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None
