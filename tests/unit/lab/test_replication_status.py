"""Replication status of both sides, of standbys, of old versions, alive and dead (section 2)."""

from itertools import pairwise
from typing import Any

import pytest

from tests.support.vectors import vector
from tests.unit.lab.asking import DR_STATUS, Asker, asker, shape
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knobs import DeadLinkState, PeersWhenDemoted, StandbyStatus, StatusEndpoints


def dr(a: Asker, target: str) -> Any:
    return a.ask(target, DR_STATUS).data


def test_a_primary_looks_like_the_2024_sample() -> None:
    assert shape(dr(asker(), "east/1")) == shape(vector("dr-status-primary-doc-2024").body["data"])


def test_a_secondary_looks_like_the_2024_sample() -> None:
    documented = vector("replication-status-perf-secondary-and-dr-primary-doc-2024").body["data"]["performance"]
    assert shape(dr(asker(), "west/1")) == shape(documented)


def test_the_combined_status_nests_both_kinds_in_the_observed_envelope() -> None:
    said = asker(version="1.3.0").ask("west/1", "sys/replication/status").json
    assert shape(said) == shape(vector("vguides-dr-secondary-api").body)
    assert list(said) == list(vector("vguides-dr-secondary-api").body)


@pytest.mark.parametrize(
    ("target", "name"), [("east/1", "trace12-1-primary-both"), ("west/1", "trace12-2-dr-secondary-healthy")]
)
def test_a_1_2_cluster_has_no_heartbeats_and_no_connection_state(target: str, name: str) -> None:
    documented = vector(name).body["data"]["dr"]
    assert shape(dr(asker(version="1.2.3"), target)) == shape(documented)


def test_a_1_5_primary_has_heartbeats_with_few_fields() -> None:
    shown, documented = dr(asker(version="1.5.0"), "east/1"), vector("dr-status-primary-doc-2020").body["data"]
    assert shape(shown["secondaries"]) == shape(documented["secondaries"])
    assert set(shown) == {*documented, "state", "last_reindex_epoch", "primary_cluster_addr"}


def test_epochs_and_peer_numbers_are_strings_and_wals_are_numbers() -> None:
    primary, secondary = dr(asker(), "east/1"), dr(asker(), "west/1")
    peer = secondary["primaries"][0]
    strings = [primary["last_reindex_epoch"], secondary["last_reindex_epoch"], peer["clock_skew_ms"]]
    strings += [peer["last_heartbeat_duration_ms"], peer["replication_primary_canary_age_ms"]]
    assert all(isinstance(s, str) for s in strings)
    assert all(isinstance(n, int) for n in (primary["last_wal"], primary["last_dr_wal"], secondary["last_remote_wal"]))
    assert primary["last_corruption_check_epoch"] == "-62135596800"


def test_both_sides_share_the_replication_id_which_is_not_a_vault_id() -> None:
    a = asker()
    ids = {dr(a, "east/1")["cluster_id"], dr(a, "west/1")["cluster_id"]}
    assert len(ids) == 1
    assert not ids & {a.ask(t, "sys/health").json["cluster_id"] for t in ("east/1", "west/1")}


def test_heartbeats_advance_every_five_seconds() -> None:
    a = asker()
    seen = []
    for _ in range(11):
        seen.append(dr(a, "west/1")["primaries"][0]["last_heartbeat"])
        a.wait(1)
    assert len(set(seen)) == 3


def test_the_canary_age_falls_while_the_link_stands_and_only_grows_when_it_does_not() -> None:
    a = asker(stream_delay_s=0.0)
    a.wait(0.5)
    ages = []
    for _ in range(6):
        ages.append(int(dr(a, "west/1")["primaries"][0]["replication_primary_canary_age_ms"]))
        a.wait(0.4)
    assert any(later < earlier for earlier, later in pairwise(ages))
    a.fault(FaultKind.DROP, "repl:east>west")
    dead = []
    for _ in range(6):
        a.wait(0.4)
        dead.append(int(dr(a, "west/1")["primaries"][0]["replication_primary_canary_age_ms"]))
    assert dead == sorted(dead)
    assert dead[-1] - dead[0] == pytest.approx(2000, abs=2)


def test_with_the_primary_crashed_heartbeats_freeze_and_the_channel_fails() -> None:
    a = asker()
    before = dr(a, "west/1")
    a.fault(FaultKind.CRASH, "cluster:east")
    a.wait(16)
    after = dr(a, "west/1")
    assert after["connection_state"] == "transient_failure"
    assert after["primaries"][0]["last_heartbeat"] == before["primaries"][0]["last_heartbeat"]
    assert after["primaries"][0]["connection_status"] == "disconnected"
    assert after["known_primary_cluster_addrs"] == before["known_primary_cluster_addrs"]


def test_a_black_hole_stays_ready_for_a_while() -> None:
    a = asker(blackhole_ready_s=20.0)
    a.fault(FaultKind.BLACKOUT, "region:east")
    a.wait(15)
    assert dr(a, "west/1")["connection_state"] == "ready"
    a.wait(10)
    assert dr(a, "west/1")["connection_state"] == "transient_failure"


def test_state_stays_stream_wals_with_the_primary_gone_unless_the_version_flips_it() -> None:
    stale, modern = asker(), asker(dead_link_state=DeadLinkState.IDLE, idle_after_s=30.0)
    for a in (stale, modern):
        a.fault(FaultKind.CRASH, "cluster:east")
        a.wait(40)
    assert (
        dr(stale, "west/1")["state"] == vector("trace12-4-dr-secondary-whole-primary-down").body["data"]["dr"]["state"]
    )
    assert dr(modern, "west/1")["state"] == "idle"


def test_ready_stale_says_ready_with_nothing_moving() -> None:
    a = asker()
    before = dr(a, "west/1")
    a.fault(FaultKind.READY_STALE, "cluster:west")
    a.write("east/lb", "x")
    a.wait(900)
    after = dr(a, "west/1")
    assert (after["connection_state"], after["state"]) == ("ready", "stream-wals")
    assert after["primaries"][0]["connection_status"] == "connected"
    assert after["primaries"][0]["last_heartbeat"] == before["primaries"][0]["last_heartbeat"]
    assert after["last_remote_wal"] == before["last_remote_wal"]


def test_a_new_active_node_of_the_secondary_starts_without_heartbeats() -> None:
    a = asker(election_s=3.0)
    a.fault(FaultKind.CRASH, "cluster:east")
    a.fault(FaultKind.CRASH, "node:west/1")
    a.wait(3.5)
    shown = dr(a, "west/2")
    assert shown["primaries"] == []
    assert shown["connection_state"] == "connecting"
    a.wait(10)
    assert dr(a, "west/2")["connection_state"] == "transient_failure"


def test_a_new_active_node_hears_a_living_primary_again() -> None:
    a = asker(election_s=3.0)
    a.fault(FaultKind.CRASH, "node:west/1")
    a.wait(10)
    assert dr(a, "west/2")["primaries"][0]["connection_status"] == "connected"


def test_a_standby_s_own_status_has_no_heartbeats_unless_it_asks_its_active_node() -> None:
    own, forwarded = asker(), asker(standby_status=StandbyStatus.FORWARDED)
    assert dr(own, "west/2")["primaries"] == []
    assert dr(own, "east/2")["secondaries"] == []
    assert dr(forwarded, "west/2") == dr(forwarded, "west/1")


@pytest.mark.parametrize(("knob", "shown"), [(PeersWhenDemoted.EMPTY, []), (PeersWhenDemoted.NULL, None)])
def test_a_demoted_cluster_follows_nobody_and_is_idle(knob: PeersWhenDemoted, shown: object) -> None:
    a = asker(peers_when_demoted=knob)
    a.demote("east")
    a.wait(5)
    data = dr(a, "east/1")
    assert (data["mode"], data["state"], data["primaries"]) == ("secondary", "idle", shown)


def test_a_demoted_cluster_may_leave_its_peers_out() -> None:
    a = asker(peers_when_demoted=PeersWhenDemoted.ABSENT)
    a.demote("east")
    a.wait(5)
    assert not {"primaries", "known_primary_cluster_addrs"} & set(dr(a, "east/1"))


def test_disabled_status_endpoints_say_so() -> None:
    said = asker(status_endpoints=StatusEndpoints.DISABLED).ask("west/1", DR_STATUS)
    assert (said.status, said.errors) == (400, ["disabled path"])


def test_local_times_carry_the_node_s_offset() -> None:
    assert dr(asker(utc_offset_minutes=-300), "west/1")["primaries"][0]["last_heartbeat"].endswith("-05:00")


def test_a_skewed_clock_shows_in_the_peers() -> None:
    a = asker()
    a.fault(FaultKind.CLOCK_SKEW, "cluster:west", seconds=30.0)
    a.wait(6)
    assert dr(a, "west/1")["primaries"][0]["clock_skew_ms"] == "-30000"


def test_a_performance_pair_shows_itself_under_performance() -> None:
    a = asker(kind="performance")
    shown = a.ask("west/1", "sys/replication/performance/status").data
    assert (shown["mode"], shown["state"]) == ("secondary", "stream-wals")
    assert dr(a, "west/1") == {"mode": "disabled"}
    assert "last_performance_wal" in a.ask("east/1", "sys/replication/performance/status").data
    assert a.ask("west/1", "sys/health").status == 200


def test_a_heartbeat_says_how_long_it_took() -> None:
    a = asker()
    assert a.ask("west/1", DR_STATUS).data["primaries"][0]["last_heartbeat_duration_ms"] == "0"
    a.fault(FaultKind.DELAY, "repl:west>east", seconds=0.25)
    a.wait(6)
    assert a.ask("west/1", DR_STATUS).data["primaries"][0]["last_heartbeat_duration_ms"] == "500"
    assert a.ask("east/1", DR_STATUS).data["secondaries"][0]["last_heartbeat_duration_ms"] == "500"
