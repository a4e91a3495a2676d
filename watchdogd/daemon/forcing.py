"""SIGUSR1: the decision that one pair waits with, taken now: approved, and without waiting time; past no veto."""

from __future__ import annotations

from dataclasses import replace

from watchdogd.core.commands import PROGRAM
from watchdogd.core.decision import Execution
from watchdogd.core.entries import Runbook
from watchdogd.core.gates import WAITING_TIME
from watchdogd.core.model import ClusterId
from watchdogd.core.policy import Level
from watchdogd.core.situations import Phase
from watchdogd.daemon.orders import Orders
from watchdogd.daemon.protocol import Answer, Asked, Caller, Code, refuse
from watchdogd.daemon.unit import PairUnit

REASON = "SIGUSR1"


async def force(orders: Orders, caller: Caller) -> Answer:
    """Carry out the one pending decision; refused unless exactly one pair has one."""
    pending = {pair: found for pair, unit in orders.units.items() if (found := pending_of(unit)) is not None}
    if len(pending) != 1:
        several = f"{', '.join(pending)} each have one: `{PROGRAM}` names its pair"
        which = several if pending else "no pair has one; under `observe` nothing is pending"
        return refuse(Code.STALE, f"SIGUSR1 needs exactly one pair with a pending decision: {which}")
    ((pair, asked),) = pending.items()
    return await orders.ask(replace(asked, pair=pair), caller)


def pending_of(unit: PairUnit) -> Asked | None:
    """What the pair waits with, as an order; None under `observe`, or when it waits for nothing."""
    standing = unit.deciding.standing
    if standing is None or standing.facts.ledger.run is not None:
        return None
    waits = [
        todo for todo in standing.decision.todo if todo.runbook is not None and todo.execution is not Execution.WOULD
    ]
    todo = next((one for one in waits if not one.goes and not one.has_time), None)
    if todo is not None and todo.runbook is not Runbook.FAILOVER:
        return _asked("start", todo.target, runbook=todo.runbook.value if todo.runbook else "")
    facts, elected = standing.facts, standing.facts.elected
    is_suspect = standing.decision.phase is Phase.SUSPECT and elected is not None and not elected.is_active_primary
    if elected is None or (todo is None and not is_suspect):
        return None
    if unit.policy.failover_level(elected.cluster) is Level.OBSERVE:
        return None
    return _asked("failover", facts.partner.cluster, waive=WAITING_TIME)


def _asked(verb: str, target: ClusterId, **body: str) -> Asked:
    return Asked(verb=verb, body={"target": target, "reason": REASON, **body})
