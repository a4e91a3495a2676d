"""Faults of answers: applied and denied, stale, somebody else's, and load balancers that choose badly."""

import pytest

from tests.unit.lab.asking import ATTEMPT, DEMOTE, UPDATE, Asker, asker
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.wire import Outcome

LB = "east/lb"


@pytest.mark.parametrize(("extra", "status"), [({}, 400), ({"status": 500}, 500)])
def test_an_error_does_not_mean_that_nothing_was_applied(extra: dict[str, object], status: int) -> None:
    a = asker()
    a.fault(FaultKind.ERROR_APPLIED, "cluster:east", path="primary/demote", times=1, **extra)
    said = a.post("east/1", DEMOTE, token=a.has["dr_token_a"])
    assert (said.status, said.errors) == (status, ["leadership lost while committing log"])
    assert [effect.verb for effect in a.world.applied] == ["demote"]


def test_a_write_that_was_denied_and_applied_counts_as_acknowledged_to_nobody() -> None:
    a = asker()
    a.fault(FaultKind.ERROR_APPLIED, "lb:east", times=1)
    assert [a.write(LB, "x").status, a.write(LB, "y").status] == [400, 200]
    assert a.ask(LB, "secret/data/x", token=a.has["client_token"]).status == 200
    assert a.world.counts.acknowledged_writes == 1


def test_a_refusal_is_not_told_again_as_another() -> None:
    a = asker()
    a.fault(FaultKind.ERROR_APPLIED, "cluster:east")
    assert a.post("east/1", DEMOTE).status == 403


def test_a_stale_index_is_for_service_tokens_and_not_at_the_active_node() -> None:
    a = asker(allow_forwarding_via_header=True)
    a.fault(FaultKind.STALE_INDEX, "cluster:east")
    said = a.write(LB, "x")
    assert (said.status, said.errors) == (412, ["required index state not present"])
    root, to_active = a.has["root_token"], {"X-Vault-Forward": "active-node"}
    assert a.ask("east/2", "secret/data/x", token=root, headers=to_active).status == 404
    assert a.ask("east/1", "auth/token/lookup-self", token=a.has["dr_token_a"]).status == 200
    assert a.ask("east/1", "sys/health").status == 200


def test_somebody_else_takes_the_slot_again_and_again() -> None:
    a = asker()
    a.fault(FaultKind.FOREIGN_ATTEMPT, "cluster:west")
    theirs = a.ask("west/1", ATTEMPT).json
    assert (theirs["started"], theirs["progress"]) == (True, 0)
    assert a.post("west/1", ATTEMPT).status == 400
    assert a.ask("west/1", ATTEMPT, "DELETE").status == 204
    assert a.ask("west/1", ATTEMPT).json["nonce"] != theirs["nonce"]


def test_somebody_else_cancels_ours_once() -> None:
    a = asker()
    ours = a.post("west/1", ATTEMPT).json
    a.fault(FaultKind.FOREIGN_ATTEMPT, "cluster:west", times=1)
    said = a.post("west/1", UPDATE, {"nonce": ours["nonce"], "key": a.shares[0]})
    assert said.status == 400
    assert "incorrect nonce" in said.errors[0]
    assert a.ask("west/1", ATTEMPT, "DELETE").status == 204
    assert a.post("west/1", ATTEMPT).status == 200


def test_an_activation_token_is_used_up_although_the_start_fails() -> None:
    a = asker()
    a.fail_over("east", "west")
    a.world.faults.clear()
    a.demote("east")
    a.wait(5)
    a.fault(FaultKind.ACTIVATION_FAILS, "cluster:east", times=1)
    token = a.activation("west", "east-again")
    assert a.update_primary("east", token).status == 500
    again = a.update_primary("east", token)
    assert "status code is 400" in again.errors[0]
    assert a.update_primary("east", a.activation("west", "east-more")).status == 200


def statuses(a: Asker, target: str) -> set[int]:
    return {a.ask(target, "sys/health").status for _ in range(6)}


@pytest.mark.parametrize(("rule", "east", "west"), [("standbyok", {200, 429}, {503}), ("tcp", {200, 429}, {472})])
def test_a_wrong_rule_lets_nodes_into_the_pool(rule: str, east: set[int], west: set[int]) -> None:
    a = asker(performance_standbys=False)
    assert (statuses(a, LB), statuses(a, "west/lb")) == ({200}, {503})
    for name in ("east", "west"):
        a.fault(FaultKind.LB_RULE, f"lb:{name}", rule=rule)
    a.wait(3)
    assert (statuses(a, LB), statuses(a, "west/lb")) == (east, west)


def test_the_rule_for_secondaries_puts_all_of_them_behind_the_name_of_clients() -> None:
    a = asker()
    a.fault(FaultKind.LB_RULE, "lb:west", rule="drsecondarycode")
    a.wait(3)
    assert statuses(a, "west/lb") == {472}
    assert a.write("west/lb", "x").status == 400


def test_a_stale_load_balancer_goes_on_with_nodes_that_are_gone() -> None:
    a = asker()
    fault_id = a.fault(FaultKind.LB_STALE, "lb:east")
    a.wait(1)
    a.fault(FaultKind.CRASH, "node:east/1")
    a.wait(10)
    assert statuses(a, LB) == {502, 200, 473}
    a.world.faults.clear(fault_id)
    a.wait(3)
    assert statuses(a, LB) == {200, 473}


def test_a_stale_load_balancer_that_was_empty_stays_empty() -> None:
    a = asker(promote_s=2.0)
    a.fault(FaultKind.LB_STALE, "lb:west")
    a.wait(1)
    a.promote("west")
    a.wait(10)
    assert a.ask("west/lb", "sys/health").exchange.outcome is Outcome.ANSWER
    assert statuses(a, "west/lb") == {503}
