"""What a person would be approving: one run, as it would be begun now, and a hash that changes when the decision does.

The hash covers what a human decides on (DESIGN section 9): pair, run, clusters, row, epoch, waivers, which gates are
closed, the steps and the coarse loss. Ages, counters and sentences are left out: they change with every look.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass

from watchdogd.core.decision import Todo
from watchdogd.core.entries import Runbook
from watchdogd.core.facts import Facts, GateAnswer
from watchdogd.core.gates import opens_by_time, without
from watchdogd.core.known import Loss
from watchdogd.core.model import ClusterId
from watchdogd.core.policy import PairPolicy

HASH_DIGITS = 16
LOSS_STEPS = (1, 10, 60, 600, 3_600, 86_400)  # a loss is told in seconds or in WAL, and decided on by its magnitude


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """Exactly what the hash covers."""

    pair: str
    action: Runbook
    source: ClusterId
    target: ClusterId
    situation: str
    elected: ClusterId | None
    epoch: int
    next_epoch: int
    waivers: tuple[str, ...]
    closed: tuple[str, ...]
    steps: tuple[str, ...]
    loss: str

    @property
    def hash(self) -> str:
        """The same for the same decision, on every machine and over restarts."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]

    def changed_since(self, before: Agreed, *, apart_from: Set[str] = frozenset()) -> tuple[str, ...]:
        """What is not as it was, as `situation S-30 -> S-10`."""
        now, then = asdict(self), asdict(before)
        changed = [key for key in now if now[key] != then[key] and key not in apart_from]
        return tuple(f"{key} {_said(then[key])} -> {_said(now[key])}" for key in changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run as it would be begun now, and what keeps it from being begun."""

    agreed: Agreed
    blocked_by: tuple[GateAnswer, ...]
    why: str = ""  # of the row that asks for it

    @property
    def waits_for_time_alone(self) -> bool:
        """True when it is blocked, and by nothing but waiting time that runs."""
        return bool(self.blocked_by) and all(opens_by_time(gate.gate, gate.until_s) for gate in self.blocked_by)


def failover_plan(
    facts: Facts,
    policy: PairPolicy,
    situation: str,
    *,
    target: ClusterId,
    waivers: frozenset[str],
    steps: Sequence[str],
) -> Plan:
    """A failover to `target` by command, past the gates that are waived by name and no others."""
    elected, closed = facts.ledger.elected, facts.closed_gates()
    # The run itself asks again: a sighting is passed over only once its fence was verified.
    is_fenced = policy.verifies_a_fence(elected, waivers)
    agreed = _agreed(
        facts,
        Runbook.FAILOVER,
        source=elected if elected is not None else policy.partner_of(target),
        target=target,
        situation=situation,
        waivers=waivers,
        closed=closed,
        steps=steps,
    )
    return Plan(agreed=agreed, blocked_by=without(closed, waivers, is_fenced=is_fenced))


def todo_plan(facts: Facts, todo: Todo, action: Runbook, *, steps: Sequence[str]) -> Plan:
    """What a row asks for now, as it would be begun by command."""
    agreed = _agreed(
        facts,
        action,
        source=todo.source,
        target=todo.target,
        situation=todo.situation,
        waivers=frozenset(),
        closed=todo.blocked_by,
        steps=steps,
    )
    return Plan(agreed=agreed, blocked_by=todo.blocked_by, why=todo.why)


def _agreed(
    facts: Facts,
    action: Runbook,
    *,
    source: ClusterId,
    target: ClusterId,
    situation: str,
    waivers: frozenset[str],
    closed: tuple[GateAnswer, ...],
    steps: Sequence[str],
) -> Agreed:
    return Agreed(
        pair=facts.pair,
        action=action,
        source=source,
        target=target,
        situation=situation,
        elected=facts.ledger.elected,
        epoch=facts.ledger.epoch,
        next_epoch=facts.ledger.next_epoch,
        waivers=tuple(sorted(waivers)),
        closed=tuple(sorted(gate.gate for gate in closed)),
        steps=tuple(steps),
        loss=coarse(facts.known.loss),
    )


def coarse(loss: Loss) -> str:
    """The magnitude of a loss, in words."""
    amount, unit = (loss.seconds, "s") if loss.seconds is not None else (loss.wal, "WAL")
    if amount is None:
        return "unknown"
    bound = next((step for step in LOSS_STEPS if amount < step), None)
    return f"{LOSS_STEPS[-1]} {unit} or more" if bound is None else f"less than {bound} {unit}"


def _said(value: object) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, tuple | list) else str(value)
