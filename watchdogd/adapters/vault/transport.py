"""The one place that knows aiohttp's client: one node address, its own TLS, a few kept connections.

What the errors mean is INTERFACES section 2. What was sent is known from the connection, not from the class of an
exception: before a connection is there, nothing was sent; from then on, it may have been.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Self
from weakref import WeakValueDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler

from watchdogd.adapters.vault.names import NameTable, TableResolver
from watchdogd.adapters.vault.shape import BODY_BYTES_MAX
from watchdogd.core.model import NodeAddress
from watchdogd.errors import Cause, ConfigError, MalformedReply, OutcomeUnknown, Unreachable, WatchdogError
from watchdogd.ports import HttpReply, HttpRequest

LANES_MAX = 6  # a round may need three, a mutation and its readings the rest
KEEPALIVE_S = 60.0  # several probe intervals: Vault's own idle time-out is 5 min
TURNS_TO_NOTICE = 3  # of the loop: reading, the TLS layer, and the protocol that hears of an end of file
BUSY_WAIT_S = 0.2  # how long a request waits for the one connection that it must go out over

CAUSE_BY_ERRNO: Mapping[int, Cause] = {
    errno.ECONNREFUSED: Cause.REFUSED,
    errno.ECONNRESET: Cause.RESET,
    errno.ECONNABORTED: Cause.RESET,
    errno.EPIPE: Cause.RESET,
    errno.ETIMEDOUT: Cause.TIMEOUT,
}
"""Everything else is LOCAL: no route, no descriptor, no buffer, no permission are our own fault and never evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """How one cluster's certificates are checked. `server_name` is what they must name when nodes are addresses."""

    ca_file: str | None = None  # None: the system's
    server_name: str | None = None
    min_version: str = "1.2"
    verify: bool = True


def tls_context(options: TlsOptions) -> ssl.SSLContext:
    """The context of every session with these options and this very CA file: shared, never to be changed.

    Raises: ConfigError naming what cannot be used.
    """
    place = (options, _print(options.ca_file))
    context = _CONTEXTS.get(place)
    if context is None:
        context = _CONTEXTS[place] = _new_context(options)
    return context


# As long as a session uses it. One for each of 800 addresses would be as many copies of the CA certificates.
_CONTEXTS: WeakValueDictionary[tuple[TlsOptions, str], ssl.SSLContext] = WeakValueDictionary()


def _print(ca_file: str | None) -> str:
    """What tells the content of a file from any other. The system's own certificates are those of the start.

    No stamp of the file does: a deployment may give every file the same time, and a file system an inode once more.
    """
    try:
        return sha256(Path(ca_file).read_bytes()).hexdigest() if ca_file is not None else ""
    except OSError:
        return ""


def _new_context(options: TlsOptions) -> ssl.SSLContext:
    versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    if options.min_version not in versions:
        raise ConfigError((f'tls.min_version: {options.min_version!r}, must be "1.2" or "1.3"',))
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
    except OSError as exc:  # ssl.SSLError too
        why = f"is no readable PEM file ({exc.strerror or exc}): the daemon needs it to start"
        raise ConfigError((f"tls.ca_file: {options.ca_file} {why}",)) from exc
    context.minimum_version = versions[options.min_version]
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _MustNotConnect(Exception):
    """A request that may only go out over a connection that is there found none."""


class _CountingHandler(ResponseHandler):
    """aiohttp's protocol of one connection, which also knows from where, and how much ever came in."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.received_bytes = 0
        self.peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.peer = (transport.get_extra_info("peername") or ("",))[0]

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        super().data_received(data)


@dataclass(slots=True)
class _Lane:
    """A session that holds at most one connection at a time. It goes on with the number of its newest one."""

    session: aiohttp.ClientSession
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    connection: int = 0
    handler: _CountingHandler | None = None

    @property
    def is_open(self) -> bool:
        return self.handler is not None and self.handler.is_connected()

    @property
    def received_bytes(self) -> int:
        return 0 if self.handler is None else self.handler.received_bytes  # an empty one is falsy: it is a queue


@dataclass(slots=True)
class _Sending:
    """One request on its way, as the trace of aiohttp tells it."""

    method: str
    only_on: int | None
    lane: _Lane
    connections: int = 0  # how many it was given; aiohttp repeats an idempotent request once
    may_be_sent: bool = False
    received_before: int = 0

    def connected(self) -> None:
        """A connection is there: from now on, bytes may leave."""
        self.connections += 1
        self.may_be_sent = True
        self.received_before = self.lane.received_bytes

    @property
    def is_answered(self) -> bool:
        """True when a byte came in since."""
        return self.may_be_sent and self.lane.received_bytes > self.received_before


class NodeTransport:
    """`HttpTransport` for one node address. `async with` opens it; leaving closes every connection."""

    def __init__(self, *, node: NodeAddress, tls: TlsOptions, names: NameTable) -> None:
        self._node = node
        self._names = names
        self._server_name = tls.server_name
        self._context = tls_context(tls)
        self._lanes: list[_Lane] = []
        self._connections = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        for lane in self._lanes:
            await lane.session.close()

    async def __call__(
        self, request: HttpRequest, *, timeout_s: float, only_on_connection: int | None = None
    ) -> HttpReply:
        """Send `request` within `timeout_s`, counted from the call to the last byte of the body.

        Raises: Unreachable, OutcomeUnknown, MalformedReply (a body of more than BODY_BYTES_MAX bytes).
        """
        _check(request)
        lane = await self._take_lane(only_on_connection)
        sending = _Sending(method=request.method, only_on=only_on_connection, lane=lane)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(lane, request, sending)
        except (aiohttp.ClientError, OSError, _MustNotConnect) as exc:  # TimeoutError is an OSError
            failure = failure_of(exc, may_be_sent=sending.may_be_sent, answered=sending.is_answered)
        finally:
            lane.lock.release()
            self._lanes.remove(lane)
            self._lanes.insert(0, lane)  # whoever asks on at once goes on over the same connection
        raise failure  # outside: aiohttp's exceptions carry the headers of the request

    async def _take_lane(self, only_on: int | None) -> _Lane:
        """A lane whose lock is held. With `only_on` the one that holds that connection. Raises: Unreachable."""
        if self._closed:
            raise Unreachable(Cause.LOCAL, "closed")
        if only_on is None:
            free = next((lane for lane in self._lanes if not lane.lock.locked()), None) or self._new_lane()
            await free.lock.acquire()
            return free
        for _ in range(TURNS_TO_NOTICE):
            await asyncio.sleep(0)
        kept = next((lane for lane in self._lanes if lane.connection == only_on and lane.is_open), None)
        if kept is None:
            raise Unreachable(Cause.RESET, f"connection {only_on} is gone")
        try:
            async with asyncio.timeout(BUSY_WAIT_S):
                await kept.lock.acquire()
        except TimeoutError:
            raise Unreachable(Cause.RESET, f"connection {only_on} is busy") from None
        if kept.connection == only_on:
            return kept
        kept.lock.release()  # whoever held it got a newer connection: nothing was seen on that one
        raise Unreachable(Cause.RESET, f"connection {only_on} is gone")

    def _new_lane(self) -> _Lane:
        if len(self._lanes) >= LANES_MAX:
            raise Unreachable(Cause.LOCAL, f"{LANES_MAX} requests are under way")
        connector = aiohttp.TCPConnector(
            ssl=self._context,
            limit=1,
            keepalive_timeout=KEEPALIVE_S,
            use_dns_cache=False,
            resolver=TableResolver(self._names, self._node),
        )
        lane = _Lane(_session(connector))
        # aiohttp offers no other way to see a byte come in than to be the protocol; the tests fail where it moves.
        connector._factory = functools.partial(self._handler_of, lane)
        self._lanes.append(lane)
        return lane

    def _handler_of(self, lane: _Lane) -> ResponseHandler:
        self._connections += 1
        lane.connection = self._connections
        lane.handler = _CountingHandler(asyncio.get_running_loop())
        return lane.handler

    async def _exchange(self, lane: _Lane, request: HttpRequest, sending: _Sending) -> HttpReply:
        async with lane.session.request(
            request.method,
            request.url,
            data=request.body or None,
            headers=request.headers,
            allow_redirects=False,
            server_hostname=self._server_name,
            trace_request_ctx=sending,
        ) as response:
            connection, peer = lane.connection, "" if lane.handler is None else lane.handler.peer
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    response.close()
                    raise MalformedReply(response.url.path, f"a body of more than {BODY_BYTES_MAX} bytes")
            headers = dict(response.headers)
            return HttpReply(
                status=response.status, headers=headers, body=bytes(body), connection=connection, peer=peer
            )


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    """A session without time-outs of its own: the whole request has one, and aiohttp rounds its own up."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(_on_create_start)
    trace.on_connection_create_end.append(_on_connected)
    trace.on_connection_reuseconn.append(_on_connected)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        trace_configs=[trace],
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "watchdogd"},
    )


async def _on_create_start(_: aiohttp.ClientSession, context: object, __: object) -> None:
    sending = _of(context)
    if sending.only_on is not None or (sending.connections and sending.method != "GET"):
        raise _MustNotConnect
    sending.may_be_sent = False  # a GET that is repeated over a new connection: what was sent before has no effect


async def _on_connected(_: aiohttp.ClientSession, context: object, __: object) -> None:
    _of(context).connected()


def _of(context: object) -> _Sending:
    sending = getattr(context, "trace_request_ctx", None)
    if not isinstance(sending, _Sending):
        raise TypeError("every request of a lane carries its own trace context")
    return sending


def failure_of(exc: BaseException, *, may_be_sent: bool, answered: bool) -> WatchdogError:
    """What one exception of an exchange means to its caller; holds no reference to it."""
    if may_be_sent:
        # A TLS alert is a byte of an answer as well: whoever sends one is not silent.
        return OutcomeUnknown(
            _name(exc),
            answered=answered or isinstance(exc, ssl.SSLError),
            timed_out=isinstance(exc, TimeoutError),
        )
    match exc:
        case _MustNotConnect():
            return Unreachable(Cause.RESET, "the connection is gone")
        case aiohttp.ClientConnectorDNSError():
            return Unreachable(Cause.NAME, str(exc.os_error))
        case aiohttp.ClientConnectorCertificateError():
            return Unreachable(Cause.TLS, getattr(exc.certificate_error, "verify_message", "") or "certificate refused")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return Unreachable(Cause.TLS, getattr(exc, "reason", None) or "TLS handshake failed")
        case aiohttp.ClientConnectorError():
            return Unreachable(cause_of(exc.os_error), _name(exc.os_error))
        case TimeoutError():
            return Unreachable(Cause.TIMEOUT, "no connection in time")
        case OSError():
            return Unreachable(cause_of(exc), _name(exc))
        case _:
            return Unreachable(Cause.LOCAL, _name(exc))


def cause_of(exc: OSError) -> Cause:
    """Why a connection could not be made, by errno. A handshake that the peer cut short has none (asyncio)."""
    if exc.errno is None and isinstance(exc, ConnectionError):
        return Cause.RESET
    return CAUSE_BY_ERRNO.get(exc.errno or 0, Cause.LOCAL)


def _name(exc: BaseException) -> str:
    code = exc.errno if isinstance(exc, OSError) else None
    return errno.errorcode.get(code or 0, type(exc).__name__)


def _check(request: HttpRequest) -> None:
    """Nothing that would break the header block ever reaches it."""
    if any(not value.isprintable() or not value.isascii() for value in request.headers.values()):
        raise Unreachable(Cause.LOCAL, "a header with characters that cannot be sent")
