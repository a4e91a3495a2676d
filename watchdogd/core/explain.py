"""Facts and decision as the JSON that `explain`, the page and the command line show (INTERFACES section 6).

Everything here is text, numbers, booleans, None, lists and mappings. Enums are lower case, units are in the names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TypeAlias

from watchdogd.core.approval import Approval
from watchdogd.core.decision import Decision, Execution, Todo
from watchdogd.core.entries import Runbook, Stamp
from watchdogd.core.facts import Facts, GateAnswer, Side, Sight, Surroundings
from watchdogd.core.ledger import Ledger, Run
from watchdogd.core.link import Hears
from watchdogd.core.model import ClusterId, ClusterView, NodeSeen
from watchdogd.core.naming import NameFact
from watchdogd.core.parked import commands
from watchdogd.core.telling import why

Json: TypeAlias = str | int | float | bool | list["Json"] | dict[str, "Json"] | None
Shape: TypeAlias = dict[str, Json]

HEARD: Mapping[Hears, str] = {
    Hears.SEES: "hears the primary",
    Hears.QUIET: "has heard nothing for a short while",
    Hears.HEARS_NOTHING: "hears nothing",
    Hears.BLIND: "cannot say whether it hears the primary",
}


def explain(
    facts: Facts, decision: Decision, around: Surroundings, *, since_s: float, approval: Approval | None = None
) -> Shape:
    """Why the daemon does what it does about a pair now, or why it does not. `since_s`: how long it has been so."""
    return {
        "pair": facts.pair,
        "phase": decision.phase.value,
        "situation": decision.row.id,
        "why": why(decision.row, facts),
        "decision": decision_shape(decision, facts),
        "since_s": round(since_s, 1),
        "facts": facts_shape(facts, decision),
        "evidence": list(evidence(facts, around)),
        "gates": [gate_shape(gate, facts.now) for gate in facts.gates],
        "would_act_when": list(would_act_when(facts, decision)),
        "approval": approval_shape(approval, facts.now),
        "command": command_now(decision, facts),
    }


def decision_shape(decision: Decision, facts: Facts) -> Shape:
    """What is asked for, most urgent first, and the row of the name."""
    return {
        "sentence": sentence(decision, facts),
        "todo": [todo_shape(todo, facts.now) for todo in decision.todo],
        "beneath": decision.beneath.id,
        "name": {"situation": decision.name_row.id, "why": decision.name_row.why},
        "flapping": decision.is_flapping,
    }


def sentence(decision: Decision, facts: Facts) -> str:
    """The decision in one sentence."""
    run = facts.ledger.run
    if run is not None:
        paused = "" if facts.ledger.pause is None or run.parked_step else "; paused: it stops at its next safe point"
        return f"{run.runbook} {run.run_id} is open{_where(run)}{paused}"
    todo = next(iter(decision.todo), None)
    if todo is None:
        return "nothing to do"
    what = _what(todo, decision)
    if todo.blocked_by:
        gates = ", ".join(gate.gate for gate in todo.blocked_by)
        return f"{what}: held by {gates}"
    match todo.execution:
        case Execution.WOULD:
            return f"would {what} (level observe)"
        case Execution.WAIT:
            return f"{what}: waits for its command"
        case Execution.GO:
            return f"{what}: goes"


def _where(run: Run) -> str:
    if run.parked_step:
        return f", parked at {run.parked_step}: {run.parked_why}"
    sent = next((name for name, step in run.steps.items() if step.is_unsure), "")
    return f": {sent} is sent, its outcome is not seen yet" if sent else ""


def command_now(decision: Decision, facts: Facts) -> str:
    """What an operator would type now, or nothing: beside an open run only what that run takes."""
    run = facts.ledger.run
    if run is not None:
        return next(iter(commands(run, facts.views)), "")
    return decision.todo[0].command if decision.todo else ""


def _what(todo: Todo, decision: Decision) -> str:
    if decision.beneath.may_be_primary and todo.runbook is None:
        return f"a demote of {todo.source} by hand"
    if todo.runbook is Runbook.SETTLE_DEBT:  # nothing goes anywhere: its target stays what it is
        return f"settle-debt of {todo.source}"
    return f"{todo.runbook or decision.row.act} to {todo.target}"


def todo_shape(todo: Todo, now: Stamp) -> Shape:
    """One thing that a row asks for."""
    return {
        "runbook": todo.runbook.value if todo.runbook else None,
        "execution": todo.execution.value,
        "source": todo.source,
        "target": todo.target,
        "situation": todo.situation,
        "why": todo.why,
        "goes": todo.goes,
        "blocked_by": [gate_shape(gate, now) for gate in todo.blocked_by],
        "command": todo.command,
    }


def approval_shape(approval: Approval | None, now: Stamp) -> Shape | None:
    """What was approved and waits: who said so, for what, until when, and for what it still waits."""
    if approval is None:
        return None
    agreed = approval.agreed
    return {
        "plan_hash": agreed.hash,
        "action": agreed.action.value,
        "source": agreed.source,
        "target": agreed.target,
        "situation": agreed.situation,
        "waivers": [*agreed.waivers],
        "asked_by_uid": approval.by_uid,
        "reason": approval.reason,
        "until_utc_s": round(now.at_utc_s + approval.until_s - now.at_s, 1),
        "blocked_by": [gate_shape(gate, now) for gate in approval.blocked_by],
    }


def gate_shape(gate: GateAnswer, now: Stamp) -> Shape:
    """One gate. `until_s` is in how many seconds it is expected to open by itself."""
    return {
        "gate": gate.gate,
        "open": gate.is_open,
        "waivable": gate.waivable,
        "why": gate.why,
        "until_s": _left_s(gate.until_s, now),
    }


def _left_s(at_s: float | None, now: Stamp) -> float | None:
    return None if at_s is None else round(max(0.0, at_s - now.at_s), 1)


def would_act_when(facts: Facts, decision: Decision) -> Iterator[str]:
    """All that would have to change for the daemon to fail over, each as it goes on after "when".

    Empty while a run is open: that one ends first.
    """
    if facts.ledger.run is not None:
        return
    if facts.elected is None:
        yield "one cluster is seen as active primary with the pinned ids"
        return
    if facts.elected_side is Side.SEALED:
        sealed = "sealed does not count as down here: `sealed_is_down`; unseal it"
        yield f"{facts.elected.cluster} is not sealed any more ({sealed})"
    elif facts.elected_side is not Side.DOWN:
        yield f"{facts.elected.cluster} is seen to be down for the whole window"
    if facts.sight in (Sight.SEES, Sight.RUNNING):
        yield f"{facts.partner.cluster} and every witness have seen nothing of it for the whole window"
    for gate in facts.closed_gates():
        if gate.gate not in ("window", "secondary-sees"):
            yield f"the gate {gate.gate} opens (now: {gate.why.removeprefix(f'{gate.gate}: ')})"
    if decision.todo and decision.todo[0].execution is Execution.WAIT and not decision.todo[0].blocked_by:
        yield f"an operator says so: {decision.todo[0].command}"


# ---------------------------------------------------------------------------------------------------------- evidence


def evidence(facts: Facts, around: Surroundings) -> Iterator[Shape]:
    """Who says what about the elected cluster, and how long ago."""
    now_s = facts.now.at_s
    for view in _views(facts):
        for node in view.nodes:
            seen = f"{node.reading}: {node.why}"
            yield _said(f"our probe of {view.cluster} {node.node}", seen, now_s - node.ended_s)
    listener = facts.partner.active
    yield _said(
        f"{facts.partner.cluster}, the secondary",
        HEARD[facts.hears],
        None if listener is None else now_s - listener.ended_s,
    )
    for witness in around.witnesses:
        seen = f"sees the primary: {witness.why}" if witness.sees else witness.why or "sees nothing"
        yield _said(f"witness {witness.name}", seen, now_s - witness.seen_s)
    for anchor in around.anchors:
        word = {True: "reached", False: "not reached", None: "not asked yet"}[anchor.is_reachable]
        age_s = None if anchor.is_reachable is None else now_s - anchor.seen_s
        yield _said(f"anchor {anchor.address} ({anchor.place})", word, age_s)
    for cluster, fence in around.fences.items():
        said = "answers" if fence.answers else f"does not answer: {fence.why or 'not asked yet'}"
        yield _said(f"fence of {cluster}", f"waived: {fence.waived}" if fence.waived else said, None)
    if around.provider_why is not None:
        yield _said("provider of the name", around.provider_why or "shows the record", None)
    for credential in around.credentials:
        yield _said(f"credential {credential.name}", credential.why or "proven", None)


def _age_s(at: Stamp, now: Stamp) -> float | None:
    age_s = at.age_s(now)
    return round(age_s, 1) if isfinite(age_s) else None


def _said(source: str, seen: str, age_s: float | None) -> Shape:
    return {"source": source, "seen": seen, "age_s": None if age_s is None else round(max(0.0, age_s), 1)}


# ------------------------------------------------------------------------------------------------------------- facts


def facts_shape(facts: Facts, decision: Decision) -> Shape:
    """What is known of a pair, for people and programs."""
    ledger, known = facts.ledger, facts.known
    return {
        "elected": ledger.elected,
        "epoch": ledger.epoch,
        "clusters": [cluster_shape(view, facts) for view in _views(facts)],
        "hears": facts.hears.value,
        "sight": facts.sight.value,
        "stream": facts.stream.value,
        "windows": [
            {
                "window": window.name,
                "full": window.is_full,
                "progress": round(window.progress, 3),
                "full_in_s": _left_s(window.full_at_s, facts.now),
                "why": window.why,
            }
            for window in facts.windows
        ],
        "lacks": list(facts.lacks),
        "last_sign_of_life": _life_shape(facts),
        "last_known_state": known.state.value,
        "estimated_loss_s": known.loss.seconds,
        "estimated_loss_wal": known.loss.wal,
        "estimated_loss_by": known.loss.told_by,
        "estimated_loss_age_s": loss_age_s(facts),
        "flaps": facts.flaps,
        "name": name_shape(facts.name, decision),
        **ledger_shape(ledger, facts.now, facts.views),
    }


def loss_age_s(facts: Facts) -> float | None:
    """How long ago what the estimate of the loss stands on was read; what was written later is not in it."""
    return None if facts.known.loss_at is None else _age_s(facts.known.loss_at, facts.now)


def _views(facts: Facts) -> tuple[ClusterView, ...]:
    if facts.views:
        return tuple(facts.views.values())
    return tuple(view for view in (facts.elected, facts.partner) if view is not None)


def cluster_shape(view: ClusterView, facts: Facts) -> Shape:
    """One cluster, node by node."""
    is_elected = facts.elected is not None and view.cluster == facts.elected.cluster
    side = facts.elected_side if is_elected else facts.partner_side if view.cluster == facts.partner.cluster else None
    version = next((node.health.version for node in view.nodes if node.health is not None), None)
    status = view.active.status if view.active is not None else None
    return {
        "cluster": view.cluster,
        "part": "elected" if is_elected else "partner",
        "side": side.value if side is not None else view.reach.value,
        "reach": view.reach.value,
        "mode": view.mode.value,
        "active": view.active.node if view.active is not None else None,
        "wrong": view.wrong,
        "version": version,
        "last_wal": status.last_kind_wal if status is not None else None,
        "last_remote_wal": status.last_remote_wal if status is not None else None,
        "state": status.state.value if status is not None else None,
        "corrupted_merkle_tree": view.says_corrupted,
        "nodes": [node_shape(node, facts.now) for node in view.nodes],
    }


def node_shape(node: NodeSeen, now: Stamp) -> Shape:
    """One node, as its newest probe round shows it."""
    return {
        "node": node.node,
        "reading": node.reading.value,
        "why": node.why,
        "age_s": round(max(0.0, now.at_s - node.ended_s), 1),
        "took_s": round(node.ended_s - node.started_s, 3),
        "malformed": list(node.malformed),
    }


def _life_shape(facts: Facts) -> Shape | None:
    life, by = facts.known.life, facts.known.life_seen_by
    if life is None:
        return None
    return {"age_s": _age_s(life, facts.now), "at_utc_s": round(life.at_utc_s, 1), "by": by}


def name_shape(name: NameFact | None, decision: Decision) -> Shape:
    """The service name."""
    row = {"situation": decision.name_row.id, "why": decision.name_row.why}
    if name is None:
        return {"seen": None, "serving": None, "published": [], "unasked": [], **row}
    return {
        "seen": name.seen.value,
        "serving": name.serving,
        "published": list(name.published),
        "unasked": list(name.unasked),
        **row,
    }


def ledger_shape(ledger: Ledger, now: Stamp, views: Mapping[ClusterId, ClusterView]) -> Shape:
    """What is durable: debts, fences, the open run, pause, hold, acknowledgement."""
    pause = ledger.pause
    return {
        "run": run_shape(ledger.run, now, views) if ledger.run is not None else None,
        "debts": [
            {
                "epoch": debt.epoch,
                "debtor": debt.debtor,
                "creditor": debt.creditor,
                "state": debt.state.value,
                "age_s": _age_s(debt.since, now),
            }
            for debt in ledger.debts
            if debt.is_open
        ],
        "fences": [
            {"cluster": fence.cluster, "epoch": fence.epoch, "state": fence.state.value, "run_id": fence.run_id}
            for fence in ledger.fences.values()
        ],
        "paused": None
        if pause is None
        else {"reason": pause.reason, "since_s": _age_s(pause.since, now), "until_utc_s": pause.until_utc_s},
        "ack_missing": ledger.ack_asked_by,
        "hold": ledger.hold,
        "foreign": ledger.foreign,
    }


def run_shape(run: Run, now: Stamp, views: Mapping[ClusterId, ClusterView]) -> Shape:
    """One run with its steps, and what would be accepted of it while it is parked."""
    acts: list[Json] = [*commands(run, views)]
    parked: Shape = {
        "step": run.parked_step,
        "need": run.parked_need,
        "why": run.parked_why,
        "answered": run.parked_answer,
        "acts": acts,
    }
    return {
        "run_id": run.run_id,
        "incident_id": run.incident_id,
        "runbook": run.runbook.value,
        "source": run.source,
        "target": run.target,
        "situation": run.situation,
        "why": run.why,
        "state": run.state.value,
        "outcome": run.outcome.value if run.outcome is not None else None,
        "epoch": run.epoch,
        "age_s": _age_s(run.opened, now),
        "opened_utc_s": round(run.opened.at_utc_s, 1),
        "touched_utc_s": round(run.touched.at_utc_s, 1),
        "waivers": [*sorted(run.waivers)],
        "asked_by_uid": run.asked_by_uid,
        "abort_asked": run.abort_asked,
        "parked": parked if run.parked_step else None,
        "steps": [
            {
                "step": name,
                "done": step.done,
                "intents": step.intents,
                "not_applied": step.not_applied,
                "unsure": step.is_unsure,
                "skipped": name in run.skipped,
            }
            for name, step in run.steps.items()
        ],
    }
