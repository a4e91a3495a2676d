"""Over which of its connections a node is asked, when several are free."""

from __future__ import annotations

import asyncio

import pytest

from tests.live.test_transport import LONG_S, get, polite, transport_to
from tests.support.sockets import answer, at, read_request, serving

pytestmark = pytest.mark.live


async def test_who_asks_on_goes_on_over_its_connection_though_another_one_is_free() -> None:
    # Two rounds of one node overlap, and the one that began first has ended.
    turns, arrived = [asyncio.Event() for _ in range(2)], asyncio.Queue[int]()

    async def in_turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = arrived_so_far.pop()
        await read_request(reader)
        await arrived.put(mine)
        await turns[mine].wait()
        writer.write(answer())
        await polite(reader, writer)

    arrived_so_far = [1, 0]
    async with serving(in_turn) as port, transport_to(at(port)) as transport, asyncio.TaskGroup() as tasks:
        asked = []
        for n in range(2):
            asked.append(tasks.create_task(transport(get(at(port)), timeout_s=LONG_S)))
            assert await arrived.get() == n
        for n in range(2):
            turns[n].set()
            await asked[n]
        again = await transport(get(at(port)), timeout_s=LONG_S)
    assert again.connection == asked[1].result().connection != asked[0].result().connection
