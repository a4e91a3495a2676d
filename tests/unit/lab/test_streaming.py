"""Writes on the primary arrive on the secondary, in order, after a delay, or by a sync when the log is too short."""

from typing import Any

from tests.unit.lab.asking import DR_STATUS, Asker, asker
from watchdogd.lab.faults import FaultKind


def dr(a: Asker, target: str) -> Any:
    return a.ask(target, DR_STATUS).data


def test_a_write_arrives_after_the_stream_s_delay() -> None:
    a = asker(stream_delay_s=0.5)
    a.write("east/lb", "x")
    a.wait(0.4)
    assert dr(a, "west/1")["merkle_root"] != dr(a, "east/1")["merkle_root"]
    a.wait(0.2)
    assert dr(a, "west/1")["merkle_root"] == dr(a, "east/1")["merkle_root"]
    assert dr(a, "west/1")["last_remote_wal"] == dr(a, "east/1")["last_dr_wal"]


def test_a_cut_stream_catches_up_when_it_is_back() -> None:
    a = asker()
    cut = a.fault(FaultKind.DROP, "repl:east>west")
    for n in range(20):
        a.write("east/lb", f"x/{n}")
    a.wait(30)
    assert dr(a, "east/1")["last_dr_wal"] - dr(a, "west/1")["last_remote_wal"] == 20
    a.world.faults.clear(cut)
    a.wait(5)
    assert dr(a, "west/1")["last_remote_wal"] == dr(a, "east/1")["last_dr_wal"]
    assert dr(a, "west/1")["state"] == "stream-wals"


def test_a_secondary_that_fell_off_the_log_syncs() -> None:
    a = asker(shipper_entries=16, merkle_diff_s=1.0, merkle_sync_s=2.0)
    cut = a.fault(FaultKind.DROP, "repl:west>east")
    for n in range(20):
        a.write("east/lb", f"x/{n}")
    a.wait(5)
    a.world.faults.clear(cut)
    states = []
    for _ in range(12):
        a.wait(0.5)
        states.append(dr(a, "west/1")["state"])
    assert [s for i, s in enumerate(states) if i == 0 or states[i - 1] != s][-3:] == [
        "merkle-diff",
        "merkle-sync",
        "stream-wals",
    ]
    assert dr(a, "west/1")["merkle_root"] == dr(a, "east/1")["merkle_root"]
    assert dr(a, "west/1")["last_remote_wal"] == 0  # until the next write (VGUIDES, TC)


def test_a_syncing_secondary_stays_so_for_as_long_as_the_fault_lasts() -> None:
    a = asker()
    a.fault(FaultKind.SYNCING, "cluster:west", for_s=60)
    a.wait(30)
    assert dr(a, "west/1")["state"] == "merkle-sync"
    a.wait(40)
    assert dr(a, "west/1")["state"] == "stream-wals"


def test_a_lost_active_node_of_the_primary_interrupts_the_stream_for_an_election() -> None:
    a = asker(election_s=3.0)
    a.fault(FaultKind.CRASH, "node:east/1")
    a.wait(1)
    assert a.write("east/lb", "x").status in (500, 502, 503)
    a.wait(5)
    assert a.write("east/lb", "x").status == 200
    a.wait(5)
    assert dr(a, "west/1")["merkle_root"] == dr(a, "east/2")["merkle_root"]


def test_wal_counters_of_two_clusters_are_their_own() -> None:
    a = asker()
    a.write("east/lb", "x")
    a.wait(1)
    east, west = (a.ask(t, "sys/health").json["last_wal"] for t in ("east/1", "west/1"))
    assert east != west


def test_a_third_cluster_streams_from_the_same_primary() -> None:
    a = asker(clusters="east west north")
    a.write("east/lb", "x")
    a.wait(1)
    assert len({dr(a, t)["merkle_root"] for t in ("east/1", "west/1", "north/1")}) == 1
    assert len(dr(a, "east/1")["secondaries"]) == 2


def test_a_revoked_secondary_is_cut_off() -> None:
    a = asker()
    body = {"id": dr(a, "west/1")["secondary_id"]}
    a.post("east/1", "sys/replication/dr/primary/revoke-secondary", body, token=a.has["root_token"])
    a.wait(5)
    assert dr(a, "west/1")["connection_state"] == "transient_failure"
    assert dr(a, "east/1")["known_secondaries"] == []


def test_the_same_seed_gives_the_same_bytes() -> None:
    def story() -> list[bytes]:
        a = asker(seed=7)
        a.fault(FaultKind.LOSS, "cluster:east", probability=0.3)
        seen = []
        for n in range(30):
            seen.append(a.write("east/lb", f"x/{n}").exchange.body)
            a.wait(1)
        return [*seen, *(line.encode() for line in a.world.transcript)]

    assert story() == story()
