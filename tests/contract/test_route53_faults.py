"""Route 53 when it, or the way to it, misbehaves: the whole adapter against real sockets, boto3 and all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from tests.support.route53_endpoint import (
    EAST,
    KEY_ID,
    NAME,
    TTL_S,
    WEST,
    ZONE_ID,
    Endpoint,
    Handler,
    broken,
    canned,
    cname,
    serving,
)
from watchdogd.adapters.dns.aws_errors import IDENTITY_REFUSED
from watchdogd.adapters.dns.route53 import Clients, Route53, Route53Settings, _api_data, _build, open_route53
from watchdogd.errors import (
    Cause,
    ConfigError,
    MalformedReply,
    OutcomeUnknown,
    Refusal,
    Refused,
    Unreachable,
    WatchdogError,
)
from watchdogd.lab import route53_xml
from watchdogd.lab.serve_http import Arrived
from watchdogd.lab.serve_socket import Door
from watchdogd.lab.wire import Exchange, Outcome
from watchdogd.lab.zone import RecordSet, RecordType
from watchdogd.ports import ChangeRef, Record
from watchdogd.rehearsal.free_ports import free_port

AT_EAST = Record(targets=(EAST,), ttl_s=TTL_S)
AT_WEST = Record(targets=(WEST,), ttl_s=TTL_S)


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials the way boto3 finds them, and nothing of the machine's own."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")


@pytest.fixture
def logged() -> Iterator[list[structlog.typing.EventDict]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


SHORT_S = 1.0  # for what is never answered; everything else may take as long as a busy machine takes


def settings(url: str, *, attempts_max: int = 1, patience_s: float = 30.0) -> Route53Settings:
    return Route53Settings(
        zone_id=ZONE_ID,
        record=NAME,
        endpoint_url=url,
        connect_timeout_s=patience_s,
        read_timeout_s=patience_s,
        attempts_max=attempts_max,
    )


@asynccontextmanager
async def bench(
    *records: RecordSet, attempts_max: int = 1, patience_s: float = 30.0, processing_s: float = 0.0
) -> AsyncIterator[tuple[Endpoint, Route53]]:
    """The lab's endpoint and the adapter in front of it."""
    async with (
        serving(*records, processing_s=processing_s) as endpoint,
        open_route53(settings(endpoint.url, attempts_max=attempts_max, patience_s=patience_s), Clients()) as provider,
    ):
        yield endpoint, provider


def error_xml(code: str, message: str = "as AWS says it") -> bytes:
    return route53_xml.error_body(code=code, message=message, request_id="b25f48e8-84fd-11e6-80d9-574e0c4664cb")


# Source: docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html, Errors, InvalidChangeBatch.
DOCUMENTED_CONFLICT = b"""<?xml version="1.0" encoding="UTF-8"?>
<InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
  <Messages><Message>Tried to create resource record set duplicate.example.com. type A, but it already exists</Message>
  </Messages>
</InvalidChangeBatch>"""


async def failed_swap(provider: Route53) -> WatchdogError:
    with pytest.raises(WatchdogError) as caught:
        await provider.swap(AT_EAST, AT_WEST, "epoch 2")
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error_xml("Throttling", "Rate exceeded"), Refusal.NOT_YET),
        (400, error_xml("PriorRequestNotComplete"), Refusal.NOT_YET),
        (429, b"", Refusal.NOT_YET),
        (400, error_xml("InvalidChangeBatch", "[Tried to delete ...]"), Refusal.CONFLICT),
        (400, DOCUMENTED_CONFLICT, Refusal.CONFLICT),
        (403, error_xml("AccessDenied"), Refusal.DENIED),
        (404, error_xml("NoSuchHostedZone"), Refusal.DENIED),
        (403, error_xml("InvalidClientTokenId"), Refusal.DENIED),
        (403, error_xml("SignatureDoesNotMatch"), Refusal.DENIED),
        (403, error_xml("ExpiredToken"), Refusal.DENIED),
        (403, b"<html>a proxy says no", Refusal.DENIED),
        (400, error_xml("InvalidInput"), Refusal.UNSUPPORTED),
    ],
)
async def test_a_write_that_aws_refuses_is_certainly_not_applied(status: int, body: bytes, kind: Refusal) -> None:
    async with bench() as (endpoint, provider):
        # Keys that are refused are read anew, once: the answer to those that were found is the one that counts.
        is_asked_again = any(code.encode() in body for code in IDENTITY_REFUSED)
        endpoint.planned.extend([endpoint.apply, *[canned(status, body)] * (2 if is_asked_again else 1)])
        error = await failed_swap(provider)
        assert isinstance(error, Refused)
        assert not endpoint.planned, "what was planned was asked for"
        assert (error.kind, error.status) == (kind, status)
        assert await provider.observe() == AT_EAST


@pytest.mark.parametrize(
    "handler",
    [
        canned(500, error_xml("InternalFailure")),
        canned(503, error_xml("ServiceUnavailable")),
        canned(502, b"<html>a proxy"),
        canned(400, error_xml("RequestTimeout")),
        canned(302, b""),
        canned(200, b"<html><body>welcome to the hotel"),
        canned(200, b""),
        canned(200, b"<?xml version='1.0'?><SomethingElse/>"),
        broken(Outcome.RESET),
        broken(Outcome.HANG),
        broken(Outcome.GARBAGE, b"\x16\x03\x01 not http\r\n\r\n"),
    ],
)
async def test_a_write_without_a_clear_answer_is_of_unknown_outcome_and_not_sent_again(handler: Handler) -> None:
    async with bench(attempts_max=3, patience_s=SHORT_S) as (endpoint, provider):
        endpoint.planned.extend([endpoint.apply, handler])
        assert isinstance(await failed_swap(provider), OutcomeUnknown)
        assert len(endpoint.writes) == 1


async def test_a_swap_whose_answer_never_came_has_landed_and_observe_sees_it() -> None:
    async with bench(attempts_max=3, patience_s=SHORT_S) as (endpoint, provider):
        endpoint.planned.extend([endpoint.apply, endpoint.apply_and_hang])
        assert isinstance(await failed_swap(provider), OutcomeUnknown)
        assert await provider.observe() == AT_WEST
        assert len(endpoint.model.accepted) == 1


async def test_a_reset_after_the_write_was_applied_does_not_read_as_a_conflict_with_ourselves() -> None:
    async with bench(attempts_max=3) as (endpoint, provider):
        endpoint.planned.extend([endpoint.apply, endpoint.apply_and_reset])
        assert isinstance(await failed_swap(provider), OutcomeUnknown)


async def test_a_swap_that_lands_after_its_time_out_is_seen_when_it_has_landed() -> None:
    async with bench(patience_s=SHORT_S) as (endpoint, provider):
        under_way: list[Arrived] = []

        async def keep(arrived: Arrived) -> Exchange:
            under_way.append(arrived)
            return Exchange(outcome=Outcome.HANG)

        endpoint.planned.extend([endpoint.apply, keep])
        assert isinstance(await failed_swap(provider), OutcomeUnknown)
        assert await provider.observe() == AT_EAST
        await endpoint.apply(under_way[0])
        assert await provider.observe() == AT_WEST


@pytest.mark.parametrize("code", ["Throttling", "PriorRequestNotComplete"])
async def test_what_was_certainly_not_applied_is_asked_again_a_few_times(code: str) -> None:
    async with bench(attempts_max=3) as (endpoint, provider):
        endpoint.planned.extend([canned(400, error_xml("Throttling")), endpoint.apply, canned(400, error_xml(code))])
        change = await provider.swap(AT_EAST, AT_WEST, "epoch 2")
        assert change.change_id == endpoint.model.accepted[0].change_id
        assert len(endpoint.writes) == 2


async def test_a_write_of_unknown_outcome_stays_unknown_after_a_throttled_first_attempt() -> None:
    async with bench(attempts_max=3, patience_s=SHORT_S) as (endpoint, provider):
        endpoint.planned.extend([endpoint.apply, canned(400, error_xml("Throttling")), endpoint.apply_and_hang])
        assert isinstance(await failed_swap(provider), OutcomeUnknown)
        assert len(endpoint.writes) == 2


async def test_a_second_change_while_the_first_is_processed_waits_and_then_conflicts() -> None:
    async with bench(attempts_max=3, processing_s=0.2) as (_, provider):
        await provider.swap(AT_EAST, AT_WEST, "epoch 2")
        back = await provider.swap(AT_WEST, AT_EAST, "epoch 3")
        assert await provider.observe() == AT_EAST
        assert back.change_id


async def test_a_caller_that_is_cancelled_does_not_stop_the_write_whose_end_is_logged(
    logged: list[structlog.typing.EventDict],
) -> None:
    async with serving() as endpoint:
        arrived_at, release = asyncio.Event(), asyncio.Event()

        async def held(arrived: Arrived) -> Exchange:
            arrived_at.set()
            await release.wait()
            return await endpoint.apply(arrived)

        endpoint.planned.extend([endpoint.apply, held])
        async with open_route53(settings(endpoint.url), Clients()) as provider, asyncio.TaskGroup() as tasks:
            swapping = tasks.create_task(provider.swap(AT_EAST, AT_WEST, "epoch 2"))
            await arrived_at.wait()
            swapping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await swapping
            assert not endpoint.model.accepted
            release.set()
        assert len(endpoint.model.accepted) == 1  # leaving the provider waited for it
    ends = [entry for entry in logged if entry["event"] == "abandoned_dns_change_finished"]
    assert [(end["outcome"], end["record"]) for end in ends] == [("accepted", NAME)]


async def test_an_abandoned_write_that_fails_is_logged_as_what_it_is(logged: list[structlog.typing.EventDict]) -> None:
    async with serving() as endpoint:
        arrived_at = asyncio.Event()

        async def hang(arrived: Arrived) -> Exchange:
            arrived_at.set()
            return await endpoint.apply_and_hang(arrived)

        endpoint.planned.extend([endpoint.apply, hang])
        short = settings(endpoint.url, patience_s=SHORT_S)
        async with open_route53(short, Clients()) as provider, asyncio.TaskGroup() as tasks:
            swapping = tasks.create_task(provider.swap(AT_EAST, AT_WEST, "epoch 2"))
            await arrived_at.wait()
            swapping.cancel()
    assert [e["outcome"] for e in logged if e["event"] == "abandoned_dns_change_finished"] == ["OutcomeUnknown"]


async def test_a_record_that_cannot_be_read_is_not_written() -> None:
    async with bench(patience_s=SHORT_S) as (endpoint, provider):
        endpoint.planned.append(broken(Outcome.HANG))
        error = await failed_swap(provider)
        assert isinstance(error, Refused)
        assert error.kind is Refusal.NOT_YET
        assert endpoint.writes == []


@pytest.mark.parametrize(("door", "cause"), [(Door.CLOSED, Cause.REFUSED), (Door.BLOCKED, Cause.TIMEOUT)])
async def test_an_endpoint_that_takes_no_connection_is_unreachable(door: Door, cause: Cause) -> None:
    async with bench(patience_s=SHORT_S) as (endpoint, provider):
        endpoint.set_door(door)
        with pytest.raises(Unreachable) as caught:
            await provider.observe()
        assert caught.value.cause is cause
        assert isinstance(await failed_swap(provider), Unreachable)
        endpoint.set_door(Door.OPEN)
        assert await provider.observe() == AT_EAST


async def test_a_name_that_does_not_resolve_and_a_port_without_tls_are_our_own_trouble() -> None:
    async with serving() as endpoint:
        async with open_route53(settings("http://route53.invalid"), Clients()) as provider:
            with pytest.raises(Unreachable) as caught:
                await provider.observe()
            assert caught.value.cause is Cause.NAME
        async with open_route53(settings(endpoint.url.replace("http:", "https:")), Clients()) as provider:
            with pytest.raises(Unreachable) as caught:
                await provider.observe()
            assert caught.value.cause is Cause.TLS


def listing(shown: str, value: str) -> bytes:
    """One record set of the name; what it lacks, or shows twice, botocore hands on."""
    return (
        '<?xml version="1.0"?><ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">'
        f"<ResourceRecordSets><ResourceRecordSet><Name>{NAME}</Name>{shown}<ResourceRecords><ResourceRecord>{value}"
        "</ResourceRecord></ResourceRecords></ResourceRecordSet></ResourceRecordSets></ListResourceRecordSetsResponse>"
    ).encode()


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (canned(500, error_xml("InternalFailure")), OutcomeUnknown),
        (broken(Outcome.HANG), OutcomeUnknown),
        (broken(Outcome.RESET), OutcomeUnknown),
        (broken(Outcome.GARBAGE, b"SSH-2.0-OpenSSH_9.2\r\n"), OutcomeUnknown),
        (canned(200, b"<html><body>welcome to the hotel"), MalformedReply),
        (canned(200, b""), MalformedReply),
        (canned(200, b"<?xml version='1.0'?><SomethingElse/>"), MalformedReply),
        (canned(302, b""), MalformedReply),
        (canned(200, listing("<Type>CNAME</Type><TTL>30</TTL>", "")), MalformedReply),
        (canned(200, listing("<TTL>30</TTL>", f"<Value>{EAST}</Value>")), MalformedReply),
        (canned(200, listing(f"<Name>{NAME}</Name><Type>CNAME</Type>", f"<Value>{EAST}</Value>")), MalformedReply),
        (canned(403, error_xml("AccessDenied")), Refused),
    ],
)
async def test_a_read_that_fails_says_how(handler: Handler, kind: type[WatchdogError]) -> None:
    async with bench(patience_s=SHORT_S) as (endpoint, provider):
        endpoint.planned.append(handler)
        with pytest.raises(kind):
            await provider.observe()


async def test_reads_are_repeated_after_a_broken_exchange() -> None:
    async with bench(attempts_max=3) as (endpoint, provider):
        endpoint.planned.append(broken(Outcome.RESET))
        assert await provider.observe() == AT_EAST
        assert len(endpoint.seen) == 2


async def test_without_credentials_every_call_is_denied_until_there_are_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with bench() as (endpoint, provider):
        with pytest.raises(Refused) as caught:
            await provider.observe()
        assert caught.value.kind is Refusal.DENIED
        assert endpoint.seen == []
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
        assert await provider.observe() == AT_EAST


async def test_keys_that_were_rotated_in_their_file_are_read_anew_once_the_earlier_ones_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = tmp_path / "credentials"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    keys.write_text("[default]\naws_access_key_id = AKIAEARLIER\naws_secret_access_key = x\n")
    async with bench() as (endpoint, provider):
        error = await failed_swap(provider)
        assert isinstance(error, Refused)
        assert error.kind is Refusal.DENIED
        keys.write_text(f"[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = y\n")
        await provider.swap(AT_EAST, AT_WEST, "a test")
        assert len(endpoint.writes) == 1


async def test_a_profile_that_does_not_exist_neither_stops_the_start_nor_passes_as_anything_else(
    monkeypatch: pytest.MonkeyPatch, logged: list[structlog.typing.EventDict]
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    async with bench() as (_, provider):
        assert [entry["event"] for entry in logged] == ["route53_client_not_built"]
        error = await failed_swap(provider)
        assert isinstance(error, Refused)
        assert error.kind is Refusal.DENIED


async def test_an_endpoint_that_is_no_address_is_a_mistake_of_the_config() -> None:
    with pytest.raises(ConfigError, match=r"dns\.endpoint_url"):
        async with open_route53(settings("route53 please"), Clients()):
            raise AssertionError("opened")


async def test_the_text_of_a_refused_signature_never_quotes_the_request() -> None:
    """AWS answers SignatureDoesNotMatch with the canonical request, session token and all."""
    quoted = "The Canonical String for this request should have been 'GET x-amz-security-token:SECRET-TOKEN'"
    async with bench() as (endpoint, provider):
        endpoint.planned.extend([canned(403, error_xml("SignatureDoesNotMatch", quoted))] * 2)
        with pytest.raises(Refused) as caught:
            await provider.observe()
        assert "SECRET" not in str(caught.value)


ALIAS = b"""<?xml version="1.0"?>
<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets>
<ResourceRecordSet><Name>vault.example.test.</Name><Type>A</Type><AliasTarget><HostedZoneId>Z35SXDOTRQ7X7K</HostedZoneId>
<DNSName>lb-1.us-east-1.elb.amazonaws.com.</DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>
</ResourceRecordSet></ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>10</MaxItems>
</ListResourceRecordSetsResponse>"""  # Source: APIReference/API_ListResourceRecordSets.html, response syntax
WEIGHTED = ALIAS.replace(
    ALIAS[ALIAS.index(b"<Type>") : ALIAS.index(b"</ResourceRecordSet>")],
    b"<Type>CNAME</Type><SetIdentifier>east</SetIdentifier><Weight>100</Weight><TTL>30</TTL><ResourceRecords>"
    b"<ResourceRecord><Value>vault-east.example.test</Value></ResourceRecord></ResourceRecords>",
)


@pytest.mark.parametrize(("listing", "word"), [(ALIAS, "AliasTarget"), (WEIGHTED, "SetIdentifier")])
async def test_a_record_that_a_swap_would_damage_is_refused_with_a_sentence(listing: bytes, word: str) -> None:
    async with bench() as (endpoint, provider):
        endpoint.planned.extend([canned(200, listing), canned(200, listing)])
        with pytest.raises(Refused, match=word) as caught:
            await provider.observe()
        assert caught.value.kind is Refusal.UNSUPPORTED
        assert isinstance(await failed_swap(provider), Refused)
        assert endpoint.writes == []


@pytest.mark.parametrize("rtype", [RecordType.A, RecordType.TXT])
async def test_a_record_of_another_type_is_refused_with_a_sentence(rtype: RecordType) -> None:
    record = replace(cname("192.0.2.1"), rtype=rtype)
    async with bench(record) as (_, provider):
        with pytest.raises(Refused, match=f"of type {rtype}") as caught:
            await provider.observe()
        assert caught.value.kind is Refusal.UNSUPPORTED


@pytest.mark.parametrize("wanted", [Record(targets=(), ttl_s=30), Record(targets=("192.0.2.1",), ttl_s=30, rtype="A")])
async def test_only_one_simple_cname_is_ever_written(wanted: Record) -> None:
    async with bench() as (endpoint, provider):
        with pytest.raises(Refused) as caught:
            await provider.swap(AT_EAST, wanted, "epoch 2")
        assert caught.value.kind is Refusal.UNSUPPORTED
        assert endpoint.seen == []


async def test_a_comment_longer_than_aws_allows_is_cut() -> None:
    async with bench() as (endpoint, provider):
        await provider.swap(AT_EAST, AT_WEST, "epoch 2 " + "x" * 300)
        assert len(endpoint.model.accepted[0].comment or "") == 256


async def test_a_change_that_nobody_knows_is_refused_not_in_sync() -> None:
    async with bench() as (_, provider):
        with pytest.raises(Refused) as caught:
            await provider.is_in_sync(ChangeRef(change_id="C0000000000000000000"))
        assert caught.value.kind is Refusal.UNSUPPORTED


async def test_nobody_listening_at_the_start_does_not_stop_the_start() -> None:
    async with open_route53(settings(f"http://127.0.0.1:{free_port()}"), Clients()) as provider:
        with pytest.raises(Unreachable):
            await provider.observe()


def test_all_clients_share_one_description_of_the_api_and_its_search_path_stays_as_it_is() -> None:
    # DESIGN 12: 100 pairs on one core; read for each client it would take 7 MB and 0.2 s of each pair.
    settings = Route53Settings(zone_id="Z1", record="vault.example.test")
    clients = [_build(settings) for _ in range(3)]
    before = len(_api_data().search_paths)
    assert len({id(client.meta.service_model.metadata) for client in clients}) == 1
    _build(settings).close()
    assert len(_api_data().search_paths) == before
    for client in clients:
        client.close()


def test_pairs_that_reach_route53_the_same_way_share_one_client_until_the_last_of_them_leaves() -> None:
    # DESIGN 12: 100 pairs on one core; a client of its own would cost each pair 20 ms of the start and 2 MB.
    clients = Clients()
    one, two = (Route53Settings(zone_id=zone, record=f"{zone}.example.test") for zone in ("Z1", "Z2"))
    elsewhere = Route53Settings(zone_id="Z1", record="vault.example.test", endpoint_url="http://127.0.0.1:1")
    for settings in (one, two, elsewhere):
        clients.enter(settings)
    shared = clients.get(one)
    assert clients.get(two) is shared
    assert clients.get(elsewhere) is not shared
    clients.leave(one)
    assert clients.get(two) is shared
    clients.leave(two)
    clients.enter(one)
    assert clients.get(one) is not shared
    clients.leave(one)
    clients.leave(elsewhere)


def test_a_client_that_is_of_no_use_is_replaced_once_for_all_who_share_it() -> None:
    clients, settings = Clients(), Route53Settings(zone_id="Z1", record="vault.example.test")
    clients.enter(settings)
    useless = clients.get(settings)
    renewed = clients.get(settings, instead_of=useless)
    assert renewed is not useless
    assert clients.get(settings, instead_of=useless) is renewed
    clients.leave(settings)
