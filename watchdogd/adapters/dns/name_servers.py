"""Which name servers to ask: from the config, or found in the background and then remembered, also over a restart.

In a disaster the resolvers may be dead as well: the last good list goes on being used, address by address.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import structlog

from watchdogd.core.model import PairId
from watchdogd.errors import ConfigError
from watchdogd.ports import Memory

DNS_PORT = 53
LOOKUP_TIMEOUT_S = 5.0  # of one question of the background look-up, all resolvers in turn
REFRESH_S = 300.0
RETRY_S = 15.0  # while something is still to be found
ZONE_LABELS_MIN = 3  # "example", "com" and the root: never walk up to the servers of a top-level domain
MEMORY_KEY = "name_servers"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameServer:
    """One server. `label` is what the config or the NS record calls it; `address` is None until it was resolved."""

    label: str
    address: str | None
    port: int = DNS_PORT


def parse_name_server(text: str, where: str) -> NameServer:
    """`192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:53`, `ns1.example.com`, `ns1.example.com:53`.

    Raises: ConfigError that begins with `where`.
    """
    bare = text.strip()
    if _is_address(bare):
        return NameServer(label=bare, address=bare)
    host, colon, port = bare.rpartition(":")
    if not colon:
        host, port = bare, str(DNS_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError((f"{where}: {text!r} is no name server; write host or host:port, [address]:port for IPv6",))
    return NameServer(label=bare, address=host if _is_address(host) else None, port=int(port))


class NameServers:
    """The authoritative servers of `record`'s zone, or those of the config. `refresh_forever` keeps them good."""

    def __init__(
        self,
        *,
        record: str,
        configured: Sequence[NameServer],
        resolvers: Sequence[NameServer],
        pair: PairId,
        memory: Memory,
    ) -> None:
        self._record = dns.name.from_text(record)
        self._configured = tuple(configured)
        self._resolvers = tuple(resolvers)
        self._pair = pair
        self._memory = memory
        self._of_config = [record, *(server.label for server in configured)]  # what a remembered list was found for
        self._known = _with_addresses_of(self._configured, self._remembered()) or self._remembered()

    @property
    def known(self) -> tuple[NameServer, ...]:
        """What to ask now. Empty while the zone's servers were never found."""
        return self._known

    @property
    def is_complete(self) -> bool:
        """True when there are servers and the address of each is known."""
        return bool(self._known) and all(server.address is not None for server in self._known)

    async def refresh_forever(self) -> None:
        """Look the servers up again and again; returns at once where the config names addresses only."""
        while not (self._configured and all(server.address is not None for server in self._configured)):
            await self.refresh()
            await asyncio.sleep(REFRESH_S if self.is_complete else RETRY_S)

    async def refresh(self) -> None:
        """Look the servers up once; bounded; never raises. What is not found stays as it was."""
        try:
            resolver = await self._resolver()
            wanted = self._configured or await _servers_of_zone(resolver, self._record)
        except (dns.exception.DNSException, OSError, ValueError) as exc:  # ValueError: a resolv.conf of nonsense
            log.warning("name_servers_not_found", record=self._record.to_text(), error=_text(exc))
            return
        if not wanted:
            log.warning(
                "name_servers_not_found", record=self._record.to_text(), error="no zone above it has NS records"
            )
            return
        found = await asyncio.gather(*(_with_address(resolver, server) for server in wanted))
        known = _with_addresses_of(found, self._known)
        if known != self._known:
            self._known = known
            log.info("name_servers_found", record=self._record.to_text(), servers=[server.label for server in known])
            await self._memory.put(self._pair, {MEMORY_KEY: self._as_remembered()})

    async def _resolver(self) -> dns.asyncresolver.Resolver:
        """The configured resolvers, or the system's: resolv.conf is a file, so it is read in a thread."""
        if not self._resolvers:
            return await asyncio.to_thread(dns.asyncresolver.Resolver)
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [
            dns.nameserver.Do53Nameserver(server.address, server.port) for server in self._resolvers if server.address
        ]
        return resolver

    def _as_remembered(self) -> Mapping[str, object]:
        servers = [[server.label, server.address, server.port] for server in self._known]
        return {"of": self._of_config, "servers": servers}

    def _remembered(self) -> tuple[NameServer, ...]:
        """The list of an earlier run, if it was found for this very config. Whatever else is there is ignored."""
        match self._memory.get(self._pair, MEMORY_KEY):
            case {"of": of, "servers": [*servers]} if of == self._of_config:
                return tuple(_remembered_servers(servers))
            case _:
                return ()


def _remembered_servers(servers: Iterable[object]) -> Iterable[NameServer]:
    for server in servers:
        match server:
            case [str(label), str(address), int(port)] if _is_address(address):
                yield NameServer(label=label, address=address, port=port)
            case _:
                continue


def _with_addresses_of(servers: Iterable[NameServer], known: Sequence[NameServer]) -> tuple[NameServer, ...]:
    address_of = {server.label: server.address for server in known}
    return tuple(replace(server, address=server.address or address_of.get(server.label)) for server in servers)


async def _servers_of_zone(resolver: dns.asyncresolver.Resolver, name: dns.name.Name) -> tuple[NameServer, ...]:
    """The NS records of the nearest zone above `name`; empty when there is none below the top-level domain."""
    zone = name
    while len(zone.labels) > ZONE_LABELS_MIN:
        zone = zone.parent()
        try:
            answer = await _resolve(resolver, zone, dns.rdatatype.NS)
        except dns.resolver.NXDOMAIN:
            continue
        if answer.rrset is not None and answer.canonical_name == zone:
            labels = sorted(rdata.target.to_text(omit_final_dot=True).lower() for rdata in answer.rrset)
            return tuple(NameServer(label=label, address=None) for label in labels)
    return ()


async def _with_address(resolver: dns.asyncresolver.Resolver, server: NameServer) -> NameServer:
    """`server` with its first IPv4 address, else its first IPv6 one, else as it is."""
    if server.address is not None:
        return server
    name = server.label.rpartition(":")[0] or server.label
    for rtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
        try:
            answer = await _resolve(resolver, dns.name.from_text(name), rtype)
        except (dns.exception.DNSException, OSError):
            continue
        if answer.rrset is not None:
            return replace(server, address=min(rdata.address for rdata in answer.rrset))
    return server


async def _resolve(
    resolver: dns.asyncresolver.Resolver, name: dns.name.Name, rtype: dns.rdatatype.RdataType
) -> dns.resolver.Answer:
    return await resolver.resolve(name, rtype, raise_on_no_answer=False, search=False, lifetime=LOOKUP_TIMEOUT_S)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _text(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"
