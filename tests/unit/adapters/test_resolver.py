"""The service name as each server answers it, over real sockets: every way to be right, wrong, silent or strange."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import pytest

from tests.support.dns_server import Behaviour, Server, dns_server, fails, says, silence, truncated
from watchdogd.adapters.dns.resolver import NameWatch, NameWatchSettings
from watchdogd.core.model import PairId
from watchdogd.errors import ConfigError
from watchdogd.rehearsal.memory import DictMemory

PAIR = PairId("prod")
NAME, EAST, WEST = "vault.example.test", "vault-east.example.test", "vault-west.example.test"
AT_EAST = says({(NAME, "CNAME"): [f"{EAST}."]})
AT_WEST = says({(NAME, "CNAME"): ["VAULT-West.Example.test."]})


def watch_of(
    *authoritative: str,
    resolvers: tuple[str, ...] = (),
    timeout_s: float = 5.0,
    memory: DictMemory | None = None,
    record: str = NAME,
) -> NameWatch:
    settings = NameWatchSettings(record=record, authoritative=authoritative, resolvers=resolvers, timeout_s=timeout_s)
    return NameWatch(settings, pair=PAIR, memory=memory or DictMemory())


async def answer_of(behaviour: Behaviour, tcp: Behaviour | None = None, *, timeout_s: float = 5.0) -> str | None:
    """What one authoritative server is taken to say."""
    async with dns_server(behaviour, tcp) as server:
        answers = await watch_of(server.at, timeout_s=timeout_s).authoritative()
        return answers.by_server[server.at]


async def test_each_server_is_reported_by_itself_as_a_bare_name() -> None:
    async with dns_server(AT_EAST) as one, dns_server(AT_WEST) as two:
        answers = await watch_of(one.at, two.at).authoritative()
        assert answers.by_server == {one.at: EAST, two.at: WEST}


async def test_a_server_that_does_not_answer_delays_none_and_is_not_asked_for_longer_than_its_timeout() -> None:
    async with dns_server(AT_EAST) as one, dns_server(silence) as two, dns_server(silence) as three:
        async with asyncio.timeout(2.5):  # less than three times the timeout of one
            answers = await watch_of(one.at, two.at, three.at, timeout_s=1.0).authoritative()
        assert answers.by_server == {one.at: EAST, two.at: None, three.at: None}


@pytest.mark.parametrize("rcode", [dns.rcode.REFUSED, dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.FORMERR])
async def test_a_server_that_refuses_could_not_be_asked(rcode: dns.rcode.Rcode) -> None:
    assert await answer_of(fails(rcode)) is None


@pytest.mark.parametrize("rcode", [dns.rcode.NXDOMAIN, dns.rcode.NOERROR])
async def test_a_server_that_holds_the_zone_and_no_such_cname_says_that_there_is_nothing(
    rcode: dns.rcode.Rcode,
) -> None:
    assert await answer_of(says({}, rcode=rcode)) == ""


async def test_an_answer_that_is_not_authoritative_is_none_of_an_authoritative_server() -> None:
    cached = says({(NAME, "CNAME"): [EAST]}, flags=dns.flags.RA)
    assert await answer_of(cached) is None


async def test_a_referral_is_not_the_absence_of_the_name() -> None:
    assert await answer_of(says({}, flags=dns.flags.Flag(0))) is None


async def test_a_truncated_answer_is_fetched_over_tcp() -> None:
    assert await answer_of(truncated, AT_EAST) == EAST


async def test_a_truncated_answer_whose_tcp_is_silent_could_not_be_asked() -> None:
    assert await answer_of(truncated, silence, timeout_s=1.0) is None


async def test_garbage_over_tcp_could_not_be_asked() -> None:
    chance = random.Random(7)

    def garbage(query: dns.message.Message) -> list[bytes]:
        return [query.to_wire()[:2] + b"\x84\x00" + chance.randbytes(chance.randrange(0, 60))]

    async with dns_server(truncated, garbage) as server:
        watch = watch_of(server.at, timeout_s=5.0)
        assert {(await watch.authoritative()).by_server[server.at] for _ in range(50)} == {None}
        assert server.asked["tcp"] == 50


async def test_datagrams_that_are_no_answer_to_the_question_are_passed_over() -> None:
    def noise(query: dns.message.Message) -> list[bytes]:
        wrong_id = dns.message.from_wire(AT_WEST(query)[0])
        wrong_id.id ^= 0x1234
        wrong_name = dns.message.make_response(dns.message.make_query("evil.example.test", "CNAME"))
        wrong_name.id = query.id
        return [b"", b"\x00", b"not dns at all", wrong_id.to_wire(), wrong_name.to_wire(), *AT_EAST(query)]

    assert await answer_of(noise) == EAST


async def test_a_server_that_only_sends_garbage_could_not_be_asked() -> None:
    assert await answer_of(lambda _: [b"\xff" * 600], timeout_s=1.0) is None


async def test_two_cnames_at_one_name_are_the_target_of_no_cluster() -> None:
    assert await answer_of(says({(NAME, "CNAME"): [EAST, WEST]})) == f"{EAST} {WEST}"


async def test_a_closed_port_could_not_be_asked() -> None:
    async with dns_server(AT_EAST) as server:
        at = server.at
    assert (await watch_of(at, timeout_s=1.0).authoritative()).by_server == {at: None}


async def test_resolvers_may_answer_from_their_cache_and_a_dead_one_is_shown() -> None:
    cached = says({(NAME, "CNAME"): [EAST]}, flags=dns.flags.RA)
    async with dns_server(cached) as one, dns_server(silence) as two, dns_server(fails(dns.rcode.SERVFAIL)) as three:
        watch = watch_of("192.0.2.1", resolvers=(one.at, two.at, three.at), timeout_s=1.0)
        assert (await watch.resolvers()).by_server == {one.at: EAST, two.at: None, three.at: None}


async def test_resolvers_are_asked_to_recurse_and_authoritative_servers_are_not() -> None:
    desired: list[bool] = []

    def note(query: dns.message.Message) -> list[bytes]:
        desired.append(bool(query.flags & dns.flags.RD))
        return AT_EAST(query)

    async with dns_server(note) as server:
        watch = watch_of(server.at, resolvers=(server.at,))
        await watch.authoritative()
        await watch.resolvers()
    assert desired == [False, True]


def zone_with_servers_at(address: str) -> Mapping[tuple[str, str], list[str]]:
    return {
        ("example.test", "NS"): ["NS1.example.test.", "ns2.example.test."],
        ("ns1.example.test", "A"): [address],
        ("ns2.example.test", "A"): [address],
        ("test", "NS"): ["root.example."],
    }


BOTH = {f"ns{n}.example.test": None for n in (1, 2)}


def finding_watch(resolver: Server, memory: DictMemory, record: str = NAME) -> NameWatch:
    return watch_of(resolvers=(resolver.at,), memory=memory, timeout_s=0.2, record=record)


@pytest.mark.parametrize("record", [NAME, "vault.deeper.example.test"])
async def test_the_servers_of_the_zone_are_found_and_remembered_for_the_next_start(record: str) -> None:
    memory = DictMemory()
    async with dns_server(says(zone_with_servers_at("127.0.0.1"), flags=dns.flags.RA)) as resolver:
        watch = finding_watch(resolver, memory, record)
        assert (await watch.authoritative()).by_server == {}
        await watch.refresh()
        assert (await watch.authoritative()).by_server == BOTH
        resolver.udp = silence
        assert (await finding_watch(resolver, memory, record).authoritative()).by_server == BOTH


async def test_servers_that_were_found_for_another_record_are_not_used() -> None:
    memory = DictMemory()
    async with dns_server(says(zone_with_servers_at("127.0.0.1"), flags=dns.flags.RA)) as resolver:
        await finding_watch(resolver, memory).refresh()
        moved = finding_watch(resolver, memory, "vault.elsewhere.test")
        assert (await moved.authoritative()).by_server == {}


@pytest.mark.parametrize("failure", [fails(dns.rcode.SERVFAIL), says({}, flags=dns.flags.RA)])
async def test_the_last_good_list_outlives_resolvers_that_fail(failure: Behaviour) -> None:
    async with dns_server(says(zone_with_servers_at("127.0.0.1"), flags=dns.flags.RA)) as resolver:
        watch = finding_watch(resolver, DictMemory())
        await watch.refresh()
        resolver.udp = resolver.tcp = failure
        await watch.refresh()
        assert (await watch.authoritative()).by_server == BOTH


async def test_the_servers_of_a_top_level_domain_are_never_taken_for_the_zones() -> None:
    async with dns_server(says({("test", "NS"): ["a.nic.test."]}, flags=dns.flags.RA)) as resolver:
        watch = finding_watch(resolver, DictMemory())
        await watch.refresh()
        assert (await watch.authoritative()).by_server == {}


async def test_a_server_given_by_name_is_shown_as_not_asked_until_its_address_is_found() -> None:
    async with AsyncExitStack() as stack:
        answering = await stack.enter_async_context(dns_server(AT_EAST))
        addresses = says({("ns1.example.test", "A"): ["127.0.0.1"]}, flags=dns.flags.RA)
        resolver = await stack.enter_async_context(dns_server(addresses))
        label = f"ns1.example.test:{answering.port}"
        watch = watch_of(label, resolvers=(resolver.at,))
        assert (await watch.authoritative()).by_server == {label: None}
        await watch.refresh()
        assert (await watch.authoritative()).by_server == {label: EAST}


@pytest.mark.parametrize("nonsense", [{}, {"of": 3}, {"of": [NAME], "servers": [[1, 2], None, ["ns", "nowhere", 53]]}])
async def test_a_memory_that_holds_nonsense_is_an_empty_one(nonsense: Mapping[str, object]) -> None:
    watch = watch_of(memory=DictMemory(values={(PAIR, "name_servers"): nonsense}))
    assert (await watch.authoritative()).by_server == {}


@pytest.mark.parametrize(
    "written",
    [b"nameserver 10.9.0.2#53\n", b"# g\xe9n\xe9r\xe9\nnameserver 10.9.0.2\n", b"search a..b\n", b""],
    ids=["no address", "not UTF-8", "no name", "empty"],
)
async def test_a_resolv_conf_of_nonsense_finds_nothing_and_ends_nothing(
    written: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "resolv.conf").write_bytes(written)
    broken = functools.partial(dns.asyncresolver.Resolver, filename=str(tmp_path / "resolv.conf"))
    monkeypatch.setattr(dns.asyncresolver, "Resolver", broken)
    watch = watch_of()
    await watch.refresh()
    assert (await watch.authoritative()).by_server == {}


async def test_a_server_whose_name_is_none_is_not_asked_and_ends_nothing() -> None:
    async with dns_server(AT_EAST) as resolver:
        watch = watch_of("ns1..example.test", resolvers=(resolver.at,))
        await watch.refresh()
        assert (await watch.authoritative()).by_server == {"ns1..example.test": None}


async def test_nothing_is_looked_up_where_the_config_names_addresses() -> None:
    async with asyncio.timeout(5):
        await watch_of("192.0.2.1", "[2001:db8::1]:53", "2001:db8::2").refresh_forever()


@pytest.mark.looptime
async def test_the_look_up_goes_on_for_ever_where_servers_are_to_be_found() -> None:
    watch = watch_of("ns1.example.invalid", resolvers=("127.0.0.1:1",))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await watch.refresh_forever()


@pytest.mark.parametrize("entry", ["", "ns1:0", "ns1:99999", "ns1:dns", ":53"])
def test_an_entry_that_is_no_server_is_named(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"dns\.authoritative"):
        watch_of(entry)


def test_a_resolver_given_by_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"dns\.resolvers: resolver\.example\.test"):
        watch_of(resolvers=("resolver.example.test",))


@pytest.mark.parametrize("record", ["vault..example.test", "x" * 64 + ".example.test"])
def test_a_record_that_is_no_name_is_named(record: str) -> None:
    with pytest.raises(ConfigError, match=r"dns\.record"):
        watch_of("192.0.2.1", record=record)
