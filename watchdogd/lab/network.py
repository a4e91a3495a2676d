"""The ways between places and clusters, as the faults leave them.

What matches a request from a place to `east/1` or `east/lb`: `node:east/1`, `cluster:east`, `region:R`, `lb:east` and
`link:PLACE>east`. Replication between two clusters sees `repl:`, the regions' blackouts, and what is said of a cluster
or of its active node without a place. A blackout is a black hole (DROP), no refusal; inside the region all goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from watchdogd.lab.faults import Fault, FaultBoard, FaultKind
from watchdogd.lab.roles import Break
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.wire import Outcome, Place

REPLICATION = "replication"
"""The place that stands for the replication port; no request comes from it."""
BALANCER = "balancer"
"""The place a load balancer asks its nodes from."""

_AT_CONNECT = {FaultKind.DROP: Outcome.DROP, FaultKind.REFUSE: Outcome.REFUSE, FaultKind.BLACKOUT: Outcome.DROP}
_ACCEPTED = {FaultKind.RESET: Outcome.RESET, FaultKind.HANG: Outcome.HANG, FaultKind.GARBAGE: Outcome.GARBAGE}
_APPLICATION = frozenset(
    {
        FaultKind.STRANGE,
        FaultKind.RATE_LIMITED,
        FaultKind.ACTIVE_ERRS,
        FaultKind.WRITES_HANG,
        FaultKind.WRITES_FAIL,
        FaultKind.REPLY_LOST,
        FaultKind.ERROR_APPLIED,
        FaultKind.STALE_INDEX,
        FaultKind.APPLIED_LATE,
        FaultKind.LB_EMPTY,
        FaultKind.LB_5XX,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What the faults do to requests on one way. `at_connect` wins over `accepted`; `loss` is a chance of DROP."""

    at_connect: Outcome | None = None
    accepted: Outcome | None = None
    raw: bytes = b""
    delay_s: float = 0.0
    loss: float = 0.0
    application: tuple[Fault, ...] = ()
    flaw: str = ""  # of the certificate that is shown there

    @property
    def is_open(self) -> bool:
        """Whether requests get through to a process at all."""
        return self.at_connect is None and self.accepted is None and self.loss < 1.0 and not self.flaw

    def first(self, kind: FaultKind) -> Fault | None:
        """The oldest application fault of a kind."""
        return next((f for f in self.application if f.kind is kind), None)


OPEN = Path()


class Network:
    """Answers who reaches whom. What it works out is kept until a fault or a fence changes."""

    def __init__(self, spec: WorldSpec, faults: FaultBoard) -> None:
        self._spec, self._faults = spec, faults
        self._regions = {c.name: c.in_region for c in spec.clusters}
        self._fenced: set[str] = set()
        self._seen = -1
        self._paths: dict[tuple[str, str], Path] = {}
        self._skews: dict[str, float] = {}

    def fence(self, region: str, *, on: bool) -> None:
        """Close or open the client network of a region."""
        if on:
            self._fenced.add(region)
        else:
            self._fenced.discard(region)
        self._seen = -1

    def is_fenced(self, region: str) -> bool:
        """Whether it is closed."""
        return region in self._fenced

    def path(self, place: str, target: str) -> Path:
        """The way from a place to a target."""
        if not self._faults and not self._fenced:
            return OPEN
        self._refresh()
        key = (place, target)
        found = self._paths.get(key)
        if found is None:
            found = self._paths[key] = self._work_out(place, target)
        return found

    def replication_break(self, secondary: str, primary: str, targets: Iterable[str]) -> Break | None:
        """What stops the replication port between two clusters; `targets` are the two active nodes."""
        if not self._faults:
            return None
        links = (f"repl:{secondary}>{primary}", f"repl:{primary}>{secondary}")
        outcomes = [
            _AT_CONNECT.get(f.kind) or _ACCEPTED.get(f.kind)
            for f in self._faults.of(*_AT_CONNECT, *_ACCEPTED)
            if f.target in links
        ]
        outcomes += [self.path(REPLICATION, t).at_connect or self.path(REPLICATION, t).accepted for t in targets]
        if self.is_one_way(primary, secondary) or any(o in (Outcome.DROP, Outcome.HANG) for o in outcomes):
            return Break.SWALLOWED
        return Break.REFUSED if any(o is not None for o in outcomes) else None

    def is_one_way(self, source: str, to: str) -> bool:
        """Whether what one cluster sends to another on the replication port is lost, while the other way is open."""
        return any(f.target == f"repl:{source}>{to}" for f in self._faults.of(FaultKind.ONE_WAY))

    def connect_break(self, secondary: str, primary: str) -> Break | None:
        """What stops a new connection to the replication port, and leaves one alone that stands."""
        if self.is_one_way(secondary, primary):
            return Break.SWALLOWED
        links = (f"repl:{secondary}>{primary}", f"repl:{primary}>{secondary}")
        is_at_standby = any(f.target in links for f in self._faults.of(FaultKind.REPL_AT_STANDBY))
        return Break.REFUSED if is_at_standby else None  # `tls: internal error` in its log (TS-bootstrap)

    def replication_delay_s(self, secondary: str, primary: str) -> float:
        """What delay faults add to the stream."""
        links = (f"repl:{secondary}>{primary}", f"repl:{primary}>{secondary}")
        return sum(f.number("seconds") for f in self._faults.of(FaultKind.DELAY) if f.target in links)

    def skew_s(self, target: str) -> float:
        """What clock faults add to the clock of a node."""
        if not self._faults:
            return 0.0
        self._refresh()
        found = self._skews.get(target)
        if found is None:
            skews = self._faults.of(FaultKind.CLOCK_SKEW)
            found = sum(f.number("seconds") for f in skews if self._is_meant(f.target, "", target))
            self._skews[target] = found
        return found

    def holds(self, kind: FaultKind, target: str) -> bool:
        """Whether a fault of this kind is on a target, its cluster or its region."""
        return self.fault_on(kind, target) is not None

    def fault_on(self, kind: FaultKind, target: str) -> Fault | None:
        """The oldest fault of this kind on a target, its cluster or its region."""
        if not self._faults:
            return None
        return next((f for f in self._faults.of(kind) if self._is_meant(f.target, "", target)), None)

    def _refresh(self) -> None:
        if self._seen != self._faults.version:
            self._seen = self._faults.version
            self._paths.clear()
            self._skews.clear()

    def _work_out(self, place: str, target: str) -> Path:
        cluster = target.partition("/")[0]
        faults = [f for _, f in self._faults.items() if self._concerns(f, place, target)]
        at_connect = next((_AT_CONNECT[f.kind] for f in faults if f.kind in _AT_CONNECT), None)
        if place == Place.CLIENTS and self._regions[cluster] in self._fenced:
            at_connect = Outcome.DROP
        elif target.endswith("/lb") and self._is_region_crashed(cluster):
            at_connect = at_connect or Outcome.REFUSE
        accepted = next((f for f in faults if f.kind in _ACCEPTED), None)
        return Path(
            at_connect=at_connect,
            accepted=_ACCEPTED[accepted.kind] if accepted else None,
            raw=_raw(accepted),
            delay_s=sum(f.number("seconds") for f in faults if f.kind is FaultKind.DELAY),
            loss=max((f.number("probability") for f in faults if f.kind is FaultKind.LOSS), default=0.0),
            flaw=_flaw(faults, place),
            application=tuple(f for f in faults if f.kind in _APPLICATION),
        )

    def _is_region_crashed(self, cluster: str) -> bool:
        return any(f.target == f"region:{self._regions[cluster]}" for f in self._faults.of(FaultKind.CRASH))

    def _concerns(self, fault: Fault, place: str, target: str) -> bool:
        if fault.place is not None and fault.place != place:
            return False
        if place == Place.BASTION and fault.target == f"region:{self._spec.bastion_region}":
            return True
        return self._is_meant(fault.target, place, target)

    def _is_meant(self, fault_target: str, place: str, target: str) -> bool:
        kind, _, rest = fault_target.partition(":")
        cluster, _, host = target.partition("/")
        if kind == "link":
            source, _, to = rest.partition(">")
            return to == cluster and (source == place or (place == Place.INTERIOR and source in self._regions))
        if kind == "region":
            return rest == self._regions[cluster] and place != BALANCER
        meant: Mapping[str, bool] = {
            "node": rest == target,
            "cluster": rest == cluster and not (place == BALANCER and host == "lb"),
            "lb": host == "lb" and rest == cluster,
        }
        return meant.get(kind, False)


def _flaw(faults: list[Fault], place: str) -> str:
    """A load balancer does not look at the certificates of its nodes, and replication has its own."""
    if place in (BALANCER, REPLICATION):
        return ""
    return next((f.text("flaw") for f in faults if f.kind is FaultKind.CERTIFICATE), "")


def _raw(fault: Fault | None) -> bytes:
    if fault is None or fault.kind is not FaultKind.GARBAGE:
        return b""
    return fault.text("text", "SSH-2.0-OpenSSH_9.6\r\n").encode()
