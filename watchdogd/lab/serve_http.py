"""One HTTP(S) address of the lab: each `Exchange` of the pure world becomes what a socket really does."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, assert_never

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import HttpRequestParserPy, RawRequestMessage
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDictProxy

from watchdogd.lab.serve_socket import Door, Listener, linger_not, reset
from watchdogd.lab.wire import Exchange, Outcome

HANDSHAKE_TIMEOUT_S = 10.0
BODY_BYTES_MAX = 32 << 20  # Vault's max_request_size
LINE_BYTES_MAX = 1 << 20  # of the request line and of one header: Go's own limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A request as it was read from the socket, complete."""

    method: str
    path_and_query: str
    headers: CIMultiDictProxy[str]
    body: bytes


Answer = Callable[[Arrived], Awaitable[Exchange]]


class _Connection(RequestHandler):
    """One connection that takes every verb: aiohttp's compiled parser knows those of RFC 9110, and not LIST."""

    def __init__(self, server: web.Server, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(server, loop=loop, **options)
        self._parser = HttpRequestParserPy(
            self,
            loop,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """To what is not HTTP the text of Go's own server, to a bug of ours Vault's shape; then the connection ends."""
        if status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return _not_http(status)
        self.log_exception("cannot answer %s %s", request.method, request.rel_url, exc_info=exc)
        response = _errors(status, "internal error")
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, access_log=None)


def _errors(status: int, text: str) -> web.Response:
    return web.json_response({"errors": [text]}, status=status, headers={"Cache-Control": "no-store"})


def _not_http(status: int) -> web.Response:
    response = web.Response(status=status, text=f"{status} {HTTPStatus(status).phrase}")
    response.force_close()
    return response


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_BYTES_MAX)


class HttpFront:
    """An address that answers HTTP/1.1 with keep-alive, over TLS where `tls` is given.

    `answer` is asked once per request, when the request has been read: that is the moment it takes effect.
    Closing the door resets what is connected; blocking it silences what is connected.
    """

    def __init__(
        self, host: str, port: int, answer: Answer, *, tasks: asyncio.TaskGroup, tls: ssl.SSLContext | None = None
    ) -> None:
        self.host, self.port = host, port
        self._answer = answer
        self._tasks = tasks
        self._tls = tls
        self._connecting: dict[asyncio.Task[None], socket.socket] = {}
        self._silenced: set[asyncio.BaseTransport] = set()
        self._server = _Server(self._handle, request_factory=_request, handler_cancellation=True)
        self._listener = Listener(host, port, self._admit)

    @property
    def door(self) -> Door:
        return self._listener.door

    def set_certificate(self, tls: ssl.SSLContext) -> None:
        """What is shown from the next connection on; those that stand are reset, as by a restart."""
        if tls is not self._tls:
            self._tls = tls
            self._reset_all()

    def set_door(self, door: Door) -> None:
        """Raises AddressInUse."""
        if door is self.door:
            return
        self._listener.set_door(door)
        match door:
            case Door.CLOSED:
                self._reset_all()
            case Door.OPEN:
                # What went unanswered stays unanswered: its sender finds out by a reset, as after a lost route.
                for transport in list(self._silenced):
                    reset(transport)
            case Door.BLOCKED:
                pass
            case _:
                assert_never(door)

    async def close(self) -> None:
        self._listener.close()
        self._reset_all()
        await self._server.shutdown(timeout=0.1)

    def _reset_all(self) -> None:
        for task, conn in self._connecting.items():
            linger_not(conn)
            task.cancel()
        for protocol in self._server.connections:
            if protocol.transport is not None:
                reset(protocol.transport)

    def _admit(self, conn: socket.socket) -> None:
        task = self._tasks.create_task(self._connect(conn))
        self._connecting[task] = conn
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[None]) -> None:
        conn = self._connecting.pop(task)
        if task.cancelled():
            conn.close()  # of one that never began nobody else knows

    async def _connect(self, conn: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        timeout_s = HANDSHAKE_TIMEOUT_S if self._tls is not None else None
        try:
            await loop.connect_accepted_socket(self._server, conn, ssl=self._tls, ssl_handshake_timeout=timeout_s)
        except OSError:
            conn.close()  # the client left, or did not like our certificate

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _errors(413, "http: request body too large")
        except web.RequestPayloadError:
            return _not_http(400)
        arrived = Arrived(
            method=request.method,
            path_and_query=request.raw_path,
            headers=request.headers,
            body=body,
        )
        exchange = await self._answer(arrived)
        if exchange.outcome not in (Outcome.DROP, Outcome.HANG):
            await asyncio.sleep(exchange.delay_s)
        if self.door is Door.BLOCKED:
            return await self._never(request)
        match exchange.outcome:
            case Outcome.ANSWER:
                return web.Response(status=exchange.status, headers=exchange.headers, body=exchange.body)
            case Outcome.GARBAGE:
                return self._raw(request, exchange.body)
            case Outcome.RESET | Outcome.REFUSE | Outcome.UNTRUSTED:
                return self._reset(request)
            case Outcome.DROP | Outcome.HANG:
                return await self._never(request)
            case _:
                assert_never(exchange.outcome)

    async def _never(self, request: web.BaseRequest) -> web.StreamResponse:
        """Wait until the client leaves (aiohttp cancels us) or the door opens again (we reset)."""
        if (transport := request.transport) is None:
            return self._gone()
        self._silenced.add(transport)
        try:
            never: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()
            return await never
        finally:
            self._silenced.discard(transport)

    def _raw(self, request: web.BaseRequest, data: bytes) -> web.StreamResponse:
        if (transport := request.transport) is not None:
            transport.write(data)
            transport.close()
        return self._gone()

    def _reset(self, request: web.BaseRequest) -> web.StreamResponse:
        if (transport := request.transport) is not None:
            reset(transport)
        return self._gone()

    def _gone(self) -> web.StreamResponse:
        """A response for a transport that is closing: aiohttp drops it."""
        return web.Response()
