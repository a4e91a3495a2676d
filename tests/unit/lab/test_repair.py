"""reindex, recover and merkle-check, on either side."""

from typing import Any

import pytest

from tests.support.likeness import differences
from tests.support.vectors import vector
from tests.unit.lab.asking import DR_STATUS, Asker, Said, asker
from watchdogd.lab.faults import FaultKind


def dr(a: Asker, target: str) -> Any:
    return a.ask(target, DR_STATUS).data


def repair(a: Asker, verb: str, **body: object) -> Said:
    return a.post("east/1", f"sys/replication/{verb}", body, token=a.has["root_token"])


def operation_token(a: Asker) -> str:
    a.world.clusters["west"].op_tokens.append("hvs.operation")
    return "hvs.operation"


def test_a_reindex_takes_time_and_leaves_its_moment() -> None:
    a = asker(reindex_s=10.0, reindexing_state="reindexing")
    said = repair(a, "reindex")
    assert (said.status, len(said.json["warnings"])) == (200, 1)
    assert dr(a, "east/1")["state"] == "reindexing"
    assert dr(a, "east/1")["last_reindex_epoch"] == "0"
    assert repair(a, "reindex").status == 400
    a.wait(12)
    assert dr(a, "east/1")["state"] == "running"
    assert int(dr(a, "east/1")["last_reindex_epoch"]) == pytest.approx(a.world.utc_s("east/1", a.world.now_s), abs=4)


def test_a_reindex_ends_with_its_active_node() -> None:
    a = asker(reindex_s=30.0)
    assert repair(a, "dr/reindex").status == 200
    a.fault(FaultKind.CRASH, "node:east/1")
    a.wait(60)
    assert dr(a, "east/2")["last_reindex_epoch"] == "0"


def test_a_reindex_asks_for_sudo() -> None:
    a = asker()
    assert a.post("east/1", "sys/replication/reindex", token=a.has["client_token"]).status == 403


def test_a_dr_secondary_is_reindexed_by_an_operation_token() -> None:
    a = asker(reindex_s=5.0)
    path, before = "sys/replication/dr/secondary/reindex", dr(a, "west/1")["last_reindex_epoch"]
    assert a.post("west/1", path).errors == ["DR operation token was not provided"]
    assert a.post("west/1", path, {"dr_operation_token": operation_token(a)}).status == 200
    a.wait(10)
    assert int(dr(a, "west/1")["last_reindex_epoch"]) > int(before)
    assert a.post("east/1", path, {"dr_operation_token": "x"}).errors == ["Not a DR secondary."]
    body = {"dr_operation_token": a.has["dr_token_a"]}  # its policy names two other paths
    assert a.post("west/1", path, body).status == 403


def test_a_recovery_lets_a_secondary_compare_again() -> None:
    a = asker()
    assert repair(a, "recover").status == 200
    said = a.post("west/1", "sys/replication/dr/secondary/recover", {"dr_operation_token": operation_token(a)})
    assert said.status == 200
    assert dr(a, "west/1")["state"] == "merkle-diff"
    a.wait(10)
    assert dr(a, "west/1")["state"] == "stream-wals"


def test_a_merkle_check_reports_as_documented_and_is_remembered() -> None:
    a = asker()
    documented = vector("merkle-check").body["data"]["merkle_corruption_report"]
    report = repair(a, "merkle-check").data["merkle_corruption_report"]
    assert set(report) == set(documented)
    assert [tree["tree_type"] for tree in report["corrupted_tree_map"].values()] == ["replicated", "local"]
    for number, tree in report["corrupted_tree_map"].items():
        assert set(tree) == set(documented["corrupted_tree_map"][number])
    assert int(dr(a, "east/1")["last_corruption_check_epoch"]) > 0
    said = a.post("west/1", "sys/replication/dr/secondary/merkle-check", {"dr_operation_token": operation_token(a)})
    assert differences(said.data["merkle_corruption_report"]["corrupted_root"], False) == []
    on_west = said.data["merkle_corruption_report"]["corrupted_tree_map"]
    assert [tree["root_hash"] for tree in on_west.values()] == [
        tree["root_hash"] for tree in report["corrupted_tree_map"].values()
    ]


@pytest.mark.parametrize("verb", ["reindex", "recover", "merkle-check"])
def test_without_replication_there_is_nothing_to_repair(verb: str) -> None:
    a = asker()
    assert repair(a, "dr/primary/disable").status == 200
    a.wait(5)
    assert repair(a, verb).status == 400
