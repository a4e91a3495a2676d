"""The four true counts and the clients they are counted from: what happened, whatever anybody believes."""

import pytest

from tests.unit.lab.asking import Asker, asker
from watchdogd.lab.clients import SimClient
from watchdogd.lab.faults import FaultKind


def with_client(a: Asker, *, follows: str = "elected", **kwargs: float) -> SimClient:
    """A client whose name is resolved to the elected cluster, or always to the same one."""

    def resolve(_name: str, _now_s: float) -> str:
        return f"{a.world.elected if follows == 'elected' else follows}/lb"

    client = SimClient(
        name="c1",
        service_name="vault.example.test",
        token=a.has["client_token"],
        resolve=resolve,
        due_s=a.world.now_s + 1.0,
        **kwargs,
    )
    a.world.clients.append(client)
    return client


def test_a_healthy_quarter_of_an_hour_counts_nothing_but_writes() -> None:
    a = asker()
    client = with_client(a)
    a.wait(900)
    counts = a.world.counts
    assert (counts.two_writable_primaries_s, counts.no_primary_s, counts.acknowledged_writes_lost) == (0.0, 0.0, 0)
    assert counts.acknowledged_writes == client.acknowledged == 900
    assert client.failed == 0


def test_a_failover_costs_the_seconds_until_the_target_serves() -> None:
    a = asker(promote_s=10.0)
    a.fault(FaultKind.BLACKOUT, "region:east")
    a.wait(50)
    a.promote("west")
    a.wait(30)
    assert a.world.counts.no_primary_s == pytest.approx(60.0)
    assert a.world.counts.two_writable_primaries_s == 0.0


def test_nothing_is_counted_while_no_cluster_could_serve() -> None:
    a = asker()
    a.fault(FaultKind.CRASH, "cluster:east")
    a.fault(FaultKind.CRASH, "cluster:west")
    a.wait(100)
    assert a.world.counts.no_primary_s == 0.0


def test_two_primaries_are_counted_only_while_clients_reach_both() -> None:
    a = asker(promote_s=1.0, demote_s=1.0)
    fault_id = a.fail_over("east", "west")
    a.world.faults.clear(fault_id)
    a.wait(7)
    assert a.world.counts.two_writable_primaries_s == pytest.approx(7.0)
    a.demote("east")
    a.wait(20)
    assert a.world.counts.two_writable_primaries_s == pytest.approx(7.0)


def test_a_fence_keeps_a_returned_primary_from_counting() -> None:
    a = asker()
    fault_id = a.fail_over("east", "west")
    a.world.fence("east", True)
    a.world.faults.clear(fault_id)
    a.wait(60)
    assert a.world.active_primaries() == ("east", "west")
    assert a.world.counts.two_writable_primaries_s == 0.0


def test_writes_that_had_not_arrived_are_lost_by_the_promotion() -> None:
    a = asker(stream_delay_s=5.0)
    client = with_client(a)
    a.wait(60.5)
    a.fail_over("east", "west")
    lost = a.world.counts.acknowledged_writes_lost
    assert 4 <= lost <= 6
    assert client.acknowledged > lost


def test_writes_that_a_returned_primary_takes_are_lost() -> None:
    a = asker()
    client = with_client(a, follows="east")
    a.wait(10.5)
    fault_id = a.fail_over("east", "west")
    assert a.world.counts.acknowledged_writes_lost == 0
    a.world.faults.clear(fault_id)
    before = client.acknowledged
    a.wait(30)
    divergent = client.acknowledged - before
    assert divergent > 10
    assert a.world.counts.acknowledged_writes_lost == divergent
    a.rejoin("east", "west")
    assert a.world.counts.acknowledged_writes_lost >= divergent
    key = next(iter(a.world.counts.lost_keys))
    assert a.world.clusters["east"].store.get(key) is None


def test_promoting_the_source_back_finds_its_writes_again() -> None:
    a = asker(stream_delay_s=5.0)
    with_client(a)
    a.wait(30.5)
    fault_id = a.fail_over("east", "west")
    assert a.world.counts.acknowledged_writes_lost > 0
    a.world.faults.clear(fault_id)
    a.demote("east")
    a.wait(5)
    a.promote("east")
    a.wait(1)
    west_only = a.world.counts.acknowledged_writes_lost
    assert all(a.world.clusters["east"].store.get(k) is None for k in a.world.counts.lost_keys)
    assert west_only > 0


def test_a_name_at_a_cluster_that_is_not_primary_is_counted_while_another_one_is() -> None:
    a = asker(promote_s=10.0)
    a.world.published_cluster = lambda _now_s: "east"
    a.fault(FaultKind.BLACKOUT, "region:east")
    a.fault(FaultKind.CRASH, "cluster:east")
    a.wait(50)
    assert a.world.counts.name_at_non_primary_s == 0.0
    a.promote("west")
    a.wait(30)
    assert a.world.counts.name_at_non_primary_s == pytest.approx(20.0)
    a.world.published_cluster = lambda _now_s: "west"
    a.wait(30)
    assert a.world.counts.name_at_non_primary_s == pytest.approx(20.0)


def test_a_client_keeps_its_connection_until_it_fails_and_then_asks_for_the_name_again() -> None:
    a = asker()
    client = with_client(a)
    a.wait(20)
    assert client.connected_to == "east/lb"
    a.fail_over("east", "west")
    a.wait(20)
    assert client.connected_to == "west/lb"
    assert client.next_number == client.acknowledged + 1
    assert client.longest_gap_s > 10


def test_a_client_whose_name_does_not_resolve_tries_again() -> None:
    a = asker()
    client = SimClient(name="c", service_name="x", token="t", resolve=lambda _n, _t: None, due_s=a.world.now_s)
    a.world.clients.append(client)
    a.wait(5)
    assert client.acknowledged == 0
    assert client.failed >= 10


def test_a_client_finds_its_cluster_by_address() -> None:
    a = asker()
    client = SimClient(
        name="c",
        service_name="x",
        token=a.has["client_token"],
        resolve=lambda _n, _t: "127.2.1.100",
        due_s=a.world.now_s + 1.0,
    )
    a.world.clients.append(client)
    a.wait(5)
    assert client.acknowledged == 5


def test_a_write_without_an_answer_is_not_acknowledged_though_it_was_done() -> None:
    a = asker()
    a.fault(FaultKind.REPLY_LOST, "cluster:east", path="secret/data/x", method="POST", times=1)
    a.write("east/1", "x")
    assert a.world.counts.acknowledged_writes == 0
    assert a.world.clusters["east"].store.get("logical/secret/x") is not None


def test_the_transcript_tells_the_story() -> None:
    a = asker(promote_s=10.0)
    a.fail_over("east", "west")
    assert list(a.world.transcript)[-3:] == [
        "t=7.000 fault: blackout region:east",
        "t=8.000 west accepted promote",
        "t=18.000 west/1 active",
    ]
