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


def shown(names: Names, now_s: float, place: str = "bastion") -> list[str | None]:
    """What each of the zone's servers shows, and the address that the resolver of the place gives."""
    found: list[str | None] = []
    for label in ("ns1", "ns2"):
        answer = names.authoritative(NAME, RecordType.CNAME, label=label, place=place, now_s=now_s).answer
        assert answer is not None
        found.append(answer.records[0].values[0].split(".")[0] if answer.records else answer.rcode.value)
    answer = names.resolve(NAME, RecordType.A, place=place, now_s=now_s).answer
    assert answer is not None
    return [*found, answer.records[-1].values[0] if answer.records else answer.rcode.value]


EAST, WEST = "127.2.1.100", "127.2.2.100"


def test_a_stale_server_shows_what_it_showed_when_the_fault_began(names: Names, faults: FaultBoard) -> None:
    faults.pass_to(5.0)
    fault_id = faults.add(Fault(kind=FaultKind.DNS_STALE, target="dns:ns2"))
    move(names, names.cluster_name("west"), at_s=6.0)
    for at_s in range(100, 200, 10):
        move(names, names.cluster_name("west"), at_s=at_s)
    assert shown(names, 300.0)[:2] == ["vault-west", "vault-east"]
    assert names.published_cluster(300.0) == "east"
    faults.clear(fault_id)
    assert shown(names, 301.0)[:2] == ["vault-west", "vault-west"]
    assert names.published_cluster(301.0) == "west"


def test_a_stale_resolver_ignores_the_time_to_live(names: Names, faults: FaultBoard) -> None:
    fault = Fault(kind=FaultKind.DNS_STALE, target="dns:resolver", place="clients")
    faults.add(fault)
    move(names, names.cluster_name("west"), at_s=1.0)
    assert shown(names, 500.0, "clients") == ["vault-west", "vault-west", EAST]
    assert shown(names, 500.0, "bastion") == ["vault-west", "vault-west", WEST]


def test_a_wrong_server_leads_elsewhere(names: Names, faults: FaultBoard) -> None:
    fault_id = faults.add(Fault(kind=FaultKind.DNS_WRONG, target="dns:ns1"))
    assert shown(names, 1.0)[:2] == ["vault-west", "vault-east"]
    assert names.shown_target("ns1", place="bastion", now_s=1.0) == "vault-west.example.test."
    faults.clear(fault_id)
    faults.add(Fault(kind=FaultKind.DNS_WRONG, target="dns:resolver", params={"text": "vault-west.example.test"}))
    assert shown(names, 100.0) == ["vault-east", "vault-east", WEST]


def test_a_server_that_fails_says_so_and_a_resolver_asks_the_next(names: Names, faults: FaultBoard) -> None:
    faults.add(Fault(kind=FaultKind.DNS_SERVFAIL, target="dns:ns1"))
    assert shown(names, 1.0) == ["SERVFAIL", "vault-east", EAST]
    assert names.shown_target("ns1", place="bastion", now_s=1.0) is None
    faults.add(Fault(kind=FaultKind.DNS_SERVFAIL, target="dns:ns2"))
    assert shown(names, 100.0) == ["SERVFAIL"] * 3
