"""The provider that cannot write: it looks, and tells a human what to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from watchdogd.adapters.dns.manual import ManualDns
from watchdogd.errors import Refusal, Refused, Unreachable
from watchdogd.ports import Answers, ChangeRef, Record

NAME, EAST, WEST = "vault.example.test", "vault-east.example.test", "vault-west.example.test"


@dataclass(frozen=True, slots=True)
class Published:
    """A `DnsWatch` whose servers say what the test says."""

    by_server: Mapping[str, str | None]

    async def authoritative(self) -> Answers:
        return Answers(by_server=self.by_server)

    async def resolvers(self) -> Answers:
        return Answers(by_server={})


def manual(by_server: Mapping[str, str | None]) -> ManualDns:
    return ManualDns(record=NAME, ttl_s=30, watch=Published(by_server))


async def test_what_the_servers_that_could_be_asked_agree_on_is_the_record() -> None:
    assert await manual({"ns1": EAST, "ns2": EAST, "ns3": None}).observe() == Record(targets=(EAST,), ttl_s=30)


@pytest.mark.parametrize("by_server", [{}, {"ns1": None}])
async def test_without_a_server_to_ask_the_record_is_out_of_reach(by_server: Mapping[str, str | None]) -> None:
    with pytest.raises(Unreachable):
        await manual(by_server).observe()


async def test_servers_that_disagree_are_not_yet_a_record_and_each_is_quoted() -> None:
    with pytest.raises(Refused, match=f"ns1 says {EAST}, ns2 says nothing") as caught:
        await manual({"ns1": EAST, "ns2": ""}).observe()
    assert caught.value.kind is Refusal.NOT_YET


async def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        await manual({"ns1": ""}).observe()
    assert caught.value.kind is Refusal.UNSUPPORTED


async def test_a_swap_tells_the_human_what_to_change_from_what_to_what() -> None:
    expected, wanted = Record(targets=(EAST,), ttl_s=30), Record(targets=(WEST,), ttl_s=30)
    with pytest.raises(Refused, match=f"from {EAST} to {WEST}, TTL 30 s") as caught:
        await manual({"ns1": EAST}).swap(expected, wanted, "epoch 2")
    assert caught.value.kind is Refusal.UNSUPPORTED


async def test_no_change_is_ever_in_sync_because_none_was_accepted() -> None:
    with pytest.raises(Refused):
        await manual({"ns1": EAST}).is_in_sync(ChangeRef(change_id="C1"))
