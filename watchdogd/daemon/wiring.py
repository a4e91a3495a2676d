"""From the settings of one pair to its gear: the ports joined to their adapters. The one place that knows them all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial

from watchdogd.adapters.config_types import split_host_port
from watchdogd.adapters.dns.manual import ManualDns
from watchdogd.adapters.dns.resolver import NameWatch, NameWatchSettings
from watchdogd.adapters.dns.route53 import Clients, open_route53
from watchdogd.adapters.fence import CommandFence
from watchdogd.adapters.secrets import SecretReader
from watchdogd.adapters.settings import ExecWitness as ExecWitnessSettings
from watchdogd.adapters.settings import PairSettings, SecretRef, Server
from watchdogd.adapters.settings import VaultWitness as VaultWitnessSettings
from watchdogd.adapters.vault.client import NodeClient
from watchdogd.adapters.vault.hands import SecretSource, VaultHands, Ways
from watchdogd.adapters.vault.names import NameTable, Resolve
from watchdogd.adapters.vault.parse import parse_health
from watchdogd.adapters.vault.transport import NodeTransport, TlsOptions
from watchdogd.core.model import EVERY_PAIR, ClusterId, Mode, NodeAddress, Pins, Replication
from watchdogd.core.policy import AnchorPolicy, PairPolicy
from watchdogd.daemon.gear import Background, PairGear, ProbeRound, Witness
from watchdogd.daemon.witnesses import ExecWitness, VaultWitness
from watchdogd.errors import ConfigError, MalformedReply, NeedsOperator, OutcomeUnknown, Unreachable
from watchdogd.ports import Chronicle, Clock, DnsProvider, DnsWatch, Fence, HttpRequest, HttpTransport, Memory
from watchdogd.secret import Secret

ANCHOR_TIMEOUT_S = 3.0
NAMES_AT_FIRST_S = (2.0, 4.0, 8.0)
PUBLISH_CHECK_TIMEOUT_S = 2.0

OpenTransport = Callable[[NodeAddress, TlsOptions, NameTable], AbstractAsyncContextManager[HttpTransport]]
OpenedDns = tuple[DnsProvider, DnsWatch, tuple[Background, ...]]
OpenDns = Callable[[PairSettings, Memory, AsyncExitStack], Awaitable[OpenedDns]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """Where a simulation differs from production: the wire, names, DNS, the fence, anchors and secrets."""

    transport: OpenTransport
    resolve: Resolve
    dns: OpenDns
    fence: Callable[[PairSettings], Fence]
    reach: Callable[[str], Awaitable[bool]]
    read_secret: Callable[[SecretRef], Secret]


def production(resolve: Resolve, secrets: SecretReader, anchors: Anchors) -> Seams:
    """The world as it is."""
    clients = Clients()
    return Seams(
        transport=lambda node, tls, names: NodeTransport(node=node, tls=tls, names=names),
        resolve=resolve,
        dns=partial(open_dns, clients=clients),
        fence=lambda settings: CommandFence(pair=settings.policy.pair, commands=settings.fences),
        reach=anchors,
        read_secret=secrets.read,
    )


async def open_gear(
    settings: PairSettings,
    anchors: tuple[AnchorPolicy, ...],
    seams: Seams,
    *,
    journal: Chronicle,
    memory: Memory,
    clock: Clock,
    stack: AsyncExitStack,
) -> PairGear:
    """The gear of one pair; `stack` closes what was opened. Raises: ConfigError."""
    policy = settings.policy
    names = NameTable(pair=policy.pair, nodes=_addresses(settings), memory=memory, resolve=seams.resolve)
    wires = Wires(settings=settings, seams=seams, names=names, clock=clock, stack=stack)
    probes = {cluster: await wires.probes(cluster) for cluster in policy.cluster_ids}
    hands = VaultHands(
        {node: wires.clients[node] for cluster in policy.cluster_ids for node in probes[cluster]},
        _ways(settings, seams.read_secret),
        own_nonces=partial(_own_nonces, journal, policy),
    )
    dns, dns_watch, background = await seams.dns(settings, memory, stack)
    fronts = {cluster: await wires.front(cluster) for cluster in policy.cluster_ids}
    return PairGear(
        policy=policy,
        probes=probes,
        publish_check=partial(shows_primary, policy, fronts),
        hands=hands,
        fence=seams.fence(settings),
        dns=dns,
        dns_watch=dns_watch,
        anchors=anchors,
        reach=seams.reach,
        witnesses=await wires.witnesses(),
        expiry_utc_s=hands.expiry_utc_s,
        learn_expiry=hands.learn_expiry,
        background=(partial(keep_names, names), *background),
    )


def _addresses(settings: PairSettings) -> list[NodeAddress]:
    policy = settings.policy
    nodes = [node for cluster in policy.clusters.values() for node in cluster.nodes]
    fronts = [NodeAddress(cluster.address) for cluster in policy.clusters.values()]
    seen_from = [node for w in settings.witnesses if isinstance(w, VaultWitnessSettings) for node in w.nodes]
    return list(dict.fromkeys([*nodes, *fronts, *seen_from]))


def _own_nonces(journal: Chronicle, policy: PairPolicy, cluster: ClusterId) -> frozenset[str]:
    nonce = journal.ledger(policy.pair).attempts.get(cluster)
    return frozenset({nonce}) if nonce else frozenset()


def _ways(settings: PairSettings, read_secret: Callable[[SecretRef], Secret]) -> Ways:
    given = settings.credentials
    return Ways(
        tokens={f"dr-token-{n}": _source(ref, read_secret) for n, ref in enumerate(given.dr_operation_tokens, start=1)},
        shares=tuple(_source(ref, read_secret) for ref in given.key_shares),
        vault_token=_source(given.vault_token, read_secret) if given.vault_token is not None else None,
    )


def _source(ref: SecretRef, read_secret: Callable[[SecretRef], Secret]) -> SecretSource:
    def read() -> Secret:
        try:
            return read_secret(ref)
        except NeedsOperator as need:
            raise ConfigError((need.detail,)) from None

    return read


@dataclass(slots=True, kw_only=True)
class Wires:
    """Opens the transports of one pair, one per address."""

    settings: PairSettings
    seams: Seams
    names: NameTable
    clock: Clock
    stack: AsyncExitStack
    clients: dict[NodeAddress, NodeClient] = field(default_factory=dict)

    async def probes(self, cluster: ClusterId) -> dict[NodeAddress, ProbeRound]:
        """The probe of every node of `cluster` that is not ignored."""
        kind, tls = self.settings.policy.replication, self.settings.tls[cluster]
        given = self.settings.policy.cluster(cluster)
        return {node: await self._probe(cluster, node, kind, tls, given.vault_id) for node in given.probed_nodes}

    async def front(self, cluster: ClusterId) -> HttpTransport:
        """The transport to the address that clients use."""
        address = NodeAddress(self.settings.policy.cluster(cluster).address)
        return await self._open(address, self.settings.tls[cluster])

    async def witnesses(self) -> dict[str, Witness]:
        """Every configured witness."""
        found: dict[str, Witness] = {}
        for given in self.settings.witnesses:
            match given:
                case ExecWitnessSettings():
                    found[given.name] = ExecWitness(
                        pair=self.settings.policy.pair, argv=given.argv, timeout_s=given.timeout_s
                    )
                case VaultWitnessSettings():
                    found[given.name] = await self._vault_witness(given)
        return found

    async def _vault_witness(self, given: VaultWitnessSettings) -> VaultWitness:
        policy = self.settings.policy
        name = ClusterId(given.name)
        probes = [await self._probe(name, node, given.replication, given.tls, given.vault_id) for node in given.nodes]
        # With the same kind of replication it must be of the same set; of another kind its id is not pinned here.
        replication_id = policy.replication_id if given.replication is policy.replication else ""
        return VaultWitness(
            name=given.name,
            probes=probes,
            pins=Pins(vault_id=given.vault_id, replication_id=replication_id),
            kind=given.replication,
            timing=policy.timing,
            clock=self.clock,
        )

    async def _probe(
        self, cluster: ClusterId, node: NodeAddress, kind: Replication, tls: TlsOptions, vault_id: str
    ) -> ProbeRound:
        client = NodeClient(
            cluster=cluster,
            node=node,
            kind=kind,
            transport=await self._open(node, tls),
            addresses=self.names,
            clock=self.clock,
            vault_id=vault_id,
        )
        self.clients[node] = client
        return lambda timeout_s: client.probe_round(timeout_s=timeout_s)

    async def _open(self, node: NodeAddress, tls: TlsOptions) -> HttpTransport:
        return await self.stack.enter_async_context(self.seams.transport(node, tls, self.names))


async def shows_primary(policy: PairPolicy, fronts: dict[ClusterId, HttpTransport], cluster: ClusterId) -> bool:
    """Whether the address that clients would be sent to leads into a primary with the pinned id. Never raises.

    A load balancer may hand the request to any unsealed node: a standby says 429 or 473 and forwards what is written,
    so only the body counts. Source: developer.hashicorp.com/vault/docs/concepts/ha, request forwarding.
    """
    address = policy.cluster(cluster).address
    request = HttpRequest(method="GET", url=f"{address}/v1/sys/health", headers={"X-Vault-Request": "true"})
    try:
        health = parse_health((await fronts[cluster](request, timeout_s=PUBLISH_CHECK_TIMEOUT_S)).body)
    except (Unreachable, OutcomeUnknown, MalformedReply):
        return False
    mode = health.dr_mode if policy.replication is Replication.DR else health.performance_mode
    is_serving = health.initialized and not health.sealed
    return is_serving and mode is Mode.PRIMARY and health.cluster_id == policy.cluster(cluster).vault_id


async def open_dns(settings: PairSettings, memory: Memory, stack: AsyncExitStack, *, clients: Clients) -> OpenedDns:
    """The provider and the watch of the service name. Raises: ConfigError."""
    name, policy = settings.name, settings.policy
    watch = NameWatch(
        NameWatchSettings(
            record=policy.record,
            authoritative=[_spelled(server) for server in name.authoritative],
            resolvers=[_spelled(server) for server in name.resolvers],
        ),
        pair=policy.pair,
        memory=memory,
    )
    provider: DnsProvider
    if name.route53 is None:
        provider = ManualDns(record=policy.record, ttl_s=policy.ttl_s, watch=watch)
    else:
        provider = await stack.enter_async_context(open_route53(name.route53, clients))
    return provider, watch, (watch.refresh_forever,)


def _spelled(server: Server) -> str:
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{host}:{server.port}"


async def keep_names(names: NameTable) -> None:
    """Resolve for ever; soon after the start too, so that an address that has just answered is durable in seconds."""
    for pause_s in NAMES_AT_FIRST_S:
        await names.refresh()
        await asyncio.sleep(pause_s)
    await names.run()


class Anchors:
    """One TCP connect to each anchor, at its last good address: a dead resolver is no sign of our own outage."""

    def __init__(self, *, memory: Memory, resolve: Resolve) -> None:
        self._memory, self._resolve = memory, resolve
        self._watched: tuple[AnchorPolicy, ...] = ()
        self._changed = asyncio.Event()
        self.names = self._table()

    def _table(self) -> NameTable:
        nodes = [_as_node(anchor.address) for anchor in self._watched]
        return NameTable(pair=EVERY_PAIR, nodes=nodes, memory=self._memory, resolve=self._resolve)

    @property
    def _addresses(self) -> frozenset[str]:
        return frozenset(anchor.address for anchor in self._watched)

    def watch(self, anchors: tuple[AnchorPolicy, ...]) -> None:
        """Know the names of these from now on."""
        if anchors == self._watched:
            return
        self._watched = anchors
        self.names = self._table()
        self._changed.set()

    async def keep_names_forever(self) -> None:
        """Resolve for ever; begin anew whenever the anchors change."""
        while True:
            self._changed.clear()
            async with asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(keep_names(self.names), name="names")
                await self._changed.wait()
                keeping.cancel()

    async def __call__(self, address: str) -> bool:
        """Whether HOST:PORT took a connection; bounded; never raises."""
        node, names = _as_node(address), self.names
        host = names.connect_to(node) if address in self._addresses else None
        if host is None:
            return False
        port = split_host_port(address)[1]
        try:
            async with asyncio.timeout(ANCHOR_TIMEOUT_S):
                _, writer = await asyncio.open_connection(host, port)
        except OSError:
            names.silent(node)
            return False
        names.answered(node)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True


def _as_node(address: str) -> NodeAddress:
    return NodeAddress(f"tcp://{address}")
