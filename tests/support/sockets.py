"""Servers on loopback that behave as badly as a test asks, and certificates for them."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from watchdogd.core.model import NodeAddress, PairId

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PAIR = PairId("prod")
HOST = "127.0.0.1"


@dataclass(slots=True, kw_only=True)
class _Conversations:
    """All that a listener has accepted. A server of asyncio (3.11) forgets what is in the middle of its handshake."""

    listener: socket.socket
    serve: Serve
    tls: ssl.SSLContext | None
    accepted: list[socket.socket] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def accept(self) -> None:
        with suppress(OSError):
            conn = self.listener.accept()[0]
            conn.setblocking(False)
            self.accepted.append(conn)
            task = asyncio.get_running_loop().create_task(self._converse(conn), name="converse")
            self.tasks.append(task)

    async def _converse(self, conn: socket.socket) -> None:
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        with suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError):
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, conn, ssl=self.tls)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            self.writers.append(writer)
            with closing(writer):
                await self.serve(reader, writer)

    async def end(self) -> None:
        """Nothing that was accepted is open afterwards."""
        for writer in self.writers:
            writer.transport.abort()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.sleep(0)
        for conn in self.accepted:
            conn.close()


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None, *, port: int = 0) -> AsyncIterator[int]:
    """`serve` every connection on a port of 127.0.0.1; the port."""
    loop = asyncio.get_running_loop()
    with socket.create_server((HOST, port), backlog=100) as listener:
        listener.setblocking(False)
        conversations = _Conversations(listener=listener, serve=serve, tls=tls)
        loop.add_reader(listener, conversations.accept)
        try:
            yield int(listener.getsockname()[1])
        finally:
            loop.remove_reader(listener)
            await conversations.end()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request with its body. Raises: IncompleteReadError when the client is gone."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    return head + (await reader.readexactly(int(length[0])) if length else b"")


def answer(body: bytes = b"{}", *, status: str = "200 OK", extra: str = "") -> bytes:
    """One whole HTTP/1.1 answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST instead of a FIN."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


@contextmanager
def full_accept_queue() -> Iterator[int]:
    """A port that listens, accepts nobody and has no room: a SYN to it is dropped."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = int(listener.getsockname()[1])
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for one in waiting:
                one.close()


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """This process can open nothing more for as long as it lasts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()) + 1
    with ExitStack() as held:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 2, hard))
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with suppress(OSError):
            while True:
                held.enter_context(Path("/dev/null").open("rb"))
        yield


def server_tls(cert: trustme.LeafCert) -> ssl.SSLContext:
    """A server's context with `cert`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


def ca_file(ca: trustme.CA, folder: Path) -> str:
    """The certificate of `ca` as a file."""
    path = folder / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return str(path)


def at(port: int, *, scheme: str = "http", host: str = "127.0.0.1") -> NodeAddress:
    """The address of a node on this machine."""
    return NodeAddress(f"{scheme}://{host}:{port}")
