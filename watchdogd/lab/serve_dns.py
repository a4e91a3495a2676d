"""DNS on loopback, over UDP and TCP: the zone's authoritative servers and the caching resolvers.

Source: RFC 1035 4.2 (the two transports), RFC 7766 (several questions on one TCP connection).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset

from watchdogd.lab.names import DnsReply
from watchdogd.lab.serve_socket import Door, Listener, bound, reset
from watchdogd.lab.zone import Answer, RecordSet, RecordType

Ask = Callable[[str, RecordType], DnsReply]
Address = tuple[str, int]


class DnsFront(asyncio.DatagramProtocol):
    """One DNS server at one address. `ask` is asked once per question, when the question arrives.

    `recursive`: it says so (RA) and its answers are not authoritative (no AA).
    """

    def __init__(self, host: str, port: int, ask: Ask, *, recursive: bool, tasks: asyncio.TaskGroup) -> None:
        self.host, self.port = host, port
        self._ask = ask
        self._recursive = recursive
        self._tasks = tasks
        self._udp: asyncio.DatagramTransport | None = None
        self._streams: set[asyncio.StreamWriter] = set()
        self._listener = Listener(host, port, self._admit)

    async def open(self) -> None:
        """Listen on both transports. Raises AddressInUse."""
        sock = bound(self.host, self.port, socket.SOCK_DGRAM)
        loop = asyncio.get_running_loop()
        self._udp, _protocol = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        self._listener.set_door(Door.OPEN)

    def set_door(self, door: Door) -> None:
        """For TCP connects; over UDP a server that is not open is silent anyway, because `ask` says so."""
        self._listener.set_door(door)

    def close(self) -> None:
        self._listener.close()
        for writer in list(self._streams):
            reset(writer.transport)
        if self._udp is not None:
            self._udp.close()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._tasks.create_task(self._answer_datagram(data, addr))

    async def _answer_datagram(self, data: bytes, addr: Address) -> None:
        reply = await self._reply(data)
        if reply is not None and self._udp is not None and not self._udp.is_closing():
            self._udp.sendto(reply, addr)

    def _admit(self, conn: socket.socket) -> None:
        self._tasks.create_task(self._serve(conn))

    async def _serve(self, conn: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=conn)
        self._streams.add(writer)
        try:
            while True:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                reply = await self._reply(await reader.readexactly(size))
                if reply is not None:
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client has what it wanted, or left
        finally:
            self._streams.discard(writer)
            writer.close()

    async def _reply(self, data: bytes) -> bytes | None:
        """The message to send back after its delay; None for silence."""
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return None
        response = dns.message.make_response(query, recursion_available=self._recursive)
        question = query.question[0] if len(query.question) == 1 else None
        if query.opcode() != dns.opcode.QUERY or question is None:
            response.set_rcode(dns.rcode.NOTIMP)
            return response.to_wire()
        try:
            rtype = RecordType(dns.rdatatype.to_text(question.rdtype))
        except ValueError:
            response.set_rcode(dns.rcode.NOTIMP)
            return response.to_wire()
        reply = self._ask(question.name.to_text(), rtype)
        if reply.answer is None:
            return None
        await asyncio.sleep(reply.delay_s)
        self._fill(response, reply.answer)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, answer: Answer) -> None:
        response.set_rcode(dns.rcode.from_text(answer.rcode.value))
        if not self._recursive:
            response.flags |= dns.flags.AA
        response.answer.extend(map(_rrset, answer.records))
        response.authority.extend(map(_rrset, answer.authority))


def _rrset(record: RecordSet) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(record.name, record.ttl_s, "IN", record.rtype.value, list(record.values))
