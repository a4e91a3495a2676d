"""Faults between clusters: one direction, a standby on the replication port, trees and mounts; and certificates."""

import pytest

from tests.unit.lab.asking import DR_STATUS, Asker, asker
from watchdogd.lab.certs import Flaw
from watchdogd.lab.faults import CHOICES, FaultKind
from watchdogd.lab.wire import Outcome, Wire


def seen_from_primary(a: Asker) -> object:
    return a.ask("east/1", DR_STATUS).data["secondaries"][0]["connection_status"]


def seen_from_secondary(a: Asker) -> tuple[object, object]:
    data = a.ask("west/1", DR_STATUS).data
    return data["primaries"][0]["connection_status"], data["connection_state"]


def test_what_the_primary_sends_is_lost_and_it_goes_on_hearing_its_secondary() -> None:
    a = asker()
    a.fault(FaultKind.ONE_WAY, "repl:east>west")
    a.wait(40)
    assert (seen_from_primary(a), seen_from_secondary(a)) == ("connected", ("disconnected", "transient_failure"))
    a.write("east/lb", "x")
    a.wait(5)
    assert a.world.clusters["west"].store.get("logical/secret/x") is None
    a.world.faults.clear()
    a.wait(10)
    assert a.world.clusters["west"].store.get("logical/secret/x") is not None
    assert (seen_from_primary(a), seen_from_secondary(a)) == ("connected", ("connected", "ready"))


def test_what_the_secondary_sends_is_lost_and_it_goes_on_streaming() -> None:
    a = asker()
    before = a.ask("west/1", DR_STATUS).data["last_remote_wal"]
    a.fault(FaultKind.ONE_WAY, "repl:west>east")
    a.write("east/lb", "x")
    a.wait(40)
    assert (seen_from_primary(a), seen_from_secondary(a)) == ("disconnected", ("connected", "ready"))
    assert a.ask("west/1", DR_STATUS).data["last_remote_wal"] > before


def test_a_secondary_that_is_not_heard_makes_no_new_connection() -> None:
    a = asker()
    a.fault(FaultKind.ONE_WAY, "repl:west>east")
    a.post("west/1", "sys/step-down", token=a.has["root_token"])
    a.fault(FaultKind.CRASH, "node:west/1", for_s=1)
    a.wait(60)
    node = a.world.clusters["west"].serving()
    assert node is not None
    assert a.ask(node.target, DR_STATUS).data["connection_state"] == "transient_failure"


@pytest.mark.parametrize("target", ["repl:west>east", "repl:east>west"])
def test_a_standby_on_the_replication_port_is_met_at_the_next_connect(target: str) -> None:
    a = asker()
    a.fault(FaultKind.REPL_AT_STANDBY, target)
    a.wait(30)
    assert seen_from_secondary(a) == ("connected", "ready")
    a.fault(FaultKind.CRASH, "node:west/1", for_s=1)
    a.wait(30)
    assert a.ask("west/2", DR_STATUS).data["connection_state"] == "transient_failure"
    a.world.faults.clear()
    a.wait(10)
    assert a.ask("west/2", DR_STATUS).data["connection_state"] == "ready"


def test_a_corrupted_tree_is_compared_and_fetched_for_ever() -> None:
    a = asker()
    a.fault(FaultKind.MERKLE_CORRUPTED, "cluster:west")
    states = set()
    for _ in range(40):
        a.wait(0.5)
        data = a.ask("west/1", DR_STATUS).data
        states.add(data["state"])
    assert states == {"merkle-diff", "merkle-sync"}
    assert (data["corrupted_merkle_tree"], data["connection_state"]) == (True, "ready")
    assert a.ask("east/1", DR_STATUS).data["corrupted_merkle_tree"] is False
    assert a.promote("west").status == 503
    a.world.faults.clear()
    a.wait(10)
    assert a.ask("west/1", DR_STATUS).data["state"] == "stream-wals"


def test_a_mount_in_the_way_leaves_the_link_up_and_stops_what_comes() -> None:
    a = asker()
    a.fault(FaultKind.MOUNT_CONFLICT, "cluster:west")
    a.write("east/lb", "x")
    a.wait(30)
    data = a.ask("west/1", DR_STATUS).data
    assert (data["state"], data["connection_state"]) == ("idle", "ready")
    assert data["merkle_root"] != a.ask("east/1", DR_STATUS).data["merkle_root"]
    a.world.faults.clear()
    a.wait(10)
    data = a.ask("west/1", DR_STATUS).data
    assert (data["state"], data["merkle_root"]) == ("stream-wals", a.ask("east/1", DR_STATUS).data["merkle_root"])


# -- certificates ------------------------------------------------------------------------------------------------------


def test_the_flaws_that_can_be_named_are_those_that_a_certificate_can_have() -> None:
    assert sorted(CHOICES["flaw"]) == sorted(flaw for flaw in Flaw if flaw is not Flaw.NONE)


def test_who_looks_at_a_bad_certificate_sends_nothing() -> None:
    a = asker()
    a.fault(FaultKind.CERTIFICATE, "cluster:east", flaw="expired")
    assert a.ask("east/2", "sys/health").exchange.outcome is Outcome.UNTRUSTED
    assert a.write("east/lb", "x").exchange.outcome is Outcome.UNTRUSTED
    assert a.ask("west/1", "sys/health").status == 472
    a.wait(30)
    assert seen_from_secondary(a) == ("connected", "ready")  # the replication port has certificates of its own
    assert a.world.clients_reach("east") is False


def test_who_does_not_look_is_answered() -> None:
    a = asker()
    a.fault(FaultKind.CERTIFICATE, "node:east/1", flaw="wrong-name")
    wire = Wire(place="bastion", target="east/1", method="GET", path_and_query="/v1/sys/health", shook_hands=True)
    assert a.world.exchange(wire, now_s=a.world.now_s).status == 200


def test_a_load_balancer_does_not_look_at_its_nodes_certificates() -> None:
    a = asker()
    for n in (1, 2, 3):
        a.fault(FaultKind.CERTIFICATE, f"node:east/{n}", flaw="expired")
    a.wait(5)
    assert a.write("east/lb", "x").status == 200


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ("unknown-authority", "x509: certificate signed by unknown authority"),
        ("expired", "x509: certificate has expired or is not yet valid"),
    ],
)
def test_a_token_cannot_be_unwrapped_where_the_certificate_is_bad(flaw: str, said: str) -> None:
    a = asker()
    a.fail_over("east", "west")
    a.world.faults.clear()
    a.demote("east")
    a.wait(5)
    token = a.activation("west", "east-again")
    fault_id = a.fault(FaultKind.CERTIFICATE, "cluster:west", flaw=flaw)
    refused = a.update_primary("east", token)
    assert refused.status == 500
    assert said in refused.errors[0]
    a.world.faults.clear(fault_id)
    assert a.update_primary("east", token).status == 200  # it was not used up
