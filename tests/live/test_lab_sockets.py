"""Each way an exchange of the world can end, as a real client on a real socket meets it."""

from __future__ import annotations

import asyncio
import gc
import io
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import aiohttp
import pytest

from watchdogd.lab.certs import Authority, Flaw
from watchdogd.lab.serve_http import Arrived, HttpFront
from watchdogd.lab.serve_socket import AddressInUse, Door, Listener, NotLoopback, bound
from watchdogd.lab.wire import Exchange, Outcome
from watchdogd.rehearsal.free_ports import free_port

pytestmark = pytest.mark.live

PATIENT = aiohttp.ClientTimeout(total=20)
GIVEN_UP = aiohttp.ClientTimeout(total=0.5)  # on what is never answered
FINE = Exchange(
    outcome=Outcome.ANSWER, status=200, headers={"Content-Type": "application/json"}, body=b'{"sealed":false}'
)


@dataclass(slots=True)
class Served:
    """A front whose next answer is set by the test, and what arrived at it."""

    url: str
    authority: Authority
    exchange: Exchange = FINE
    arrived: list[Arrived] = field(default_factory=list)
    front: HttpFront = field(init=False)

    async def answer(self, arrived: Arrived) -> Exchange:
        self.arrived.append(arrived)
        return self.exchange

    def session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self.authority.client_context())
        return aiohttp.ClientSession(connector=connector, timeout=PATIENT)


async def serve(flaw: Flaw) -> AsyncIterator[Served]:
    port, authority = free_port(), Authority()
    tls = authority.server_context(["127.1.1.1", "vault-east.example.test"], flaw=flaw)
    async with asyncio.TaskGroup() as tasks:
        served = Served(url=f"https://127.1.1.1:{port}/v1/sys/health", authority=authority)
        served.front = HttpFront("127.1.1.1", port, served.answer, tasks=tasks, tls=tls)
        served.front.set_door(Door.OPEN)
        yield served
        await served.front.close()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async for each in serve(Flaw.NONE):
        yield each


async def test_an_answer_arrives_whole_over_tls_and_keeps_the_connection(served: Served) -> None:
    async with served.session() as session:
        for _ in range(2):
            async with session.post(served.url + "?drsecondarycode=299", data=b"x" * 100_000) as reply:
                assert (reply.status, await reply.json()) == (200, {"sealed": False})
    assert [(a.method, a.path_and_query, len(a.body)) for a in served.arrived] == [
        ("POST", "/v1/sys/health?drsecondarycode=299", 100_000)
    ] * 2


async def test_vaults_own_verb_list_arrives_and_keeps_the_connection(served: Served) -> None:
    async with served.session() as session:
        for method in ("LIST", "GET", "LIST", "PATCH"):
            async with session.request(method, served.url) as reply:
                assert (reply.status, await reply.json()) == (200, {"sealed": False})
    assert [a.method for a in served.arrived] == ["LIST", "GET", "LIST", "PATCH"]


async def spoken(served: Served, sent: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    context = served.authority.client_context()
    reader, writer = await asyncio.open_connection("127.1.1.1", served.front.port, ssl=context)
    writer.write(sent)
    async with asyncio.timeout(5):
        said = await reader.read()
    writer.close()
    return said


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_answered_as_go_does_it(served: Served, sent: bytes) -> None:
    said = await spoken(served, sent)
    assert said.split(b" ")[1] == b"400"
    assert said.endswith(b"400 Bad Request")
    assert served.arrived == []


async def test_a_body_above_vaults_limit_is_refused(served: Served) -> None:
    async with served.session() as session:
        async with session.post(served.url, data=io.BytesIO(b"x" * (33 << 20))) as reply:
            assert (reply.status, await reply.json()) == (413, {"errors": ["http: request body too large"]})


async def test_an_answer_comes_after_its_delay(served: Served) -> None:
    served.exchange = Exchange(outcome=Outcome.ANSWER, delay_s=0.2, status=503, body=b"{}")
    loop = asyncio.get_running_loop()
    async with served.session() as session:
        began_s = loop.time()
        async with session.get(served.url) as reply:
            assert reply.status == 503
        assert loop.time() - began_s >= 0.2


async def test_a_closed_door_refuses_connects_and_resets_what_is_connected(served: Served) -> None:
    served.exchange = Exchange(outcome=Outcome.HANG)
    async with served.session() as session:
        hanging = asyncio.create_task(session.post(served.url))  # noqa: TID251  (POST: aiohttp repeats a GET by itself)
        while not served.arrived:
            await asyncio.sleep(0.01)
        served.front.set_door(Door.CLOSED)
        with pytest.raises(aiohttp.ClientOSError, match="reset"):
            await hanging
        with pytest.raises(aiohttp.ClientConnectorError) as info:
            await session.get(served.url)
    assert isinstance(info.value.os_error, ConnectionRefusedError)


async def test_a_blocked_door_lets_connects_run_into_their_timeout(served: Served) -> None:
    served.front.set_door(Door.BLOCKED)
    for _ in range(3):  # a queue that held a few would let the first ones in
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.open_connection("127.1.1.1", served.front.port)
    assert served.arrived == []


async def test_a_blocked_door_silences_connections_that_exist_and_opening_it_resets_them(served: Served) -> None:
    async with served.session() as session:
        async with session.get(served.url) as reply:
            assert reply.status == 200
        served.front.set_door(Door.BLOCKED)
        asked = asyncio.create_task(session.post(served.url))  # noqa: TID251  (as above)
        done, _ = await asyncio.wait([asked], timeout=0.3)
        assert not done
        served.front.set_door(Door.OPEN)
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await asked
        async with session.get(served.url) as reply:
            assert reply.status == 200


async def test_doors_can_change_in_any_order(served: Served) -> None:
    doors = [Door.BLOCKED, Door.CLOSED, Door.BLOCKED, Door.OPEN, Door.CLOSED, Door.OPEN]
    async with served.session() as session:
        for door in doors:
            served.front.set_door(door)
        async with session.get(served.url) as reply:
            assert reply.status == 200


async def test_a_reset_comes_after_the_request_has_arrived(served: Served) -> None:
    served.exchange = Exchange(outcome=Outcome.RESET)
    async with served.session() as session:
        with pytest.raises(aiohttp.ClientOSError, match="reset"):
            await session.post(served.url, data=b"{}")
    assert len(served.arrived) == 1


async def test_a_hanging_request_is_read_and_never_answered(served: Served) -> None:
    served.exchange = Exchange(outcome=Outcome.HANG)
    async with served.session() as session:
        with pytest.raises(TimeoutError):
            await session.get(served.url, timeout=GIVEN_UP)
    assert len(served.arrived) == 1


async def test_garbage_is_not_http(served: Served) -> None:
    served.exchange = Exchange(outcome=Outcome.GARBAGE, body=b"SSH-2.0-OpenSSH_9.6\r\n")
    async with served.session() as session:
        with pytest.raises(aiohttp.ClientResponseError):
            await session.get(served.url)


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        (Flaw.EXPIRED, "certificate has expired"),
        (Flaw.SELF_SIGNED, "self-signed certificate"),
        (Flaw.UNKNOWN_AUTHORITY, "unable to get local issuer"),
        (Flaw.WRONG_NAME, "mismatch"),
    ],
)
async def test_a_bad_certificate_is_refused_by_a_client_that_looks(flaw: Flaw, said: str) -> None:
    async for served in serve(flaw):
        async with served.session() as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError) as info:
                await session.get(served.url)
        assert isinstance(info.value.certificate_error, ssl.SSLCertVerificationError)
        assert said in str(info.value.certificate_error)


@pytest.mark.parametrize("turns", range(5))
async def test_a_front_that_closes_leaves_nothing_open_that_it_had_just_accepted(turns: int) -> None:
    with warnings.catch_warnings(record=True) as left_open, ExitStack() as clients:
        warnings.simplefilter("always", ResourceWarning)
        async for served in serve(Flaw.NONE):
            for _ in range(3):
                clients.enter_context(socket.create_connection(("127.1.1.1", served.front.port)))
            for _ in range(turns):
                await asyncio.sleep(0)
        gc.collect()
    assert [str(one.message) for one in left_open] == []


async def test_an_address_in_use_is_one_clear_line(served: Served) -> None:
    second = Listener("127.1.1.1", served.front.port, lambda conn: conn.close())
    with pytest.raises(AddressInUse, match=r"^cannot listen on 127\.1\.1\.1:\d+: Address already in use .*--port"):
        second.set_door(Door.OPEN)


def test_nothing_but_loopback_is_ever_bound() -> None:
    with pytest.raises(NotLoopback):
        bound("0.0.0.0", 0, socket.SOCK_STREAM)  # noqa: S104  (that is what must be refused)
