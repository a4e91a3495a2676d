"""A Route 53 endpoint on a loopback socket: the lab's model, or what a test wants to be answered instead."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from watchdogd.lab.route53 import Route53, Route53Knobs
from watchdogd.lab.serve_http import Arrived, HttpFront
from watchdogd.lab.serve_socket import Door
from watchdogd.lab.wire import Exchange, Outcome
from watchdogd.lab.zone import RecordSet, RecordType, Zone, fqdn
from watchdogd.rehearsal.free_ports import free_port

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
ZONE_ID = "Z0123456789ABCDEFGHIJ"
NAME = "vault.example.test"
EAST, WEST = "vault-east.example.test", "vault-west.example.test"
TTL_S = 30

Handler = Callable[[Arrived], Awaitable[Exchange]]


@dataclass(slots=True, kw_only=True)
class Endpoint:
    """`planned` handlers answer one request each, in order; then the model answers. `seen` is every request."""

    model: Route53
    url: str
    front: HttpFront | None = None
    planned: deque[Handler] = field(default_factory=deque)
    seen: list[Arrived] = field(default_factory=list)

    async def answer(self, arrived: Arrived) -> Exchange:
        self.seen.append(arrived)
        return await (self.planned.popleft() if self.planned else self.apply)(arrived)

    async def apply(self, arrived: Arrived) -> Exchange:
        """What the model says, and does."""
        now_s = asyncio.get_running_loop().time()
        headers = dict(arrived.headers)
        return self.model.exchange(arrived.method, arrived.path_and_query, headers, arrived.body, now_s)

    async def apply_and_hang(self, arrived: Arrived) -> Exchange:
        await self.apply(arrived)
        return Exchange(outcome=Outcome.HANG)

    async def apply_and_reset(self, arrived: Arrived) -> Exchange:
        await self.apply(arrived)
        return Exchange(outcome=Outcome.RESET)

    def set_door(self, door: Door) -> None:
        assert self.front is not None
        self.front.set_door(door)

    def record(self) -> RecordSet:
        """The name as the provider has it."""
        return self.model.zone.records[fqdn(NAME), RecordType.CNAME]

    @property
    def writes(self) -> list[Arrived]:
        return [arrived for arrived in self.seen if arrived.method == "POST"]


def canned(status: int, body: bytes) -> Handler:
    """Answer so, whatever was asked; nothing is applied."""

    async def reply(_: Arrived) -> Exchange:
        return Exchange(outcome=Outcome.ANSWER, status=status, headers={"Content-Type": "text/xml"}, body=body)

    return reply


def broken(outcome: Outcome, body: bytes = b"") -> Handler:
    """Break off so; nothing is applied."""

    async def reply(_: Arrived) -> Exchange:
        return Exchange(outcome=outcome, body=body)

    return reply


def cname(value: str, *, ttl_s: int = TTL_S, name: str = NAME) -> RecordSet:
    return RecordSet(name=fqdn(name), rtype=RecordType.CNAME, ttl_s=ttl_s, values=(value,))


def zone_of(*records: RecordSet) -> Zone:
    return Zone(origin="example.test.", servers=("ns1.example.test.",), records=records)


@asynccontextmanager
async def serving(
    *records: RecordSet, propagation_s: float = 0.3, processing_s: float = 0.0
) -> AsyncIterator[Endpoint]:
    """The lab's model of a zone with `records`, served over HTTP until the block is left."""
    port = free_port()
    model = Route53(
        zone=zone_of(*(records or (cname(EAST),))),
        zone_id=ZONE_ID,
        epoch_utc_s=1_790_000_000.0,
        access_key_ids=frozenset({KEY_ID}),
        knobs=Route53Knobs(propagation_s=propagation_s, processing_s=processing_s, requests_per_s_max=None),
    )
    endpoint = Endpoint(model=model, url=f"http://127.0.0.1:{port}")
    async with asyncio.TaskGroup() as tasks:
        endpoint.front = HttpFront("127.0.0.1", port, endpoint.answer, tasks=tasks)
        endpoint.front.set_door(Door.OPEN)
        try:
            yield endpoint
        finally:
            await endpoint.front.close()
