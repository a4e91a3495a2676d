"""What people must be told about a pair now: one notice per condition, each with its command and every closed gate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from watchdogd.core.decision import Decision, Execution, Todo
from watchdogd.core.entries import Runbook
from watchdogd.core.explain import sentence, would_act_when
from watchdogd.core.facts import Facts, Side, Surroundings
from watchdogd.core.gates import ASKED_LATER
from watchdogd.core.ledger import FenceState, RunState
from watchdogd.core.model import ClusterView, Mode, NodeAddress, NodeSeen, Reach, Reading
from watchdogd.core.parked import RunVerb, command, commands
from watchdogd.core.policy import PairPolicy
from watchdogd.core.situations import Act, Phase, Row
from watchdogd.core.telling import Holding, why_told
from watchdogd.core.views import SEALED
from watchdogd.core.watch import Reset
from watchdogd.ports import Notice, Severity

RESETS_MAX = 3  # in 15 minutes
NODE_BLOCKS_AFTER_S = 600.0
NAME_ALERT_AFTER_S = 60.0
NOT_READY_AFTER_S = 300.0
IN_MINUTES_S = 2 * 3600.0
PROVIDER_SILENT_S = 60.0  # asked again every 30 s
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
SAID_ELSEWHERE = frozenset({"paused", "cold-start", "tilt", "state", "slot", "ack"})
CANNOT_LOOK = frozenset({Reading.OURS, Reading.STRANGE})


@dataclass(slots=True, kw_only=True)
class Timers:
    """Since when each condition has held; a condition that is not asked about begins anew."""

    since_s: dict[str, float] = field(default_factory=dict)
    seen_s: dict[str, float] = field(default_factory=dict)
    holding: Holding = field(default_factory=Holding)  # of the rows
    row_notices: tuple[Notice, ...] = ()  # of the row that is told
    _asked: set[str] = field(default_factory=set)

    def held_s(self, key: str, now_s: float) -> float:
        """How long `key` has been asked about, at every tick without a gap."""
        self._asked.add(key)
        self.seen_s[key] = now_s
        return now_s - self.since_s.setdefault(key, now_s)

    def bridged_s(self, key: str, now_s: float, gap_max_s: float) -> float:
        """As `held_s`, while nothing can be said of `key`, and for no longer than a short while; 0 after it."""
        if key not in self.since_s or now_s - self.seen_s[key] > gap_max_s:
            return 0.0
        self._asked.add(key)
        return now_s - self.since_s[key]

    def end_tick(self) -> None:
        """Forget what was not asked about in this tick."""
        self.since_s = {key: since for key, since in self.since_s.items() if key in self._asked}
        self.seen_s = {key: at_s for key, at_s in self.seen_s.items() if key in self._asked}
        self._asked.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the conditions are read from."""

    facts: Facts
    decision: Decision
    around: Surroundings
    policy: PairPolicy
    resets: tuple[Reset, ...]
    timers: Timers

    def notice(self, key: str, severity: Severity, summary: str, *details: str, command: str = "") -> Notice:
        return Notice(
            pair=self.facts.pair, key=key, severity=severity, summary=summary, details=details, command=command
        )

    def held_s(self, key: str) -> float:
        return self.timers.held_s(key, self.facts.now.at_s)

    def bridged_s(self, key: str) -> float:
        return self.timers.bridged_s(key, self.facts.now.at_s, self.policy.timing.gap_max_s)


def conditions(question: Question) -> tuple[Notice, ...]:
    """Every condition that holds now. Feeds the timers: call it once a tick."""
    found = tuple(
        notice
        for ask in (
            _row,
            _parked,
            _name,
            _provider,
            _state,
            _unstable,
            _flapping,
            _nodes,
            _corrupted,
            _versions,
            _readiness,
            _expiry,
            _durable,
        )
        for notice in ask(question)
    )
    question.timers.end_tick()
    return found


def _row(question: Question) -> tuple[Notice, ...]:
    facts, timers, row = question.facts, question.timers, _told_row(question)
    progress = max((window.progress for window in facts.windows), default=0.0)
    timers.holding = timers.holding.feed(
        row, facts.signature, question.policy.timing, progress=progress, now_s=facts.now.at_s
    )
    told = timers.holding.told
    if told is None or row is None:
        timers.row_notices = ()
    elif told.alarm == row.alarm:
        timers.row_notices = tuple(_row_notice(question, row))
    return timers.row_notices


def _row_notice(question: Question, row: Row) -> Iterator[Notice]:
    decision = question.decision
    severity = _severity(row, decision)
    if severity is None:
        return
    todo = next((one for one in decision.todo if one.situation == row.id), None)
    elected = question.facts.elected.cluster if question.facts.elected else "nobody"
    yield question.notice(
        row.alarm,
        severity,
        f"{row.id} {why_told(row, question.facts)}; {elected} is elected at epoch {question.facts.ledger.epoch}"
        + (f"; {sentence(decision, question.facts)}" if decision.todo else ""),
        *(_unread(question) if row.names_unread else ()),
        *(_second_primary(question) if row.may_be_primary else ()),
        *(_sealed(question) if row.act is Act.PAGE and question.facts.elected_side is Side.SEALED else ()),
        *_why_not(question, todo),
        command=todo.command if todo is not None and question.facts.ledger.run is None else "",
    )


def _told_row(question: Question) -> Row | None:
    """The row that people hear of: what an open run acts on it tells itself, and beside one that waits all is told."""
    run, decision = question.facts.ledger.run, question.decision
    if run is None or (run.runbook is not Runbook.CUTOVER_DNS and run.state is not RunState.PARKED):
        return decision.row
    is_its_own = decision.beneath.act == run.runbook.value
    will_have_the_slot = run.runbook is Runbook.CUTOVER_DNS and any(
        todo.execution is Execution.GO and {gate.gate for gate in todo.blocked_by} == {"slot"} for todo in decision.todo
    )
    return None if is_its_own or will_have_the_slot else decision.beneath


def _parked(question: Question) -> Iterator[Notice]:
    run = question.facts.ledger.run
    if run is None or run.state is not RunState.PARKED:
        return
    yield question.notice(
        f"{run.run_id}:parked:{run.parked_step}",  # the page of the run itself, which a restart forgets
        Severity.PAGE,
        f"{run.runbook} is parked at {run.parked_step}: {run.parked_why}",
        *commands(run, question.facts.views),
        command=command(RunVerb.RETRY, run.run_id),
    )


def _severity(row: Row, decision: Decision) -> Severity | None:
    match row.act:
        case Act.PAGE | Act.FREEZE | Act.RELEASE_FENCE:
            return Severity.PAGE
        case Act.ALERT | Act.HEAL | Act.LAST_PRIMARY:
            return Severity.WARN
        case Act.FAILOVER | Act.SETTLE_DEBT | Act.ROLL_BACK | Act.CUTOVER_DNS:
            # What goes is told by its run.
            return None if any(todo.goes for todo in decision.todo) else Severity.PAGE
        case Act.NOTHING | Act.CONTINUE:
            return None


def _why_not(question: Question, todo: Todo | None) -> Iterator[str]:
    if todo is None:
        yield from (f"would act when {sentence}" for sentence in would_act_when(question.facts, question.decision))
        return
    for gate in todo.blocked_by:
        waivable = "" if gate.waivable else " (cannot be waived)"
        yield f"gate {gate.gate} is closed{waivable}: {gate.why}"


def _unread(question: Question) -> Iterator[str]:
    """Of each cluster that no active node speaks for: the nodes that keep it from being seen to be down."""
    for view in question.facts.views.values():
        if view.mode is not Mode.UNKNOWN and not view.wrong:
            continue
        for node in view.unsure:
            how = "cannot be read" if node.reading in CANNOT_LOOK else "does not count as down"
            way_out = _way_out(node, is_target=view.cluster == question.facts.partner.cluster)
            yield f"{view.cluster} {node.node} {how}: {node.why}; {way_out}"


def _sealed(question: Question) -> Iterator[str]:
    sealed = question.facts.ledger.elected
    yield f"unseal {sealed}, and nothing else has to be done; nothing is failed over while it is sealed"
    yield (
        "if it cannot be unsealed: stop its nodes, so that they are dead and not sealed; or set `sealed_is_down` (it "
        "needs a fence that blocks) and reload"
    )


def _second_primary(question: Question) -> Iterator[str]:
    facts, partner = question.facts, question.facts.partner
    if partner.active is not None:
        yield f"{partner.cluster} {partner.active.node} is active, and its replication status cannot be read"
    fence = facts.ledger.fences.get(partner.cluster)
    if fence is not None and fence.state is FenceState.HELD:
        yield f"a fence of ours holds on {partner.cluster}"
    else:
        yield f"no fence of ours holds on {partner.cluster}: its clients may be writing to it; shut them out by hand"
    yield "its debt is settled by itself once its active node can be read again"


def _way_out(node: NodeSeen, *, is_target: bool) -> str:
    if node.wrong_id:
        return f"another cluster answers there: correct the addresses, or the pinned ids, of {node.cluster}"
    if node.reading in SEALED:  # nobody fails over to a cluster that is sealed, or past one
        return "unseal it" if is_target else "unseal it, or stop it: sealed does not count as down"
    if node.reading is Reading.OURS:
        return f"check that address from here, its certificate, and tls.ca_file and tls.server_name of {node.cluster}"
    return "that is no answer of Vault's: see what answers there, or list it under `ignore`"


def _name(question: Question) -> Iterator[Notice]:
    row, name = question.decision.name_row, question.facts.name
    if name is None:
        return
    held_s = question.held_s("name") if row.act is Act.ALERT else 0.0
    todo = next((one for one in question.decision.todo if one.situation == row.id), None)
    if row.act is Act.ALERT and held_s >= NAME_ALERT_AFTER_S:
        published = ", ".join(name.published) or "nothing"
        yield question.notice(
            row.id, Severity.WARN, f"{row.id} {row.why}: published is {published}, {len(name.unasked)} not asked"
        )
    elif row.act is Act.CUTOVER_DNS and todo is not None and not todo.goes and question.facts.ledger.run is None:
        yield question.notice(
            row.id, Severity.PAGE, f"{row.id} {row.why}", *_why_not(question, todo), command=todo.command
        )


def _provider(question: Question) -> Iterator[Notice]:
    why, key = question.around.provider_why, "name_provider"
    if why and question.held_s(key) >= PROVIDER_SILENT_S:
        yield question.notice(
            key,
            Severity.WARN,
            f"the service name could not be moved now: its provider does not show the record: {why}",
            "a failover would promote, and its name would stay behind",
        )


def _state(question: Question) -> Iterator[Notice]:
    if question.around.state_unwritable:
        yield question.notice(
            "state",
            Severity.PAGE,
            f"nothing can be written down, so nothing is done: {question.around.state_unwritable}",
        )


def _unstable(question: Question) -> Iterator[Notice]:
    if len(question.resets) > RESETS_MAX:
        causes = sorted({reset.cause for reset in question.resets})
        yield question.notice(
            "evidence_unstable",
            Severity.PAGE,
            f"the evidence began anew {len(question.resets)} times in 15 minutes: {', '.join(causes)}",
        )


def _flapping(question: Question) -> Iterator[Notice]:
    facts = question.facts
    if question.decision.is_flapping and facts.elected is not None:
        yield question.notice(
            "flapping",
            Severity.PAGE,
            f"S-28 {facts.elected.cluster} went down {facts.flaps} times in 15 minutes without filling the window",
            f"consider a switchover to {facts.partner.cluster} the next time it is up",
        )


def _nodes(question: Question) -> Iterator[Notice]:
    for view in question.facts.views.values():
        for node in view.nodes:
            key = f"node_blocks_failover:{node.node}"
            held_s = question.held_s(key) if node.reading in CANNOT_LOOK else 0.0
            if node.reading is Reading.SILENT:  # a round that was lost says nothing of what answers there
                held_s = question.bridged_s(key)
            if held_s >= NODE_BLOCKS_AFTER_S:
                yield question.notice(
                    key,
                    Severity.PAGE,
                    f"{view.cluster} {node.node} cannot be read for 10 minutes: {node.why}",
                    _fix(node.node),
                )


def _fix(node: NodeAddress) -> str:
    return f"while it is so, the cluster can never be seen to be down: repair {node}, or list it under `ignore`"


def _corrupted(question: Question) -> Iterator[Notice]:
    for view in question.facts.views.values():
        if view.says_corrupted:
            yield question.notice(
                f"corrupted_merkle_tree:{view.cluster}",
                Severity.WARN,
                f"{view.cluster} says that its merkle tree is corrupted: replication may loop or lack what was written",
                "nothing is done about it: ask HashiCorp's support, and reindex only as they say",
            )


def _versions(question: Question) -> Iterator[Notice]:
    """A cluster that follows a newer one: in a disaster it is promoted even so (DESIGN section 4)."""
    elected, partner = question.facts.elected, question.facts.partner
    newer, older = _version(elected), _version(partner)
    if (
        elected is not None
        and partner.is_active_secondary
        and newer is not None
        and older is not None
        and older < newer
    ):
        said, said_of_it = (".".join(map(str, version)) for version in (older, newer))
        yield question.notice(
            f"older_version:{partner.cluster}",
            Severity.WARN,
            f"{partner.cluster} runs Vault {said}, older than {elected.cluster} with {said_of_it}",
            "Vault supports no replication from a newer to an older version: "
            f"upgrade {partner.cluster}; secondaries are upgraded first. A failover would go on even so",
        )


def _version(view: ClusterView | None) -> tuple[int, ...] | None:
    """The version that the active node tells; None where it tells none."""
    health = view.active.health if view is not None and view.active is not None else None
    found = VERSION.match(health.version) if health is not None else None
    return tuple(map(int, found.groups())) if found is not None else None


def _readiness(question: Question) -> Iterator[Notice]:
    facts = question.facts
    if question.decision.phase is not Phase.STEADY or facts.elected is None:
        question.bridged_s("not_ready")
        return
    closed = [gate for gate in facts.closed_gates() if gate.gate not in ASKED_LATER | SAID_ELSEWHERE]
    if closed and question.held_s("not_ready") >= NOT_READY_AFTER_S:
        yield question.notice(
            "not_ready",
            Severity.WARN,
            f"a failover to {facts.partner.cluster} would be held now",
            *(f"gate {gate.gate} is closed: {gate.why}" for gate in closed),
        )


def _expiry(question: Question) -> Iterator[Notice]:
    for credential in question.around.credentials:
        if credential.expires_utc_s is None:
            continue
        left_s = credential.expires_utc_s - question.facts.now.at_utc_s
        if left_s < question.policy.timing.credential_warn_s:
            yield question.notice(
                f"credential_expiring:{credential.name}",
                Severity.WARN,
                f"{credential.name} {_ends(left_s)}",
            )


def _ends(left_s: float) -> str:
    if left_s <= 0:
        return "has expired"
    return f"expires in {left_s / 60:.0f} min" if left_s < IN_MINUTES_S else f"expires in {left_s / 3600:.0f} h"


def _durable(question: Question) -> Iterator[Notice]:
    facts, ledger = question.facts, question.facts.ledger
    pair = facts.pair
    if ledger.ack_asked_by is not None:
        yield question.notice(
            "ack_missing",
            Severity.WARN,
            f"the automatic failover {ledger.ack_asked_by} was not acknowledged: the next one waits",
            command=f"watchdogctl ack --pair {pair} --reason '...'",
        )
    if ledger.hold and facts.elected is not None and facts.elected.reach is not Reach.UP:
        yield question.notice(
            "hold",
            Severity.PAGE,
            f"held at approve: {ledger.hold}",
            command=f"watchdogctl ack --pair {pair} --reason '...'",
        )
    if ledger.foreign:
        yield question.notice(
            "foreign",
            Severity.PAGE,
            f"{ledger.foreign}: nothing is automated until a human says which cluster counts",
            command=f"watchdogctl adopt CLUSTER --pair {pair} --reason '...'",
        )
