"""What can go wrong, as values, and the board they hang on.

Targets: `node:east/1 cluster:east region:east lb:east link:PLACE>east link:east>west repl:east>west dns aws`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from types import MappingProxyType

from watchdogd.lab.number import Number

NO_PARAMS: Mapping[str, str | float | bool] = MappingProxyType({})


class FaultKind(StrEnum):
    """Kinds with their parameters, and what each one really does. Which requests one concerns: see `network.py`."""

    CRASH = "crash"  # process gone: RST at connect; comes back with its storage, sealed or auto-unsealed
    BLACKOUT = "blackout"  # region: nothing gets in or out; inside it everything goes on
    REFUSE = "refuse"
    DROP = "drop"
    RESET = "reset"  # accepted, RST, nothing applied
    DELAY = "delay"  # seconds
    GARBAGE = "garbage"  # text: raw bytes instead of HTTP
    HANG = "hang"  # accepted, never answered, nothing applied
    LOSS = "loss"  # probability of a DROP for each request
    SEAL = "seal"  # node or cluster: sealed for as long as it lasts, and after it with Shamir
    QUORUM_LOSS = "quorum_loss"  # cluster: no node can become active
    FLAP = "flap"  # every_s: the active node changes again and again
    STRANGE = "strange"  # text, status; or cluster_id: answers as another cluster
    RATE_LIMITED = "rate_limited"  # 429 on what is not exempt
    ACTIVE_ERRS = "active_errs"  # health says active, sys/leader answers 500
    REMOVED = "removed"  # node: removed from the raft cluster (530, version 1.19 on)
    WRITES_HANG = "writes_hang"  # brown-out: health fine, writes never answer
    WRITES_FAIL = "writes_fail"  # brown-out: health fine, writes answer 500
    REPLY_LOST = "reply_lost"  # method, path, outcome: applied, then RESET or HANG; times: how often
    APPLIED_LATE = "applied_late"  # method, path, seconds: no answer now, lands later; times
    READY_STALE = "ready_stale"  # secondary: goes on saying ready/connected/stream-wals with nothing moving
    SYNCING = "syncing"  # secondary: stays in merkle-sync for as long as it lasts
    LB_EMPTY = "lb_empty"  # the pool is empty whatever the nodes say
    LB_5XX = "lb_5xx"  # status: the load balancer itself answers
    CLOCK_SKEW = "clock_skew"  # seconds: added to the clock of a cluster or node
    TOKEN_EXPIRED = "token_expired"  # noqa: S105  every batch token is refused as expired
    LICENCE_TERMINATED = "licence_terminated"
    SLOW_DNS = "slow_dns"  # seconds
    DNS_DEAD = "dns_dead"
    AWS_DEAD = "aws_dead"
    AWS_THROTTLE = "aws_throttle"  # times
    AWS_PRIOR_REQUEST = "aws_prior_request"  # times
    AWS_DENIED = "aws_denied"
    STOPPED = "stopped"  # node: the process sleeps; its kernel accepts, nobody answers, raft goes on without it
    SLOW_STORAGE = "slow_storage"  # seconds: before what reads or writes storage, health among it, and in elections
    AUDIT_BLOCKED = "audit_blocked"  # every audited request hangs before it is looked at; health is fine
    WRITE_OVERLOAD = "write_overload"  # what would write to storage answers 503
    ERROR_APPLIED = "error_applied"  # method, path, status: applied, and the answer says that it was not; times
    STALE_INDEX = "stale_index"  # 412 to whoever sends a service token or an index, but not to the active node
    FOREIGN_ATTEMPT = "foreign_attempt"  # the slot for making tokens is somebody else's again and again; times
    ACTIVATION_FAILS = "activation_fails"  # secondary: the token is unwrapped, hence used up, then 500; times
    LB_RULE = "lb_rule"  # rule: what the load balancer takes for healthy
    LB_STALE = "lb_stale"  # the load balancer goes on with the nodes that it has now
    DNS_STALE = "dns_stale"  # what is shown since then is not
    DNS_WRONG = "dns_wrong"  # text: the target that the service name has there; else the first other cluster's
    DNS_SERVFAIL = "dns_servfail"
    ONE_WAY = "one_way"  # repl:A>B: what A sends to B is lost, what B sends to A arrives
    REPL_AT_STANDBY = "repl_at_standby"  # the replication port is a load balancer's, which sends to a standby
    MERKLE_CORRUPTED = "merkle_corrupted"  # secondary: merkle-diff and merkle-sync in a loop, and says so
    MOUNT_CONFLICT = "mount_conflict"  # secondary: a local mount is in the way; idle, with its link up
    CERTIFICATE = "certificate"  # flaw: what is wrong with the certificate that is shown
    LICENCE_EXPIRED = "licence_expired"  # edition: production stays down once it is down; evaluation seals


class FaultParamError(ValueError):
    """A fault without a parameter it needs, or a parameter of the wrong type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong from the moment it is added until it is cleared or `until_s` is reached.

    `place` narrows it to requests from one place (None: from everywhere).
    """

    kind: FaultKind
    target: str
    place: str | None = None
    until_s: float | None = None
    params: Mapping[str, str | float | bool] = field(default_factory=lambda: NO_PARAMS)

    def number(self, name: str, default: float | None = None) -> float:
        """The parameter `name` as a number. Raises FaultParamError."""
        value = self.params.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FaultParamError(f"fault {self.kind} {self.target} needs a number for {name!r}, got {value!r}")
        return float(value)

    def text(self, name: str, default: str | None = None) -> str:
        """The parameter `name` as text. Raises FaultParamError."""
        value = self.params.get(name, default)
        if not isinstance(value, str):
            raise FaultParamError(f"fault {self.kind} {self.target} needs text for {name!r}, got {value!r}")
        return value


@dataclass(slots=True)
class Hung:
    """A fault on the board: since when, and how many uses it has left."""

    fault: Fault
    since_s: float
    left: float


NUMBERS: Mapping[str, Number] = {
    "seconds": Number(least=0.0),
    "probability": Number(least=0.0, most=1.0),
    "every_s": Number(least=0.1),
    "times": Number(least=1, is_whole=True),
    "status": Number(least=200, most=599, is_whole=True),
}
"""The parameters that are numbers; every other one is text."""
_EITHER_WAY = Number()


def number_of(kind: FaultKind, name: str) -> Number:
    """What the number `name` of a fault may be: a clock alone may go wrong either way."""
    return _EITHER_WAY if kind is FaultKind.CLOCK_SKEW and name == "seconds" else NUMBERS[name]


CHOICES: Mapping[str, tuple[str, ...]] = {
    "outcome": ("hang", "reset"),
    "rule": ("standbyok", "drsecondarycode", "tcp"),
    "flaw": ("expired", "self-signed", "unknown-authority", "wrong-name"),
    "edition": ("production", "evaluation"),
}
"""The words that a parameter may be, where it is not any text; the first one is the default."""
TEXTS = frozenset({"text", "method", "path", "cluster_id", "set_id", *CHOICES})
NEEDS: Mapping[FaultKind, str] = {
    FaultKind.DELAY: "seconds",
    FaultKind.LOSS: "probability",
    FaultKind.CLOCK_SKEW: "seconds",
    FaultKind.APPLIED_LATE: "seconds",
    FaultKind.SLOW_DNS: "seconds",
    FaultKind.SLOW_STORAGE: "seconds",
    FaultKind.LB_RULE: "rule",
    FaultKind.CERTIFICATE: "flaw",
}
"""Parameters that have no default. Checked when a fault is hung up, so that no request meets half a fault."""


class FaultBoard:
    """The faults that hold now. Adding and clearing take effect at once; `now_s` follows the world's ticks.

    The number of changes (`version`) lets readers cache what they worked out from the faults.
    """

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s
        self.version = 0
        self._hung: dict[int, Hung] = {}
        self._next_id = 1

    def add(self, fault: Fault) -> int:
        """Hang a fault up; returns the id to clear it by. Raises FaultParamError where what it needs is missing."""
        if name := NEEDS.get(fault.kind):
            read = fault.number if name in NUMBERS else fault.text
            read(name)
        fault_id, self._next_id = self._next_id, self._next_id + 1
        self._hung[fault_id] = Hung(fault, self.now_s, float(fault.params.get("times", inf)))
        self.version += 1
        return fault_id

    def clear(self, fault_id: int | None = None, *, kind: FaultKind | None = None, target: str | None = None) -> int:
        """Take faults down: one by id, or all that match; without arguments all. Returns how many went."""
        gone = [
            i
            for i, hung in self._hung.items()
            if (fault_id is None or i == fault_id)
            and (kind is None or hung.fault.kind is kind)
            and (target is None or hung.fault.target == target)
        ]
        for i in gone:
            del self._hung[i]
        self.version += bool(gone)
        return len(gone)

    def of(self, *kinds: FaultKind) -> Iterator[Fault]:
        """The faults of these kinds that hold now, oldest first."""
        return (hung.fault for hung in self._hung.values() if hung.fault.kind in kinds)

    def items(self) -> Iterator[tuple[int, Fault]]:
        """Every fault that holds now with its id, oldest first."""
        return ((i, hung.fault) for i, hung in self._hung.items())

    def since_s(self, fault: Fault) -> float:
        """When a fault that holds was hung up."""
        return next(hung.since_s for hung in self._hung.values() if hung.fault is fault)

    def use(self, fault: Fault) -> bool:
        """Take one use of a fault with `times`; false when none was left. It goes with its last use."""
        for i, hung in self._hung.items():
            if hung.fault is fault:
                hung.left -= 1
                if hung.left <= 0:
                    self.clear(i)
                return True
        return False

    def __len__(self) -> int:
        return len(self._hung)

    def next_end_s(self) -> float:
        """When the next fault ends by itself; inf if none does."""
        return min((h.fault.until_s for h in self._hung.values() if h.fault.until_s is not None), default=inf)

    def pass_to(self, now_s: float) -> tuple[Fault, ...]:
        """Move the board's clock; returns the faults that ended by it."""
        self.now_s = now_s
        if not self._hung:
            return ()
        ended = [i for i, h in self._hung.items() if h.fault.until_s is not None and h.fault.until_s <= now_s]
        faults = tuple(self._hung[i].fault for i in ended)
        for i in ended:
            self.clear(i)
        return faults
