"""What the page of a row says: what is seen, what could not be read and how to mend it, what keeps it from acting."""

from __future__ import annotations

from collections.abc import Iterator

from watchdogd.core.decision import Decision, Todo
from watchdogd.core.explain import sentence, would_act_when
from watchdogd.core.facts import Facts, Side
from watchdogd.core.lateness import MORE_CPU
from watchdogd.core.ledger import FenceState
from watchdogd.core.model import Mode, NodeSeen, Reading
from watchdogd.core.situations import Act, Row
from watchdogd.core.telling import why_told
from watchdogd.core.views import CANNOT_LOOK, SEALED


def todo_of(situation: str, decision: Decision) -> Todo | None:
    """What this row asks for, if anything."""
    return next((todo for todo in decision.todo if todo.situation == situation), None)


def summary(row: Row, facts: Facts, decision: Decision) -> str:
    """The page of `row` in one line."""
    elected = facts.elected.cluster if facts.elected else "nobody"
    asked = f"; {sentence(decision, facts)}" if decision.todo else ""
    return f"{row.id} {why_told(row, facts)}; {elected} is elected at epoch {facts.ledger.epoch}{asked}"


def details(row: Row, facts: Facts, decision: Decision) -> Iterator[str]:
    """What stands below it, one thing each."""
    if row.names_unread:
        yield from _unread(facts)
    if row.may_be_primary:
        yield from _second_primary(facts)
    if row.act is Act.PAGE and facts.elected_side is Side.SEALED:
        yield from _sealed(facts)
    yield from why_not(todo_of(row.id, decision), facts, decision)


def command(row: Row, facts: Facts, decision: Decision) -> str:
    """What an operator would type for `row` now; nothing beside an open run."""
    todo = todo_of(row.id, decision)
    return todo.command if todo is not None and facts.ledger.run is None else ""


def why_not(todo: Todo | None, facts: Facts, decision: Decision) -> Iterator[str]:
    """What keeps `todo` from being done; where nothing is asked for, what keeps a failover from being asked for."""
    if todo is None:
        if would := ", and ".join(would_act_when(facts, decision)):
            yield f"would act when {would}"
        return
    for gate in todo.blocked_by:
        waivable = "" if gate.waivable else " (cannot be waived)"
        yield f"gate {gate.gate} is closed{waivable}: {gate.why}"


def _unread(facts: Facts) -> Iterator[str]:
    """Of each cluster that no active node speaks for: the nodes that keep it from being seen to be down."""
    for view in facts.views.values():
        if view.mode is not Mode.UNKNOWN and not view.wrong:
            continue
        for node in view.unsure:
            how = "cannot be read" if node.reading in CANNOT_LOOK else "does not count as down"
            way_out = _way_out(node, is_target=view.cluster == facts.partner.cluster)
            yield f"{view.cluster} {node.node} {how}: {node.why}; {way_out}"


def _way_out(node: NodeSeen, *, is_target: bool) -> str:
    if node.wrong_id:
        return f"another cluster answers there: correct the addresses, or the pinned ids, of {node.cluster}"
    if node.reading in SEALED:  # nobody fails over to a cluster that is sealed, or past one
        return "unseal it" if is_target else "unseal it, or stop it: sealed does not count as down"
    if node.we_were_late:
        return f"it is not that node: {MORE_CPU}"
    if node.reading is Reading.OURS:
        return f"check that address from here, its certificate, and tls.ca_file and tls.server_name of {node.cluster}"
    return "that is no answer of Vault's: see what answers there, or list it under `ignore`"


def _sealed(facts: Facts) -> Iterator[str]:
    sealed = facts.ledger.elected
    yield f"unseal {sealed}, and nothing else has to be done; nothing is failed over while it is sealed"
    yield (
        "if it cannot be unsealed: stop its nodes, so that they are dead and not sealed; or set `sealed_is_down` (it "
        "needs a fence that blocks) and reload"
    )


def _second_primary(facts: Facts) -> Iterator[str]:
    partner = facts.partner
    if partner.active is not None:
        yield f"{partner.cluster} {partner.active.node} is active, and its replication status cannot be read"
    fence = facts.ledger.fences.get(partner.cluster)
    if fence is not None and fence.state is FenceState.HELD:
        yield f"a fence of ours holds on {partner.cluster}"
    else:
        yield f"no fence of ours holds on {partner.cluster}: its clients may be writing to it; shut them out by hand"
    if not facts.ledger.is_debt_given_up:
        yield "its debt is settled by itself once its active node can be read again"
