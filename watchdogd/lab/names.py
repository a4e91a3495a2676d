"""The service name of a world: its zone, its provider and the resolver of each place, under the world's faults. Pure.

Fault targets: `aws`; `dns` for everything that answers names, `dns:ns1`, `dns:ns2`, `dns:resolver` for one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf

from watchdogd.lab.faults import Fault, FaultBoard, FaultKind
from watchdogd.lab.route53 import AwsCode, Operation, Route53, Route53Knobs
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.wire import Exchange, Outcome, Place
from watchdogd.lab.zone import Answer, CachingResolver, Rcode, RecordType, fqdn, service_zone

ORIGIN = "example.test."
SERVICE = "vault"
SERVERS: Mapping[str, int] = {"ns1": 11, "ns2": 12}
"""Authoritative servers and the last number of their addresses, `127.PLACE.0.N`."""
ZONE_ID = "Z0LAB0EXAMPLE0TEST00"
ACCESS_KEY_ID = "AKIALAB0SIMULATOR000"
RESOLVING = (Place.BASTION, Place.CLIENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsReply:
    """What comes back and after how long. No answer: silence."""

    answer: Answer | None
    delay_s: float = 0.0


class Names:
    """Everything about the one service name `vault.example.test` of a world with these clusters."""

    def __init__(
        self,
        spec: WorldSpec,
        faults: FaultBoard,
        *,
        epoch_utc_s: float,
        ttl_s: int = 30,
        knobs: Route53Knobs | None = None,
    ) -> None:
        self._faults = faults
        self._clusters = tuple(cluster.name for cluster in spec.clusters)
        self.zone = service_zone(
            addresses={name: spec.ip(Place.CLIENTS, f"{name}/lb") for name in self._clusters},
            servers={label: f"127.1.0.{n}" for label, n in SERVERS.items()},
            published=self._clusters[0],
            origin=ORIGIN,
            service=SERVICE,
            ttl_s=ttl_s,
        )
        self.zone.needed_since_s = self._stale_since_s
        self.route53 = Route53(
            zone=self.zone,
            zone_id=ZONE_ID,
            epoch_utc_s=epoch_utc_s,
            access_key_ids=frozenset({ACCESS_KEY_ID}),
            knobs=knobs or Route53Knobs(),
            refusal=self._refusal,
        )
        self.resolvers = {place: CachingResolver(self.zone, ask=_Asker(self, place)) for place in RESOLVING}

    @property
    def service_name(self) -> str:
        """The name that clients use."""
        return f"{SERVICE}.{ORIGIN}"

    def cluster_name(self, cluster: str) -> str:
        """The name that the service name is an alias of while `cluster` is published."""
        return f"{SERVICE}-{cluster}.{ORIGIN}"

    def published_cluster(self, now_s: float) -> str | None:
        """The cluster that the name points at for the last of the authoritative servers; None if it is none of ours."""
        newest = self.zone.records.get((self.service_name, RecordType.CNAME))
        shown = [self.shown_target(label, place="", now_s=now_s) for label in SERVERS]
        behind = [target for target in shown if newest is None or target != newest.values[0]]
        target = (behind or shown)[0]
        return next((name for name in self._clusters if self.cluster_name(name) == target), None)

    def authoritative(self, name: str, rtype: RecordType, *, label: str, place: str, now_s: float) -> DnsReply:
        """One question to one of the zone's servers (`ns1`, `ns2`) from a place."""
        if self.is_silent(label, place):
            return DnsReply(answer=None)
        shown_s = self._shown_s(label, place, now_s)
        answer = self._misled(name, rtype, label, place, shown_s)
        if answer is None:
            answer = self.zone.answer(name, rtype, server=f"{label}.{ORIGIN}", now_s=shown_s)
        return DnsReply(answer=answer, delay_s=self._dns_delay_s(label, place))

    def shown_target(self, label: str, *, place: str, now_s: float) -> str | None:
        """The CNAME target that one of the zone's servers shows for the service name; None for none, or an error."""
        if self.fails(label, place):
            return None
        wrong = self._wrong_target(label, place)
        shown_s = self._shown_s(label, place, now_s)
        return wrong or self.zone.target_of(self.service_name, server=f"{label}.{ORIGIN}", now_s=shown_s)

    def resolve(self, name: str, rtype: RecordType, *, place: str, now_s: float) -> DnsReply:
        """One question to the caching resolver of a place."""
        if self.is_silent("resolver", place):
            return DnsReply(answer=None)
        shown_s = self._shown_s("resolver", place, now_s)
        answer = self._misled(name, rtype, "resolver", place, shown_s)
        if answer is None and shown_s < now_s:  # a resolver that keeps what it had, whatever its time to live
            answer = self.zone.answer(name, rtype, server=f"{next(iter(SERVERS))}.{ORIGIN}", now_s=shown_s)
        if answer is None:
            answer = self.resolvers[Place(place)].resolve(name, now_s, rtype=rtype)
        return DnsReply(answer=answer, delay_s=self._dns_delay_s("resolver", place))

    def fails(self, label: str, place: str) -> bool:
        """Whether the server called `label` answers SERVFAIL to `place`."""
        return bool(self._dns_faults(FaultKind.DNS_SERVFAIL, label, place))

    def is_silent(self, label: str, place: str) -> bool:
        """Whether the server called `label` answers nothing at all to `place`."""
        return bool(self._dns_faults(FaultKind.DNS_DEAD, label, place))

    def aws_door(self) -> Outcome:
        """What a connect to the provider's endpoint meets: ANSWER, REFUSE or DROP."""
        if self._aws_fault(FaultKind.REFUSE) is not None:
            return Outcome.REFUSE
        dead = self._aws_fault(FaultKind.AWS_DEAD, FaultKind.DROP) is not None
        return Outcome.DROP if dead else Outcome.ANSWER

    def aws(
        self, method: str, path_and_query: str, headers: Mapping[str, str], body: bytes, *, now_s: float
    ) -> Exchange:
        """One request to the provider's endpoint, as its sender sees it."""
        if (door := self.aws_door()) is not Outcome.ANSWER:
            return Exchange(outcome=door)
        if (fault := self._aws_fault(FaultKind.RESET, FaultKind.HANG)) is not None and self._faults.use(fault):
            return Exchange(outcome=Outcome(fault.kind.value))
        exchange = self.route53.exchange(method, path_and_query, headers, body, now_s)
        if (fault := self._aws_fault(FaultKind.REPLY_LOST)) is not None and self._matches(fault, method):
            return Exchange(outcome=Outcome(fault.text("outcome", Outcome.HANG)))
        slow = self._aws_fault(FaultKind.DELAY)
        return Exchange(
            outcome=exchange.outcome,
            delay_s=0.0 if slow is None else slow.number("seconds"),
            status=exchange.status,
            headers=exchange.headers,
            body=exchange.body,
        )

    def _matches(self, fault: Fault, method: str) -> bool:
        return fault.text("method", "POST") == method and self._faults.use(fault)

    def _refusal(self, operation: Operation) -> AwsCode | None:
        """What the faults make of one admitted request; takes one use of the fault."""
        if self._uses(FaultKind.AWS_THROTTLE):
            return AwsCode.THROTTLING
        if self._uses(FaultKind.AWS_DENIED):
            return AwsCode.ACCESS_DENIED
        if operation is Operation.CHANGE and self._uses(FaultKind.AWS_PRIOR_REQUEST):
            return AwsCode.PRIOR_REQUEST_NOT_COMPLETE
        return None

    def _uses(self, kind: FaultKind) -> bool:
        fault = next(self._faults.of(kind), None)
        return fault is not None and self._faults.use(fault)

    def _aws_fault(self, *kinds: FaultKind) -> Fault | None:
        return next((fault for fault in self._faults.of(*kinds) if fault.target == "aws"), None)

    def _misled(self, name: str, rtype: RecordType, label: str, place: str, now_s: float) -> Answer | None:
        """What a fault answers in a server's place."""
        if self._dns_faults(FaultKind.DNS_SERVFAIL, label, place):
            return Answer(rcode=Rcode.SERVFAIL)
        wrong = self._wrong_target(label, place)
        alias = self.zone.records.get((self.service_name, RecordType.CNAME))
        if wrong is None or alias is None or fqdn(name) != self.service_name:
            return None
        alias = replace(alias, values=(wrong,))
        if rtype is RecordType.CNAME:
            return Answer(rcode=Rcode.NOERROR, records=(alias,))
        behind = self.zone.answer(wrong, rtype, server=f"{next(iter(SERVERS))}.{ORIGIN}", now_s=now_s)
        return Answer(rcode=Rcode.NOERROR, records=(alias, *behind.records))

    def _wrong_target(self, label: str, place: str) -> str | None:
        wrong = next(iter(self._dns_faults(FaultKind.DNS_WRONG, label, place)), None)
        if wrong is None:
            return None
        right = self.zone.records.get((self.service_name, RecordType.CNAME))
        names = [self.cluster_name(name) for name in self._clusters]
        others = [name for name in names if right is None or name not in right.values]
        return fqdn(wrong.text("text", next(iter(others), names[0])))

    def _shown_s(self, label: str, place: str, now_s: float) -> float:
        """The moment whose zone a server shows."""
        stale = self._dns_faults(FaultKind.DNS_STALE, label, place)
        return min((self._faults.since_s(fault) for fault in stale), default=now_s)

    def _stale_since_s(self) -> float:
        return min(map(self._faults.since_s, self._faults.of(FaultKind.DNS_STALE)), default=inf)

    def _dns_faults(self, kind: FaultKind, label: str, place: str) -> list[Fault]:
        return [
            fault
            for fault in self._faults.of(kind)
            if fault.target in ("dns", f"dns:{label}") and fault.place in (None, place)
        ]

    def _dns_delay_s(self, label: str, place: str) -> float:
        return max(
            (fault.number("seconds") for fault in self._dns_faults(FaultKind.SLOW_DNS, label, place)), default=0.0
        )


class _Asker:
    """How a place's resolver asks the zone's servers: in turn, and the next one where one is silent."""

    def __init__(self, names: Names, place: Place) -> None:
        self._names = names
        self._place = place
        self._turn = 0

    def __call__(self, name: str, rtype: RecordType, now_s: float) -> Answer | None:
        labels = tuple(SERVERS)
        for _ in labels:
            label = labels[self._turn % len(labels)]
            self._turn += 1
            reply = self._names.authoritative(name, rtype, label=label, place=self._place, now_s=now_s)
            if reply.answer is not None and reply.answer.rcode is not Rcode.SERVFAIL:
                return reply.answer
        return None
