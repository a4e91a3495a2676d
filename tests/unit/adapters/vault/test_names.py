"""Where the nodes are: resolved beside the probes, and never forgotten once they answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from watchdogd.adapters.vault.names import LOOKUP_TIMEOUT_S, NameTable, SystemResolve, TableResolver
from watchdogd.core.model import NodeAddress, PairId
from watchdogd.rehearsal.memory import DictMemory

pytestmark = pytest.mark.looptime
PAIR = PairId("prod")
NODE = NodeAddress("https://vault-1.test:8200")
LITERAL = NodeAddress("https://10.1.0.11:8200")


class Zone:
    """A resolver whose answers the test changes."""

    def __init__(self, *answers: str) -> None:
        self.answers: tuple[str, ...] = answers
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if not self.answers:
            raise OSError("no such name")
        return self.answers


def table(zone: Zone, memory: DictMemory, *nodes: NodeAddress) -> NameTable:
    return NameTable(pair=PAIR, nodes=nodes or (NODE,), memory=memory, resolve=zone)


async def test_a_name_that_was_never_resolved_has_no_address() -> None:
    names = table(Zone(), DictMemory())
    await names.refresh()
    assert names.address_of(NODE) is None
    with pytest.raises(OSError, match=r"vault-1\.test"):
        await TableResolver(names, NODE).resolve("vault-1.test", 8200)


async def test_an_address_is_its_own_name_and_nobody_is_asked() -> None:
    zone = Zone()
    names = table(zone, DictMemory(), LITERAL)
    await names.refresh()
    assert names.address_of(LITERAL) == "10.1.0.11"
    assert not names.ever_answered(LITERAL)
    names.answered(LITERAL)
    assert names.ever_answered(LITERAL)
    assert zone.asked == []


async def test_the_last_address_that_answered_is_used_when_the_resolver_fails_also_after_a_restart() -> None:
    zone, memory = Zone("10.1.0.11"), DictMemory()
    names = table(zone, memory)
    await names.refresh()
    await TableResolver(names, NODE).resolve("vault-1.test", 8200)
    names.answered(NODE)
    zone.answers = ()
    await names.refresh()
    assert names.address_of(NODE) == "10.1.0.11"
    again = table(zone, memory)
    await again.refresh()
    assert again.address_of(NODE) == "10.1.0.11"
    assert again.ever_answered(NODE)


async def test_an_address_that_never_answered_is_kept_for_looking_but_is_not_one_that_worked() -> None:
    zone = Zone("10.1.0.11")
    names = table(zone, DictMemory())
    await names.refresh()
    zone.answers = ()
    await names.refresh()
    assert names.address_of(NODE) == "10.1.0.11"
    assert not names.ever_answered(NODE)


async def test_a_new_address_of_a_name_is_taken_and_has_to_prove_itself() -> None:
    zone = Zone("10.1.0.11")
    names = table(zone, DictMemory())
    await names.refresh()
    names.connect_to(NODE)
    names.answered(NODE)
    zone.answers = ("10.1.0.99",)
    await names.refresh()
    assert names.address_of(NODE) == "10.1.0.99"
    assert not names.ever_answered(NODE)
    zone.answers = ()
    await names.refresh()
    assert names.address_of(NODE) == "10.1.0.11", "without an answer, the last one that worked"


async def test_of_several_addresses_the_one_that_worked_is_kept_and_before_that_each_is_tried() -> None:
    names = table(Zone("fd00::1", "10.1.0.11"), DictMemory())
    await names.refresh()
    assert names.connect_to(NODE) == "fd00::1"
    names.silent(NODE)
    assert names.connect_to(NODE) == "10.1.0.11"
    names.answered(NODE)
    names.silent(NODE)
    assert names.address_of(NODE) == "10.1.0.11"


async def test_an_answer_over_a_kept_connection_proves_the_address_that_it_leads_to() -> None:
    zone = Zone("10.1.0.11")
    names = table(zone, DictMemory())
    await names.refresh()
    names.connect_to(NODE)
    zone.answers = ("10.1.0.99",)
    await names.refresh()
    names.connect_to(NODE)  # another connection, to where nobody ever answered
    names.answered(NODE, "10.1.0.11")
    assert not names.ever_answered(NODE)
    zone.answers = ()
    await names.refresh()
    assert (names.address_of(NODE), names.ever_answered(NODE)) == ("10.1.0.11", True)


async def test_an_address_of_ipv6_worked_however_it_is_spelled() -> None:
    node = NodeAddress("https://[fd00:0::0:1]:8200")
    names = table(Zone(), DictMemory(), node)
    names.answered(node, "fd00::1")
    assert names.ever_answered(node)


async def test_an_address_where_another_cluster_answers_is_none_that_worked_also_after_a_restart() -> None:
    memory = DictMemory()
    names = table(Zone(), memory, LITERAL)
    names.answered(LITERAL)
    await names.refresh()
    names.answered_as_another(LITERAL)
    assert not names.ever_answered(LITERAL)
    await names.refresh()
    assert not table(Zone(), memory, LITERAL).ever_answered(LITERAL)
    names.answered(LITERAL)
    assert names.ever_answered(LITERAL)


async def test_what_could_not_be_stored_is_stored_at_the_next_refresh() -> None:
    memory = DictMemory(is_full=True)
    names = table(Zone("10.1.0.11"), memory)
    await names.refresh()
    names.answered(NODE)
    await names.refresh()
    assert memory.values == {}
    memory.is_full = False
    await names.refresh()
    assert memory.values == {(PAIR, f"address:{NODE}"): {"address": "10.1.0.11"}}


@pytest.mark.parametrize("kept", [{}, {"address": 7}, {"address": "not an address"}])
async def test_a_memory_that_makes_no_sense_is_no_address(kept: dict[str, object]) -> None:
    memory = DictMemory(values={(PAIR, f"address:{NODE}"): kept})
    assert table(Zone(), memory).address_of(NODE) is None


async def test_a_resolver_that_hangs_costs_its_bound_and_no_more(looptime: int) -> None:
    async def hang(_: str) -> Sequence[str]:
        await asyncio.sleep(3600)
        return ()

    names = NameTable(pair=PAIR, nodes=[NODE], memory=DictMemory(), resolve=hang)
    await names.refresh()
    assert looptime == LOOKUP_TIMEOUT_S
    assert names.address_of(NODE) is None


async def test_the_table_answers_aiohttp_with_the_one_address() -> None:
    names = table(Zone("fd00::1"), DictMemory())
    await names.refresh()
    (found,) = await TableResolver(names, NODE).resolve("vault-1.test", 8200)
    assert (found["host"], found["port"], found["hostname"]) == ("fd00::1", 8200, "vault-1.test")


@pytest.mark.looptime(False)
async def test_the_system_resolver_knows_localhost_and_refuses_nonsense() -> None:
    resolve = SystemResolve()
    assert "127.0.0.1" in await resolve("localhost")
    names = NameTable(pair=PAIR, nodes=[NodeAddress("https://a..b:1")], memory=DictMemory(), resolve=resolve)
    await names.refresh()
    resolve.close()
