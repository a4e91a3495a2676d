"""The name watch against the lab's own name servers: the flags and codes that it counts on are really sent."""

from __future__ import annotations

import asyncio

from tests.support.route53_endpoint import EAST, NAME, cname, zone_of
from watchdogd.adapters.dns.resolver import NameWatch, NameWatchSettings
from watchdogd.core.model import PairId
from watchdogd.lab.names import DnsReply
from watchdogd.lab.serve_dns import DnsFront
from watchdogd.lab.zone import CachingResolver, RecordType
from watchdogd.rehearsal.free_ports import free_port
from watchdogd.rehearsal.memory import DictMemory

RECORD_AND_ANSWER = {NAME: EAST, "vault-west.example.test": "", "absent.example.test": "", "vault.example.org": None}


async def answers(host: str, port: int, *, is_resolver: bool) -> dict[str, str | None]:
    said: dict[str, str | None] = {}
    for record in RECORD_AND_ANSWER:
        at = f"{host}:{port}"
        settings = NameWatchSettings(record=record, authoritative=[at], resolvers=[at], timeout_s=5.0)
        watch = NameWatch(settings, pair=PairId("prod"), memory=DictMemory())
        looked = await (watch.resolvers() if is_resolver else watch.authoritative())
        said[record] = looked.by_server[at]
    return said


async def test_an_authoritative_server_of_the_lab_is_understood() -> None:
    zone, port = zone_of(cname(EAST + "."), cname("192.0.2.1", name="x.vault-west.example.test")), free_port()

    def ask(name: str, rtype: RecordType) -> DnsReply:
        return DnsReply(answer=zone.answer(name, rtype, server="ns1.example.test", now_s=0.0))

    async with asyncio.TaskGroup() as tasks:
        front = DnsFront("127.0.0.1", port, ask, recursive=False, tasks=tasks)
        await front.open()
        assert await answers("127.0.0.1", port, is_resolver=False) == RECORD_AND_ANSWER
        front.close()


async def test_a_resolver_of_the_lab_is_understood_but_not_taken_for_an_authoritative_server() -> None:
    zone, port = zone_of(cname(EAST + ".")), free_port()
    resolver = CachingResolver(zone)

    def ask(name: str, rtype: RecordType) -> DnsReply:
        return DnsReply(answer=resolver.resolve(name, 0.0, rtype=rtype))

    async with asyncio.TaskGroup() as tasks:
        front = DnsFront("127.0.0.1", port, ask, recursive=True, tasks=tasks)
        await front.open()
        assert await answers("127.0.0.1", port, is_resolver=True) == RECORD_AND_ANSWER
        assert set((await answers("127.0.0.1", port, is_resolver=False)).values()) == {None}
        front.close()
