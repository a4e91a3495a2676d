"""Where the nodes are. Names are resolved in the background; a probe never waits for a resolver.

The last address of a node that answered as Vault is durable: when resolution fails, it is used, so that a region that
dies with its resolver is still looked at where it was (DESIGN section 4).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NoReturn
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

from watchdogd.core.model import NodeAddress, PairId
from watchdogd.ports import Memory

Resolve = Callable[[str], Awaitable[Sequence[str]]]

LOOKUP_TIMEOUT_S = 5.0
REFRESH_EVERY_S = 30.0


class SystemResolve:
    """getaddrinfo in threads of its own: a resolver that hangs blocks neither the loop nor anybody else's threads."""

    def __init__(self, threads_max: int = 4) -> None:
        self._threads = ThreadPoolExecutor(max_workers=threads_max, thread_name_prefix="resolve")

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses of `host` in the system's order. Raises: OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        )
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """Wait for no thread: one may hang in a resolver for minutes."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class _Place:
    """What is known of one node's host."""

    host: str
    resolved: tuple[str, ...] = ()  # the newest answer of the resolver; empty after a failure
    newest: tuple[str, ...] = ()  # the newest answer that was not a failure
    worked: str | None = None  # the last address that answered as Vault
    stored: str | None = None  # what of that is durable
    in_use: str | None = None  # what the newest connection was made to
    turn: int = 0  # which of several addresses to try while none of them ever worked

    def as_known(self, peer: str) -> str:
        """`peer` as it is spelled here; an address of IPv6 has several spellings."""
        if not _is_literal(peer):
            return ""
        is_same = (known for known in (*self.resolved, *self.newest) if ip_address(known) == ip_address(peer))
        return next(is_same, peer)

    def address(self) -> str | None:
        """The address to connect to now; None where none was ever known."""
        known = self.resolved or ((self.worked,) if self.worked else self.newest)
        if self.worked in known:
            return self.worked
        return known[self.turn % len(known)] if known else None


class NameTable:
    """The addresses of the nodes of one pair. `answered` and `silent` are told by the client of each node."""

    def __init__(self, *, pair: PairId, nodes: Sequence[NodeAddress], memory: Memory, resolve: Resolve) -> None:
        self._pair = pair
        self._memory = memory
        self._resolve = resolve
        self._places = {node: _place(node) for node in nodes}
        for node, place in self._places.items():
            _recall(place, memory.get(pair, _key(node)))

    def address_of(self, node: NodeAddress) -> str | None:
        """The address that `node` is reached at; None where none was ever known."""
        return self._places[node].address()

    def connect_to(self, node: NodeAddress) -> str | None:
        """`address_of`, remembered as the one in use."""
        place = self._places[node]
        place.in_use = place.address()
        return place.in_use

    def answered(self, node: NodeAddress, peer: str = "") -> None:
        """`node` answered as Vault: from now on its last good address is `peer`, or where unknown the one in use.

        A kept connection may lead elsewhere than the newest one.
        """
        place = self._places[node]
        place.worked = place.as_known(peer) or place.in_use or place.address() or place.worked

    def answered_as_another(self, node: NodeAddress) -> None:
        """Another cluster answered there: it is no address of `node` that once worked, until `node` answers again."""
        self._places[node].worked = None

    def silent(self, node: NodeAddress) -> None:
        """Nothing came from the address in use: of several that never worked, the next is tried."""
        self._places[node].turn += 1

    def ever_answered(self, node: NodeAddress) -> bool:
        """True when the address that `node` is reached at is one that once answered as Vault."""
        place = self._places[node]
        return place.worked is not None and place.worked == place.address()

    async def refresh(self) -> None:
        """Resolve every name once and make durable what changed. Bounded by LOOKUP_TIMEOUT_S; never raises."""
        names = {place.host for place in self._places.values() if not _is_literal(place.host)}
        async with asyncio.TaskGroup() as tasks:
            looked_up = {host: tasks.create_task(self._look_up(host)) for host in names}
        for place in self._places.values():
            if place.host in looked_up:
                place.resolved = looked_up[place.host].result()
                place.newest = place.resolved or place.newest
        await self._store()

    async def run(self, every_s: float = REFRESH_EVERY_S) -> NoReturn:
        """Refresh for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(every_s)

    async def _look_up(self, host: str) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                return tuple(await self._resolve(host))
        except (OSError, UnicodeError):  # TimeoutError is an OSError; a label that is no name is a UnicodeError
            return ()

    async def _store(self) -> None:
        changed = {node: p.worked for node, p in self._places.items() if p.worked != p.stored}
        if changed and await self._memory.put(self._pair, {_key(n): {"address": a or ""} for n, a in changed.items()}):
            for node, address in changed.items():
                self._places[node].stored = address


class TableResolver(AbstractResolver):
    """aiohttp's resolver for one node: it answers from the table and never asks anybody."""

    def __init__(self, table: NameTable, node: NodeAddress) -> None:
        self._table = table
        self._node = node

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The one address of the node. Raises: OSError, which aiohttp turns into its DNS error."""
        address = self._table.connect_to(self._node)
        if address is None:
            raise OSError(f"no address of {host} was ever known")
        version = ip_address(address).version
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if version == 6 else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing to close: the table outlives its sessions."""


def _place(node: NodeAddress) -> _Place:
    host = urlsplit(node).hostname or ""
    place = _Place(host=host)
    if _is_literal(host):
        place.resolved = place.newest = (host,)
    return place


def _recall(place: _Place, kept: object) -> None:
    """Take over what was kept, if it is an address."""
    address = kept.get("address") if isinstance(kept, Mapping) else None
    if isinstance(address, str) and _is_literal(address):
        place.worked = place.stored = address


def _key(node: NodeAddress) -> str:
    return f"address:{node}"


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
