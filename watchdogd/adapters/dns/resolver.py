"""The service name as the world resolves it: every authoritative server and every resolver asked for itself.

A CNAME is asked for by type, so the answer is the name that the service name points at, not what follows behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from watchdogd.adapters.dns.name_servers import NameServer, NameServers, parse_name_server
from watchdogd.core.model import PairId
from watchdogd.core.naming import bare_name
from watchdogd.errors import ConfigError
from watchdogd.ports import Answers, Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class NameWatchSettings:
    """What `[pair.X.dns]` says. `timeout_s` bounds one server, the fall-back to TCP included."""

    record: str
    authoritative: Sequence[str] = ()
    resolvers: Sequence[str] = ()
    timeout_s: float = 1.5


class NameWatch:
    """`ports.DnsWatch`. The composition root runs `refresh_forever` as a task of its own."""

    def __init__(self, settings: NameWatchSettings, *, pair: PairId, memory: Memory) -> None:
        """Raises: ConfigError naming the record that is no name, or the entry that is no server or no address."""
        try:
            self._name = dns.name.from_text(settings.record)
        except dns.exception.DNSException as exc:
            raise ConfigError((f"dns.record: {settings.record!r} is no DNS name: {exc}",)) from exc
        self._timeout_s = settings.timeout_s
        self._resolvers = [parse_name_server(text, "dns.resolvers") for text in settings.resolvers]
        if by_name := [server.label for server in self._resolvers if server.address is None]:
            raise ConfigError((f"dns.resolvers: {', '.join(by_name)}: a resolver is given by address, not by name",))
        self._servers = NameServers(
            record=settings.record,
            configured=[parse_name_server(text, "dns.authoritative") for text in settings.authoritative],
            resolvers=self._resolvers,
            pair=pair,
            memory=memory,
        )

    async def authoritative(self) -> Answers:
        """What each authoritative server publishes; empty while none was ever found. Never raises."""
        return await self._ask_all(self._servers.known, is_authoritative=True)

    async def resolvers(self) -> Answers:
        """What each configured resolver answers. Never raises."""
        return await self._ask_all(self._resolvers, is_authoritative=False)

    async def refresh(self) -> None:
        """Look for the authoritative servers once; bounded; never raises."""
        await self._servers.refresh()

    async def refresh_forever(self) -> None:
        """Keep the list of authoritative servers good; returns at once where the config names addresses only."""
        await self._servers.refresh_forever()

    async def _ask_all(self, servers: Iterable[NameServer], *, is_authoritative: bool) -> Answers:
        asked = list(servers)
        answers = await asyncio.gather(*(self._ask(server, is_authoritative=is_authoritative) for server in asked))
        return Answers(by_server={server.label: answer for server, answer in zip(asked, answers, strict=True)})

    async def _ask(self, server: NameServer, *, is_authoritative: bool) -> str | None:
        """The bare name that the record points at; "" when there is none; None when it could not be asked.

        Datagrams that are no answer to this question (another id, another sender, garbage) are passed over.
        """
        if server.address is None:
            return None
        flags = dns.flags.Flag(0) if is_authoritative else dns.flags.RD
        query = dns.message.make_query(self._name, dns.rdatatype.CNAME, flags=flags)
        try:
            async with asyncio.timeout(self._timeout_s):
                reply, _ = await dns.asyncquery.udp_with_fallback(
                    query,
                    server.address,
                    port=server.port,
                    ignore_unexpected=True,
                    ignore_errors=True,
                    one_rr_per_rrset=True,  # dnspython would keep only the last of two CNAMEs
                )
        except (dns.exception.DNSException, OSError, EOFError):
            return None
        return _target(reply, self._name, trusted=dns.flags.AA if is_authoritative else dns.flags.AA | dns.flags.RA)


def _target(reply: dns.message.Message, name: dns.name.Name, *, trusted: dns.flags.Flag) -> str | None:
    """An answer without a flag of `trusted` comes from a server that does not hold, or resolve, the zone.

    Source: RFC 1035 4.1.1 (AA, RA, RCODE).
    """
    if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not reply.flags & trusted:
        return None
    found = [rrset for rrset in reply.answer if rrset.name == name and rrset.rdtype == dns.rdatatype.CNAME]
    targets = sorted(bare_name(rdata.target.to_text()) for rrset in found for rdata in rrset)
    return " ".join(targets)  # two CNAMEs match no cluster's target
