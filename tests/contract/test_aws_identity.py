"""AWS credentials that cannot be had: whatever looks for them fails, lies or hangs, the daemon starts and looks on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.route53_endpoint import EAST, KEY_ID, NAME, TTL_S, WEST, ZONE_ID, Endpoint, canned, serving
from watchdogd.adapters.dns import route53
from watchdogd.adapters.dns.route53 import Clients, Route53, Route53Settings, open_route53
from watchdogd.errors import OutcomeUnknown, Refusal, Refused, WatchdogError
from watchdogd.lab import route53_xml
from watchdogd.ports import Record

EXPIRED = '{"Version":1,"AccessKeyId":"a","SecretAccessKey":"s","SessionToken":"t","Expiration":"2020-01-01T00:00:00Z"}'


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROFILE", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION", "DEFAULT_REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


@asynccontextmanager
async def opened(
    *, patience_s: float = 30.0, clients: Clients | None = None
) -> AsyncIterator[tuple[Endpoint, Route53]]:
    async with serving() as endpoint:
        settings = Route53Settings(
            zone_id=ZONE_ID,
            record=NAME,
            endpoint_url=endpoint.url,
            connect_timeout_s=patience_s,
            read_timeout_s=patience_s,
            attempts_max=1,
        )
        async with open_route53(settings, clients or Clients()) as provider:
            yield endpoint, provider


def told_by(program: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials come from `program`. Source: docs.aws.amazon.com/sdkref, "Process credential provider"."""
    place.write_text(f"[default]\ncredential_process = {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(place))


async def refused(provider: Route53) -> WatchdogError:
    with pytest.raises(WatchdogError) as caught:
        await provider.observe()
    return caught.value


@pytest.mark.parametrize(
    "program",
    ["/no/such/program", "/bin/false", "/bin/echo hello", "/bin/echo [1]", f"/bin/echo '{EXPIRED}'"],
    ids=["is missing", "fails", "prints no JSON", "prints a list", "prints keys that have expired"],
)
async def test_a_program_that_gives_no_keys_costs_the_name_and_nothing_else(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_by(program, tmp_path / "config", monkeypatch)
    async with opened() as (endpoint, provider):
        error = await refused(provider)
        assert isinstance(error, Refused)
        assert error.kind is Refusal.DENIED
        with pytest.raises(Refused):
            await provider.swap(Record(targets=(EAST,), ttl_s=TTL_S), Record(targets=(WEST,), ttl_s=TTL_S), "epoch 2")
        assert endpoint.seen == []


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent/token"},
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/keys",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nonexistent/token",
        },
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://keys.example.net/"},
    ],
    ids=["web identity", "container", "container elsewhere"],
)
async def test_a_token_file_that_is_not_there_costs_the_name_and_nothing_else(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with opened() as (_, provider):
        assert isinstance(await refused(provider), Refused)


async def test_a_program_that_hangs_holds_up_neither_the_start_nor_a_call_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    told_by(f"/bin/cat {pipe}", tmp_path / "config", monkeypatch)
    monkeypatch.setattr(route53, "PREPARE_S_MAX", 0.1)
    monkeypatch.setattr(route53, "BACK_OFF_S_MAX", 0.1)
    clients = Clients()
    with capture_logs() as logged:
        async with opened(patience_s=0.1, clients=clients) as (_, provider):
            assert [entry["event"] for entry in logged] == ["route53_client_not_built"]
            assert isinstance(await refused(provider), OutcomeUnknown)
    assert clients.patience_s == 0.0, "of a hundred pairs only the first one waits"
    with pipe.open("w"):  # there is a reader still: nobody waited for it
        pipe.unlink()


async def test_a_change_that_begins_when_nobody_waits_for_it_any_more_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    at_east, at_west = Record(targets=(EAST,), ttl_s=TTL_S), Record(targets=(WEST,), ttl_s=TTL_S)
    async with opened() as (endpoint, provider):
        late = route53._InTime(lambda: 10.0, 10.0)
        with pytest.raises(Refused, match="nobody waits"):
            await asyncio.to_thread(provider._api.swap, at_east, at_west, "a test", late)
        assert endpoint.writes == []


async def test_a_change_is_not_made_with_other_keys_that_were_looked_for_until_nobody_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    at_east, at_west = Record(targets=(EAST,), ttl_s=TTL_S), Record(targets=(WEST,), ttl_s=TTL_S)
    refusal = route53_xml.error_body(code="InvalidClientTokenId", message="rotated", request_id="1")
    async with opened() as (endpoint, provider):
        endpoint.planned.extend([endpoint.apply, canned(403, refusal)])
        in_time = route53._InTime(lambda: 10.0 * len(endpoint.writes), 10.0)
        with pytest.raises(Refused, match="nobody waits"):
            await asyncio.to_thread(provider._api.swap, at_east, at_west, "a test", in_time)
        assert len(endpoint.writes) == 1


async def test_a_token_that_cannot_be_sent_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "SECRET-BEGIN\nSECRET-END")
    async with opened() as (_, provider):
        assert "SECRET" not in str(await refused(provider))
