"""The ports of a scenario: each tells what goes through it, does what the scenario says, and can be revoked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from watchdogd.adapters.vault.names import NameTable
from watchdogd.core.entries import Entry
from watchdogd.core.model import ClusterId, NodeAddress, PairId
from watchdogd.errors import Cause, OutcomeUnknown, Refusal, Refused, Unreachable
from watchdogd.lab.names import ACCESS_KEY_ID, SERVERS, ZONE_ID, Names
from watchdogd.lab.wire import Outcome, Place
from watchdogd.lab.world import World
from watchdogd.ports import (
    Answers,
    ChangeRef,
    FenceOutcome,
    FenceResult,
    FenceVerb,
    HttpReply,
    HttpRequest,
    Record,
)
from watchdogd.rehearsal.fence_program import ACTED
from watchdogd.rehearsal.memory import Fuse, MemoryJournal, Revoked
from watchdogd.rehearsal.transport import WorldTransport

DNS_LATENCY_S, AWS_TIMEOUT_S = 0.05, 10.0
CHANGES = f"/2013-04-01/hostedzone/{ZONE_ID}/rrset/"
AWS_HEADERS = {"Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20260301/us-east-1/route53/x"}
MUTATIONS = {"secondary/promote": "promote", "primary/demote": "demote"}
Tell = Callable[[str, str], None]  # a line of the story, and more about it


def no_fuse(point: str) -> None:
    """Nobody counts the points: before and after each journal write, and before and after each effect."""


@dataclass(slots=True, kw_only=True)
class PlayClock:
    """CLOCK_BOOTTIME is the loop's time and every suspension; the wall clock is the world's, and every jump."""

    epoch_utc_s: float
    began_s: float  # the loop's time at the scenario's second 0
    suspended_s: float = 0.0
    stepped_s: float = 0.0

    def now_s(self) -> float:
        """Seconds of the scenario."""
        return asyncio.get_running_loop().time() - self.began_s + self.suspended_s

    def wall_utc(self) -> datetime:
        """What the machine of the daemon believes."""
        return datetime.fromtimestamp(self.epoch_utc_s, UTC) + timedelta(seconds=self.now_s() + self.stepped_s)


class PlayTransport(WorldTransport):
    """Tells `sent promote west` before a role change goes out, and `answered …` before its answer is seen."""

    def __init__(
        self, world: World, clock: PlayClock, tell: Tell, check: Callable[[str, str], None], burn: Fuse = no_fuse
    ) -> None:
        super().__init__(world, Place.BASTION)
        self._clock = clock
        self._tell = tell
        self._check = check
        self._burn = burn

    def now_s(self) -> float:
        """The world's time."""
        return self._clock.now_s()

    def through(self, node: NodeAddress, names: NameTable) -> Addressed:
        """The way to one node, by the address that the table of names gives."""
        return Addressed(transport=self, node=node, names=names)

    async def __call__(
        self, request: HttpRequest, *, timeout_s: float, only_on_connection: int | None = None
    ) -> HttpReply:
        verb = next((verb for path, verb in MUTATIONS.items() if request.url.endswith(path)), "")
        if not verb:
            return await super().__call__(request, timeout_s=timeout_s, only_on_connection=only_on_connection)
        target = self._target_of(request.url)[0]
        if self.revoked:
            raise Revoked(request.url)
        cluster = target.partition("/")[0]
        self._burn(f"vault before {verb} {cluster}")
        self._check(verb, target)
        self._tell(f"sent {verb} {cluster}", target)
        try:
            return await super().__call__(request, timeout_s=timeout_s, only_on_connection=only_on_connection)
        finally:
            if not self.revoked:
                self._burn(f"vault after {verb} {cluster}")
                self._tell(f"answered {verb} {cluster}", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """`HttpTransport` for one node: without an address of it nothing is sent."""

    transport: PlayTransport
    node: NodeAddress
    names: NameTable

    async def __call__(
        self, request: HttpRequest, *, timeout_s: float, only_on_connection: int | None = None
    ) -> HttpReply:
        address = self.names.connect_to(self.node)
        if address is None:
            raise Unreachable(Cause.NAME, self.node)
        parts = urlsplit(request.url)
        url = parts._replace(netloc=f"{address}:{parts.port}").geturl()
        return await self.transport(
            replace(request, url=url), timeout_s=timeout_s, only_on_connection=only_on_connection
        )


@dataclass(slots=True, kw_only=True)
class SlowWrite:
    """A write of an entry of this kind takes so long, so often."""

    entry: str
    takes_s: float
    times: int


@dataclass(slots=True)
class Disk:
    """What is wrong with the disk under the journal. Outlives the daemon."""

    slow: list[SlowWrite] = field(default_factory=list)
    fails_until_s: float = 0.0


class PlayJournal(MemoryJournal):
    """Tells every entry once it is durable; as slow and as broken as its disk."""

    disk: Disk
    tell_entry: Callable[[PairId, Entry], None]
    now: PlayClock
    is_dead = False

    async def append(self, pair: PairId, *entries: Entry) -> None:
        kinds = {entry.kind for entry in entries}
        for slow in [slow for slow in self.disk.slow if slow.entry in kinds and slow.times > 0]:
            slow.times -= 1
            await asyncio.sleep(slow.takes_s)
        if self.is_dead:
            raise Revoked("journal")
        is_broken = self.now.now_s() < self.disk.fails_until_s
        self.refusal = "no space left on device" if is_broken else ""
        await super().append(pair, *entries)
        for entry in entries:
            self.tell_entry(pair, entry)


@dataclass(slots=True, kw_only=True)
class FencePlan:
    """What the fence command comes to, verb by verb: each in turn, the last for ever. Outlives the daemon."""

    on: list[str] = field(default_factory=lambda: ["exit 0"])
    off: list[str] = field(default_factory=lambda: ["exit 0"])
    check: list[str] = field(default_factory=lambda: ["exit 0"])
    takes_s: float = 0.2
    timeout_s: float = 10.0

    def next(self, verb: FenceVerb) -> str:
        """How the command ends this time."""
        ends: list[str] = getattr(self, verb.value)
        return ends.pop(0) if len(ends) > 1 else ends[0]


ENDS = {
    "exit 0": FenceOutcome.DONE,
    "exit 75": FenceOutcome.TRY_AGAIN,
    "exit 1": FenceOutcome.FAILED,
    "killed": FenceOutcome.FAILED,
    "hangs": FenceOutcome.TIMED_OUT,
}


@dataclass(slots=True, kw_only=True)
class PlayFence:
    """The `Fence` port on the client network of the world."""

    world: World
    plan: FencePlan
    tell: Tell
    check: Callable[[FenceVerb, ClusterId], None]
    burn: Fuse = no_fuse
    revoked: bool = False

    async def __call__(self, verb: FenceVerb, cluster: ClusterId, *, epoch: int, run_id: str) -> FenceResult:
        if self.revoked:
            raise Revoked(f"fence {verb} {cluster}")
        if verb is not FenceVerb.CHECK:
            self.burn(f"fence before {verb} {cluster}")
            self.check(verb, cluster)
        planned = self.plan.next(verb)
        end, is_acted = planned.removesuffix(ACTED), planned.endswith(ACTED)
        outcome = ENDS[end]
        await asyncio.sleep(self.plan.timeout_s if end == "hangs" else self.plan.takes_s)
        if self.revoked:
            raise Revoked(f"fence {verb} {cluster}")
        if verb is not FenceVerb.CHECK:
            if outcome is FenceOutcome.DONE or is_acted:
                self.world.fence(cluster, verb is FenceVerb.ON)
            self.burn(f"fence after {verb} {cluster}")
            self.tell(f"fence {verb} {cluster} {end}", "")
        return FenceResult(outcome=outcome, output=end, why="" if outcome is FenceOutcome.DONE else end)


@dataclass(slots=True, kw_only=True)
class PlayDns:
    """Provider and watch of the service name over the lab's Route 53 and its zone."""

    names: Names
    clock: PlayClock
    check: Callable[[str], None]
    burn: Fuse = no_fuse
    revoked: bool = False

    async def observe(self) -> Record:
        """As `DnsProvider.observe`."""
        query = f"name={self.names.service_name}&type=CNAME&maxitems=1"
        return record_in(await self._ask("GET", f"/2013-04-01/hostedzone/{ZONE_ID}/rrset?{query}"))

    async def swap(self, expected: Record, wanted: Record, comment: str) -> ChangeRef:
        """As `DnsProvider.swap`."""
        self.burn("dns before swap")
        self.check(wanted.targets[0])
        answer = await self._ask("POST", CHANGES, change_batch(self.names.service_name, expected, wanted, comment))
        self.burn("dns after swap")
        return ChangeRef(change_id=_one("Id", answer))

    async def is_in_sync(self, change: ChangeRef) -> bool:
        """As `DnsProvider.is_in_sync`."""
        return "INSYNC" in await self._ask("GET", f"/2013-04-01{change.change_id}")

    async def authoritative(self) -> Answers:
        """As `DnsWatch.authoritative`."""
        await self._pass()
        now_s = self.clock.now_s()
        by_server: dict[str, str | None] = {}
        for label in SERVERS:
            target = self.names.shown_target(label, place=Place.BASTION, now_s=now_s)
            says_nothing = self.names.is_silent(label, Place.BASTION) or self.names.fails(label, Place.BASTION)
            by_server[label] = None if says_nothing else (target or "").rstrip(".")
        return Answers(by_server=by_server)

    async def resolvers(self) -> Answers:
        """As `DnsWatch.resolvers`."""
        await self._pass()
        return Answers(by_server={})

    async def _pass(self) -> None:
        await asyncio.sleep(DNS_LATENCY_S)
        if self.revoked:
            raise Revoked("dns")

    async def _ask(self, method: str, path: str, body: str = "") -> str:
        await self._pass()
        exchange = self.names.aws(method, path, AWS_HEADERS, body.encode(), now_s=self.clock.now_s())
        match exchange.outcome:
            case Outcome.ANSWER:
                await asyncio.sleep(exchange.delay_s)
                return _accepted(exchange.status, exchange.body.decode())
            case Outcome.REFUSE:
                raise Unreachable(Cause.REFUSED, "route53")
            case Outcome.DROP:
                await asyncio.sleep(AWS_TIMEOUT_S)
                raise Unreachable(Cause.TIMEOUT, "route53")
            case _:
                await asyncio.sleep(AWS_TIMEOUT_S)
                raise OutcomeUnknown("route53 did not answer")


def record_in(text: str) -> Record:
    """The one record of a list of them, in XML."""
    return Record(targets=tuple(re.findall(r"<Value>(.*?)</Value>", text)), ttl_s=int(_one("TTL", text)))


def change_batch(name: str, expected: Record, wanted: Record, comment: str) -> str:
    """The XML of one atomic compare-and-swap of a CNAME."""
    return (
        '<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch>'
        f"<Comment>{comment}</Comment><Changes>{_change(name, 'DELETE', expected)}{_change(name, 'CREATE', wanted)}"
        "</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
    )


def _change(name: str, action: str, record: Record) -> str:
    values = "".join(f"<ResourceRecord><Value>{target}</Value></ResourceRecord>" for target in record.targets)
    return (
        f"<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>{record.rtype}</Type>"
        f"<TTL>{record.ttl_s}</TTL><ResourceRecords>{values}</ResourceRecords></ResourceRecordSet></Change>"
    )


def _accepted(status: int, body: str) -> str:
    if status < 300:
        return body
    code = _one("Code", body)
    if code in ("Throttling", "PriorRequestNotComplete"):
        raise Refused(Refusal.NOT_YET, code)
    raise Refused(Refusal.CONFLICT if code == "InvalidChangeBatch" else Refusal.DENIED, code)


def _one(tag: str, text: str) -> str:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return found[1] if found else ""
