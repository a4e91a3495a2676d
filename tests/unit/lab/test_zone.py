"""What servers and a caching resolver answer while a name moves."""

from __future__ import annotations

import pytest

from watchdogd.lab.zone import KEPT_S, CachingResolver, Rcode, RecordSet, RecordType, Zone, service_zone

NAME, EAST, WEST = "vault.example.test.", "vault-east.example.test.", "vault-west.example.test."
NS1, NS2 = "ns1.example.test.", "ns2.example.test."


@pytest.fixture
def zone() -> Zone:
    return service_zone(
        addresses={"east": "127.2.1.100", "west": "127.2.2.100"},
        servers={"ns1": "127.1.0.11", "ns2": "127.1.0.12"},
        published="east",
        ttl_s=30,
    )


def move(zone: Zone, target: str, *, at_s: float, now_s: float) -> None:
    moved = RecordSet(name=NAME, rtype=RecordType.CNAME, ttl_s=30, values=(target,))
    zone.publish({**zone.records, moved.key: moved}, at_s=at_s, now_s=now_s)


def addresses(zone: Zone, server: str, now_s: float) -> list[tuple[str, ...]]:
    return [r.values for r in zone.answer(NAME, RecordType.A, server=server, now_s=now_s).records]


def test_an_alias_is_followed_inside_the_zone(zone: Zone) -> None:
    assert addresses(zone, NS1, 0.0) == [(EAST,), ("127.2.1.100",)]


def test_names_are_compared_without_case_and_without_the_last_dot(zone: Zone) -> None:
    assert zone.target_of("VAULT.Example.test", server="NS1.example.test", now_s=0.0) == EAST


def test_a_change_shows_from_its_time_on_and_at_a_lagging_server_later(zone: Zone) -> None:
    zone.set_lag(NS2, 3.0)
    move(zone, WEST, at_s=10.0, now_s=5.0)
    seen = {t: [zone.target_of(NAME, server=s, now_s=t) for s in (NS1, NS2)] for t in (9.9, 10.0, 12.9, 13.0)}
    assert seen == {9.9: [EAST, EAST], 10.0: [WEST, EAST], 12.9: [WEST, EAST], 13.0: [WEST, WEST]}


def test_a_server_never_goes_back_to_an_earlier_version_when_its_lag_grows(zone: Zone) -> None:
    move(zone, WEST, at_s=1.0, now_s=0.0)
    assert zone.target_of(NAME, server=NS1, now_s=1.0) == WEST
    zone.set_lag(NS1, 100.0)
    assert zone.target_of(NAME, server=NS1, now_s=1.1) == WEST


def test_what_was_shown_a_moment_ago_is_still_known_after_a_change_that_shows_at_once(zone: Zone) -> None:
    move(zone, WEST, at_s=10.0, now_s=10.0)
    seen = [zone.target_of(NAME, server=NS1, now_s=t) for t in (0.0, 9.9, 10.0)]
    assert seen == [EAST, EAST, WEST]


def test_versions_that_nobody_asks_about_any_more_are_forgotten(zone: Zone) -> None:
    for n in range(1000):
        move(zone, WEST if n % 2 else EAST, at_s=float(n), now_s=float(n))
    assert len(zone._versions) <= KEPT_S + 3
    assert zone.target_of(NAME, server=NS1, now_s=0.0) is not None, "the oldest that is left stands for all before"


def test_a_lag_of_a_server_that_does_not_exist_is_refused(zone: Zone) -> None:
    with pytest.raises(KeyError):
        zone.set_lag("ns9.example.test.", 1.0)


def test_a_name_that_is_not_there_is_denied_with_the_soa(zone: Zone) -> None:
    answer = zone.answer("nothing.example.test", RecordType.A, server=NS1, now_s=0.0)
    assert (answer.rcode, answer.records) == (Rcode.NXDOMAIN, ())
    assert [r.rtype for r in answer.authority] == [RecordType.SOA]


def test_a_type_that_is_not_there_is_an_empty_answer_of_an_existing_name(zone: Zone) -> None:
    assert zone.answer(EAST, RecordType.TXT, server=NS1, now_s=0.0).rcode is Rcode.NOERROR


def test_a_name_of_another_zone_is_refused(zone: Zone) -> None:
    assert zone.answer("example.com", RecordType.A, server=NS1, now_s=0.0).rcode is Rcode.REFUSED


def test_the_serial_grows_when_a_change_becomes_visible(zone: Zone) -> None:
    def serial(now_s: float) -> int:
        answer = zone.answer("example.test", RecordType.SOA, server=NS1, now_s=now_s)
        return int(answer.records[0].values[0].split()[2])

    move(zone, WEST, at_s=5.0, now_s=0.0)
    assert serial(5.0) == serial(4.9) + 1


def test_a_resolver_keeps_the_previous_answer_for_what_is_left_of_its_ttl(zone: Zone) -> None:
    resolver = CachingResolver(zone)
    assert resolver.address_of(NAME, 0.0) == "127.2.1.100"
    move(zone, WEST, at_s=1.0, now_s=0.0)
    assert [resolver.address_of(NAME, t) for t in (1.0, 29.9, 30.0)] == ["127.2.1.100", "127.2.1.100", "127.2.2.100"]


def test_a_resolver_hands_out_the_ttl_that_is_left(zone: Zone) -> None:
    resolver = CachingResolver(zone)
    resolver.resolve(NAME, 0.0)
    assert {r.ttl_s for r in resolver.resolve(NAME, 20.0).records} == {10}


def test_a_resolver_without_any_authoritative_answer_says_so_and_remembers_nothing(zone: Zone) -> None:
    reachable = [False]

    def ask(name: str, rtype: RecordType, now_s: float) -> object:
        return zone.answer(name, rtype, server=NS1, now_s=now_s) if reachable[0] else None

    resolver = CachingResolver(zone, ask=ask)  # type: ignore[arg-type]
    assert resolver.resolve(NAME, 0.0).rcode is Rcode.SERVFAIL
    reachable[0] = True
    assert resolver.resolve(NAME, 0.1).rcode is Rcode.NOERROR


def test_a_full_cache_answers_without_remembering(zone: Zone) -> None:
    resolver = CachingResolver(zone, entries_max=1)
    resolver.resolve(EAST, 0.0)
    assert resolver.address_of(NAME, 0.0) == "127.2.1.100"
    move(zone, WEST, at_s=1.0, now_s=0.0)
    assert resolver.address_of(NAME, 1.0) == "127.2.2.100"
