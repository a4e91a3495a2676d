"""Each kind of fault: the targets it does something to, what it takes, and the failure modes that it stands for.

One table for everybody who reads faults from people (`watchdogd-lab fault`, scenario files); docs/lab.md is tested
against it. A target is the word before the colon; `region` is a region of clusters, and for faults on the way that of
the bastion too. The numbers are those of the list of failure modes that docs/lab.md repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from watchdogd.lab.faults import NEEDS
from watchdogd.lab.faults import FaultKind as K


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a kind of fault may hang. `placed`: it can hold for requests from one place only.

    `needs` is the parameter that has no default, `takes` are the others.
    """

    targets: frozenset[str]
    modes: tuple[int, ...] = ()
    needs: str = ""
    takes: frozenset[str] = frozenset()
    placed: bool = False

    @property
    def params(self) -> frozenset[str]:
        """Every parameter that means something to it."""
        return self.takes | ({self.needs} if self.needs else frozenset())


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _way(extra: str = "", modes: tuple[int, ...] = (), *, takes: str = "") -> Shape:
    """On the way to an address, or in the place of an answer: whatever leads to it may be named."""
    targets = _words(f"node cluster region lb link {extra}")
    return Shape(targets, modes, takes=_words(takes), placed=True)


def _on(targets: str, modes: tuple[int, ...] = (), *, takes: str = "", placed: bool = False) -> Shape:
    return Shape(_words(targets), modes, takes=_words(takes), placed=placed)


_SHAPES: Mapping[K, Shape] = {
    K.CRASH: _on("node cluster region", (38, 49)),
    K.BLACKOUT: _on("region", (49, 50), placed=True),
    K.REFUSE: _way("repl aws", (12, 53)),
    K.DROP: _way("repl aws", (12, 14, 32, 50)),
    K.RESET: _way("repl aws", takes="times"),
    K.DELAY: _way("repl aws"),
    K.GARBAGE: _way(takes="text"),
    K.HANG: _way("repl aws", (39,), takes="times"),
    K.LOSS: _way(),
    K.SEAL: _on("node cluster region", (43,)),
    K.QUORUM_LOSS: _on("cluster region", (33, 36)),
    K.FLAP: _on("cluster region", (36, 38), takes="every_s"),
    K.STRANGE: _way(takes="text status cluster_id set_id"),
    K.RATE_LIMITED: _way(),
    K.ACTIVE_ERRS: _way(modes=(33,)),
    K.REMOVED: _on("node", (34,)),
    K.WRITES_HANG: _way(modes=(35,)),
    K.WRITES_FAIL: _way(modes=(37,)),
    K.REPLY_LOST: _way("aws", (2, 32), takes="method path outcome times"),
    K.APPLIED_LATE: _way(modes=(32,), takes="method path times"),
    K.READY_STALE: _on("node cluster region", (15,)),
    K.SYNCING: _on("cluster region", (18, 23)),
    K.LB_EMPTY: _on("lb", (53,), placed=True),
    K.LB_5XX: _on("lb", (53,), takes="status", placed=True),
    K.CLOCK_SKEW: _on("node cluster region", (21,)),
    K.TOKEN_EXPIRED: _on("node cluster region", (29,)),
    K.LICENCE_TERMINATED: _on("node cluster region", (42,)),
    K.SLOW_DNS: _on("dns", placed=True),
    K.DNS_DEAD: _on("dns", placed=True),
    K.AWS_DEAD: _on("aws"),
    K.AWS_THROTTLE: _on("aws", takes="times"),
    K.AWS_PRIOR_REQUEST: _on("aws", takes="times"),
    K.AWS_DENIED: _on("aws", takes="times"),
    K.STOPPED: _on("node cluster region", (38, 39)),
    K.SLOW_STORAGE: _on("node cluster region", (36, 39)),
    K.AUDIT_BLOCKED: _on("node cluster region", (35,)),
    K.WRITE_OVERLOAD: _on("cluster region", (37,)),
    K.ERROR_APPLIED: _way(modes=(32, 54), takes="method path status times"),
    K.STALE_INDEX: _way(modes=(31,)),
    K.FOREIGN_ATTEMPT: _on("cluster region", (24,), takes="times"),
    K.ACTIVATION_FAILS: _on("cluster region", (2,), takes="times"),
    K.LB_RULE: _on("lb", (53,)),
    K.LB_STALE: _on("lb", (53,)),
    K.DNS_STALE: _on("dns", (52,), placed=True),
    K.DNS_WRONG: _on("dns", (), takes="text", placed=True),
    K.DNS_SERVFAIL: _on("dns", placed=True),
    K.ONE_WAY: _on("repl", (15,)),
    K.REPL_AT_STANDBY: _on("repl", (3,)),
    K.MERKLE_CORRUPTED: _on("cluster region", (17,)),
    K.MOUNT_CONFLICT: _on("cluster region", (16,)),
    K.CERTIFICATE: _on("node cluster region lb", (5,)),
    K.LICENCE_EXPIRED: _on("node cluster region", (42,), takes="edition"),
}
SHAPES: Mapping[K, Shape] = {kind: replace(shape, needs=NEEDS.get(kind, "")) for kind, shape in _SHAPES.items()}
"""Every kind of fault once."""
