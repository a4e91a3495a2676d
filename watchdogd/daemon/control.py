"""The control socket: HTTP and JSON over a unix socket; who may act is what the kernel says about the caller.

Source: unix(7), SO_PEERCRED and SO_PEERGROUPS.
"""

from __future__ import annotations

import asyncio
import errno
import grp
import json
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from aiohttp import web

from watchdogd.adapters.settings import Settings
from watchdogd.core.explain import Shape
from watchdogd.core.model import EVERY_PAIR
from watchdogd.daemon.api import ROUTES
from watchdogd.daemon.orders import Orders
from watchdogd.daemon.protocol import (
    API,
    BODY_BYTES_MAX,
    REQUEST_S_MAX,
    REQUESTS_PER_S_MAX,
    Answer,
    Asked,
    Caller,
    Code,
    refuse,
)
from watchdogd.ports import Notice, Notifier, Severity

SO_PEERGROUPS = 59  # asm-generic/socket.h; Python's socket module does not name it
GROUPS_BYTES_MAX = 1024  # the most that getsockopt of Python takes: 256 groups
SOCKET_UMASK = 0o117  # 0660
DIRECTORY_MODE = 0o750

log = structlog.get_logger()
OnAnswered = Callable[[str, Answer], None]


class ControlServer:
    """Listens inside the block. The caller holds the state lock: a socket of a running daemon is never replaced."""

    def __init__(self, orders: Orders, settings: Settings, notifier: Notifier, on_answered: OnAnswered) -> None:
        self._orders = orders
        self._path = Path(settings.control_socket)
        self._operators = settings.operators_group
        self._own_uid_may_act = settings.policy.environment.is_simulated
        self._notifier = notifier
        self._on_answered = on_answered
        self._is_bound = False
        self._recent: dict[int, deque[float]] = {}
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)

    def apply(self, settings: Settings) -> None:
        """Who may act, after a reload. The socket stays where it is."""
        self._operators = settings.operators_group

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            self._path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            _ensure_nobody_answers(self._path)
            with _umask(SOCKET_UMASK):
                await web.UnixSite(self._runner, str(self._path)).start()
            self._is_bound = True
        except OSError as exc:
            # Watching goes on without it: a guard that cannot be asked still guards.
            self._notifier.tell(
                Notice(
                    pair=EVERY_PAIR,
                    key="control_socket",
                    severity=Severity.PAGE,
                    summary=f"the control socket {self._path} cannot be bound: {exc.strerror or exc}",
                )
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        if self._is_bound:
            self._path.unlink(missing_ok=True)

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        for route in ROUTES:
            app.router.add_route(route.method, API + route.path, self._handler(route.verb))
        app.router.add_route("*", "/{rest:.*}", self._unknown)
        return app

    def _handler(self, verb: str) -> Callable[[web.Request], asyncio.Future[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            caller = self._caller(request)
            answer = await self._bounded(request, verb, caller)
            self._on_answered(verb, answer)
            log.info(
                "control_request", verb=verb, uid=caller.uid, vault_status=None, status=answer.status
            ) if request.method == "POST" else None
            return web.json_response(answer.body, status=answer.status)

        return handle  # type: ignore[return-value]  # aiohttp takes any coroutine function

    async def _bounded(self, request: web.Request, verb: str, caller: Caller) -> Answer:
        if self._is_too_many(caller.uid):
            return refuse(Code.TOO_MANY, f"more than {REQUESTS_PER_S_MAX} requests a second")
        try:
            async with asyncio.timeout(REQUEST_S_MAX):
                asked = await _asked(request, verb)
                return asked if isinstance(asked, Answer) else await self._orders.ask(asked, caller)
        except TimeoutError:
            return refuse(Code.SLOW, f"no answer within {REQUEST_S_MAX:g} s: whether it was done is unknown")
        except web.HTTPRequestEntityTooLarge:
            return refuse(Code.TOO_LARGE, f"a body of more than {BODY_BYTES_MAX} bytes")

    async def _unknown(self, request: web.Request) -> web.Response:
        answer = refuse(Code.NOT_FOUND, f"no such path: {request.method} {request.path}")
        return web.json_response(answer.body, status=answer.status)

    def _is_too_many(self, uid: int) -> bool:
        now_s = asyncio.get_running_loop().time()
        recent = self._recent.setdefault(uid, deque(maxlen=REQUESTS_PER_S_MAX))
        is_too_many = len(recent) == REQUESTS_PER_S_MAX and now_s - recent[0] < 1.0
        if not is_too_many:
            recent.append(now_s)
        return is_too_many

    def _caller(self, request: web.Request) -> Caller:
        peer = request.transport.get_extra_info("socket") if request.transport is not None else None
        if peer is None:
            return Caller(uid=65534, may_act=False)
        _, uid, gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        is_operator = self._operators_gid() in {gid, *_groups_of(peer)}
        is_own = self._own_uid_may_act and uid == os.getuid()
        return Caller(uid=uid, may_act=uid == 0 or is_operator or is_own)

    def _operators_gid(self) -> int:
        try:
            return grp.getgrnam(self._operators).gr_gid
        except KeyError:
            return -1


async def _asked(request: web.Request, verb: str) -> Asked | Answer:
    if len(request.query) != len(set(request.query)):
        return refuse(Code.MALFORMED, "a name stands twice in the query")
    body: Shape = {}
    if request.method == "POST":
        raw = await request.read()
        try:
            given = json.loads(raw) if raw.strip() else {}
        except (ValueError, RecursionError):
            return refuse(Code.MALFORMED, "the body is not JSON")
        if not isinstance(given, dict):
            return refuse(Code.MALFORMED, "the body is not a JSON object")
        body = given
    return Asked(
        verb=verb,
        pair=request.match_info.get("pair", ""),
        run_id=request.match_info.get("run_id", ""),
        body=body,
        query=dict(request.query),
    )


def _groups_of(peer: socket.socket) -> Iterator[int]:
    """The supplementary groups of whoever is at the other end; none where the kernel does not say."""
    try:
        raw = peer.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUPS_BYTES_MAX)
    except OSError as exc:
        if exc.errno not in (errno.ENOPROTOOPT, errno.ERANGE, errno.ENODATA):
            raise
        return
    yield from (gid for (gid,) in struct.iter_unpack("I", raw))


def _ensure_nobody_answers(path: Path) -> None:
    """Raises: OSError when a daemon with another state directory listens there: binding would take its socket away."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(str(path))
        except BlockingIOError:
            pass  # its queue is full: it is there
        except OSError:
            return
    raise OSError(errno.EADDRINUSE, "another daemon answers there: give each its own `control.socket`")


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    """No moment in which anybody could connect who may not: the mode is there when the socket is."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
