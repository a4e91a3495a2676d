"""What the adapter needs of Route 53, asked of the lab and of an independent simulator: both must agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.support import ministack
from tests.support.own_venv import NotHere
from tests.support.route53_endpoint import EAST, KEY_ID, NAME, TTL_S, WEST, cname, serving
from tests.support.route53_endpoint import ZONE_ID as LAB_ZONE_ID
from watchdogd.adapters.dns.route53 import Clients, Route53, Route53Settings, _InTime, open_route53
from watchdogd.errors import Refusal, Refused
from watchdogd.ports import ChangeRef, Record

if TYPE_CHECKING:
    from types_boto3_route53 import Route53Client

AT_EAST = Record(targets=(EAST,), ttl_s=TTL_S)
AT_WEST = Record(targets=(WEST,), ttl_s=TTL_S)
INSYNC_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Opens providers in front of one simulator; `by_hand` is what somebody else does there meanwhile."""

    url: str
    zone_id: str
    stack: AsyncExitStack
    by_hand: Callable[[], Route53Client]

    async def provider(self, **changed: Any) -> Route53:
        fields = {"zone_id": self.zone_id, "record": NAME, "endpoint_url": self.url, **changed}
        return await self.stack.enter_async_context(open_route53(Route53Settings(**fields), Clients()))

    async def put(self, value: str, *, ttl_s: int = TTL_S, **extra: object) -> None:
        await asyncio.to_thread(upsert, self.by_hand(), self.zone_id, value, ttl_s, extra)


def upsert(client: Route53Client, zone_id: str, value: str, ttl_s: int, extra: dict[str, Any]) -> None:
    record: Any = {"Name": NAME, "Type": "CNAME", "TTL": ttl_s, "ResourceRecords": [{"Value": value}], **extra}
    client.change_resource_record_sets(
        HostedZoneId=zone_id, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    )


@pytest.fixture(scope="session")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One process for all tests; each makes a hosted zone of its own."""
    try:
        with ministack.running(tmp_path_factory.mktemp("ministack")) as url:
            yield url
    except NotHere as exc:
        pytest.skip(str(exc))


@pytest.fixture(params=["lab", pytest.param("ministack", marks=pytest.mark.real)])
async def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A zone in which the name is a CNAME to east, TTL 30 s."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    async with AsyncExitStack() as stack:
        if request.param == "lab":
            endpoint = await stack.enter_async_context(serving(cname(EAST)))
            url, zone_id = endpoint.url, LAB_ZONE_ID
        else:
            url = request.getfixturevalue("ministack_url")
            zone_id = await asyncio.to_thread(new_zone, url, request.node.name)
        yield Bench(url=url, zone_id=zone_id, stack=stack, by_hand=lambda: client_of(url))


def client_of(url: str) -> Route53Client:
    return boto3.session.Session().client("route53", region_name="us-east-1", endpoint_url=url)


def new_zone(url: str, reference: str) -> str:
    client = client_of(url)
    made = client.create_hosted_zone(Name="example.test", CallerReference=reference)
    zone_id = made["HostedZone"]["Id"].rpartition("/")[2]
    upsert(client, zone_id, EAST, TTL_S, {})
    client.close()
    return zone_id


async def until_in_sync(provider: Route53, change: ChangeRef) -> int:
    """How often it was still pending."""
    pending = 0
    async with asyncio.timeout(INSYNC_TIMEOUT_S):
        while not await provider.is_in_sync(change):
            pending += 1
    return pending


async def test_a_swap_is_pending_then_in_sync_and_keeps_the_ttl(bench: Bench) -> None:
    provider = await bench.provider()
    assert await provider.observe() == AT_EAST
    change = await provider.swap(AT_EAST, AT_WEST, "watchdogd pair prod epoch 2")
    assert await until_in_sync(provider, change) > 0
    assert await provider.observe() == AT_WEST


async def test_a_record_that_is_not_the_expected_one_is_left_alone(bench: Bench) -> None:
    provider = await bench.provider()
    await bench.put("vault-north.example.test")
    with pytest.raises(Refused) as caught:
        await provider.swap(AT_EAST, AT_WEST, "epoch 2")
    assert caught.value.kind is Refusal.CONFLICT
    assert (await provider.observe()).targets == ("vault-north.example.test",)


async def test_another_ttl_is_another_record(bench: Bench) -> None:
    provider = await bench.provider()
    await bench.put(EAST, ttl_s=60)
    with pytest.raises(Refused) as caught:
        await provider.swap(AT_EAST, AT_WEST, "epoch 2")
    assert caught.value.kind is Refusal.CONFLICT


async def test_of_two_swaps_at_once_exactly_one_wins_and_the_record_is_whole(bench: Bench) -> None:
    providers = [await bench.provider() for _ in range(2)]
    wanted = [Record(targets=(f"vault-{n}.example.test",), ttl_s=TTL_S) for n in range(2)]
    ends = await asyncio.gather(
        *(provider.swap(AT_EAST, record, "race") for provider, record in zip(providers, wanted, strict=True)),
        return_exceptions=True,
    )
    won = [record for record, end in zip(wanted, ends, strict=True) if isinstance(end, ChangeRef)]
    lost = [end for end in ends if isinstance(end, Refused) and end.kind is Refusal.CONFLICT]
    assert (len(won), len(lost)) == (1, 1)
    assert await providers[0].observe() == won[0]


async def test_a_batch_whose_delete_does_not_match_creates_nothing(bench: Bench) -> None:
    """The atomic batch itself, without the read that the adapter puts in front of it."""
    provider = await bench.provider()
    stored = await asyncio.to_thread(provider._api.find)
    await bench.put("vault-north.example.test")
    with pytest.raises(Refused) as caught:
        await asyncio.to_thread(provider._api.write, stored, AT_WEST, "epoch 2", _InTime(lambda: 0.0, 1.0))
    assert caught.value.kind is Refusal.CONFLICT
    assert (await provider.observe()).targets == ("vault-north.example.test",)


@pytest.mark.parametrize("spelled", ["vault-east.example.test.", "Vault-East.Example.Test", "VAULT-EAST.EXAMPLE.TEST."])
async def test_a_target_in_any_spelling_is_recognised_and_replaced(bench: Bench, spelled: str) -> None:
    provider = await bench.provider()
    await bench.put(spelled)
    assert await provider.observe() == AT_EAST
    await provider.swap(AT_EAST, AT_WEST, "epoch 2")
    assert await provider.observe() == AT_WEST


async def test_a_name_that_is_not_there_is_never_created(bench: Bench) -> None:
    provider = await bench.provider(record="absent.example.test")
    with pytest.raises(Refused, match="create the CNAME by hand") as caught:
        await provider.observe()
    assert caught.value.kind is Refusal.UNSUPPORTED
    with pytest.raises(Refused):
        await provider.swap(AT_EAST, AT_WEST, "epoch 2")
    with pytest.raises(Refused):
        await provider.observe()


async def test_a_zone_that_is_not_there_is_denied(bench: Bench) -> None:
    provider = await bench.provider(zone_id="Z0000000000000000000")
    with pytest.raises(Refused) as caught:
        await provider.observe()
    assert caught.value.kind is Refusal.DENIED


async def test_a_change_that_nobody_made_is_not_in_sync(bench: Bench) -> None:
    provider = await bench.provider()
    with pytest.raises(Refused) as caught:
        await provider.is_in_sync(ChangeRef(change_id="C0000000000000000000"))
    assert caught.value.kind is Refusal.UNSUPPORTED


@pytest.mark.parametrize("bench", [pytest.param("ministack", marks=pytest.mark.real)], indirect=True)
async def test_a_weighted_record_is_refused(bench: Bench) -> None:
    """The lab holds simple record sets only; test_route53_faults.py shows the adapter one on the lab's side."""
    provider = await bench.provider()
    await bench.put(WEST, SetIdentifier="west", Weight=1)
    with pytest.raises(Refused, match="SetIdentifier") as caught:
        await provider.observe()
    assert caught.value.kind is Refusal.UNSUPPORTED
