"""What a living node reads as while our own event loop is late, or threads of ours hang: never silent.

The node has threads of its own, and answers at once, over TLS. The loop is blocked as a call that should have been in a
thread blocks it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from tests.support.pair import EAST
from tests.support.sockets import PAIR, answer, ca_file, server_tls
from tests.support.vectors import vector
from watchdogd.adapters.clock import SystemClock
from watchdogd.adapters.vault import names as names_of_nodes
from watchdogd.adapters.vault.names import NameTable, Resolve, SystemResolve
from watchdogd.adapters.vault.probe import Prober
from watchdogd.adapters.vault.transport import NodeTransport, TlsOptions
from watchdogd.core.model import NodeAddress, NodeSeen, Pins, Reading, Replication
from watchdogd.core.readings import read
from watchdogd.rehearsal.memory import DictMemory

pytestmark = pytest.mark.live

BODIES = {
    b"sys/health": vector("health-dr-secondary-1.9-doc").raw,
    b"sys/replication": vector("dr-status-primary-doc-2024").raw,
    b"sys/leader": vector("obs:obs1:leader active").raw,
}
PINS = Pins(
    vault_id=json.loads(BODIES[b"sys/health"])["cluster_id"],
    replication_id=json.loads(BODIES[b"sys/replication"])["data"]["cluster_id"],
)
ROUND_S = 0.3  # a node that gets no CPU for so long is silent, and rightly
BLOCKED_S = 0.35
LONG_S = 5.0
POOL_MAX = 64  # more threads than the loop's own pool has
DOWN = frozenset({Reading.SILENT, Reading.LEADERLESS})


class LivingNode(socketserver.ThreadingTCPServer):
    """Answers at once, and says which request it is about to answer."""

    request_queue_size = 64  # as a real server; with the 5 of socketserver a SYN may be dropped

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.tls = tls
        self.about_to_answer: Callable[[bytes], None] = lambda path: None
        super().__init__(("127.0.0.1", 0), Conversation)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Conversation(socketserver.BaseRequestHandler):
    """One connection, until the client closes it."""

    request: socket.socket
    server: LivingNode

    def handle(self) -> None:
        self.request.settimeout(LONG_S)
        with (
            suppress(OSError),
            self.server.tls.wrap_socket(self.request, server_side=True) as talk,
            talk.makefile("rb") as lines,
        ):
            while request := lines.readline():
                while lines.readline().strip():
                    pass
                path = next(path for path in BODIES if path in request)
                self.server.about_to_answer(path)
                talk.sendall(answer(BODIES[path]))


@contextmanager
def living_node(folder: Path) -> Iterator[tuple[LivingNode, TlsOptions]]:
    """A node with threads of its own; at the end every connection and thread of it is closed."""
    ca = trustme.CA()
    with LivingNode(server_tls(ca.issue_cert("127.0.0.1"))) as node:
        serving = threading.Thread(target=node.serve_forever, kwargs={"poll_interval": 0.01}, name="serves")
        serving.start()
        try:
            yield node, TlsOptions(ca_file=ca_file(ca, folder))
        finally:
            node.shutdown()
            serving.join()


@asynccontextmanager
async def prober_of(living: LivingNode, tls: TlsOptions) -> AsyncIterator[Prober]:
    async with prober_at(NodeAddress(f"https://127.0.0.1:{living.port}"), tls) as prober:
        prober.addresses.answered(prober.node)
        yield prober


@asynccontextmanager
async def prober_at(
    node: NodeAddress, tls: TlsOptions, memory: DictMemory | None = None, resolve: Resolve | None = None
) -> AsyncIterator[Prober]:
    names = NameTable(pair=PAIR, nodes=[node], memory=memory or DictMemory(), resolve=resolve or resolves_nothing)
    async with NodeTransport(node=node, tls=tls, names=names) as transport:
        await names.refresh()
        yield Prober(
            cluster=EAST, node=node, kind=Replication.DR, transport=transport, addresses=names, clock=SystemClock()
        )


async def resolves_nothing(host: str) -> Sequence[str]:
    return ()


async def seen_by(prober: Prober, timeout_s: float = ROUND_S) -> NodeSeen:
    return read(await prober.probe_round(timeout_s=timeout_s), PINS)


def block() -> None:
    threading.Event().wait(BLOCKED_S)


async def block_after(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    block()


async def seen_while_blocked(prober: Prober, turns: int) -> NodeSeen:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(block_after(turns), name="blocks")
        return await seen_by(prober)


async def warmed(prober: Prober) -> None:
    """It holds a connection now."""
    assert (await seen_by(prober, timeout_s=LONG_S)).is_life


@pytest.mark.parametrize("is_kept", [False, True])
async def test_a_loop_that_stood_still_at_the_begin_of_a_round_makes_nobody_read_as_down(
    tmp_path: Path, is_kept: bool
) -> None:
    seen: list[NodeSeen] = []
    with living_node(tmp_path) as (node, tls):
        for turns in range(8):
            async with prober_of(node, tls) as prober:
                await (warmed(prober) if is_kept else asyncio.sleep(0))
                seen.append(await seen_while_blocked(prober, turns))
    assert not DOWN & {one.reading for one in seen}, seen


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("path", BODIES)
async def test_a_loop_that_stood_still_when_an_answer_came_makes_nobody_read_as_down(
    tmp_path: Path, path: bytes, is_kept: bool
) -> None:
    loop = asyncio.get_running_loop()
    with living_node(tmp_path) as (node, tls):
        async with prober_of(node, tls) as prober:
            await (warmed(prober) if is_kept else asyncio.sleep(0))
            node.about_to_answer = lambda asked: loop.call_soon_threadsafe(block) if asked == path else None
            seen = await seen_by(prober)
    assert seen.reading not in DOWN


# -- threads of ours ---------------------------------------------------------------------------------------------------


@contextmanager
def every_thread_hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever asks the system's resolver, and everybody in the loop's own pool, where files are read."""
    loop, ended = asyncio.get_running_loop(), threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait())
    monkeypatch.setattr(names_of_nodes, "LOOKUP_TIMEOUT_S", 0.05)
    for _ in range(POOL_MAX):
        loop.run_in_executor(None, ended.wait)
    try:
        yield
    finally:
        ended.set()


@pytest.mark.parametrize(
    ("host", "known", "reading"),
    [
        ("127.0.0.1", None, Reading.ACTIVE),
        ("vault.test", "127.0.0.1", Reading.ACTIVE),
        ("vault.test", None, Reading.OURS),
    ],
)
async def test_no_probe_waits_for_a_thread_that_hangs_and_no_node_is_silent_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, known: str | None, reading: Reading
) -> None:
    memory, resolve = DictMemory(), SystemResolve()
    with living_node(tmp_path) as (living, tls):
        node = NodeAddress(f"https://{host}:{living.port}")
        if known is not None:
            await memory.put(PAIR, {f"address:{node}": {"address": known}})
        with every_thread_hanging(monkeypatch):
            async with prober_at(node, replace(tls, server_name="127.0.0.1"), memory, resolve) as prober:
                seen = await seen_by(prober, timeout_s=LONG_S)
    resolve.close()
    assert seen.reading is reading, seen.why
    assert seen.ended_s - seen.started_s < LONG_S
