"""An empty cluster gets its keys: sys/init, the first unseal, and what nodes say before (sections 1 and 8)."""

from __future__ import annotations

import base64

import pytest

from tests.support.vectors import vector
from tests.unit.lab.asking import Asker, empty_world
from watchdogd.lab.faults import FaultKind

FIVE_OF_WHICH_THREE = {"secret_shares": 5, "secret_threshold": 3}


def initialised(a: Asker, target: str = "east/1", body: object = None) -> dict[str, object]:
    said = a.ask(target, "sys/init", "PUT", body=body or FIVE_OF_WHICH_THREE)
    assert said.status == 200
    return said.json


def unsealed(a: Asker, target: str, shares: list[str]) -> None:
    said = [a.post(target, "sys/unseal", {"key": share}) for share in shares]
    assert [each.status for each in said] == [200] * len(shares)
    assert said[-1].json["sealed"] is False


def test_a_node_without_keys_says_so_everywhere() -> None:
    a = empty_world()
    health = a.ask("east/1", "sys/health")
    assert (health.status, health.json["initialized"], health.json["sealed"]) == (501, False, True)
    assert "cluster_id" not in health.json
    assert a.ask("east/1", "sys/health?uninitcode=299").status == 299
    status = a.ask("east/1", "sys/seal-status").json
    assert (status["initialized"], status["sealed"], status["t"], status["n"]) == (False, True, 0, 0)
    assert a.ask("east/1", "sys/init").json == {"initialized": False}
    assert a.ask("east/1", "sys/mounts").errors == ["Vault is sealed"]
    assert a.ask("east/1", "sys/leader").status == 503


def test_a_share_is_no_use_before_there_are_keys() -> None:
    a = empty_world()
    said = a.post("east/1", "sys/unseal", {"key": "ab" * 33})
    assert (said.status, said.errors) == (400, ["Vault is not initialized"])


def test_keys_come_in_both_spellings_and_open_the_seal() -> None:
    a = empty_world(nodes=1)
    made = initialised(a)
    assert [base64.b64decode(text).hex() for text in made["keys_base64"]] == made["keys"]
    assert a.ask("east/1", "sys/health").status == 503
    unsealed(a, "east/1", made["keys"][:3])
    a.wait(5)
    assert a.ask("east/1", "sys/health").status == 200
    assert a.ask("east/1", "auth/token/lookup-self", token=made["root_token"]).data["policies"] == ["root"]
    assert a.ask("east/1", "sys/replication/status").data == vector("trace12-9-both-disabled").body["data"]


def test_nobody_can_log_in_before_somebody_has_mounted_a_login() -> None:
    a = empty_world(nodes=1)
    made = initialised(a)
    unsealed(a, "east/1", made["keys"][:3])
    a.wait(5)
    root = made["root_token"]
    assert list(a.ask("east/1", "sys/auth", token=root).data) == ["token/"]
    assert a.post("east/1", "sys/auth/approle", {"type": "approle"}, token=root).status == 204
    assert list(a.ask("east/1", "sys/auth", token=root).data) == ["approle/", "token/"]


def test_one_share_of_one_is_the_key_itself() -> None:
    a = empty_world(nodes=1)
    made = initialised(a, body={"secret_shares": 1, "secret_threshold": 1})
    unsealed(a, "east/1", made["keys"])


def members(a: Asker, token: str) -> tuple[list[str], bool]:
    configuration = a.ask("east/1", "sys/storage/raft/configuration", token=token).data["config"]
    state = a.ask("east/1", "sys/storage/raft/autopilot/state", token=token).data
    names = [server["node_id"] for server in configuration["servers"]]
    assert [*state["servers"]] == names
    return names, state["healthy"]


def test_the_first_node_serves_alone_until_the_others_join_it() -> None:
    a = empty_world(nodes=3)
    made = initialised(a)
    keys = made["keys"]
    assert a.ask("east/2", "sys/init").json == {"initialized": False}
    unsealed(a, "east/1", keys[:3])
    a.wait(5)
    assert a.ask("east/1", "sys/health").status == 200
    assert a.ask("east/2", "sys/health").json["initialized"] is True
    assert members(a, made["root_token"]) == (["east-1"], True)
    unsealed(a, "east/2", keys[1:4])
    unsealed(a, "east/3", keys[2:5])
    a.wait(5)
    assert [a.ask(f"east/{n}", "sys/health").status for n in (1, 2, 3)] == [200, 473, 473]
    assert members(a, made["root_token"]) == (["east-1", "east-2", "east-3"], True)
    a.fault(FaultKind.CRASH, "node:east/1")
    a.wait(5)
    assert a.ask("east/2", "sys/health").status == 200


def test_without_a_second_member_a_cluster_of_two_has_no_quorum() -> None:
    a = empty_world(nodes=2)
    keys = initialised(a)["keys"]
    unsealed(a, "east/1", keys[:3])
    a.wait(5)
    unsealed(a, "east/2", keys[:3])
    a.wait(5)
    a.fault(FaultKind.CRASH, "node:east/2")
    a.wait(5)
    assert a.ask("east/1", "sys/leader").json["is_self"] is False


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "invalid seal configuration: shares must be at least one"),
        ({"secret_shares": 5}, "invalid seal configuration: threshold must be at least one"),
        (
            {"secret_shares": 3, "secret_threshold": 5},
            "invalid seal configuration: threshold cannot be larger than shares",
        ),
        ({"secret_shares": 256, "secret_threshold": 3}, "invalid seal configuration: shares must be less than 256"),
        (
            FIVE_OF_WHICH_THREE | {"pgp_keys": ["a"]},
            "invalid seal configuration: count mismatch between number of provided PGP keys and number of shares",
        ),
        (FIVE_OF_WHICH_THREE | {"recovery_shares": 5}, "parameters recovery_shares not applicable to seal type shamir"),
        (
            {"secret_shares": True, "secret_threshold": 3},
            "failed to parse JSON input: json: cannot unmarshal bool into Go struct field InitRequest.secret_shares "
            "of type int",
        ),
    ],
)
def test_a_seal_that_cannot_be_is_refused_also_where_there_are_keys(body: object, text: str) -> None:
    a = empty_world()
    assert a.ask("east/1", "sys/init", "PUT", body=body).errors == [text]
    initialised(a)
    assert a.ask("east/1", "sys/init", "PUT", body=body).errors == [text]
    said = a.ask("east/1", "sys/init", "PUT", body=FIVE_OF_WHICH_THREE)
    assert (said.status, said.errors) == (400, ["Vault is already initialized"])


def test_an_auto_seal_gives_recovery_keys_and_opens_by_itself() -> None:
    a = empty_world(auto_unseal=True)
    said = a.ask("east/1", "sys/init", "PUT", body=FIVE_OF_WHICH_THREE)
    assert said.errors == ["parameters secret_shares,secret_threshold not applicable to seal type awskms"]
    made = initialised(a, body={"recovery_shares": 5, "recovery_threshold": 3})
    assert (made["keys"], len(made["recovery_keys"])) == ([], 5)
    a.wait(6)
    assert [a.ask(f"east/{n}", "sys/health").status for n in (1, 2, 3)] == [200, 473, 473]


def test_an_empty_node_stays_empty_through_a_crash_and_a_seal() -> None:
    a = empty_world(auto_unseal=True)
    crash, seal = a.fault(FaultKind.CRASH, "node:east/1"), a.fault(FaultKind.SEAL, "node:east/2")
    a.wait(3)
    a.world.faults.clear(crash)
    a.world.faults.clear(seal)
    a.wait(5)
    assert [a.ask(f"east/{n}", "sys/health").status for n in (1, 2)] == [501, 501]


def test_two_empty_clusters_get_keys_of_their_own() -> None:
    a = empty_world()
    east, west = initialised(a), initialised(a, "west/1")
    assert east["root_token"] != west["root_token"]
    assert set(east["keys"]).isdisjoint(west["keys"])
    for share in west["keys"][:2]:
        a.post("east/1", "sys/unseal", {"key": share})
    assert a.post("east/1", "sys/unseal", {"key": west["keys"][2]}).status == 400


def test_seconds_without_a_primary_are_not_counted_before_there_is_replication() -> None:
    a = empty_world()
    unsealed(a, "east/1", initialised(a)["keys"][:3])
    a.wait(30)
    assert a.world.counts.no_primary_s == 0.0
