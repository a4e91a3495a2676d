"""The whole client of production against a server that lies, over real sockets: never a crash, never down (I8).

What counts towards DOWN is SILENT (no byte came), LEADERLESS and SEALED (a body that says so). Here every true answer
is that of an active node, so none of them may ever be read, whatever is done to its bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.lateness import never_our_fault
from tests.support.liar import Liar, Lie, Told
from tests.support.sockets import PAIR, Serve, at, read_request, serving
from tests.support.vectors import vector
from watchdogd.adapters.vault.client import NodeClient
from watchdogd.adapters.vault.names import NameTable
from watchdogd.adapters.vault.transport import NodeTransport, TlsOptions
from watchdogd.core.model import ClusterId, Pins, RawRound, Reading, Replication
from watchdogd.core.readings import read
from watchdogd.errors import WatchdogError
from watchdogd.rehearsal.memory import DictMemory, LoopClock
from watchdogd.secret import Secret

pytestmark = pytest.mark.live

VAULT_ID, SET_ID = "8f975aa5-90f4-eff4-2fbf-f39f3f66bacd", "eef2a5ab-51e2-1c05-407c-8b4dc8d09ebf"
PINS = Pins(vault_id=VAULT_ID, replication_id=SET_ID)
ROUND_S = 0.2  # of a client that is lied to, which may never say "down", whatever it hears
PATIENCE_S, GIVEN_UP_S = 5.0, 0.5
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TOWARDS_DOWN = {Reading.SILENT, Reading.LEADERLESS, Reading.SEALED, Reading.UNINIT}

HEALTH = {
    "initialized": True,
    "sealed": False,
    "standby": False,
    "performance_standby": False,
    "replication_performance_mode": "disabled",
    "replication_dr_mode": "primary",
    "server_time_utc": 1795304160,
    "version": "1.19.0+ent",
    "cluster_name": "east",
    "cluster_id": VAULT_ID,
}
LEADER = {"ha_enabled": True, "is_self": True, "leader_address": "https://127.0.0.1:8200"}
STATUS = {"data": {**vector("dr-status-primary-doc-2024").body["data"], "cluster_id": SET_ID}}  # type: ignore[index]
TRUTH = {"sys/health": HEALTH, "sys/leader": LEADER, "sys/replication/dr/status": STATUS}

PLACES = st.floats(min_value=0, max_value=1)
LIES = st.builds(Told, st.sampled_from(list(Lie)), PLACES, st.binary(min_size=1, max_size=12))


async def client_to(serve: Serve, act: Callable[[NodeClient], Awaitable[object]]) -> object:
    """What `act` gives with a client of the server; its address once worked."""
    async with serving(serve) as port:
        node = at(port)
        names = NameTable(pair=PAIR, nodes=[node], memory=DictMemory(), resolve=_as_it_is)
        await names.refresh()
        names.answered(node)
        async with NodeTransport(node=node, tls=TlsOptions(), names=names) as transport:
            client = NodeClient(
                cluster=ClusterId("east"),
                node=node,
                kind=Replication.DR,
                transport=transport,
                addresses=names,
                clock=LoopClock(),
            )
            return await act(client)


async def _as_it_is(_: str) -> tuple[str, ...]:
    return ("127.0.0.1",)


def rounds(count: int, timeout_s: float) -> Callable[[NodeClient], Awaitable[list[Reading]]]:
    """What so many rounds one after the other are read as."""

    async def look(client: NodeClient) -> list[Reading]:
        raws: list[RawRound] = [await client.probe_round(timeout_s=timeout_s) for _ in range(count)]
        return [read(raw, PINS).reading for raw in raws]

    return look


def readings_of(serve: Serve, count: int = 2, timeout_s: float = ROUND_S) -> list[Reading]:
    seen = asyncio.run(client_to(serve, rounds(count, timeout_s)))
    assert isinstance(seen, list)
    return seen


def test_the_truth_is_read_as_active() -> None:
    assert readings_of(Liar(TRUTH, []), timeout_s=PATIENCE_S) == [Reading.ACTIVE, Reading.ACTIVE]


@SLOW
@given(lies=st.lists(LIES, min_size=1, max_size=6))
@example(lies=[Told(Lie.CUT, 0.001)])
@example(lies=[Told(Lie.HANG, 0.5)])
@example(lies=[Told(Lie.SWAP, 0.5)])
def test_a_lie_about_an_active_node_never_reads_as_down(lies: list[Told]) -> None:
    liar = Liar(TRUTH, lies)
    assert not set(readings_of(liar)) & TOWARDS_DOWN


@SLOW
@given(noise=st.binary(min_size=1, max_size=200), closes=st.booleans())
@example(noise=b"HTTP/1.1 200 OK\r\n\r\n", closes=True)
@example(noise=b"SSH-2.0-OpenSSH_9.2\r\n", closes=False)
@example(noise=b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}", closes=False)
def test_noise_in_place_of_an_answer_is_strange_and_nothing_else(noise: bytes, closes: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not closes or not reader.at_eof():
            await read_request(reader)
            writer.write(noise)
            await writer.drain()
            if closes:
                return

    with never_our_fault():
        assert readings_of(serve, 1, PATIENCE_S if closes else GIVEN_UP_S) == [Reading.STRANGE]


@SLOW
@given(lies=st.lists(LIES, min_size=1, max_size=4), status=st.integers(min_value=200, max_value=599))
def test_a_lie_in_answer_to_a_mutation_ends_in_a_class_of_ours_and_is_sent_once(lies: list[Told], status: int) -> None:
    """Never an exception that nobody decides on; never a second request by the client's own hand."""
    liar = Liar({"sys/replication/dr/secondary/promote": {"data": None, "status": status}}, lies)

    timeout_s = GIVEN_UP_S if lies[0].lie is Lie.HANG else PATIENCE_S

    async def promote(client: NodeClient) -> None:
        with suppress(WatchdogError):
            await client.promote(token=Secret("hvb.some-token"), only_on_connection=None, timeout_s=timeout_s)

    asyncio.run(client_to(liar, promote))
    assert len(liar.asked) == 1
