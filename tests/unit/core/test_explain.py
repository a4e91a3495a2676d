"""`explain` says everything, in JSON, at every moment of an outage."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.pair import Rounds, around, policy_of
from watchdogd.core.entries import Paused, Runbook, RunOpened, StepIntended
from watchdogd.core.explain import explain, ledger_shape, run_shape, sentence
from watchdogd.core.facts import Sight
from watchdogd.core.fold import apply
from watchdogd.core.ledger import Ledger
from watchdogd.core.link import LinkWatch
from watchdogd.core.model import ClusterId, RunId
from watchdogd.core.policy import Level
from watchdogd.core.windows import link_window

KEYS = {
    "pair", "phase", "situation", "why", "decision", "since_s", "facts", "evidence", "gates", "would_act_when",
    "command", "approval",
}  # fmt: skip
DIES_S = 100.0


def explained(at_s: float, failover: Level = Level.AUTO) -> dict[str, object]:
    rounds = Rounds(policy=policy_of(failover=failover), dies_s=DIES_S)
    *_, (now_s, facts, decision) = rounds.run(at_s)
    shape = explain(facts, decision, around(now_s), since_s=1.0)
    return dict(json.loads(json.dumps(shape, allow_nan=False)))


@pytest.mark.parametrize("at_s", [0.0, 3.0, 90.0, 110.0, 130.0, 160.0])
def test_at_every_moment_it_has_every_part_and_is_plain_json(at_s: float) -> None:
    shape = explained(at_s)
    assert set(shape) == KEYS


def test_an_age_that_no_clock_can_tell_is_none_and_plain_json() -> None:
    *_, (now_s, facts, decision) = Rounds(policy=policy_of(failover=Level.AUTO), dies_s=DIES_S).run(90.0)
    later = replace(facts.now, at_utc_s=facts.now.at_utc_s + 1e6, boot_id="a boot before")
    undated = replace(facts, known=replace(facts.known, loss_at=later, life=later))
    shape = json.loads(json.dumps(explain(undated, decision, around(now_s), since_s=1.0), allow_nan=False))
    assert shape["facts"]["estimated_loss_age_s"] is None
    assert shape["facts"]["last_sign_of_life"]["age_s"] is None


def test_every_gate_answers_open_or_closed() -> None:
    gates = explained(90.0)["gates"]
    assert isinstance(gates, list)
    assert {"window", "proof", "fence", "ack", "slot", "ids", "level"} <= {gate["gate"] for gate in gates}
    assert {gate["gate"] for gate in gates if not gate["open"]} == {"window", "secondary-sees"}


def test_both_clusters_are_shown_node_by_node() -> None:
    facts = explained(90.0)["facts"]
    assert isinstance(facts, dict)
    assert [(c["cluster"], c["part"], c["side"]) for c in facts["clusters"]] == [
        ("east", "elected", "primary"),
        ("west", "partner", "secondary"),
    ]
    assert [node["reading"] for node in facts["clusters"][0]["nodes"]] == ["active", "follows", "follows"]


def test_in_the_middle_of_a_suspicion_it_says_what_is_missing_and_for_how_long() -> None:
    shape = explained(130.0)
    facts = shape["facts"]
    assert isinstance(facts, dict)
    assert shape["situation"] == "S-26"
    assert all(0 < window["full_in_s"] < 50 for window in facts["windows"])
    assert any("whole window" in line for line in shape["would_act_when"])  # type: ignore[union-attr,attr-defined]


def test_a_decision_that_only_says_names_what_it_would_do() -> None:
    decision = explained(160.0, Level.OBSERVE)["decision"]
    assert isinstance(decision, dict)
    assert decision["sentence"] == "would failover to west (level observe)"


def test_a_decision_that_goes_names_its_command_too() -> None:
    shape = explained(160.0)
    assert shape["command"] == "watchdogctl failover west --pair prod --reason '...'"


def test_a_run_is_shown_with_its_steps_in_order() -> None:
    now = around(10.0).now
    opened = RunOpened(
        run_id=RunId("run-1"), incident_id="i", runbook=Runbook.FAILOVER, source=ClusterId("east"),
        target=ClusterId("west"), situation="S-30", why="down",
    )  # fmt: skip
    ledger = apply(Ledger(), opened, now)
    assert ledger.run is not None
    shape = run_shape(replace(ledger.run, steps={}), now, {})
    assert (shape["state"], shape["outcome"], shape["steps"], shape["parked"]) == ("open", None, [], None)
    run = ledger_shape(ledger, now, {})["run"]
    assert isinstance(run, dict)
    assert run["run_id"] == "run-1"


def test_while_a_run_is_open_it_says_what_was_sent_and_not_what_would_start_another() -> None:
    *_, (now_s, facts, decision) = Rounds(dies_s=DIES_S).run(160.0)
    now = around(now_s).now
    opened = RunOpened(
        run_id=RunId("run-1"), incident_id="i", runbook=Runbook.FAILOVER, source=ClusterId("east"),
        target=ClusterId("west"), situation="S-30", why="down",
    )  # fmt: skip
    ledger = apply(Ledger(), opened, now)
    assert sentence(decision, replace(facts, ledger=ledger)) == "failover run-1 is open"
    paused = apply(ledger, Paused(reason="maintenance"), now)
    told = "failover run-1 is open; paused: it stops at its next safe point"
    assert sentence(decision, replace(facts, ledger=paused)) == told
    ledger = apply(ledger, StepIntended(run_id=RunId("run-1"), step="fence"), now)
    shape = explain(replace(facts, ledger=ledger), decision, around(now_s), since_s=1.0)
    said = shape["decision"]
    assert isinstance(said, dict)
    assert said["sentence"] == "failover run-1 is open: fence is sent, its outcome is not seen yet"
    assert shape["would_act_when"] == []


def test_of_a_closed_gate_it_says_that_it_would_have_to_open_and_not_what_is_wrong_as_what_is_wanted() -> None:
    *_, (now_s, facts, decision) = Rounds(dies_s=DIES_S).run(90.0)
    gate = replace(facts.gates[0], gate="paused", is_open=False, why="paused: maintenance")
    shape = explain(replace(facts, gates=(gate,)), decision, around(now_s), since_s=1.0)
    would = shape["would_act_when"]
    assert isinstance(would, list)
    assert "the gate paused opens (now: maintenance)" in would


def test_a_secondary_that_was_never_read_is_not_said_to_have_heard_nothing_for_hours() -> None:
    timing = policy_of().timing
    window = link_window(ClusterId("west"), LinkWatch(), Sight.BLIND, timing, now_s=7665.0)
    assert window.why == "west was never compared with itself: it has said nothing of the primary yet"


def test_a_debt_that_is_settled_is_told_by_who_is_demoted() -> None:
    *_, (_, facts, decision) = Rounds(dies_s=DIES_S).run(160.0)
    todo = replace(decision.todo[0], runbook=Runbook.SETTLE_DEBT, source=ClusterId("east"), target=ClusterId("west"))
    assert sentence(replace(decision, todo=(todo,)), facts).startswith("settle-debt of east: ")
