"""What people are told beside every row: whatever the row is, these may hold as well."""

from __future__ import annotations

from collections.abc import Iterator

from watchdogd.core import paging
from watchdogd.core.commands import Command, line
from watchdogd.core.decision import Execution
from watchdogd.core.gates import ASKED_LATER
from watchdogd.core.lateness import MORE_CPU
from watchdogd.core.model import NodeSeen, Reading
from watchdogd.core.situations import LEFT_FENCE, Phase
from watchdogd.core.versions import older_follower
from watchdogd.core.views import CANNOT_LOOK
from watchdogd.daemon.question import Question
from watchdogd.ports import Notice, Severity

RESETS_MAX = 3  # in 15 minutes
NODE_BLOCKS_AFTER_S = 600.0
NOT_READY_AFTER_S = 300.0
IN_MINUTES_S = 2 * 3600.0
PROVIDER_SILENT_S = 60.0  # asked again every 30 s
SAID_ELSEWHERE = frozenset({"paused", "cold-start", "tilt", "state", "slot", "ack"})


def beside(question: Question) -> Iterator[Notice]:
    """Every condition that holds now, whatever the row is."""
    for ask in (
        _provider,
        _left_fence,
        _state,
        _unstable,
        _flapping,
        _overloaded,
        _nodes,
        _corrupted,
        _versions,
        _readiness,
        _witnesses,
        _expiry,
        _durable,
    ):
        yield from ask(question)


def _provider(question: Question) -> Iterator[Notice]:
    why, key = question.around.provider_why, "name_provider"
    if why and question.held_s(key) >= PROVIDER_SILENT_S:
        yield question.notice(
            key,
            Severity.WARN,
            f"the service name could not be moved now: its provider does not show the record: {why}",
            "a failover would promote, and its name would stay behind",
        )


def _left_fence(question: Question) -> Iterator[Notice]:
    todo = paging.todo_of(LEFT_FENCE.id, question.decision)
    if todo is not None and todo.execution is not Execution.GO:
        yield question.notice(
            LEFT_FENCE.id,
            Severity.WARN,
            f"{LEFT_FENCE.id} {todo.why}: it keeps {todo.source} from being promoted",
            *paging.why_not(todo, question.facts, question.decision),
            command=todo.command,
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


def _overloaded(question: Question) -> Iterator[Notice]:
    """Rounds have been lost to our own lateness for a window, none of them more than `gap_max` after the one before."""
    key = "overloaded"
    late = [node for view in question.facts.views.values() for node in view.nodes if node.we_were_late]
    held_s = question.held_s(key) if late else question.bridged_s(key)
    if held_s >= question.policy.timing.down_after_s:
        yield question.notice(
            key,
            Severity.PAGE,
            "this daemon is overloaded: its own event loop is so late that what times out says nothing of a node",
            *(f"{node.cluster} {node.node}: {node.why}" for node in late),
            f"while it is so, no cluster can be seen to be down, and nothing is failed over by itself: {MORE_CPU}",
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
                    _fix(node),
                )


def _fix(node: NodeSeen) -> str:
    way_out = f"repair {node.node}, or list it under `ignore`"
    if node.we_were_late:
        way_out = f"it is not that node: {MORE_CPU}"
    return f"while it is so, the cluster can never be seen to be down: {way_out}"


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
    older = older_follower(elected, partner)
    if older is not None and elected is not None:
        yield question.notice(
            f"older_version:{partner.cluster}",
            Severity.WARN,
            f"{partner.cluster} runs Vault {older.version}, older than {elected.cluster} with {older.follows}",
            "Vault supports no replication from a newer to an older version: "
            f"upgrade {partner.cluster}; secondaries are upgraded first. A failover would go on even so",
        )


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


def _witnesses(question: Question) -> Iterator[Notice]:
    """A witness that does not see the primary while we do would veto nothing when we do not."""
    elected = question.facts.elected
    if elected is None or not elected.is_active_primary:
        return
    said = {witness.name: witness for witness in question.around.witnesses}
    for witness in question.policy.witnesses:
        seen = said.get(witness.name)
        key = f"witness_sees_nothing:{witness.name}"
        if (seen is None or not seen.sees) and question.held_s(key) >= NOT_READY_AFTER_S:
            why = seen.why if seen is not None else ""
            yield question.notice(
                key,
                Severity.WARN,
                f"witness {witness.name} does not see {elected.cluster}, which is up: {why or 'it says nothing'}",
                "a witness that sees nothing vetoes nothing: repair it"
                + (", for a failover by itself may stand on it alone" if witness.is_independent else ""),
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
            command=line(Command.ACK, pair=pair),
        )
    if ledger.hold and facts.has_outage:
        yield question.notice(
            "hold",
            Severity.PAGE,
            f"held at approve: {ledger.hold}",
            command=line(Command.ACK, pair=pair),
        )
    if ledger.foreign:
        are_two = all(view.is_active_primary for view in facts.views.values())
        first = "one of the two primaries is demoted by hand, and " if are_two else ""
        yield question.notice(
            "foreign",
            Severity.PAGE,
            f"{ledger.foreign}: nothing is automated until {first}a human says which cluster counts",
            command=line(Command.ADOPT, "CLUSTER", pair=pair),
        )
