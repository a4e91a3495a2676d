"""The service name of a world under the world's faults."""

from __future__ import annotations

import pytest

from watchdogd.lab.faults import Fault, FaultBoard, FaultKind
from watchdogd.lab.names import Names
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.wire import Outcome, Place
from watchdogd.lab.zone import Rcode, RecordSet, RecordType

NAME = "vault.example.test."


@pytest.fixture
def faults() -> FaultBoard:
    return FaultBoard()


@pytest.fixture
def names(faults: FaultBoard) -> Names:
    return Names(WorldSpec(), faults, epoch_utc_s=0.0)


def move(names: Names, target: str, *, at_s: float) -> None:
    moved = RecordSet(name=NAME, rtype=RecordType.CNAME, ttl_s=30, values=(target,))
    names.zone.publish({**names.zone.records, moved.key: moved}, at_s=at_s, now_s=0.0)


def test_the_first_cluster_is_published_at_its_clients_address(names: Names) -> None:
    assert names.published_cluster(0.0) == "east"
    answer = names.resolve(NAME, RecordType.A, place="clients", now_s=0.0).answer
    assert answer is not None
    assert answer.records[-1].values == ("127.2.1.100",)


def test_a_cluster_counts_as_published_until_the_last_server_has_let_go_of_it(names: Names) -> None:
    names.zone.set_lag("ns2.example.test", 4.0)
    move(names, names.cluster_name("west"), at_s=1.0)
    assert [names.published_cluster(t) for t in (0.9, 1.0, 4.9, 5.0)] == ["east", "east", "east", "west"]


def test_a_name_that_points_elsewhere_publishes_none_of_our_clusters(names: Names) -> None:
    move(names, "somewhere.example.com.", at_s=1.0)
    assert names.published_cluster(1.0) is None


def test_a_dead_resolver_of_one_place_leaves_the_rest_alone(names: Names, faults: FaultBoard) -> None:
    faults.add(Fault(kind=FaultKind.DNS_DEAD, target="dns:resolver", place="bastion"))
    assert names.resolve(NAME, RecordType.A, place="bastion", now_s=0.0).answer is None
    assert names.resolve(NAME, RecordType.A, place="clients", now_s=0.0).answer is not None
    assert names.authoritative(NAME, RecordType.A, label="ns1", place="bastion", now_s=0.0).answer is not None


def test_a_resolver_asks_the_next_server_where_one_is_silent_and_fails_where_all_are(
    names: Names, faults: FaultBoard
) -> None:
    rcodes = []
    for target in ("dns:ns1", "dns:ns2"):
        faults.add(Fault(kind=FaultKind.DNS_DEAD, target=target))
        names.resolvers[Place.BASTION].flush()
        answer = names.resolve(NAME, RecordType.A, place="bastion", now_s=0.0).answer
        rcodes.append(None if answer is None else answer.rcode)
    assert rcodes == [Rcode.NOERROR, Rcode.SERVFAIL]


def test_slow_name_servers_answer_late(names: Names, faults: FaultBoard) -> None:
    faults.add(Fault(kind=FaultKind.SLOW_DNS, target="dns", params={"seconds": 1.5}))
    assert names.authoritative(NAME, RecordType.A, label="ns1", place="bastion", now_s=0.0).delay_s == 1.5


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (FaultKind.AWS_DEAD, Outcome.DROP),
        (FaultKind.DROP, Outcome.DROP),
        (FaultKind.REFUSE, Outcome.REFUSE),
        (FaultKind.RESET, Outcome.RESET),
        (FaultKind.HANG, Outcome.HANG),
    ],
)
def test_a_provider_that_cannot_be_reached_applies_nothing(
    names: Names, faults: FaultBoard, kind: FaultKind, outcome: Outcome
) -> None:
    faults.add(Fault(kind=kind, target="aws"))
    assert names.aws("GET", "/2013-04-01/change/C1", {}, b"", now_s=0.0).outcome is outcome
    assert len(names.route53.accepted) == 0


def test_a_slow_provider_answers_late(names: Names, faults: FaultBoard) -> None:
    faults.add(Fault(kind=FaultKind.DELAY, target="aws", params={"seconds": 2.0}))
    assert names.aws("GET", "/2013-04-01/change/C1", {}, b"", now_s=0.0).delay_s == 2.0
