"""The service name of a drill: the DNS ports over the lab's Route 53 and its zone, in memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from watchdogd.errors import Cause, MalformedReply, OutcomeUnknown, Refusal, Refused, Unreachable
from watchdogd.lab.route53 import Route53, Route53Knobs
from watchdogd.lab.zone import CachingResolver, Zone, service_zone
from watchdogd.ports import Answers, ChangeRef, Record
from watchdogd.rehearsal.memory import Revoked

ZONE_ID = "Z0DRILL"
KEY_ID = "AKIADRILL"
NAME = "vault.example.test"
SERVERS = {"ns1": "127.9.0.1", "ns2": "127.9.0.2"}
LATENCY_S = 0.05
TTL_S = 30


def target_of(cluster: str) -> str:
    """What the service name points at while `cluster` serves."""
    return f"vault-{cluster}.example.test"


class Trouble(StrEnum):
    """What goes wrong with the provider, or with the authoritative servers."""

    NONE = "none"
    DEAD = "dead"  # nothing can be reached
    THROTTLED = "throttled"
    DENIED = "denied"
    REPLY_LOST = "reply_lost"  # a change is applied, and nobody hears of it
    NOT_APPLIED = "not_applied"  # a change is lost, and nobody hears of it
    GARBLED = "garbled"


@dataclass(slots=True, kw_only=True)
class NameModel:
    """The part that survives a kill: provider, zone and a resolver's cache. Picklable."""

    zone: Zone
    route53: Route53
    resolver: CachingResolver
    trouble: Trouble = Trouble.NONE
    are_servers_dead: bool = False
    comments: list[str] = field(default_factory=list)

    @classmethod
    def found(cls, addresses: dict[str, str], *, published: str, propagation_s: float, epoch_utc_s: float) -> NameModel:
        """A zone whose service name points at `published`."""
        zone = service_zone(addresses=addresses, servers=SERVERS, published=published, ttl_s=TTL_S)
        route53 = Route53(
            zone=zone,
            zone_id=ZONE_ID,
            epoch_utc_s=epoch_utc_s,
            access_key_ids=frozenset({KEY_ID}),
            knobs=Route53Knobs(propagation_s=propagation_s, requests_per_s_max=None),
            refusal=never_refuses,
        )
        return cls(zone=zone, route53=route53, resolver=CachingResolver(zone))

    def held(self) -> Record:
        """The record as the provider has it."""
        answer = self._ask("GET", f"/2013-04-01/hostedzone/{ZONE_ID}/rrset?name={NAME}&type=CNAME&maxitems=1", "", 0.0)
        return Record(targets=tuple(re.findall(r"<Value>(.*?)</Value>", answer)), ttl_s=int(_one("TTL", answer)))

    def put(self, target: str, now_s: float, comment: str = "by hand") -> str:
        """Point the name at `target`, whatever it held; returns the change's id."""
        return self.change(self.held(), Record(targets=(target,), ttl_s=TTL_S), comment, now_s)

    def change(self, expected: Record, wanted: Record, comment: str, now_s: float) -> str:
        """One batch. Raises: Refused(CONFLICT)."""
        body = (
            '<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch>'
            f"<Comment>{comment}</Comment><Changes>{_xml('DELETE', expected)}{_xml('CREATE', wanted)}</Changes>"
            "</ChangeBatch></ChangeResourceRecordSetsRequest>"
        )
        answer = self._ask("POST", f"/2013-04-01/hostedzone/{ZONE_ID}/rrset/", body, now_s)
        if "<Code>" in answer:
            raise Refused(Refusal.CONFLICT, _one("Message", answer))
        self.comments.append(comment)
        return _one("Id", answer)

    def is_in_sync(self, change_id: str, now_s: float) -> bool:
        """Whether the provider says that every server has it."""
        return "INSYNC" in self._ask("GET", f"/2013-04-01{change_id}", "", now_s)

    def published(self, now_s: float) -> str | None:
        """The cluster that the authoritative servers publish, for the lab's own counts."""
        target = self.zone.target_of(NAME, server=self.zone.servers[0], now_s=now_s) or ""
        found = re.fullmatch(r"vault-(\w+)\.example\.test\.", target)
        return found[1] if found else None

    def resolve(self, name: str, now_s: float) -> str | None:
        """What a client's resolver answers."""
        return self.resolver.address_of(name, now_s)

    def _ask(self, method: str, path: str, body: str, now_s: float) -> str:
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20260301/us-east-1/route53/aws4_request"}
        return self.route53.exchange(method, path, headers, body.encode(), now_s).body.decode()


def never_refuses(_: object) -> None:
    """The provider has nothing against any request."""


def _one(tag: str, text: str) -> str:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return found[1] if found else ""


def _xml(action: str, record: Record) -> str:
    values = "".join(f"<ResourceRecord><Value>{t}</Value></ResourceRecord>" for t in record.targets)
    return (
        f"<Change><Action>{action}</Action><ResourceRecordSet><Name>{NAME}</Name><Type>{record.rtype}</Type>"
        f"<TTL>{record.ttl_s}</TTL><ResourceRecords>{values}</ResourceRecords></ResourceRecordSet></Change>"
    )


@dataclass(slots=True, kw_only=True)
class DrillDns:
    """Both ports for one incarnation of the daemon. `fuse` burns "dns before swap" and "dns after swap"."""

    model: NameModel
    now_s: Callable[[], float]
    fuse: Callable[[str], None]
    is_manual: bool = False
    revoked: bool = False

    async def observe(self) -> Record:
        """As `DnsProvider.observe`."""
        await self._reach()
        return self.model.held()

    async def swap(self, expected: Record, wanted: Record, comment: str) -> ChangeRef:
        """As `DnsProvider.swap`."""
        self.fuse("dns before swap")
        await self._reach()
        if self.is_manual:
            raise Refused(Refusal.UNSUPPORTED, f"{NAME} is changed by hand")
        if self.model.trouble is Trouble.NOT_APPLIED:
            raise OutcomeUnknown("read timed out")
        change_id = self.model.change(expected, wanted, comment, self.now_s())
        self.fuse("dns after swap")
        if self.model.trouble is Trouble.REPLY_LOST:
            raise OutcomeUnknown("read timed out")
        return ChangeRef(change_id=change_id)

    async def is_in_sync(self, change: ChangeRef) -> bool:
        """As `DnsProvider.is_in_sync`."""
        await self._reach()
        return self.model.is_in_sync(change.change_id, self.now_s())

    async def authoritative(self) -> Answers:
        """As `DnsWatch.authoritative`."""
        await self._pass()
        if self.model.are_servers_dead:
            return Answers(by_server=dict.fromkeys(self.model.zone.servers))
        zone, now_s = self.model.zone, self.now_s()
        return Answers(
            by_server={s: (zone.target_of(NAME, server=s, now_s=now_s) or "").rstrip(".") for s in zone.servers}
        )

    async def resolvers(self) -> Answers:
        """As `DnsWatch.resolvers`."""
        await self._pass()
        return Answers(by_server={"10.9.0.2:53": self.model.resolve(NAME, self.now_s())})

    async def _pass(self) -> None:
        await asyncio.sleep(LATENCY_S)
        if self.revoked:
            raise Revoked("dns")

    async def _reach(self) -> None:
        await self._pass()
        match self.model.trouble:
            case Trouble.DEAD:
                raise Unreachable(Cause.TIMEOUT, "route53.amazonaws.com")
            case Trouble.THROTTLED:
                raise Refused(Refusal.NOT_YET, "Throttling: Rate exceeded")
            case Trouble.DENIED:
                raise Refused(Refusal.DENIED, "AccessDenied")
            case Trouble.GARBLED:
                raise MalformedReply("ListResourceRecordSets", "no XML")
            case Trouble.NONE | Trouble.REPLY_LOST | Trouble.NOT_APPLIED:
                return
