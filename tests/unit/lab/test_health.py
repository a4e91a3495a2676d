"""sys/health, sys/leader, sys/seal-status: who answers what, in which state and version (sections 1 and 8)."""

import pytest

from tests.support.vectors import vector
from tests.unit.lab.asking import Asker, asker
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.wire import Outcome

ALL_299 = "&".join(
    f"{c}code=299"
    for c in ("uninit", "sealed", "standby", "drsecondary", "performancestandby", "removed", "haunhealthy")
)


def status(a: Asker, target: str, query: str = "") -> int:
    return a.ask(target, f"sys/health{'?' if query else ''}{query}").status


@pytest.mark.parametrize(
    ("target", "code"), [("east/1", 200), ("east/2", 473), ("east/3", 473), ("west/1", 472), ("west/2", 472)]
)
def test_each_node_of_a_healthy_pair_answers_its_documented_code(target: str, code: int) -> None:
    assert status(asker(), target) == code


def test_a_plain_standby_answers_429_and_200_with_standbyok() -> None:
    a = asker(performance_standbys=False)
    assert (status(a, "east/2"), status(a, "east/2", "standbyok=true")) == (429, 200)
    assert status(a, "east/2", "standbyok") == 429  # an empty value is false
    assert status(a, "east/2", "perfstandbyok=true") == 429


def test_a_performance_standby_answers_200_only_with_its_own_parameter() -> None:
    a = asker()
    assert (status(a, "east/2", "perfstandbyok=true"), status(a, "east/2", "standbyok=true")) == (200, 473)


def test_standbyok_never_rescues_a_dr_secondary() -> None:
    assert status(asker(), "west/2", "standbyok=true&perfstandbyok=true") == 472


@pytest.mark.parametrize("target", ["east/2", "west/1", "west/2"])
def test_codes_are_what_the_caller_asks_for(target: str) -> None:
    assert status(asker(), target, ALL_299) == 299


@pytest.mark.parametrize("query", ["sealedcode=abc", "standbyok=perhaps"])
def test_a_bad_parameter_is_400_without_a_text(query: str) -> None:
    said = asker().ask("east/1", f"sys/health?{query}")
    assert (said.status, said.json) == (400, vector("obs:obs1:health bad code").body)


def test_head_has_the_status_and_no_body_and_post_is_405() -> None:
    a = asker()
    head = a.ask("west/1", "sys/health", "HEAD")
    assert (head.status, head.exchange.body) == (472, b"")
    post = a.post("east/1", "sys/health")
    assert (post.status, post.json) == (405, vector("obs:obs1:health POST").body)


def test_a_sealed_node_shows_no_ids_and_unknown_modes() -> None:
    a = asker()
    a.fault(FaultKind.SEAL, "node:east/2")
    body = a.ask("east/2", "sys/health").json
    assert status(a, "east/2") == 503
    assert not {"cluster_id", "cluster_name", "last_wal"} & set(body)
    assert (body["standby"], body["replication_dr_mode"], body["replication_performance_mode"]) == (
        True,
        "unknown",
        "unknown",
    )
    assert a.ask("east/2", "sys/leader").errors == ["Vault is sealed"]
    assert a.ask("east/2", "secret/data/x", token="garbage").errors == ["Vault is sealed"]
    assert a.ask("east/2", "sys/seal-status").json["sealed"] is True


def test_the_fields_of_a_1_9_dr_secondary_are_those_of_the_documented_sample() -> None:
    body = asker(version="1.9.0").ask("west/1", "sys/health?drsecondarycode=200").json
    documented = vector("health-dr-secondary-1.9-doc").body
    assert list(body) == list(documented)
    assert {k: type(v) for k, v in body.items()} == {k: type(v) for k, v in documented.items()}


def test_newer_versions_have_more_fields_in_the_order_of_the_source() -> None:
    keys = list(asker(version="1.19.0").ask("east/2", "sys/health").json)
    assert keys[8] == "enterprise"
    assert keys[-4:] == [
        "clock_skew_ms",
        "replication_primary_canary_age_ms",
        "removed_from_cluster",
        "ha_connection_healthy",
    ]


def test_last_wal_is_only_on_the_active_node() -> None:
    a = asker()
    assert ["last_wal" in a.ask(t, "sys/health").json for t in ("east/1", "east/2", "west/1", "west/2")] == [
        True,
        False,
        True,
        False,
    ]


def test_without_quorum_a_node_says_429_then_474_and_knows_no_modes() -> None:
    a = asker()
    a.fault(FaultKind.CRASH, "node:east/1")
    a.fault(FaultKind.CRASH, "node:east/3")
    body = a.ask("east/2", "sys/health").json
    assert (status(a, "east/2"), body["replication_dr_mode"]) == (429, "unknown")
    a.wait(11)
    assert status(a, "east/2") == 474
    assert a.ask("east/2", "sys/health").json["ha_connection_healthy"] is False
    said = a.ask("east/2", "sys/leader")
    assert (said.status, said.json["is_self"], "leader_address" in said.json) == (200, False, False)
    assert a.ask("east/2", "secret/data/x").errors == vector("obs:obs5:quorum lost: gr attempt").body["errors"]


def test_before_1_19_there_is_no_474_and_no_530() -> None:
    a = asker(version="1.18.0")
    a.fault(FaultKind.REMOVED, "node:east/2")
    a.fault(FaultKind.CRASH, "node:east/1")
    a.wait(60)
    assert status(a, "east/2") == 429
    assert "removed_from_cluster" not in a.ask("east/2", "sys/health").json


def test_a_removed_node_says_530() -> None:
    a = asker()
    a.fault(FaultKind.REMOVED, "node:east/3")
    assert status(a, "east/3") == 530


def test_the_active_node_names_itself_and_the_others_name_it() -> None:
    a = asker()
    active, standby = a.ask("east/1", "sys/leader").json, a.ask("east/2", "sys/leader").json
    assert active["is_self"] is True
    assert "active_time" in active
    assert standby["is_self"] is False
    assert "active_time" not in standby
    assert standby["leader_address"] == active["leader_address"] == "https://127.3.1.1:8200"
    assert set(vector("leader-doc").body) <= set(standby)


def test_seal_status_has_the_observed_keys() -> None:
    a = asker(auto_unseal=False)
    seen = vector("obs:obs1:seal-status active").body
    assert set(seen) - {"commit_date"} <= set(a.ask("east/1", "sys/seal-status").json)


def test_shamir_nodes_come_back_sealed_and_take_shares_until_they_unseal() -> None:
    a = asker(auto_unseal=False)
    fault_id = a.fault(FaultKind.CRASH, "node:east/2")
    assert a.ask("east/2", "sys/health").exchange.outcome is Outcome.REFUSE
    a.world.faults.clear(fault_id)
    a.wait(60)
    assert status(a, "east/2") == 503
    for n, share in enumerate(a.shares[:3], start=1):
        body = a.post("east/2", "sys/unseal", {"key": share}).json
        assert (body["sealed"], body["progress"]) == ((n < 3), n % 3)
    a.wait(2)
    assert status(a, "east/2") == 473


def test_wrong_unseal_shares_are_noticed_at_the_threshold_and_reset_the_progress() -> None:
    a = asker(auto_unseal=False)
    a.fault(FaultKind.SEAL, "node:east/2", for_s=1)
    a.wait(2)
    a.post("east/2", "sys/unseal", {"key": "11" * 33})
    a.post("east/2", "sys/unseal", {"key": a.shares[0]})
    said = a.post("east/2", "sys/unseal", {"key": a.shares[1]})
    assert (said.status, said.json) == (400, vector("obs:obs1:unseal 3 -> wrong combined").body)
    assert a.ask("east/2", "sys/seal-status").json["progress"] == 0


def test_auto_unseal_brings_a_restarted_node_back_by_itself() -> None:
    a = asker(unseal_s=1.0)
    a.fault(FaultKind.CRASH, "node:east/2", for_s=5)
    a.wait(5.5)
    assert status(a, "east/2") == 503
    a.wait(3)
    assert status(a, "east/2") == 473


REDACTED = {"redact_version": True, "redact_cluster_name": True, "redact_addresses": True}


def told_to(a: Asker, token: str, target: str = "east/1") -> dict[str, object]:
    """What the three open endpoints say of version, name and addresses."""
    told = {path: a.ask(target, f"sys/{path}", token=token).json for path in ("health", "seal-status", "leader")}
    names = {"version", "build_date", "cluster_name", "leader_address", "leader_cluster_address"}
    return {f"{path} {name}": value for path, body in told.items() for name, value in body.items() if name in names}


def test_redaction_blanks_version_and_addresses_and_leaves_the_name_out() -> None:
    # HEALTHSRC, CFG: `cluster_name` is omitted where it is empty.
    shown = told_to(asker(**REDACTED), "")
    assert set(shown) == {name for name in told_to(asker(), "") if "cluster_name" not in name}
    assert set(shown.values()) == {""}


def test_redaction_is_for_whoever_has_no_valid_token() -> None:
    a = asker(**REDACTED)  # HEALTHSRC: "for callers without a valid token"
    assert told_to(a, "hvs.stale") == told_to(a, "")
    for target in ("east/1", "east/2"):  # a performance standby knows tokens, too
        assert told_to(a, a.has["root_token"], target) == told_to(asker(), "", target)


def test_redaction_holds_for_everybody_at_a_node_that_knows_no_tokens() -> None:
    a = asker(**REDACTED)
    assert told_to(a, a.has["root_token"], "west/1") == told_to(a, "", "west/1")
    b = asker(performance_standbys=False, **REDACTED)
    assert told_to(b, b.has["root_token"], "east/2") == told_to(b, "", "east/2")


def test_a_terminated_licence_shows() -> None:
    a = asker()
    a.fault(FaultKind.LICENCE_TERMINATED, "cluster:west")
    assert a.ask("west/1", "sys/health").json["license"]["terminated"] is True


@pytest.mark.parametrize(("version", "has"), [("1.10.0", False), ("1.11.0", True)])
def test_seal_status_has_a_build_date_from_1_11_on(version: str, has: bool) -> None:
    assert ("build_date" in asker(version=version).ask("east/1", "sys/seal-status").json) is has


@pytest.mark.parametrize(
    ("version", "auto", "shown"), [("1.19.0", True, "shamir"), ("1.19.0", False, None), ("1.11.0", True, None)]
)
def test_a_seal_that_opens_by_itself_says_of_what_kind_its_recovery_keys_are(
    version: str, auto: bool, shown: str | None
) -> None:
    told = asker(version=version, auto_unseal=auto).ask("east/1", "sys/seal-status").json
    assert (told["recovery_seal"], told.get("recovery_seal_type")) == (auto, shown)  # SEALDOC, DIGEST: newer versions
