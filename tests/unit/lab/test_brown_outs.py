"""Faults inside a cluster: nodes that sleep, slow or blocked devices, too many writes, licences."""

import pytest

from tests.unit.lab.asking import DR_STATUS, Asker, asker
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.wire import Outcome


def outcome(a: Asker, target: str, path: str, method: str = "GET", **extra: object) -> Outcome:
    return a.ask(target, path, method, **extra).exchange.outcome


def test_a_leader_that_sleeps_answers_nothing_and_is_succeeded() -> None:
    a = asker()
    fault_id = a.fault(FaultKind.STOPPED, "node:east/1")
    assert outcome(a, "east/1", "sys/health") is Outcome.HANG
    a.wait(4)
    assert a.world.clusters["east"].serving() is a.world.clusters["east"].node(2)
    assert a.write("east/lb", "x").status == 200
    a.world.faults.clear(fault_id)
    a.wait(2)
    assert (a.ask("east/1", "sys/health").status, a.ask("east/2", "sys/health").status) == (473, 200)


def test_two_nodes_that_sleep_take_the_quorum_with_them() -> None:
    a = asker()
    a.fault(FaultKind.STOPPED, "node:east/1")
    a.fault(FaultKind.STOPPED, "node:east/2")
    a.wait(20)
    assert a.world.active_primaries() == ()
    assert a.ask("east/3", "sys/health").status == 474


def test_slow_storage_delays_health_and_writes_and_not_what_is_in_memory() -> None:
    a = asker()
    a.fault(FaultKind.SLOW_STORAGE, "cluster:east", seconds=4.0)
    delays = [a.ask("east/1", path).exchange.delay_s for path in ("sys/health", "sys/leader", "sys/seal-status")]
    assert delays == pytest.approx([4.02, 0.02, 0.02])
    assert a.write("east/2", "x").exchange.delay_s == pytest.approx(4.02)
    assert a.ask("west/1", "sys/health").exchange.delay_s == pytest.approx(0.02)


def test_slow_storage_of_a_standby_delays_nothing_that_its_active_node_answers() -> None:
    a = asker()
    a.fault(FaultKind.SLOW_STORAGE, "node:east/2", seconds=4.0)
    assert a.write("east/2", "x").exchange.delay_s == pytest.approx(0.02)
    assert a.ask("east/2", "sys/health").exchange.delay_s == pytest.approx(4.02)


def test_an_election_on_slow_storage_takes_longer() -> None:
    a = asker()
    a.fault(FaultKind.SLOW_STORAGE, "cluster:east", seconds=10.0)
    a.fault(FaultKind.CRASH, "node:east/1", for_s=1)
    a.wait(8)
    assert a.world.active_primaries() == ()
    a.wait(6)
    assert a.world.active_primaries() == ("east",)


def test_standbys_of_a_very_slow_active_node_call_it_unhealthy() -> None:
    a = asker()
    a.fault(FaultKind.SLOW_STORAGE, "node:east/1", seconds=12.0)
    a.wait(1)
    assert a.ask("east/2", "sys/health").status == 474


def test_a_blocked_audit_device_holds_up_everything_but_what_looks_fine() -> None:
    a = asker()
    a.fault(FaultKind.AUDIT_BLOCKED, "cluster:east")
    assert [a.ask("east/1", f"sys/{path}").status for path in ("health", "leader", "seal-status")] == [200] * 3
    login = {"role_id": a.has["role_id"], "secret_id": a.has["secret_id"]}
    assert outcome(a, "east/1", "auth/approle/login", "POST", body=login) is Outcome.HANG
    assert a.write("east/lb", "x").exchange.outcome is Outcome.HANG
    assert outcome(a, "east/1", "secret/data/x", token=a.has["client_token"]) is Outcome.HANG
    assert a.demote("east").exchange.outcome is Outcome.HANG
    a.wait(10)
    assert a.world.active_primaries() == ("east",)  # what hangs there was never begun
    assert a.write("west/1", "x").exchange.outcome is Outcome.ANSWER


def test_a_blocked_audit_device_on_a_secondary_holds_promote_up_and_not_the_making_of_its_token() -> None:
    a = asker()
    a.fault(FaultKind.AUDIT_BLOCKED, "cluster:west")
    assert a.promote("west").exchange.outcome is Outcome.HANG
    path = "sys/replication/dr/secondary/generate-operation-token/attempt"
    assert a.post("west/1", path).status == 200
    a.wait(15)
    assert a.world.active_primaries() == ("east",)


@pytest.mark.parametrize(("audited", "seen"), [(True, Outcome.HANG), (False, Outcome.ANSWER)])
def test_whether_a_blocked_audit_device_hides_replication_status_is_a_knob(audited: bool, seen: Outcome) -> None:
    a = asker(status_is_audited=audited)
    a.fault(FaultKind.AUDIT_BLOCKED, "cluster:west")
    assert outcome(a, "west/1", DR_STATUS) is seen


def test_a_cluster_with_too_many_writes_refuses_them_and_nothing_else() -> None:
    a = asker()
    assert a.write("east/lb", "x").status == 200
    fault_id = a.fault(FaultKind.WRITE_OVERLOAD, "cluster:east")
    said = a.write("east/lb", "x", 2)
    assert (said.status, said.errors) == (503, ["1 error occurred:\n\t* overloaded, try again later\n\n"])
    assert a.ask("east/lb", "secret/data/x", token=a.has["client_token"]).status == 200
    assert (a.ask("east/1", "sys/health").status, a.ask("east/1", "sys/leader").status) == (200, 200)
    a.world.faults.clear(fault_id)
    assert a.write("east/lb", "x", 3).status == 200
    assert a.world.counts.acknowledged_writes == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sys/replication/dr/primary/secondary-token", {"id": "another"}),
        ("sys/replication/dr/primary/revoke-secondary", {"id": "another"}),
        ("sys/storage/raft/autopilot/configuration", {"min_quorum": 3}),
    ],
)
def test_a_cluster_with_too_many_writes_refuses_what_it_would_keep_of_its_secondaries_too(
    path: str, body: dict[str, object]
) -> None:
    a = asker()
    a.fault(FaultKind.WRITE_OVERLOAD, "cluster:east")
    known = a.ask("east/1", DR_STATUS).data["known_secondaries"]
    assert a.post("east/1", path, body, token=a.has["root_token"]).status == 503
    assert a.ask("east/1", DR_STATUS).data["known_secondaries"] == known
    a.world.faults.clear()
    assert a.post("east/1", path, body, token=a.has["root_token"]).status in (200, 204)


@pytest.mark.parametrize("kind", [FaultKind.WRITES_HANG, FaultKind.WRITES_FAIL])
def test_a_brown_out_of_secrets_lets_logins_tokens_and_changes_of_role_through(kind: FaultKind) -> None:
    a = asker()
    a.fault(kind, "cluster:east")
    login = {"role_id": a.has["role_id"], "secret_id": a.has["secret_id"]}
    assert a.post("east/1", "auth/approle/login", login).status == 200
    assert a.post("east/1", "auth/token/create", {}, token=a.has["root_token"]).status == 200
    assert a.demote("east").status == 200


def test_a_secondary_with_too_many_writes_still_promotes() -> None:
    a = asker()
    a.fault(FaultKind.WRITE_OVERLOAD, "cluster:west")
    assert a.promote("west").status == 200


def test_an_expired_production_licence_stops_what_is_started_and_nothing_that_runs() -> None:
    a = asker()
    fault_id = a.fault(FaultKind.LICENCE_EXPIRED, "cluster:east")
    assert a.write("east/lb", "x").status == 200
    assert a.ask("east/1", "sys/health").json["license"]["expiry_time"] == "2026-02-01T00:00:00Z"
    a.fault(FaultKind.CRASH, "node:east/1", for_s=2)
    a.wait(10)
    assert outcome(a, "east/1", "sys/health") is Outcome.REFUSE
    assert a.ask("east/2", "sys/health").status == 200
    a.world.faults.clear(fault_id)
    a.wait(5)
    assert a.ask("east/1", "sys/health").status == 473


def test_an_expired_evaluation_licence_seals() -> None:
    a = asker()
    fault_id = a.fault(FaultKind.LICENCE_EXPIRED, "cluster:east", edition="evaluation")
    a.wait(30)
    assert {a.ask(f"east/{n}", "sys/health").status for n in (1, 2, 3)} == {503}
    a.world.faults.clear(fault_id)
    a.wait(10)
    assert a.write("east/lb", "x").status == 200
