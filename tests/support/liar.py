"""A server that lies: it knows what a true node would answer and sends something made of it, byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tests.support.sockets import answer, read_request, reset

PAUSE_S = 0.01


class Lie(StrEnum):
    """What is done to the bytes of an answer, from a place in it on."""

    FLIP = "flip"  # one bit
    CUT = "cut"  # and close
    RESET = "reset"  # the same, with a RST
    HANG = "hang"  # the same, and say nothing more
    INSERT = "insert"
    REPEAT = "repeat"  # send the rest twice
    DRIP = "drip"  # in small pieces
    SWAP = "swap"  # the answer of another endpoint


@dataclass(frozen=True, slots=True)
class Told:
    """One lie: where in the answer (0 to 1), and with what bytes or which bit."""

    lie: Lie
    at: float
    noise: bytes = b"x"


@dataclass(slots=True)
class Liar:
    """Answers by `truth` (path without its query to body), through the lies in turn; the last one lasts."""

    truth: Mapping[str, object]
    lies: Sequence[Told]
    sent_bytes: int = 0
    asked: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_request(reader)
            path = head.split(b" ")[1].decode("latin-1").partition("?")[0].removeprefix("/v1/")
            told = self.lies[min(len(self.asked), len(self.lies) - 1)] if self.lies else None
            self.asked.append(path)
            true = self._true(path, told)
            if not await self._send(writer, true, told):
                return

    def _true(self, path: str, told: Told | None) -> bytes:
        names = sorted(self.truth)
        if told is not None and told.lie is Lie.SWAP:
            path = names[int(told.at * (len(names) - 1))]
        body = self.truth.get(path)
        if body is None:
            return answer(b'{"errors":["unsupported path"]}', status="404 Not Found")
        return answer(json.dumps(body).encode())

    async def _send(self, writer: asyncio.StreamWriter, true: bytes, told: Told | None) -> bool:
        """False when the connection is of no more use."""
        if told is None or told.lie is Lie.SWAP:
            return await self._write(writer, true)
        at = max(1, int(told.at * len(true)))  # a server that says nothing at all is no liar
        match told.lie:
            case Lie.CUT | Lie.RESET | Lie.HANG:
                await self._write(writer, true[:at])
                if told.lie is Lie.HANG:
                    await asyncio.sleep(3600.0)
                if told.lie is Lie.RESET:
                    reset(writer)
                return False
            case Lie.DRIP:
                for start in range(0, len(true), max(1, len(true) // 8)):
                    await self._write(writer, true[start : start + max(1, len(true) // 8)])
                    await asyncio.sleep(PAUSE_S)
                return True
            case _:
                return await self._write(writer, _altered(true, at, told))

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> bool:
        self.sent_bytes += len(data)
        writer.write(data)
        await writer.drain()
        return True


def _altered(true: bytes, at: int, told: Told) -> bytes:
    match told.lie:
        case Lie.FLIP:
            at = min(at, len(true) - 1)
            bit = 1 << (told.noise[0] % 8 if told.noise else 0)
            return true[:at] + bytes([true[at] ^ bit]) + true[at + 1 :]
        case Lie.INSERT:
            return true[:at] + told.noise + true[at:]
        case _:
            return true + true[at:]
