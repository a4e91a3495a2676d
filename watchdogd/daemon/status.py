"""What is served on TCP, read-only: metrics, health, readiness, and the status page with its stream of events."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import Self

from aiohttp import ClientConnectionResetError, web
from aiohttp_sse import sse_response
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from watchdogd import __version__
from watchdogd.adapters.settings import Settings
from watchdogd.core.commands import at_socket
from watchdogd.core.explain import Json, Shape
from watchdogd.core.model import EVERY_PAIR, PairId
from watchdogd.daemon.orders import Orders, explanation, is_ready, status_of
from watchdogd.ports import Notice, Notifier, Severity

PAGE = Path(__file__).with_name("page")
FILES = {"/": "index.html", "/page.js": "page.js", "/page.css": "page.css", "/icon.svg": "icon.svg"}
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
TYPED = frozenset({"command", "would_act_when"})  # what says a command line
PUSH_EVERY_S = 1.0
STREAMS_MAX = 50
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY + "; frame-ancestors 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class StatusServer:
    """Listens inside the block, at the address of `[listen] http`. There is nothing here that changes anything."""

    def __init__(self, orders: Orders, settings: Settings, notifier: Notifier, registry: CollectorRegistry) -> None:
        self._orders = orders
        self._host, self._port = settings.http_host, settings.http_port
        self._socket = quote(settings.control_socket)
        self._notifier = notifier
        self._streams = 0
        self._runner = web.AppRunner(self._application(registry), access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as exc:
            # Nobody is left unguarded because a port is taken.
            self._notifier.tell(
                Notice(
                    pair=EVERY_PAIR,
                    key="listen_http",
                    severity=Severity.PAGE,
                    summary=f"{self._host}:{self._port} cannot be bound, no metrics are served: {exc.strerror or exc}",
                )
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def _application(self, registry: CollectorRegistry) -> web.Application:
        app = web.Application(middlewares=[_with_headers])
        app.router.add_get("/metrics", make_aiohttp_handler(registry))
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/events", self._events)
        for path in FILES:
            app.router.add_get(path, self._file)
        return app

    async def _healthz(self, request: web.Request) -> web.Response:
        """The process answers: its loop is not blocked."""
        return web.json_response({"version": __version__})

    async def _readyz(self, request: web.Request) -> web.Response:
        """Every pair was decided about, and could be failed over."""
        pairs = {str(pair): self._is_ready(pair) for pair in self._orders.units}
        return web.json_response({"pairs": pairs}, status=200 if all(pairs.values()) else 503)

    def _is_ready(self, pair: PairId) -> bool:
        standing = self._orders.units[pair].deciding.standing
        return standing is not None and is_ready(standing)

    async def _file(self, request: web.Request) -> web.Response:
        name = FILES[request.path]
        text = await asyncio.to_thread((PAGE / name).read_text, encoding="utf-8")
        return web.Response(text=text, content_type=TYPES[Path(name).suffix])

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """The whole state once a second, as server-sent events."""
        if self._streams >= STREAMS_MAX:
            return web.json_response({"error": "too many streams"}, status=503)
        self._streams += 1
        try:
            return await self._stream(request)
        except ClientConnectionResetError:  # the reader has left
            return web.Response()
        finally:
            self._streams -= 1

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        async with sse_response(request) as stream:
            while stream.is_connected():
                await stream.send(json.dumps(self.state()))
                await asyncio.sleep(PUSH_EVERY_S)
        return stream

    def state(self) -> Shape:
        """What the page shows."""
        return {"version": __version__, "pairs": [self._pair(pair) for pair in self._orders.units]}

    def _pair(self, pair: PairId) -> Shape:
        unit = self._orders.units[pair]
        said: Shape = {"status": status_of(unit), "explain": explanation(unit)}
        return {key: _as_typed(value, self._socket) for key, value in said.items()}


def _as_typed(said: Json, socket: str, *, is_typed: bool = False) -> Json:
    """`said` with its command lines as they are typed where the daemon listens at `socket`."""
    match said:
        case dict():
            return {key: _as_typed(value, socket, is_typed=key in TYPED) for key, value in said.items()}
        case list():
            return [_as_typed(one, socket, is_typed=is_typed) for one in said]
        case str() if is_typed:
            return at_socket(said, socket)
        case _:
            return said


@web.middleware
async def _with_headers(request: web.Request, handler):  # type: ignore[no-untyped-def]
    response = await handler(request)
    if not response.prepared:
        with suppress(AttributeError):
            response.headers.update(HEADERS)
    return response
