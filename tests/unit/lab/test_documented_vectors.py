"""Every documented or traced answer of Vault is held against the lab: here those that no other test asks for.

Values are the world's, so keys and types are compared. Where the lab is of a later version than the sample, what it
shows beyond it is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.vectors import Vector, vector, vectors
from tests.unit.lab.asking import ATTEMPT, UPDATE, Asker, Said, asker, shape
from watchdogd.lab.faults import FaultKind

TESTS = Path(__file__).parents[2]
NOT_THE_LABS: Mapping[str, str] = {
    "perf-paths-filter-read": "filters are not in the lab: the guide's table says so",
    "perf-dynamic-filter-read": "filters are not in the lab: the guide's table says so",
    "xor-decode-28-synthetic": "no request: the client decodes",
}
LATER_HEALTH = {"enterprise", "last_wal", "echo_duration_ms", "clock_skew_ms", "replication_primary_canary_age_ms"}
LATER_STATUS = {"last_reindex_epoch", "state", "primary_cluster_addr"}


def faulty(kind: FaultKind, target: str, **params: object) -> Asker:
    a = asker()
    a.fault(kind, target, **params)
    a.wait(30)
    return a


# -- answers that say all by their status ------------------------------------------------------------------------------

STATUSES: Mapping[str, Callable[[], Said]] = {
    "health-default-code-active": lambda: asker().ask("east/1", "sys/health"),
    "health-default-code-dr-secondary": lambda: asker().ask("west/1", "sys/health"),
    "health-default-code-perf-standby": lambda: asker().ask("east/2", "sys/health"),
    "health-default-code-ha-unhealthy": lambda: faulty(FaultKind.QUORUM_LOSS, "cluster:east").ask(
        "east/2", "sys/health"
    ),
    "health-default-code-sealed": lambda: faulty(FaultKind.SEAL, "node:east/2").ask("east/2", "sys/health"),
    "health-default-code-removed": lambda: faulty(FaultKind.REMOVED, "node:east/2").ask("east/2", "sys/health"),
    "drop-cancel-doc": lambda: asker().ask("west/1", ATTEMPT, "DELETE"),
}


@pytest.mark.parametrize("name", STATUSES)
def test_the_lab_answers_with_the_documented_status(name: str) -> None:
    assert STATUSES[name]().status == vector(name).status


def test_raft_is_disabled_on_a_dr_secondary_in_the_words_of_the_transcript() -> None:
    documented = vector("dr-secondary-path-disabled-raft-config")
    said = asker().ask("west/1", "sys/storage/raft/configuration", token=asker().has["root_token"])
    assert (said.status, said.json) == (documented.status, documented.body)


def test_a_reindex_answers_with_a_warning() -> None:
    a = asker()
    said = a.post("east/1", "sys/replication/reindex", token=a.has["root_token"])
    assert (said.status, shape(said.json["warnings"])) == (200, shape(vector("replication-reindex").body["warnings"]))


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_the_health_of_0_9_2_has_the_documented_fields_and_the_later_ones_are_known() -> None:
    shown = asker(version="0.9.2").ask("east/1", "sys/health").json
    documented = vector("health-active-doc-0.9.2").body
    assert set(shown) - set(documented) <= LATER_HEALTH
    assert {k: v for k, v in shape(shown).items() if k in documented} == shape(documented)


@pytest.mark.parametrize(
    ("name", "target", "version", "more"),
    [
        ("perf-status-primary-doc", "east/1", "1.5.0", LATER_STATUS),
        ("perf-status-secondary-doc", "west/1", "1.5.0", LATER_STATUS),
        ("replication-status-both-primary-doc-2024", "east/1", "1.16.0", set()),
    ],
)
def test_the_status_of_performance_replication_is_as_documented(
    name: str, target: str, version: str, more: set[str]
) -> None:
    documented: Any = vector(name).body["data"]
    documented = documented.get("performance", documented)
    shown = asker(version=version, kind="performance").ask(target, "sys/replication/performance/status").data
    assert set(shown) - set(documented) <= more
    assert {k: v for k, v in shape(shown).items() if k in documented} == shape(documented)


def test_a_primary_whose_secondary_is_gone_shows_it_as_disconnected() -> None:
    a = faulty(FaultKind.CRASH, "cluster:west")
    (documented,) = vector("dr-status-primary-secondary-disconnected-mirage").body["data"]["secondaries"]
    (shown,) = a.ask("east/1", "sys/replication/dr/status").data["secondaries"]
    assert shown["connection_status"] == documented["connection_status"] == "disconnected"
    assert set(documented) <= set(shown)


def combined(a: Asker, target: str) -> Any:
    return a.ask(target, "sys/replication/status").json


def compare_kind(shown: Any, documented: Any) -> None:
    """The part of one kind, empty lists apart: whom a promoted cluster knows is a doubt of its own."""
    assert set(shown) == set(documented)
    assert (shown["mode"], shown["state"]) == (documented["mode"], documented["state"])


@pytest.mark.parametrize("name", ["trace12-5-promoted-dr", "vguides-promoted"])
def test_a_promoted_cluster_of_1_2_looks_like_the_trace(name: str) -> None:
    a = asker(version="1.2.3")
    a.fail_over("east", "west")
    documented: Any = vector(name).body
    shown = combined(a, "west/1")
    assert set(documented) <= set(shown)
    compare_kind(shown["data"]["dr"], documented["data"]["dr"])


def test_an_old_primary_that_was_restarted_still_says_primary_as_in_the_trace() -> None:
    a = asker(version="1.2.3")
    fault = a.fault(FaultKind.CRASH, "cluster:east")
    a.promote("west")
    a.wait(60)
    a.world.faults.clear(fault_id=fault)
    a.wait(30)
    documented: Any = vector("trace12-6-old-primary-restarted-still-primary").body
    compare_kind(combined(a, "east/1")["data"]["dr"], documented["data"]["dr"])


def test_a_performance_secondary_of_1_2_shows_dr_disabled_beside_its_stream() -> None:
    a = asker(version="1.2.3", kind="performance")
    documented: Any = vector("trace12-8-perf-secondary-after-failover-auto-repointed").body["data"]
    shown: Any = combined(a, "west/1")["data"]
    assert shown["dr"] == documented["dr"] == {"mode": "disabled"}
    compare_kind(shown["performance"], documented["performance"])


def test_a_whole_operation_token_has_the_documented_fields() -> None:
    a = asker(auto_unseal=False)
    nonce = a.ask("west/1", ATTEMPT, "PUT", body={}).json["nonce"]
    said = [a.ask("west/1", UPDATE, "PUT", body={"key": key, "nonce": nonce}).json for key in a.shares[:3]]
    documented: Any = vector("drop-update-complete-doc").body
    assert {k: v for k, v in shape(said[-1]).items() if k in documented} == shape(documented)
    assert (said[-1]["complete"], said[-1]["progress"]) == (True, said[-1]["required"])


@pytest.mark.parametrize("name", ["seal-status-sealed-doc", "seal-status-unsealed-doc"])
def test_the_seal_status_of_1_11_has_the_documented_fields_but_the_one_of_a_later_page(name: str) -> None:
    a = asker(version="1.11.0", auto_unseal=False)
    if name == "seal-status-sealed-doc":
        a.fault(FaultKind.SEAL, "node:east/2")
        a.wait(5)
    shown: Any = a.ask("east/2", "sys/seal-status").json
    documented: Any = vector(name).body
    assert set(documented) - set(shown) <= {"unseal_recovery_enabled"}
    assert {k: v for k, v in shape(documented).items() if k in shown} == {
        k: v for k, v in shape(shown).items() if k in documented
    }


def test_the_raft_configuration_is_as_documented() -> None:
    a = asker()
    shown = a.ask("east/1", "sys/storage/raft/configuration", token=a.has["root_token"]).json
    documented: Any = vector("raft-configuration-doc").body
    assert shape(shown["data"]) == shape(documented["data"])
    assert set(documented) <= set(shown)


# -- none is forgotten -------------------------------------------------------------------------------------------------


def is_asked_for(one: Vector, sources: str) -> bool:
    return f'"{one.name}"' in sources


def test_every_documented_answer_is_held_against_the_lab_or_has_its_reason() -> None:
    folders = (TESTS / "unit" / "lab", TESTS / "contract", TESTS / "real")
    sources = "".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("test_*.py"))
    documented = [one for one in vectors() if not one.name.startswith("obs")]  # these are replayed as transcripts
    assert {one.name for one in documented if not is_asked_for(one, sources)} == set()
    assert set(NOT_THE_LABS) <= {one.name for one in documented}
