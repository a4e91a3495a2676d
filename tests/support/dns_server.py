"""A name server on a loopback socket, UDP and TCP on one port, that answers what a test wants, byte for byte."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset

from tests.support.sockets import HOST, serving
from watchdogd.rehearsal.free_ports import free_port

Behaviour = Callable[[dns.message.Message], list[bytes]]  # the datagrams, or messages on the stream, to send back


@dataclass(slots=True)
class Server(asyncio.DatagramProtocol):
    """`udp` and `tcp` may be changed at any time; `asked` counts by transport."""

    udp: Behaviour
    tcp: Behaviour
    port: int = 0
    asked: dict[str, int] = field(default_factory=lambda: {"udp": 0, "tcp": 0})
    transport: asyncio.DatagramTransport | None = None
    failed: list[Exception] = field(default_factory=list)

    @property
    def at(self) -> str:
        return f"{HOST}:{self.port}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked["udp"] += 1
        assert self.transport is not None
        for reply in self.replies(self.udp, data):
            self.transport.sendto(reply, addr)

    def replies(self, behaviour: Behaviour, data: bytes) -> list[bytes]:
        """A behaviour that fails would look like silence: it is kept, and raised when the server is left."""
        try:
            return behaviour(dns.message.from_wire(data))
        except (dns.exception.DNSException, ValueError) as exc:
            self.failed.append(exc)
            return []

    async def serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked["tcp"] += 1
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        for reply in self.replies(self.tcp, await reader.readexactly(size)):
            writer.write(struct.pack("!H", len(reply)) + reply)
        writer.close()


@asynccontextmanager
async def dns_server(udp: Behaviour, tcp: Behaviour | None = None) -> AsyncIterator[Server]:
    """Listens until the block is left."""
    server = Server(udp, tcp or udp)
    async with AsyncExitStack() as stack:
        server.port = await stack.enter_async_context(serving(server.serve_stream, port=free_port()))
        loop = asyncio.get_running_loop()
        server.transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=(HOST, server.port))
        stack.callback(server.transport.close)
        yield server
    assert server.failed == []


def says(
    records: Mapping[tuple[str, str], list[str]],
    *,
    flags: dns.flags.Flag = dns.flags.AA,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
) -> Behaviour:
    """Answers from `records`: (name, type) to values."""

    def answer(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.flags |= flags
        reply.set_rcode(rcode)
        question = query.question[0]
        rtype = dns.rdatatype.to_text(question.rdtype)
        for value in records.get((question.name.to_text(omit_final_dot=True).lower(), rtype), ()):
            # One set per value: dnspython keeps only the last CNAME of a set.
            reply.answer.append(dns.rrset.from_text(question.name, 30, "IN", rtype, absolute(value)))
        return [reply.to_wire()]

    return answer


def absolute(value: str) -> str:
    return f"{value}." if value[-1].isalpha() else value


def fails(rcode: dns.rcode.Rcode) -> Behaviour:
    return says({}, flags=dns.flags.Flag(0), rcode=rcode)


def silence(_: dns.message.Message) -> list[bytes]:
    return []


def truncated(query: dns.message.Message) -> list[bytes]:
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.TC | dns.flags.AA
    return [reply.to_wire()]
