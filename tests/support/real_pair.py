"""Two clusters of three nodes on loopback, east and west, and the grounds that they may stand on.

The steps of the suite know nothing but this: addresses, an authority, and how a process is ended and started. The name
of the pair is published by a lab beside them, because none of the grounds has DNS of its own.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import aiohttp
import trustme

from tests.support import real_nodes
from tests.support.live_pair import ServedWorld
from tests.support.own_venv import stop
from tests.support.real_nodes import Binary, Node
from tests.support.sockets import HOST, serving
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.route53 import Route53Knobs
from watchdogd.lab.serve import Settings
from watchdogd.lab.serve_up import running
from watchdogd.lab.spec import EMPTY, ClusterSpec, WorldSpec
from watchdogd.rehearsal.free_ports import free_port

CLUSTERS, NODES = ("east", "west"), 3
HEALTH_S, CHUNK_BYTES = 2.0, 1 << 16
QUICK = Knobs(
    auto_unseal=False,  # Shamir's seal: what was killed comes back sealed, as on the other grounds
    election_s=0.5,
    standby_told_s=0.1,
    promote_s=1.0,
    demote_s=0.5,
    enable_s=0.3,
    secondary_enable_s=0.3,
    update_primary_s=0.3,
    reconnect_s=0.1,
    merkle_diff_s=0.1,
    merkle_sync_s=0.2,
)


class Ground(Protocol):
    """Where a pair stands. Nodes are named as targets: `east/1`."""

    @property
    def has_replication(self) -> bool: ...
    @property
    def ca_file(self) -> str: ...
    @property
    def authority(self) -> str:
        """What is in that file."""

    @property
    def patience(self) -> float:
        """By what every time limit is multiplied."""

    def address(self, cluster: str) -> str:
        """What clients use, which is no node of it."""

    def url(self, target: str) -> str: ...
    def kill(self, target: str) -> None: ...
    def start(self, target: str) -> None: ...


def nodes_of(cluster: str) -> Sequence[str]:
    """Its targets."""
    return tuple(f"{cluster}/{number}" for number in range(1, NODES + 1))


@dataclass(slots=True, kw_only=True)
class LabGround:
    """The lab, served over TLS. A killed node is one whose process is gone."""

    world: ServedWorld
    has_replication: bool = True
    patience: float = 1.0
    _killed: dict[str, int] = field(default_factory=dict)

    @property
    def ca_file(self) -> str:
        return self.world.file.ca_file

    @property
    def authority(self) -> str:
        return self.world.lab.authority.pem.decode()

    def address(self, cluster: str) -> str:
        return self.world.file.clusters[cluster].address

    def url(self, target: str) -> str:
        cluster, _, number = target.partition("/")
        return self.world.file.clusters[cluster].nodes[int(number) - 1]

    def kill(self, target: str) -> None:
        self._killed[target] = self.world.lab.add_fault(Fault(kind=FaultKind.CRASH, target=f"node:{target}"))

    def start(self, target: str) -> None:
        self.world.lab.clear_faults(self._killed.pop(target))


@dataclass(slots=True, kw_only=True)
class ProcessGround:
    """Processes of a real server, each with its own ports and its own storage."""

    binary: Binary
    nodes: Mapping[str, Node]
    ca_file: str
    authority: str
    has_replication: bool
    addresses: dict[str, str] = field(default_factory=dict)
    patience: float = 1.0

    def address(self, cluster: str) -> str:
        return self.addresses[cluster]

    def url(self, target: str) -> str:
        return self.nodes[target].url

    def kill(self, target: str) -> None:
        real_nodes.kill(self.nodes[target])

    def start(self, target: str) -> None:
        real_nodes.start(self.binary, self.nodes[target])

    def end(self) -> None:
        """No process is left."""
        for process in [node.process for node in self.nodes.values() if node.process is not None]:
            stop(process)


@asynccontextmanager
async def on_the_lab(folder: Path) -> AsyncIterator[tuple[Ground, ServedWorld]]:
    """The pair is the lab's, and the lab publishes its name."""
    async with lab_of_names(folder, QUICK, nodes=NODES) as world:
        yield LabGround(world=world), world


@asynccontextmanager
async def on_processes(
    folder: Path, binary: Binary, *, has_replication: bool, patience: float = 1.0
) -> AsyncIterator[tuple[Ground, ServedWorld]]:
    """The pair is made of six processes of the binary, gone when the block is left; a lab publishes its name."""
    authority, ca_file = trustme.CA(), folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    nodes = {
        target: real_nodes.laid_out(
            folder, target.replace("/", "-"), authority, cluster=cluster, listener=binary.listener
        )
        for cluster in CLUSTERS
        for target in nodes_of(cluster)
    }
    ground = ProcessGround(
        binary=binary,
        nodes=nodes,
        ca_file=str(ca_file),
        authority=authority.cert_pem.bytes().decode(),
        has_replication=has_replication,
        patience=patience,
    )
    async with lab_of_names(folder, Knobs(), nodes=1) as world, AsyncExitStack() as stack:
        for cluster in CLUSTERS:
            ground.addresses[cluster] = await stack.enter_async_context(balanced(ground, cluster))
        stack.callback(ground.end)
        for target in nodes:
            ground.start(target)
        yield ground, world


@asynccontextmanager
async def balanced(ground: ProcessGround, cluster: str) -> AsyncIterator[str]:
    """A load balancer: bytes go to the node that answers 200 to `sys/health`, and to nobody where none does."""
    timeout = aiohttp.ClientTimeout(total=HEALTH_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=trust_of(ground))) as session:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            healths = [await health_of(session, ground.url(target)) for target in nodes_of(cluster)]
            if 200 in healths:
                node = ground.nodes[nodes_of(cluster)[healths.index(200)]]
                await relayed(reader, writer, node.port)
            writer.close()

        async with serving(serve) as port:
            yield f"https://{HOST}:{port}"


async def health_of(session: aiohttp.ClientSession, url: str) -> int:
    """The status; 0: no answer."""
    try:
        async with session.get(f"{url}/v1/sys/health") as reply:
            return reply.status
    except (aiohttp.ClientError, TimeoutError):
        return 0


async def relayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Both ways, until both sides have ended."""
    with suppress(OSError):
        their_reader, their_writer = await asyncio.open_connection(HOST, port)
        await asyncio.gather(passed_on(reader, their_writer), passed_on(their_reader, writer))


async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side has ended."""
    try:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                writer.write(chunk)
                await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def lab_of_names(folder: Path, knobs: Knobs, *, nodes: int) -> AsyncIterator[ServedWorld]:
    """An empty lab: its clusters, and the endpoint and the servers of the name."""
    spec = WorldSpec(
        clusters=tuple(ClusterSpec(name=name, nodes=nodes) for name in CLUSTERS),
        kind=EMPTY,
        port=free_port(),
        knobs=knobs,
    )
    settings = Settings(
        spec=spec,
        seed=1,
        epoch_utc_s=time.time(),  # noqa: TID251  the daemon beside it reads the real clock
        directory=folder / "lab",
        ttl_s=2,
        route53=Route53Knobs(propagation_s=1.0),
    )
    async with running(settings) as (lab, file):
        world = ServedWorld(lab=lab, file=replace(file, kind="dr"), folder=folder, http_port=free_port())
        world.state_dir.mkdir(mode=0o700)
        yield world


def trust_of(ground: Ground) -> ssl.SSLContext:
    """TLS that trusts the authority of the ground, and nobody else."""
    return ssl.create_default_context(cafile=ground.ca_file)
