"""What the page of a row says: every part is a sentence that reads by itself."""

from __future__ import annotations

from dataclasses import replace

from tests.support.entries import RUN, run_opened
from tests.support.pair import EAST, WEST, Rounds, policy_of, seen
from watchdogd.core.decision import Decision, decide
from watchdogd.core.entries import PromoteIntended
from watchdogd.core.facts import Facts, GateAnswer, Side, Sight
from watchdogd.core.fold import apply
from watchdogd.core.model import Reach, Reading
from watchdogd.core.paging import command, details, summary
from watchdogd.core.policy import Level
from watchdogd.core.situations import SITUATIONS


def at(second: float, level: Level = Level.APPROVE) -> tuple[Facts, Decision]:
    """East dies at second 100."""
    *_, (_, facts, decision) = Rounds(policy=policy_of(failover=level), dies_s=100.0).run(second)
    return facts, decision


def test_what_would_have_to_change_is_one_sentence() -> None:
    facts, decision = at(130.0)
    assert decision.row.id == "S-26"
    facts = replace(facts, sight=Sight.RUNNING)
    closed = GateAnswer(gate="anchors", is_open=False, why="0 of 2 reached")
    gates = tuple(gate for gate in facts.gates if gate.gate in ("window", "secondary-sees"))
    (would,) = details(decision.row, replace(facts, gates=(*gates, closed)), decision)
    assert would == (
        "would act when east is seen to be down for the whole window, and west and every witness have seen nothing of "
        "it for the whole window, and the gate anchors opens (now: 0 of 2 reached)"
    )


def test_the_page_of_what_is_asked_for_names_each_closed_gate_and_the_command() -> None:
    facts, _ = at(170.0)
    gate = GateAnswer(gate="anchors", is_open=False, why="0 of 2 reached", waivable=True)
    slot = GateAnswer(gate="slot", is_open=False, why="taken")
    facts = replace(facts, gates=(gate, slot), signature=replace(facts.signature, are_gates_open=False))
    decision = decide(facts, policy_of())
    row = decision.row
    assert row.id == "S-32"
    assert summary(row, facts, decision).startswith(
        "S-32 the primary is down and a gate is closed; east is elected at "
    )
    assert tuple(details(row, facts, decision)) == (
        "gate anchors is closed: 0 of 2 reached",
        "gate slot is closed (cannot be waived): taken",
    )
    assert command(row, facts, decision).startswith("watchdogctl failover west --pair prod --waive anchors")
    run = apply(facts.ledger, run_opened(), facts.now)
    assert command(row, replace(facts, ledger=run), decision) == ""


def test_of_a_sealed_primary_it_says_when_it_would_act_and_what_to_do_instead() -> None:
    facts, _ = at(170.0)
    assert facts.elected is not None
    nodes = tuple(seen(EAST, n, 170.0, Reading.SEALED) for n in (1, 2, 3))
    east = replace(facts.elected, nodes=nodes, unsure=nodes, reach=Reach.UNKNOWN)
    facts = replace(
        facts, elected=east, elected_side=Side.SEALED, views={**facts.views, EAST: east},
        signature=replace(facts.signature, elected=Side.SEALED), gates=(),
    )  # fmt: skip
    decision = decide(facts, policy_of())
    unseal, _, would = details(decision.row, facts, decision)
    assert decision.row.id == "S-24"
    assert unseal.startswith("unseal east")
    assert would == (
        "would act when east is not sealed any more (sealed does not count as down here: `sealed_is_down`; unseal it)"
    )


def test_a_debt_that_somebody_gave_up_to_settle_is_not_said_to_be_settled_by_itself() -> None:
    facts, decision = at(130.0)
    row = next(row for row in SITUATIONS if row.may_be_primary)
    ledger = apply(facts.ledger, PromoteIntended(run_id=RUN, epoch=1, elected=WEST, debtor=EAST), facts.now)
    said = "its debt is settled by itself once its active node can be read again"
    assert said in details(row, replace(facts, ledger=ledger), decision)
    assert said not in details(row, replace(facts, ledger=replace(ledger, debt_given_up_at=1)), decision)


def test_nobody_elected_is_said_so() -> None:
    facts, _ = at(110.0)
    nobody = replace(
        facts, elected=None, elected_side=None, signature=replace(facts.signature, elected=None),
        ledger=replace(facts.ledger, elections=()),
    )  # fmt: skip
    decision = decide(nobody, policy_of())
    assert decision.row == next(row for row in SITUATIONS if row.id == "S-02")
    assert "; nobody is elected at epoch 0" in summary(decision.row, nobody, decision)
    assert [*details(decision.row, nobody, decision)][-1] == (
        "would act when one cluster is seen as active primary with the pinned ids"
    )
