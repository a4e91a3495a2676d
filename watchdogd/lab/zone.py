"""The lab's DNS: one zone as its authoritative servers publish it, and a resolver that caches.

Pure: time is an argument (seconds of the lab's clock), nothing here opens a socket. What a server answers is decided by
the newest version of the zone that has reached *that* server: one that lags keeps its answer while its sisters move on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

KEPT_S = 60.0  # so far back it is known what was shown: whoever counts by ticks asks about the time since the last one
CHAIN_MAX = 8  # CNAMEs followed for one answer; BIND's default is 16, a lab needs two


class RecordType(StrEnum):
    """The record types that the lab's zone holds."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    NS = "NS"
    SOA = "SOA"
    TXT = "TXT"


class Rcode(StrEnum):
    """Response codes, spelled as dnspython spells them. Source: RFC 1035 4.1.1."""

    NOERROR = "NOERROR"
    NXDOMAIN = "NXDOMAIN"
    REFUSED = "REFUSED"
    SERVFAIL = "SERVFAIL"


def fqdn(name: str) -> str:
    """`name` in lower case with one trailing dot: the only form that zone and records use."""
    return name.strip().lower().rstrip(".") + "."


Key = tuple[str, RecordType]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSet:
    """One RRset. `name` is as `fqdn` makes it; `values` are in presentation form (names with a trailing dot)."""

    name: str
    rtype: RecordType
    ttl_s: int
    values: tuple[str, ...]

    @property
    def key(self) -> Key:
        return (self.name, self.rtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one server says: `records` in the order of the CNAME chain, `authority` with the SOA if negative."""

    rcode: Rcode
    records: tuple[RecordSet, ...] = ()
    authority: tuple[RecordSet, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    serial: int
    records: Mapping[Key, RecordSet]
    visible_at_s: Mapping[str, float]


def _never() -> float:
    return inf


class Zone:
    """A zone with its authoritative servers.

    Invariant: what a server answers never goes back to an earlier version, whatever happens to its lag meanwhile.
    """

    def __init__(
        self, *, origin: str, servers: Sequence[str], records: Iterable[RecordSet], negative_ttl_s: int = 5
    ) -> None:
        self.origin = fqdn(origin)
        self.servers = tuple(fqdn(server) for server in servers)
        self.negative_ttl_s = negative_ttl_s
        self.needed_since_s: Callable[[], float] = _never  # what is older than KEPT_S, and still shown somewhere
        self._lag_s = dict.fromkeys(self.servers, 0.0)
        at_once = dict.fromkeys(self.servers, float("-inf"))
        self._versions = [_Version(serial=1, records={r.key: r for r in records}, visible_at_s=at_once)]

    @property
    def records(self) -> Mapping[Key, RecordSet]:
        """The newest version, whether or not any server shows it yet (the provider's own view)."""
        return self._versions[-1].records

    def set_lag(self, server: str, lag_s: float) -> None:
        """From now on `server` shows what is published `lag_s` seconds later than the publication says."""
        if (server := fqdn(server)) not in self._lag_s:
            raise KeyError(server)
        self._lag_s[server] = lag_s

    def publish(self, records: Mapping[Key, RecordSet], *, at_s: float, now_s: float) -> None:
        """Make `records` the newest version, shown by each server from `at_s` plus its lag on."""
        visible_at_s = {server: at_s + lag_s for server, lag_s in self._lag_s.items()}
        serial = self._versions[-1].serial + 1
        self._versions.append(_Version(serial=serial, records=dict(records), visible_at_s=visible_at_s))
        self._forget_unseen(now_s)

    def answer(self, name: str, rtype: RecordType, *, server: str, now_s: float) -> Answer:
        """The authoritative answer of `server`: a CNAME is followed while it stays inside the zone."""
        version = self._seen_by(fqdn(server), now_s)
        chain: list[RecordSet] = []
        at = fqdn(name)
        if not self._holds(at):
            return Answer(rcode=Rcode.REFUSED)
        while len(chain) < CHAIN_MAX:
            if (found := self._lookup(version, at, rtype)) is not None:
                return Answer(rcode=Rcode.NOERROR, records=(*chain, found))
            alias = version.records.get((at, RecordType.CNAME))
            if alias is None:
                return self._negative(version, at, chain)
            chain.append(alias)
            at = alias.values[0]
            if not self._holds(at):
                break
        return Answer(rcode=Rcode.NOERROR, records=tuple(chain))

    def target_of(self, name: str, *, server: str, now_s: float) -> str | None:
        """The CNAME target that `server` publishes for `name`, or None where it publishes no CNAME."""
        found = self._seen_by(fqdn(server), now_s).records.get((fqdn(name), RecordType.CNAME))
        return None if found is None else found.values[0]

    def _holds(self, name: str) -> bool:
        return name == self.origin or name.endswith("." + self.origin)

    def _lookup(self, version: _Version, name: str, rtype: RecordType) -> RecordSet | None:
        if (name, rtype) == (self.origin, RecordType.SOA):
            return self._soa(version)
        return version.records.get((name, rtype))

    def _soa(self, version: _Version) -> RecordSet:
        value = f"{self.servers[0]} hostmaster.{self.origin} {version.serial} 7200 900 1209600 {self.negative_ttl_s}"
        return RecordSet(name=self.origin, rtype=RecordType.SOA, ttl_s=self.negative_ttl_s, values=(value,))

    def _negative(self, version: _Version, name: str, chain: list[RecordSet]) -> Answer:
        known = name == self.origin or any(n == name or n.endswith("." + name) for n, _ in version.records)
        rcode = Rcode.NOERROR if known else Rcode.NXDOMAIN
        return Answer(rcode=rcode, records=tuple(chain), authority=(self._soa(version),))

    def _seen_by(self, server: str, now_s: float) -> _Version:
        shown = (v for v in reversed(self._versions) if v.visible_at_s[server] <= now_s)
        return next(shown, self._versions[0])

    def _forget_unseen(self, now_s: float) -> None:
        since_s = min(now_s - KEPT_S, self.needed_since_s())
        oldest = min(self._seen_by(server, since_s).serial for server in self.servers)
        self._versions = [v for v in self._versions if v.serial >= oldest]


def service_zone(
    *,
    addresses: Mapping[str, str],
    servers: Mapping[str, str],
    published: str,
    origin: str = "example.test.",
    service: str = "vault",
    ttl_s: int = 30,
) -> Zone:
    """The zone of one pair: `vault.ORIGIN` is a CNAME to `vault-CLUSTER.ORIGIN`, which is an A record.

    `addresses`: cluster name to the address clients use; `servers`: label of an authoritative server (`ns1`) to its
    address; `published`: the cluster that the service name points at. Names under `.test` are never public (RFC 6761).
    """
    origin = fqdn(origin)
    names = tuple(f"{label}.{origin}" for label in servers)
    records = [
        RecordSet(name=origin, rtype=RecordType.NS, ttl_s=172800, values=names),
        RecordSet(
            name=f"{service}.{origin}", rtype=RecordType.CNAME, ttl_s=ttl_s, values=(f"{service}-{published}.{origin}",)
        ),
        *(_a_record(f"{label}.{origin}", address) for label, address in servers.items()),
        *(_a_record(f"{service}-{cluster}.{origin}", address) for cluster, address in addresses.items()),
    ]
    return Zone(origin=origin, servers=names, records=records)


def _a_record(name: str, address: str) -> RecordSet:
    return RecordSet(name=fqdn(name), rtype=RecordType.A, ttl_s=60, values=(address,))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cached:
    answer: Answer
    until_s: float


Ask = Callable[[str, RecordType, float], Answer | None]


class CachingResolver:
    """A resolver that keeps every answer for its time to live, negative ones for the SOA's minimum.

    `ask(name, rtype, now_s)` is one question to an authoritative server, or None when nobody answered: then the
    resolver says SERVFAIL and caches nothing. The lab's default asks the zone's servers in turn.
    """

    def __init__(self, zone: Zone, *, ask: Ask | None = None, entries_max: int = 1000) -> None:
        self._zone = zone
        self._ask = ask or self._ask_in_turn
        self._turn = 0
        self._entries_max = entries_max
        self._cache: dict[Key, _Cached] = {}

    def resolve(self, name: str, now_s: float, *, rtype: RecordType = RecordType.A) -> Answer:
        """The answer with the TTLs that are left of it, as a resolver hands it out."""
        key = (fqdn(name), rtype)
        held = self._cache.get(key)
        if held is None or held.until_s <= now_s:
            answer = self._ask(*key, now_s)
            if answer is None:
                return Answer(rcode=Rcode.SERVFAIL)
            held = _Cached(answer=answer, until_s=now_s + _ttl_s(answer))
            self._remember(key, held, now_s)
        return _aged(held.answer, left_s=held.until_s - now_s)

    def address_of(self, name: str, now_s: float) -> str | None:
        """The first IPv4 address at the end of the chain, or None."""
        found = [r for r in self.resolve(name, now_s).records if r.rtype is RecordType.A]
        return found[-1].values[0] if found else None

    def flush(self) -> None:
        """Forget everything, as `unbound-control flush_zone` does."""
        self._cache.clear()

    def _remember(self, key: Key, held: _Cached, now_s: float) -> None:
        if len(self._cache) >= self._entries_max:
            self._cache = {k: v for k, v in self._cache.items() if v.until_s > now_s}
        if len(self._cache) < self._entries_max:
            self._cache[key] = held

    def _ask_in_turn(self, name: str, rtype: RecordType, now_s: float) -> Answer | None:
        server = self._zone.servers[self._turn % len(self._zone.servers)]
        self._turn += 1
        return self._zone.answer(name, rtype, server=server, now_s=now_s)


def _ttl_s(answer: Answer) -> float:
    """The chain as a whole lives as long as its shortest record. Source: RFC 2308 5 for negative answers."""
    if answer.rcode is Rcode.REFUSED:
        return 0.0
    return float(min((r.ttl_s for r in (*answer.records, *answer.authority)), default=0))


def _aged(answer: Answer, *, left_s: float) -> Answer:
    left = max(0, int(left_s))
    return Answer(rcode=answer.rcode, records=_capped(answer.records, left), authority=_capped(answer.authority, left))


def _capped(records: tuple[RecordSet, ...], left_s: int) -> tuple[RecordSet, ...]:
    return tuple(RecordSet(name=r.name, rtype=r.rtype, ttl_s=min(r.ttl_s, left_s), values=r.values) for r in records)
