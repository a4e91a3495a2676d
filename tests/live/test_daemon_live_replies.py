"""Every answer that is not Vault's, over real TLS, through the client of production: it says nothing, never "down".

Source: DESIGN section 4, the table of readings; I8.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import trustme

from tests.support.lateness import never_our_fault
from tests.support.sockets import PAIR, Serve, answer, at, ca_file, read_request, server_tls, serving
from watchdogd.adapters.clock import SystemClock
from watchdogd.adapters.vault.client import NodeClient
from watchdogd.adapters.vault.names import NameTable
from watchdogd.adapters.vault.transport import NodeTransport, TlsOptions
from watchdogd.core.model import ClusterId, Mode, NodeSeen, Pins, Reading, Replication
from watchdogd.core.readings import read
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.wire import Place, Wire
from watchdogd.lab.world import World
from watchdogd.rehearsal.memory import DictMemory

pytestmark = pytest.mark.live

CA = trustme.CA()
PATIENCE_S = 5.0  # nobody waits for it: what is said is said at once
GIVEN_UP_S = 1.5  # on what never ends
PATHS = {"health": "sys/health", "leader": "sys/leader", "status": "sys/replication/dr/status"}
WORLD = World(WorldSpec(), seed=1, epoch_utc_s=1_795_315_464.0)
PINS = Pins(vault_id=WORLD.clusters["east"].vault_id, replication_id=WORLD.clusters["east"].roles[WORLD.kind].set_id)


def good_body(path: str) -> bytes:
    """What a healthy active node of a primary answers."""
    wire = Wire(place=Place.BASTION, target="east/1", method="GET", path_and_query=f"/v1/{path}", headers={}, body=b"")
    return WORLD.exchange(wire, now_s=0.0).body


GOOD: Mapping[str, bytes] = {name: good_body(path) for name, path in PATHS.items()}


# ---------------------------------------------------------------------------------------------------------- spoilt


def changed(body: bytes, value: Callable[[object], object]) -> bytes:
    """Every value of the answer that is no table, as `value` makes it."""

    def change(given: object) -> object:
        return {key: change(inner) for key, inner in given.items()} if isinstance(given, dict) else value(given)

    return json.dumps(change(json.loads(body))).encode()


def other_type(value: object) -> object:
    return ["a list"] if isinstance(value, str) else str(value)


Spoil = Callable[[bytes], bytes]
SPOILT: Mapping[str, Spoil] = {
    "truncated": lambda body: answer(body)[: -len(body) // 2],
    "truncated, and whole for HTTP": lambda body: answer(body[: len(body) // 2]),
    "huge": lambda body: answer(body[:-1].rstrip() + b" " * 400_000 + b"}"),
    "not JSON": lambda _: answer(b"<html><body>It works!</body></html>"),
    "not UTF-8": lambda _: answer(b'{"initialized": "\xff\xfe"}'),
    "nothing at all": lambda _: answer(b""),
    "a list": lambda body: answer(b"[" + body + b"]"),
    "a text": lambda _: answer(b'"ok"'),
    "a number": lambda _: answer(b"1"),
    "null": lambda _: answer(b"null"),
    "an empty table": lambda _: answer(b"{}"),
    "wrong types": lambda body: answer(changed(body, other_type)),
    "nulls": lambda body: answer(changed(body, lambda _: None)),
    "too deep": lambda _: answer(b"[" * 100_000),
    "a number without end": lambda _: answer(b'{"server_time_utc": ' + b"9" * 10_000 + b"}"),
    "another protocol": lambda _: b"SSH-2.0-OpenSSH_9.2\r\n",
    "a proxy's own error": lambda _: answer(b"<html>502 Bad Gateway</html>", status="502 Bad Gateway"),
    "a redirect": lambda _: answer(b"", status="307 Temporary Redirect", extra="Location: https://elsewhere.test/\r\n"),
    "a refusal": lambda _: answer(b'{"errors":["permission denied"]}', status="403 Forbidden"),
    "a rate limit": lambda _: answer(b'{"errors":["request path: rate limit quota exceeded"]}', status="429 Too Many"),
}
SLOW = ("endless", "endless headers", "dripping")


async def say(writer: asyncio.StreamWriter, how: str, body: bytes) -> None:
    match how:
        case "endless":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n{")
            while True:
                writer.write(b" " * 1024)
                await writer.drain()
                await asyncio.sleep(0.001)
        case "endless headers":
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                writer.write(b"X: y\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        case "dripping":
            for byte in answer(body):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.02)
        case _:
            writer.write(SPOILT[how](body))


def node_that(endpoint: str, how: str) -> Serve:
    """A healthy node, but for one endpoint."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            asked = next(name for name, path in PATHS.items() if f"/v1/{path}".encode() in request.split(b"\r\n")[0])
            if asked == endpoint:
                await say(writer, how, GOOD[asked])
                await writer.drain()
                return
            writer.write(answer(GOOD[asked]))

    return serve


async def seen(serve: Serve, folder: Path, timeout_s: float = PATIENCE_S) -> NodeSeen:
    """One round of the client of production against a server that behaves as `serve`."""
    async with serving(serve, server_tls(CA.issue_cert("127.0.0.1"))) as port:
        node = at(port, scheme="https")
        names = NameTable(pair=PAIR, nodes=[node], memory=DictMemory(), resolve=nobody)
        names.answered(node)  # it once worked: what is silent now would count
        async with NodeTransport(node=node, tls=TlsOptions(ca_file=ca_file(CA, folder)), names=names) as transport:
            client = NodeClient(
                cluster=ClusterId("east"),
                node=node,
                kind=Replication.DR,
                transport=transport,
                addresses=names,
                clock=SystemClock(),
            )
            with never_our_fault():
                return read(await client.probe_round(timeout_s=timeout_s), PINS)


def timeout_of(how: str) -> float:
    return GIVEN_UP_S if how in SLOW else PATIENCE_S


async def nobody(host: str) -> tuple[str, ...]:
    raise OSError(f"nobody knows {host}")


# ---------------------------------------------------------------------------------------------------------- tests


async def test_the_good_answers_that_the_others_are_made_of_are_an_active_primary(tmp_path: Path) -> None:
    node = await seen(node_that("nothing", ""), tmp_path)
    assert (node.reading, node.malformed) == (Reading.ACTIVE, ())
    assert node.status is not None
    assert node.status.mode is Mode.PRIMARY


@pytest.mark.parametrize("how", [*SPOILT, *SLOW])
@pytest.mark.parametrize("endpoint", ["health", "leader"])
async def test_what_is_not_vaults_answer_is_strange_and_says_which_endpoint(
    endpoint: str, how: str, tmp_path: Path
) -> None:
    node = await seen(node_that(endpoint, how), tmp_path, timeout_of(how))
    assert node.reading is Reading.STRANGE, node.why
    assert PATHS[endpoint] in node.why


@pytest.mark.parametrize("how", [*SPOILT, *SLOW])
async def test_a_replication_status_that_cannot_be_read_takes_no_life_and_gives_no_role(
    how: str, tmp_path: Path
) -> None:
    node = await seen(node_that("status", how), tmp_path, timeout_of(how))
    assert node.reading is Reading.ACTIVE, node.why
    assert node.status is None or node.status.mode is Mode.UNKNOWN


async def test_words_that_nobody_knows_are_unknown_and_no_role(tmp_path: Path) -> None:
    strange = dict(GOOD)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            asked = next(name for name, path in PATHS.items() if f"/v1/{path}".encode() in request.split(b"\r\n")[0])
            writer.write(answer(strange[asked]))

    status = json.loads(GOOD["status"])
    status["data"] |= {"mode": "quantum", "state": "levitating", "connection_state": "entangled"}
    strange["status"] = json.dumps(status).encode()
    node = await seen(serve, tmp_path)
    assert node.reading is Reading.ACTIVE
    assert node.status is not None
    assert node.status.mode is Mode.UNKNOWN


async def test_another_cluster_behind_the_address_is_strange_and_both_ids_are_named(tmp_path: Path) -> None:
    health = json.loads(GOOD["health"]) | {"cluster_id": "11111111-2222-3333-4444-555555555555"}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            asked = next(name for name, path in PATHS.items() if f"/v1/{path}".encode() in request.split(b"\r\n")[0])
            writer.write(answer(json.dumps(health).encode() if asked == "health" else GOOD[asked]))

    node = await seen(serve, tmp_path)
    assert node.reading is Reading.STRANGE
    assert PINS.vault_id in node.why
    assert health["cluster_id"] in node.why
