"""Generating an operation token where the wire or the version is not what one hopes for."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from uuid import UUID

import pytest

from watchdogd.adapters.vault.client import NodeClient
from watchdogd.adapters.vault.names import NameTable
from watchdogd.adapters.vault.tokens import generate_operation_token
from watchdogd.core.model import ClusterId, NodeAddress, PairId, Replication
from watchdogd.errors import Cause, MalformedReply, OutcomeUnknown, Refused, Unreachable, WatchdogError
from watchdogd.ports import HttpReply, HttpRequest
from watchdogd.rehearsal.memory import DictMemory, LoopClock
from watchdogd.secret import Secret

NODE = NodeAddress("https://10.2.0.11:8200")
TOKEN = UUID("cf703c0d-afcc-55b9-2b64-d66cf427f59c")
SHARES = [Secret("a" * 66), Secret("b" * 66)]


class UuidEraServer:
    """A server of the UUID era: it wants our OTP and shows no `otp_length` (GRTEST-OLD). `script` breaks it."""

    def __init__(self, **script: HttpReply | WatchdogError) -> None:
        self.script = script
        self.progress = 0
        self.nonce, self.otp = "", b""
        self.did: list[str] = []

    async def __call__(
        self, request: HttpRequest, *, timeout_s: float, only_on_connection: int | None = None
    ) -> HttpReply:
        verbs = {"GET": "look", "POST": "start", "DELETE": "cancel"}
        verb = "update" if request.url.endswith("/update") else verbs[request.method]
        self.did.append(verb)
        fields = json.loads(request.body) if request.body else {}
        planned = self.script.get(f"{verb}_{self.did.count(verb)}", self.script.get(verb))
        if isinstance(planned, WatchdogError):
            raise planned
        return planned or self.answer(verb, fields)

    def answer(self, verb: str, fields: dict[str, str]) -> HttpReply:
        encoded = ""
        match verb:
            case "start":
                self.nonce, self.otp = "n-1", b64decode(fields["otp"])
            case "cancel":
                self.nonce, self.progress = "", 0
            case "update":
                self.progress += 1
                masked = bytes(a ^ b for a, b in zip(TOKEN.bytes, self.otp, strict=True))
                encoded = b64encode(masked).decode() if self.progress == 2 else ""
        return reply(
            {
                "nonce": self.nonce,
                "started": bool(self.nonce),
                "progress": self.progress,
                "required": 2,
                "complete": bool(encoded),
                "encoded_token": encoded,
            }
        )


def reply(body: object, status: int = 200) -> HttpReply:
    return HttpReply(status=status, headers={}, body=json.dumps(body).encode())


async def generate(server: UuidEraServer, vault_token: Secret | None = None) -> Secret:
    names = NameTable(pair=PairId("p"), nodes=[NODE], memory=DictMemory(), resolve=_nobody)
    client = NodeClient(
        cluster=ClusterId("west"),
        node=NODE,
        kind=Replication.DR,
        transport=server,
        addresses=names,
        clock=LoopClock(),
    )
    return await generate_operation_token(client, SHARES, vault_token=vault_token)


async def _nobody(_: str) -> tuple[str, ...]:
    return ()


async def test_a_server_of_the_uuid_era_is_given_our_own_pad() -> None:
    server = UuidEraServer()
    assert (await generate(server)).reveal() == str(TOKEN)
    assert server.did == ["look", "start", "update", "update"]


@pytest.mark.parametrize(("status", "text"), [(403, "permission denied"), (400, "missing client token")])
async def test_where_a_look_without_a_token_is_refused_in_whatever_words_it_is_taken_along(
    status: int, text: str
) -> None:
    server = UuidEraServer(look_1=reply({"errors": [text]}, status))
    assert (await generate(server, Secret("hvs.own"))).reveal() == str(TOKEN)
    assert server.did == ["look", "look", "start", "update", "update"]


@pytest.mark.parametrize(
    "broken",
    [OutcomeUnknown("reset"), Unreachable(Cause.REFUSED), reply({"errors": ["Vault is sealed"]}, 503), reply([])],
    ids=["lost", "unreachable", "sealed", "malformed"],
)
async def test_when_a_share_gets_lost_our_attempt_is_cancelled_and_no_share_is_sent_twice(
    broken: HttpReply | WatchdogError,
) -> None:
    server = UuidEraServer(update_2=broken)
    with pytest.raises((OutcomeUnknown, Unreachable)):
        await generate(server)
    assert server.did == ["look", "start", "update", "update", "look", "cancel"]


async def test_a_cancel_that_fails_too_does_not_hide_what_happened() -> None:
    server = UuidEraServer(update=OutcomeUnknown("first"), look_2=OutcomeUnknown("second"))
    with pytest.raises(OutcomeUnknown, match="first"):
        await generate(server)


async def test_a_start_without_a_nonce_is_malformed() -> None:
    with pytest.raises(MalformedReply):
        await generate(UuidEraServer(start=reply({"started": True, "required": 2})))


async def test_an_error_that_sends_a_share_back_does_not_show_it() -> None:
    echo = reply({"errors": [f"bad key {'a' * 66} given"]}, 400)
    with pytest.raises(Refused) as caught:
        await generate(UuidEraServer(update=echo))
    assert "a" * 66 not in str(caught.value)
    assert "bad key *** given" in str(caught.value)
