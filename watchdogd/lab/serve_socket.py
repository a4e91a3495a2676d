"""A listening socket whose door can be open, closed or blocked, as a kernel would show it to a client.

Linux only: a connect to a listening socket whose accept queue is full gets no answer at all (the SYN is dropped), which
is what a black hole looks like. Source: man 2 listen, man 7 tcp (`tcp_abort_on_overflow` off, the default).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Callable
from enum import StrEnum
from typing import assert_never

BACKLOG = 128
_LINGER_0 = struct.pack("ii", 1, 0)


class Door(StrEnum):
    """What a connect meets."""

    OPEN = "open"
    CLOSED = "closed"  # nothing listens: RST
    BLOCKED = "blocked"  # accept queue full: no answer, the connect runs into its own timeout


class NotLoopback(ValueError):
    """The lab binds to 127.0.0.0/8 and to nothing else."""


class AddressInUse(OSError):
    """The address cannot be bound; the message is one line for a person."""


def linger_not(conn: socket.socket) -> None:
    """Its close will be a RST. One that is closed already stays as it is."""
    if conn.fileno() >= 0:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)


def reset(transport: asyncio.BaseTransport) -> None:
    """Abort a connection so that its peer sees RST instead of an orderly end."""
    conn = transport.get_extra_info("socket")
    if conn is not None:
        linger_not(conn)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def bound(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A non-blocking socket bound to a loopback address. Raises NotLoopback, AddressInUse."""
    if not ipaddress.ip_address(host).is_loopback:
        raise NotLoopback(f"the lab serves on loopback only, not on {host}")
    sock = socket.socket(socket.AF_INET, kind)
    sock.setblocking(False)
    if kind is socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as exc:
        sock.close()
        raise AddressInUse(f"cannot listen on {host}:{port}: {exc.strerror} (another lab? choose --port)") from exc
    return sock


class Listener:
    """One TCP address. Every accepted connection is handed, non-blocking, to `accepted`.

    Belongs to the running loop; `close` gives the address back.
    """

    def __init__(self, host: str, port: int, accepted: Callable[[socket.socket], None]) -> None:
        self.host, self.port = host, port
        self._accepted = accepted
        self._loop = asyncio.get_running_loop()
        self._sock: socket.socket | None = None
        self._filler: socket.socket | None = None
        self.door = Door.CLOSED

    def set_door(self, door: Door) -> None:
        """Make connects meet `door` from now on. Connections that exist are not touched. Raises AddressInUse."""
        if door is self.door:
            return
        self._undo()
        match door:
            case Door.OPEN:
                sock = self._listening(BACKLOG)
                self._loop.add_reader(sock.fileno(), self._accept)
            case Door.BLOCKED:
                self._fill(self._listening(0))
            case Door.CLOSED:
                self._stop_listening()
            case _:
                assert_never(door)
        self.door = door

    def close(self) -> None:
        self.set_door(Door.CLOSED)

    def _undo(self) -> None:
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
        if self._filler is not None:
            self._filler.close()
            self._filler = None

    def _listening(self, backlog: int) -> socket.socket:
        if self._sock is None:
            self._sock = bound(self.host, self.port, socket.SOCK_STREAM)
        self._sock.listen(backlog)  # on a socket that listens already this only changes the length of its queue
        return self._sock

    def _fill(self, sock: socket.socket) -> None:
        """A queue of length 0 holds one connection: ours. It is never accepted."""
        self._filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._filler.setblocking(False)
        self._filler.connect_ex(sock.getsockname())

    def _stop_listening(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                conn, _peer = self._sock.accept() if self._sock is not None else (None, None)
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            if conn is None:
                return
            conn.setblocking(False)
            self._accepted(conn)
