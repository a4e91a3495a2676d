"""A world on loopback sockets: TLS at every address `127.PLACE.CLUSTER.NODE`, DNS, Route 53, and a control endpoint.

One process, one port, real time. The world is stepped by the clock of the loop and asked when a request has been read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from watchdogd.lab.certs import Authority, Flaw
from watchdogd.lab.events import EventLog, How, What
from watchdogd.lab.faults import Fault
from watchdogd.lab.names import RESOLVING, SERVERS, Names
from watchdogd.lab.route53 import Route53Knobs
from watchdogd.lab.serve_dns import Ask, DnsFront
from watchdogd.lab.serve_http import Answer, Arrived, HttpFront
from watchdogd.lab.serve_route53 import DOORS, route53_front
from watchdogd.lab.serve_socket import Door
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.wire import Exchange, Outcome, Place, Wire
from watchdogd.lab.world import World

TICK_S = 0.05
RESOLVER_HOST, ROUTE53_HOST, CONTROL_HOST = 53, 80, 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a served lab is started with. `epoch_utc_s`: the wall clock at the start."""

    spec: WorldSpec
    seed: int
    epoch_utc_s: float
    directory: Path
    ttl_s: int = 30
    route53: Route53Knobs = field(default_factory=Route53Knobs)
    flaws: Mapping[str, Flaw] = field(default_factory=dict)


class ServedLab:
    """A world and everything that listens for it. Use `serving`; the addresses answer while that block runs."""

    def __init__(self, settings: Settings, events: EventLog, tasks: asyncio.TaskGroup) -> None:
        self.settings = settings
        self.events = events
        self.authority = Authority()
        self.world = World(settings.spec, seed=settings.seed, epoch_utc_s=settings.epoch_utc_s)
        self.names = Names(
            settings.spec,
            self.world.faults,
            epoch_utc_s=settings.epoch_utc_s,
            ttl_s=settings.ttl_s,
            knobs=settings.route53,
        )
        self.world.published_cluster = self.names.published_cluster
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._started_s = self._loop.time()
        self._fronts: dict[tuple[str, str], HttpFront] = {}
        self._dns: dict[tuple[str, str], DnsFront] = {}
        self._contexts: dict[tuple[str, Flaw], ssl.SSLContext] = {}
        self._provider: HttpFront | None = None
        self._hung: dict[int, Fault] = {}  # whose end is not in the log yet
        self._logged_sent = self._logged_applied = self._logged_crashed = 0
        self._logged_change: str | None = None
        self._published = self.names.published_cluster(0.0)

    def now_s(self) -> float:
        """The lab's clock: seconds since it was started."""
        return self._loop.time() - self._started_s

    # ------------------------------------------------------------------ acts of a person

    def add_fault(self, fault: Fault) -> int:
        """Takes effect at once, on connections as on requests. Returns the id to clear it by."""
        fault_id = self.world.faults.add(fault)
        now_s = self.now_s()
        for_s = None if fault.until_s is None else round(fault.until_s - now_s, 1)
        what = {"kind": fault.kind.value, "target": fault.target, "place": fault.place, "params": dict(fault.params)}
        self.events.append(What.FAULT_ADDED, now_s, id=fault_id, **what, for_s=for_s)
        self._hung[fault_id] = fault
        self.settle()
        return fault_id

    def clear_faults(self, fault_id: int | None = None) -> int:
        """One fault, or all. Returns how many went."""
        faults = self.world.faults
        gone = [one for one, _ in faults.items() if fault_id in (None, one)]
        for one in gone:
            faults.clear(one)
            self._over(one, self.now_s(), How.CLEARED)
        self.settle()
        return len(gone)

    def _over(self, fault_id: int, at_s: float, how: How) -> None:
        fault = self._hung.pop(fault_id)
        what = {"kind": fault.kind.value, "target": fault.target, "how": how.value}
        self.events.append(What.FAULT_CLEARED, at_s, id=fault_id, **what)

    def fence(self, cluster: str, *, on: bool) -> None:
        """Close or open the client network of the cluster's region. Raises KeyError for a cluster that is not ours."""
        self.settings.spec.cluster(cluster)
        if self.world.is_fenced(cluster) is not on:
            self.events.append(What.FENCED if on else What.UNFENCED, self.now_s(), cluster=cluster)
        self.world.fence(cluster, on)
        self.settle()

    # ------------------------------------------------------------------ time

    def settle(self) -> None:
        """Bring the world, what connects meet, and the log up to now."""
        self.world.tick(self.now_s())
        for (place, target), front in self._fronts.items():
            front.set_door(door_of(self.world, place, target))
            front.set_certificate(self._context(target.partition("/")[0], self.world.network.path(place, target).flaw))
        for (place, label), server in self._dns.items():
            server.set_door(Door.BLOCKED if self.names.is_silent(label, place) else Door.OPEN)
        if self._provider is not None:
            self._provider.set_door(DOORS[self.names.aws_door()])
        self._note()

    async def tick_forever(self) -> None:
        while True:
            self.settle()
            await asyncio.sleep(TICK_S)

    def _note(self) -> None:
        """Copy what is new in the world's own records into the log."""
        world = self.world
        self._note_ended_faults()
        for sent in world.sent[self._logged_sent :]:
            place_and_path = {"place": sent.place, "target": sent.target, "method": sent.method, "path": sent.path}
            self.events.append(What.SENT, sent.at_s, **place_and_path, outcome=sent.outcome, status=sent.status)
        for effect in world.applied[self._logged_applied :]:
            self.events.append(What.APPLIED, effect.at_s, verb=effect.verb, cluster=effect.cluster, kind=effect.kind)
        for crash in world.crashed[self._logged_crashed :]:
            request = {"target": crash.target, "method": crash.method, "path": crash.path}
            self.events.append(What.CRASHED, crash.at_s, **request, error=crash.what)
        self._logged_sent, self._logged_applied = len(world.sent), len(world.applied)
        self._logged_crashed = len(world.crashed)
        self._note_name()

    def _note_ended_faults(self) -> None:
        if len(self._hung) == len(self.world.faults):
            return
        now_s, held = self.now_s(), {fault_id for fault_id, _ in self.world.faults.items()}
        for fault_id, fault in [(one, fault) for one, fault in self._hung.items() if one not in held]:
            if fault.until_s is not None and fault.until_s <= now_s:
                self._over(fault_id, fault.until_s, How.ENDED)
            else:
                self._over(fault_id, now_s, How.USED_UP)

    def _note_name(self) -> None:
        for change in self.names.route53.accepted_after(self._logged_change):
            self._logged_change = change.change_id
            self.events.append(
                What.NAME_CHANGED, change.submitted_at_s, change_id=change.change_id, comment=change.comment
            )
        published = self.names.published_cluster(self.now_s())
        if published != self._published:
            self._published = published
            self.events.append(What.NAME_PUBLISHED, self.now_s(), cluster=published)

    # ------------------------------------------------------------------ sockets

    def _answer(self, place: str, target: str) -> Answer:
        async def answer(arrived: Arrived) -> Exchange:
            wire = Wire(
                place=place,
                target=target,
                method=arrived.method,
                path_and_query=arrived.path_and_query,
                headers=arrived.headers,
                body=arrived.body,
                shook_hands=True,
            )
            exchange = self.world.exchange(wire, now_s=self.now_s())
            self._note()
            return exchange

        return answer

    def _authoritative(self, place: str, label: str) -> Ask:
        return lambda name, rtype: self.names.authoritative(name, rtype, label=label, place=place, now_s=self.now_s())

    def _resolver(self, place: str) -> Ask:
        return lambda name, rtype: self.names.resolve(name, rtype, place=place, now_s=self.now_s())

    async def open(self, stack: AsyncExitStack) -> None:
        """Bind everything; `stack` gives it back. Raises AddressInUse."""
        spec, port = self.settings.spec, self.settings.spec.port
        for place in Place:
            for target, cluster in spec.targets().items():
                tls = self._context(cluster, "")
                front = HttpFront(spec.ip(place, target), port, self._answer(place, target), tasks=self._tasks, tls=tls)
                stack.push_async_callback(front.close)
                self._fronts[place, target] = front
        for place in RESOLVING:
            for label, host in SERVERS.items():
                await self._open_dns(place, label, host, self._authoritative(place, label), stack)
            await self._open_dns(place, "resolver", RESOLVER_HOST, self._resolver(place), stack)
        self._provider = route53_front(
            self.names, host=address(Place.BASTION, ROUTE53_HOST), port=port, now_s=self.now_s, tasks=self._tasks
        )
        stack.push_async_callback(self._provider.close)
        self.settle()

    async def _open_dns(self, place: str, label: str, host: int, ask: Ask, stack: AsyncExitStack) -> None:
        recursive = label == "resolver"
        server = DnsFront(address(place, host), self.settings.spec.port, ask, recursive=recursive, tasks=self._tasks)
        stack.callback(server.close)
        await server.open()
        self._dns[place, label] = server

    def _context(self, cluster: str, flaw: str) -> ssl.SSLContext:
        """The certificate of a cluster with the flaw of a fault, or with the one that it was started with."""
        key = (cluster, Flaw(flaw) if flaw else self.settings.flaws.get(cluster, Flaw.NONE))
        if key not in self._contexts:
            self._contexts[key] = self.authority.server_context(self._identities(cluster), flaw=key[1])
        return self._contexts[key]

    def _identities(self, cluster: str) -> list[str]:
        """The names and addresses that the cluster's certificate is for; the service name is one of them."""
        spec = self.settings.spec
        targets = [target for target, name in spec.targets().items() if name == cluster]
        names = [self.names.cluster_name(cluster), self.names.service_name]
        return [name.rstrip(".") for name in names] + [spec.ip(place, target) for place in Place for target in targets]


def address(place: str, host: int) -> str:
    """The address of something that belongs to no cluster, as seen from a place: `127.PLACE.0.HOST`."""
    return f"127.{list(Place).index(Place(place)) + 1}.0.{host}"


def door_of(world: World, place: str, target: str) -> Door:
    """What a connect from a place to a target meets now."""
    cluster, _, host = target.partition("/")
    at_connect = world.network.path(place, target).at_connect
    if at_connect is not None:
        return DOORS[at_connect]
    if host != "lb" and not world.clusters[cluster].node(int(host)).up:
        return DOORS[Outcome.REFUSE]
    return Door.OPEN


@asynccontextmanager
async def serving(settings: Settings, events: EventLog) -> AsyncIterator[ServedLab]:
    """A lab that answers at all its addresses while the block runs.

    Raises (in a group, with whatever else went wrong): AddressInUse.
    """
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as stack:
        lab = ServedLab(settings, events, tasks)
        await lab.open(stack)
        ticker = tasks.create_task(lab.tick_forever(), name="tick")
        stack.callback(ticker.cancel)
        yield lab
