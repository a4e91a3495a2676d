"""The lab's world behind the `HttpTransport` port: in memory, under virtual time, as real sockets would show it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import assert_never
from urllib.parse import urlsplit

from watchdogd.errors import Cause, OutcomeUnknown, Unreachable
from watchdogd.lab.wire import Exchange, Outcome, Wire
from watchdogd.lab.world import World
from watchdogd.ports import HttpReply, HttpRequest
from watchdogd.rehearsal.memory import Revoked

KEEPALIVE_S = 60.0
ROUNDING_S = 1e-6  # of the clock of a virtual loop
BUSY_WAIT_S, BUSY_POLL_S = 0.2, 0.01  # how long a request waits for its connection while another one uses it


class WorldTransport:
    """Requests from one place into one world.

    `address_map` gives the target (`east/1`) of an address (`https://vault-east.example.com:8200`); without an entry
    the world's own addresses `127.PLACE.CLUSTER.NODE` are understood. The world is asked when a request arrives, and
    its answer is shown `delay_s` later. Kept connections are modelled: one that carried a request to a node that then
    refuses is gone, and what is sent over one into a black hole may have arrived. The world's clock is the loop's,
    `ahead_s` further on.
    """

    def __init__(
        self, world: World, place: str, address_map: Mapping[str, str] | None = None, *, ahead_s: float = 0.0
    ) -> None:
        self.world = world
        self.place = place
        self.ahead_s = ahead_s
        self.revoked = False  # a killed daemon sends nothing more, whatever its coroutines still do
        self.sent: list[HttpRequest] = []
        self._targets = dict(address_map or {})
        self._idle: defaultdict[str, dict[int, float]] = defaultdict(dict)  # target -> connection -> idle since
        self._in_use: set[int] = set()
        self._connections = 0

    def now_s(self) -> float:
        """The world's time: the loop's, `ahead_s` further on."""
        return asyncio.get_running_loop().time() + self.ahead_s

    async def __call__(
        self, request: HttpRequest, *, timeout_s: float, only_on_connection: int | None = None
    ) -> HttpReply:
        """As the port says. Raises: Unreachable, OutcomeUnknown; Revoked once the daemon it belongs to was killed."""
        if self.revoked:
            raise Revoked(f"{request.method} {request.url}")
        target, path = self._target_of(request.url)
        await self._until_free(only_on_connection)
        kept = self._take(target, only_on_connection)
        if only_on_connection is not None and kept is None:
            raise Unreachable(Cause.RESET, f"connection {only_on_connection} is gone")
        if kept is None:
            return await self._send(request, target, path, timeout_s, None, only_on_connection)
        self._in_use.add(kept)
        try:
            return await self._send(request, target, path, timeout_s, kept, only_on_connection)
        finally:
            self._in_use.discard(kept)

    async def _send(
        self, request: HttpRequest, target: str, path: str, timeout_s: float, kept: int | None, only_on: int | None
    ) -> HttpReply:
        self.sent.append(request)
        wire = Wire(
            place=self.place,
            target=target,
            method=request.method,
            path_and_query=path,
            headers=request.headers,
            body=request.body,
        )
        exchange = self.world.exchange(wire, now_s=self.now_s())
        return await self._show(exchange, target, timeout_s, kept, only_on is not None)

    async def _show(
        self, exchange: Exchange, target: str, timeout_s: float, kept: int | None, bound: bool
    ) -> HttpReply:
        match exchange.outcome:
            case Outcome.ANSWER:
                await self._wait(exchange.delay_s, timeout_s)
                connection = kept or self._new_connection()
                self._idle[target][connection] = asyncio.get_running_loop().time()
                return HttpReply(
                    status=exchange.status, headers=exchange.headers, body=exchange.body, connection=connection
                )
            case Outcome.REFUSE:
                self._idle[target].clear()
                await self._wait(exchange.delay_s, timeout_s, connecting=True)
                raise Unreachable(Cause.RESET if bound else Cause.REFUSED, target)
            case Outcome.UNTRUSTED:
                self._idle[target].clear()
                await self._wait(exchange.delay_s, timeout_s, connecting=True)
                raise Unreachable(Cause.TLS, target)
            case Outcome.DROP:
                await asyncio.sleep(timeout_s)
                if kept is not None:
                    raise OutcomeUnknown("nothing came back over a kept connection", timed_out=True)
                raise Unreachable(Cause.TIMEOUT, target)
            case Outcome.RESET:
                await self._wait(exchange.delay_s, timeout_s)
                raise OutcomeUnknown("reset")
            case Outcome.HANG:
                await asyncio.sleep(timeout_s)
                raise OutcomeUnknown("no answer in time", timed_out=True)
            case Outcome.GARBAGE:
                await self._wait(exchange.delay_s, timeout_s)
                raise OutcomeUnknown("not HTTP", answered=True)
            case _:
                assert_never(exchange.outcome)

    async def _wait(self, delay_s: float, timeout_s: float, *, connecting: bool = False) -> None:
        began_s = asyncio.get_running_loop().time()
        await asyncio.sleep(min(delay_s, timeout_s))
        took_s = asyncio.get_running_loop().time() - began_s  # longer than asked for where the loop was late
        if delay_s > timeout_s or took_s > timeout_s + ROUNDING_S:
            if connecting:
                raise Unreachable(Cause.TIMEOUT, "no connection in time")
            raise OutcomeUnknown("late", timed_out=True)

    async def _until_free(self, connection: int | None) -> None:
        """As the real transport: a connection that carries a request now is waited for, for a while."""
        waited_s = 0.0
        while connection in self._in_use and waited_s < BUSY_WAIT_S:
            await asyncio.sleep(BUSY_POLL_S)
            waited_s += BUSY_POLL_S

    def _take(self, target: str, only_on: int | None) -> int | None:
        """A kept connection that is not in use: the one asked for, else the one that was used last.

        Of several that were freed in this very moment the first: whoever it was asks on before the others.
        """
        now_s = asyncio.get_running_loop().time()
        idle = {n: since for n, since in self._idle[target].items() if now_s - since <= KEEPALIVE_S}
        self._idle[target] = idle
        last = max(idle, key=idle.__getitem__, default=None)
        taken = only_on if only_on in idle else (None if only_on is not None else last)
        if taken is not None:
            del idle[taken]
        return taken

    def _new_connection(self) -> int:
        self._connections += 1
        return self._connections

    def _target_of(self, url: str) -> tuple[str, str]:
        parts = urlsplit(url)
        address = f"{parts.scheme}://{parts.netloc}"
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        if address in self._targets:
            return self._targets[address], path
        found = self.world.spec.target_of(address)
        if found is None:
            raise Unreachable(Cause.NAME, address)
        return found[1], path
