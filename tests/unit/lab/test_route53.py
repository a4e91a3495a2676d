"""Route 53 as an unmodified boto3 client sees it: over a real socket, with the client in its own thread."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from watchdogd.lab.faults import Fault, FaultBoard, FaultKind
from watchdogd.lab.names import ACCESS_KEY_ID, ZONE_ID, Names
from watchdogd.lab.route53 import AwsCode, Route53Knobs
from watchdogd.lab.serve_route53 import DOORS, route53_front
from watchdogd.lab.serve_socket import Door, bound
from watchdogd.lab.spec import WorldSpec

NAME, EAST, WEST = "vault.example.test.", "vault-east.example.test.", "vault-west.example.test."


@dataclass(slots=True)
class Endpoint:
    """A served provider whose clock is a number, and a boto3 client for it."""

    names: Names
    faults: FaultBoard
    url: str
    pool: ThreadPoolExecutor
    session: boto3.session.Session
    now_s: float = 0.0
    retry_attempts_max: int = 1

    async def call(self, operation: str, *, access_key_id: str = ACCESS_KEY_ID, **arguments: Any) -> Mapping[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(
            self.pool, self._call, operation, access_key_id, arguments
        )

    def _call(self, operation: str, access_key_id: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        retries: Any = {"total_max_attempts": self.retry_attempts_max, "mode": "standard"}
        client = self.session.client(
            "route53",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=access_key_id,
            aws_secret_access_key="not checked",
            config=Config(connect_timeout=0.3, read_timeout=0.3, retries=retries, proxies={}),
        )
        try:
            return dict(getattr(client, operation)(**arguments))
        finally:
            client.close()

    async def batch(self, *changes: Mapping[str, Any], comment: str = "epoch 7") -> Mapping[str, Any]:
        reply = await self.call(
            "change_resource_record_sets",
            HostedZoneId=ZONE_ID,
            ChangeBatch={"Comment": comment, "Changes": list(changes)},
        )
        return dict(reply["ChangeInfo"])

    async def refused(self, call: Callable[[], Any]) -> tuple[str, str, int]:
        with pytest.raises(ClientError) as info:
            await call()
        error = info.value.response
        return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]

    def shown(self) -> list[str | None]:
        return [self.names.zone.target_of(NAME, server=s, now_s=self.now_s) for s in self.names.zone.servers]


@pytest.fixture(scope="module")
def session() -> boto3.session.Session:
    return boto3.session.Session()


@pytest.fixture
async def endpoint(session: boto3.session.Session) -> AsyncIterator[Endpoint]:
    with bound("127.0.0.1", 0, socket.SOCK_STREAM) as probe:
        port = probe.getsockname()[1]
    faults = FaultBoard()
    names = Names(WorldSpec(), faults, epoch_utc_s=1_772_366_400.0, knobs=Route53Knobs(requests_per_s_max=None))
    with ThreadPoolExecutor(1) as pool:
        async with asyncio.TaskGroup() as tasks:
            served = Endpoint(names=names, faults=faults, url=f"http://127.0.0.1:{port}", pool=pool, session=session)
            front = route53_front(names, host="127.0.0.1", port=port, now_s=lambda: served.now_s, tasks=tasks)
            front.set_door(Door.OPEN)
            yield served
            await front.close()


def change(action: str, value: str, *, name: str = NAME, rtype: str = "CNAME", ttl_s: int = 30) -> Mapping[str, Any]:
    records = [{"Value": value}]
    return {
        "Action": action,
        "ResourceRecordSet": {"Name": name, "Type": rtype, "TTL": ttl_s, "ResourceRecords": records},
    }


SWAP = (change("DELETE", EAST), change("CREATE", WEST))


async def test_a_swap_is_pending_until_it_has_propagated_and_shows_only_then(endpoint: Endpoint) -> None:
    info = await endpoint.batch(*SWAP)
    assert (info["Status"], info["Id"].startswith("/change/C"), info["Comment"]) == ("PENDING", True, "epoch 7")
    seen = []
    for endpoint.now_s in (4.9, 5.0):
        status = (await endpoint.call("get_change", Id=info["Id"]))["ChangeInfo"]["Status"]
        seen.append((status, endpoint.shown()))
    assert seen == [("PENDING", [EAST, EAST]), ("INSYNC", [WEST, WEST])]


async def test_the_provider_itself_lists_a_change_at_once(endpoint: Endpoint) -> None:
    await endpoint.batch(*SWAP)
    page = await endpoint.call(
        "list_resource_record_sets", HostedZoneId=ZONE_ID, StartRecordName=NAME, StartRecordType="CNAME", MaxItems="1"
    )
    assert page["ResourceRecordSets"] == [
        {"Name": NAME, "Type": "CNAME", "TTL": 30, "ResourceRecords": [{"Value": WEST}]}
    ]
    assert page["IsTruncated"] is True


async def test_a_delete_of_a_value_that_is_not_there_changes_nothing_of_its_batch(endpoint: Endpoint) -> None:
    code, message, status = await endpoint.refused(
        lambda: endpoint.batch(change("CREATE", "x.", name=f"new.{NAME}"), change("DELETE", WEST))
    )
    assert (code, status) == ("InvalidChangeBatch", 400)
    assert message == (
        "[Tried to delete resource record set [name='vault.example.test.', type='CNAME'] but the values provided do "
        "not match the current values]"
    )
    assert (f"new.{NAME}", "CNAME") not in endpoint.names.zone.records
    assert len(endpoint.names.route53.accepted) == 0


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ([change("DELETE", EAST, ttl_s=31)], "values provided do not match"),
        ([change("DELETE", EAST, name=f"gone.{NAME}")], "but it was not found"),
        ([change("CREATE", WEST)], "but it already exists"),
        ([change("CREATE", "127.0.0.1", rtype="A")], "conflicts with other records"),
        ([change("CREATE", WEST, name="example.test.")], "is not permitted at apex in zone example.test."),
        ([change("CREATE", WEST, name="example.com.")], "is not permitted in zone example.test."),
    ],
)
async def test_a_batch_that_cannot_be_is_refused_in_the_words_of_aws(
    endpoint: Endpoint, batch: list[Mapping[str, Any]], said: str
) -> None:
    code, message, _ = await endpoint.refused(lambda: endpoint.batch(*batch))
    assert code == "InvalidChangeBatch"
    assert said in message


async def test_an_alias_may_be_replaced_by_an_address_in_one_batch(endpoint: Endpoint) -> None:
    await endpoint.batch(change("CREATE", "127.0.0.1", rtype="A"), change("DELETE", EAST))
    assert (NAME, "A") in endpoint.names.zone.records


async def test_an_upsert_replaces_whatever_is_there(endpoint: Endpoint) -> None:
    await endpoint.batch(change("UPSERT", WEST.rstrip(".")))
    endpoint.now_s = 5.0
    assert endpoint.shown() == [WEST, WEST]


async def test_of_two_swaps_from_the_same_value_one_wins(endpoint: Endpoint) -> None:
    await endpoint.batch(*SWAP)
    code, _, _ = await endpoint.refused(lambda: endpoint.batch(*SWAP))
    assert code == "InvalidChangeBatch"


async def test_a_value_is_compared_as_it_was_spelled_unless_the_knob_says_otherwise(endpoint: Endpoint) -> None:
    without_dot = change("DELETE", EAST.rstrip("."))
    code, _, _ = await endpoint.refused(lambda: endpoint.batch(without_dot))
    assert code == "InvalidChangeBatch"
    endpoint.names.route53.knobs.values_match_exactly = False
    assert (await endpoint.batch(without_dot))["Status"] == "PENDING"


async def test_the_zone_is_listed_page_by_page_in_the_order_of_reversed_labels(endpoint: Endpoint) -> None:
    listed, start = [], {}
    while True:
        page = await endpoint.call("list_resource_record_sets", HostedZoneId=ZONE_ID, MaxItems="3", **start)
        listed += [(r["Name"], r["Type"]) for r in page["ResourceRecordSets"]]
        if not page["IsTruncated"]:
            break
        start = {"StartRecordName": page["NextRecordName"], "StartRecordType": page["NextRecordType"]}
    assert listed == [
        ("example.test.", "NS"),
        ("example.test.", "SOA"),
        ("ns1.example.test.", "A"),
        ("ns2.example.test.", "A"),
        (NAME, "CNAME"),
        (EAST, "A"),
        (WEST, "A"),
    ]


async def test_the_zone_names_its_servers(endpoint: Endpoint) -> None:
    reply = await endpoint.call("get_hosted_zone", Id=ZONE_ID)
    assert reply["DelegationSet"]["NameServers"] == ["ns1.example.test", "ns2.example.test"]
    assert (reply["HostedZone"]["Id"], reply["HostedZone"]["Name"]) == (f"/hostedzone/{ZONE_ID}", "example.test.")


async def test_what_does_not_exist_is_not_found(endpoint: Endpoint) -> None:
    zone = await endpoint.refused(lambda: endpoint.call("get_hosted_zone", Id="Z9"))
    gone = await endpoint.refused(lambda: endpoint.call("get_change", Id="C9"))
    assert (zone[0], zone[2], gone[0], gone[2]) == ("NoSuchHostedZone", 404, "NoSuchChange", 404)


async def test_an_action_that_the_lab_does_not_model_is_said_to_be_unknown(endpoint: Endpoint) -> None:
    code, _, status = await endpoint.refused(lambda: endpoint.call("list_hosted_zones"))
    assert (code, status) == ("UnknownOperationException", 404)


async def test_a_key_that_the_lab_did_not_hand_out_is_refused(endpoint: Endpoint) -> None:
    code, _, status = await endpoint.refused(
        lambda: endpoint.call("get_hosted_zone", Id=ZONE_ID, access_key_id="AKIASOMEBODYELSE0000")
    )
    assert (code, status) == ("InvalidClientTokenId", 403)


async def test_more_than_five_requests_in_a_second_are_throttled(endpoint: Endpoint) -> None:
    endpoint.names.route53.knobs.requests_per_s_max = 5
    for endpoint.now_s in (0.0, 0.1, 0.2, 0.3, 0.4):
        await endpoint.call("get_hosted_zone", Id=ZONE_ID)
    code, message, status = await endpoint.refused(lambda: endpoint.call("get_hosted_zone", Id=ZONE_ID))
    assert (code, message, status) == ("Throttling", "Rate exceeded", 400)
    endpoint.now_s = 1.1
    await endpoint.call("get_hosted_zone", Id=ZONE_ID)


async def test_a_second_batch_while_the_first_is_processed_is_asked_to_wait(endpoint: Endpoint) -> None:
    endpoint.names.route53.knobs.processing_s = 1.0
    await endpoint.batch(*SWAP)
    back = (change("DELETE", WEST), change("CREATE", EAST))
    code, message, _ = await endpoint.refused(lambda: endpoint.batch(*back))
    assert (code, message) == (
        "PriorRequestNotComplete",
        "The request was rejected because Route 53 was still processing a prior request.",
    )
    endpoint.now_s = 1.0
    await endpoint.batch(*back)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FaultKind.AWS_THROTTLE, AwsCode.THROTTLING),
        (FaultKind.AWS_PRIOR_REQUEST, AwsCode.PRIOR_REQUEST_NOT_COMPLETE),
        (FaultKind.AWS_DENIED, AwsCode.ACCESS_DENIED),
    ],
)
async def test_a_fault_refuses_as_often_as_it_says_and_then_the_change_is_accepted(
    endpoint: Endpoint, kind: FaultKind, code: AwsCode
) -> None:
    endpoint.faults.add(Fault(kind=kind, target="aws", params={"times": 2}))
    seen = [(await endpoint.refused(lambda: endpoint.batch(*SWAP)))[0] for _ in range(2)]
    assert seen == [code, code]
    assert (await endpoint.batch(*SWAP))["Status"] == "PENDING"


async def test_the_clients_own_retries_get_over_a_passing_throttle(endpoint: Endpoint) -> None:
    endpoint.retry_attempts_max = 3
    endpoint.faults.add(Fault(kind=FaultKind.AWS_THROTTLE, target="aws", params={"times": 1}))
    assert (await endpoint.batch(*SWAP))["Status"] == "PENDING"
    assert len(endpoint.names.route53.accepted) == 1


async def test_a_reply_that_is_lost_leaves_the_change_applied(endpoint: Endpoint) -> None:
    endpoint.faults.add(Fault(kind=FaultKind.REPLY_LOST, target="aws", params={"times": 1}))
    with pytest.raises(ReadTimeoutError):
        await endpoint.batch(*SWAP)
    assert len(endpoint.names.route53.accepted) == 1
    assert (await endpoint.refused(lambda: endpoint.batch(*SWAP)))[0] == "InvalidChangeBatch"


async def test_alias_record_sets_are_refused_and_not_half_understood(endpoint: Endpoint) -> None:
    alias = {"HostedZoneId": ZONE_ID, "DNSName": WEST, "EvaluateTargetHealth": False}
    weird = {"Action": "UPSERT", "ResourceRecordSet": {"Name": NAME, "Type": "A", "AliasTarget": alias}}
    code, message, _ = await endpoint.refused(lambda: endpoint.batch(weird))
    assert code == "InvalidInput"
    assert "missing element TTL" in message


def test_doors_cover_every_way_a_connect_can_end() -> None:
    assert set(DOORS.values()) == set(Door)
