"""What to do about a pair now, and why, or why not: every decision carries its row, its gates and the command."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from watchdogd.core.commands import Command, line
from watchdogd.core.entries import Runbook, RunOutcome
from watchdogd.core.facts import Facts, GateAnswer
from watchdogd.core.gates import is_waivable
from watchdogd.core.ledger import Ledger, RunState
from watchdogd.core.model import ClusterId
from watchdogd.core.naming import NameSeen
from watchdogd.core.policy import Level, PairPolicy
from watchdogd.core.situations import LEFT_FENCE, Act, NameRow, Phase, Row, name_situation_of, situation_of
from watchdogd.core.views import sealed_not_dead

# Gates that every run asks; a failover asks all of them.
EVERY_RUN = frozenset({"paused", "tilt", "state", "slot", "stale", "blind"})

# A run of which only convergent steps are left gives way to these: a name that cannot be moved holds nothing hostage.
MORE_URGENT = frozenset({Runbook.SETTLE_DEBT, Runbook.FAILOVER, Runbook.ROLL_BACK})


class Execution(StrEnum):
    """How far a decision goes by itself."""

    WOULD = "would"  # observe: say what would be done
    WAIT = "wait"  # page, name the command, wait for it or for `ack`
    GO = "go"


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """One thing that a row asks for. `source` is the cluster that is or was primary, `target` the one that will be."""

    runbook: Runbook | None  # None: nothing to run, only the command can act
    execution: Execution
    source: ClusterId
    target: ClusterId
    situation: str
    why: str
    blocked_by: tuple[GateAnswer, ...]
    command: str
    has_time: bool = False  # a leftover: no run gives way to it
    again_after_s: float = 0.0  # it is not begun anew within this time

    @property
    def goes(self) -> bool:
        """True when it is to be carried out now."""
        return self.runbook is not None and self.execution is Execution.GO and not self.blocked_by

    @property
    def takes_the_slot(self) -> bool:
        """True when it would go but for the slot, and a run of which only convergent steps are left gives way to it."""
        blocked = any(gate.gate != "slot" for gate in self.blocked_by)
        return self.runbook in MORE_URGENT and self.execution is Execution.GO and not blocked and not self.has_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The rows that match, and what they ask for, most urgent first."""

    row: Row
    beneath: Row  # the row that matches when an open run is left aside
    name_row: NameRow
    todo: tuple[Todo, ...]
    is_flapping: bool
    is_parked: bool = False  # the open run waits for somebody

    @property
    def phase(self) -> Phase:
        """The phase of the pair: acting only while something acts."""
        goes = any(todo.goes and todo.situation == self.row.id for todo in self.todo)
        goes = goes or (self.row.act is Act.CONTINUE and not self.is_parked)
        return self.row.phase if goes or self.row.phase_idle is None else self.row.phase_idle


def decide(facts: Facts, policy: PairPolicy) -> Decision:
    """The decision on `facts`. Pure; the same facts always give the same decision."""
    row = situation_of(facts.signature)
    beneath = situation_of(replace(facts.signature, is_run_open=False))
    name_seen = facts.name.seen if facts.name is not None else NameSeen.CANNOT_ASK
    name_row = name_situation_of(name_seen, facts.elected_side, beneath.id)
    asked = [_todo(beneath, facts, policy), _name_todo(name_row, facts, policy)]
    todo = [one for one in asked if one is not None]
    return Decision(
        row=row,
        beneath=beneath,
        name_row=name_row,
        todo=(*sorted(todo, key=_precedence), *_left_fence(beneath, facts, policy)),
        is_flapping=facts.flaps > policy.flaps_max,
        is_parked=facts.ledger.run is not None and facts.ledger.run.state is RunState.PARKED,
    )


def _precedence(todo: Todo) -> int:
    order = (Runbook.SETTLE_DEBT, Runbook.CUTOVER_DNS)
    return order.index(todo.runbook) if todo.runbook in order else len(order)


def _todo(row: Row, facts: Facts, policy: PairPolicy) -> Todo | None:
    if facts.elected is None:
        return None
    elected, partner = facts.elected.cluster, facts.partner.cluster
    failover = policy.failover_level(elected)
    match row.act:
        case Act.FAILOVER:
            level = _held(failover, facts)
            return _make(row, facts, Runbook.FAILOVER, level, elected, partner, gates=facts.closed_gates())
        case Act.PAGE if row.is_failover_blocked and not sealed_not_dead(facts.elected):
            level = min_level(failover, Level.APPROVE)
            return _make(row, facts, Runbook.FAILOVER, level, elected, partner, gates=facts.closed_gates())
        case Act.PAGE if row.may_be_primary and facts.elected.is_active_primary:
            return _demote_by_hand(row, facts, policy)
        case Act.HEAL:
            return _make(row, facts, None, min_level(policy.levels.heal, Level.APPROVE), elected, partner)
        case _:
            return _towards_elected(row, facts, policy, source=partner, target=elected)


def _demote_by_hand(row: Row, facts: Facts, policy: PairPolicy) -> Todo:
    """Nothing of ours demotes what it cannot read: the command asks the node that is, or is named as, active.

    Only an address of the config is named: what a cluster calls its active node may be a load balancer, or the service
    name, behind which the elected cluster stands by now.
    """
    partner = facts.partner
    named = {node.names.address.rstrip("/") for node in partner.nodes if node.is_life and node.names}
    known = partner.active.node if partner.active is not None else None
    address = known or next((node.node for node in partner.nodes if node.node in named), "ACTIVE_NODE")
    return Todo(
        runbook=None,
        execution=Execution.WAIT,
        source=partner.cluster,
        target=facts.ledger.elected or policy.partner_of(partner.cluster),
        situation=row.id,
        why=row.why,
        blocked_by=(),
        command=f"VAULT_ADDR={address} vault write -f sys/replication/{policy.replication}/primary/demote",
    )


def _towards_elected(
    row: Row, facts: Facts, policy: PairPolicy, *, source: ClusterId, target: ClusterId
) -> Todo | None:
    """What leaves the elected cluster elected, or makes it primary again."""
    match row.act:
        case Act.SETTLE_DEBT:  # the debtor is demoted; the elected cluster stays where it is
            level = policy.levels.settle_debt
            level = min_level(level, Level.APPROVE) if facts.ledger.is_debt_given_up else level
            return _make(row, facts, Runbook.SETTLE_DEBT, level, source, target)
        case Act.ROLL_BACK:
            level = _held(policy.failover_level(target), facts)
            level = min_level(level, Level.APPROVE) if _is_roll_back_given_up(facts.ledger) else level
            return _make(row, facts, Runbook.ROLL_BACK, level, source, target)
        case Act.LAST_PRIMARY if policy.two_secondaries == "last-primary":
            return _make(row, facts, Runbook.ROLL_BACK, Level.APPROVE, source, target)
        case Act.RELEASE_FENCE:
            return _make(row, facts, Runbook.RELEASE_FENCE, Level.APPROVE, source, target)
        case _:
            return None


def _is_roll_back_given_up(ledger: Ledger) -> bool:
    """True when an operator aborted the newest roll-back of this incident: the next one waits for its command."""
    promoting = (run for run in reversed(ledger.recent_runs) if run.runbook in (Runbook.FAILOVER, Runbook.ROLL_BACK))
    newest = next(promoting, None)
    return newest is not None and newest.runbook is Runbook.ROLL_BACK and newest.outcome is RunOutcome.ABORTED


def _held(level: Level, facts: Facts) -> Level:
    """`level`, at most `approve` while an outage is held, or until what somebody else changed is adopted."""
    is_held = facts.ledger.hold or facts.ledger.foreign
    return min_level(level, Level.APPROVE) if is_held else level


def _left_fence(row: Row, facts: Facts, policy: PairPolicy) -> tuple[Todo, ...]:
    """A fence that outlived its debt, last of all and beside a quiet row only.

    Only while its cluster itself says that it is secondary: whatever became of the debt, what nobody sees stays fenced.
    """
    ledger = facts.ledger
    if row.act not in LEFT_FENCE.beside or ledger.elected is None:
        return ()
    if ledger.open_debt is not None or ledger.run is not None:
        return ()
    secondary = {cluster for cluster, view in facts.views.items() if view.is_active_secondary}
    left = next((cluster for cluster in ledger.fences if cluster in secondary - {ledger.elected}), None)
    if left is None:
        return ()
    why = LEFT_FENCE.why.format(cluster=left)
    todo = _make(row, facts, Runbook.SETTLE_DEBT, policy.levels.settle_debt, left, ledger.elected)
    again_after_s = LEFT_FENCE.again_after_s
    return (replace(todo, situation=LEFT_FENCE.id, why=why, has_time=True, again_after_s=again_after_s),)


def _name_todo(row: NameRow, facts: Facts, policy: PairPolicy) -> Todo | None:
    if row.act is not Act.CUTOVER_DNS or facts.elected is None:
        return None
    election = facts.ledger.election
    is_our_act = election is not None and election.run_id is not None
    is_known = is_our_act and not facts.ledger.foreign and not _is_given_up(facts.ledger)
    level = policy.levels.cutover_dns if is_known else min_level(policy.levels.cutover_dns, Level.APPROVE)
    return _make(row, facts, Runbook.CUTOVER_DNS, level, facts.partner.cluster, facts.elected.cluster)


def _is_given_up(ledger: Ledger) -> bool:
    """True when an operator aborted to move the name in this epoch: the next run waits for its command."""
    return ledger.name_given_up_at == ledger.epoch


def min_level(one: Level, two: Level) -> Level:
    """The more careful of two levels."""
    order = (Level.OBSERVE, Level.APPROVE, Level.AUTO)
    return min(one, two, key=order.index)


def _make(
    row: Row | NameRow,
    facts: Facts,
    runbook: Runbook | None,
    level: Level,
    source: ClusterId,
    target: ClusterId,
    *,
    gates: tuple[GateAnswer, ...] | None = None,
) -> Todo:
    blocked = gates if gates is not None else tuple(g for g in facts.closed_gates() if g.gate in EVERY_RUN)
    return Todo(
        runbook=runbook,
        execution=_execution(level),
        source=source,
        target=target,
        situation=row.id,
        why=row.why,
        blocked_by=tuple(g for g in blocked if g.gate != "level"),
        command=command_for(runbook, facts.pair, target, blocked),
    )


def _execution(level: Level) -> Execution:
    match level:
        case Level.OBSERVE:
            return Execution.WOULD
        case Level.APPROVE:
            return Execution.WAIT
        case Level.AUTO:
            return Execution.GO


def command_for(runbook: Runbook | None, pair: str, target: ClusterId, blocked: tuple[GateAnswer, ...]) -> str:
    """What an operator would type; names every gate that has to be waived by name."""
    match runbook:
        case Runbook.FAILOVER:
            waive = ",".join(sorted({gate.gate for gate in blocked if is_waivable(gate.gate)}))
            return line(Command.FAILOVER, target, pair=pair, waive=waive)
        case Runbook.SETTLE_DEBT | Runbook.CUTOVER_DNS | Runbook.ROLL_BACK | Runbook.RELEASE_FENCE:
            return line(Command.APPROVE, runbook, target, pair=pair)
        case _:
            return ""
