"""A simulated world and the daemon's own App in front of it, in memory, under virtual time: the stage of scenarios."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from tests.support.memory import ListNotifier
from watchdogd.adapters.settings import Credentials, FileRef, NameSettings, PairSettings, SecretRef
from watchdogd.adapters.vault.names import NameTable
from watchdogd.adapters.vault.transport import TlsOptions
from watchdogd.core.decision import Decision
from watchdogd.core.explain import Shape
from watchdogd.core.facts import Facts
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import ClusterId, NodeAddress, Replication
from watchdogd.core.policy import (
    AnchorPolicy,
    ClusterPolicy,
    CredentialPolicy,
    FencePolicy,
    Level,
    Levels,
    OnFenceFailure,
    PairPolicy,
    Policy,
    Timing,
)
from watchdogd.daemon.app import App
from watchdogd.daemon.gear import Background
from watchdogd.daemon.orders import Orders, explanation
from watchdogd.daemon.protocol import Answer, Asked, Caller
from watchdogd.daemon.stamps import Stamper
from watchdogd.daemon.unit import Ground, Observers, PairUnit
from watchdogd.daemon.wiring import OpenedDns, Seams, open_gear
from watchdogd.errors import Cause, Need, NeedsOperator, Refusal, Refused, Unreachable
from watchdogd.lab.clients import SimClient
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.names import SERVERS, Names
from watchdogd.lab.spec import ClusterSpec, WorldSpec
from watchdogd.lab.wire import Outcome, Place
from watchdogd.lab.world import World
from watchdogd.lab.zone import RecordSet, RecordType
from watchdogd.ports import (
    Answers,
    ChangeRef,
    DnsProvider,
    FenceOutcome,
    FenceResult,
    FenceVerb,
    HttpRequest,
    HttpTransport,
    Memory,
    Record,
)
from watchdogd.rehearsal.lab_settings import DEMO
from watchdogd.rehearsal.memory import DictMemory, LoopClock, MemoryJournal, Revoked
from watchdogd.rehearsal.site import EAST, OPERATOR, PAIR, WEST
from watchdogd.rehearsal.transport import WorldTransport
from watchdogd.runbooks.context import StepEvent
from watchdogd.secret import Secret

READER = Caller(uid=1001, may_act=False)
PROPAGATION_S = 5.0
A_MOMENT_S = 1e-6  # less than the loop's clock can be trusted to tell apart


@dataclass(slots=True, kw_only=True)
class WorldDns:
    """Provider and watch of the service name of one world."""

    names: Names
    propagation_s: float = PROPAGATION_S
    revoked: bool = False

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def _check(self) -> None:
        if self.revoked:
            raise Revoked("the name")
        if self.names.aws_door() is not Outcome.ANSWER:
            raise Unreachable(Cause.TIMEOUT, "aws")

    async def observe(self) -> Record:
        self._check()
        held = self.names.zone.records[(self.names.service_name, RecordType.CNAME)]
        return Record(targets=held.values, ttl_s=held.ttl_s)

    async def swap(self, expected: Record, wanted: Record, comment: str) -> ChangeRef:
        if await self.observe() != expected:
            raise Refused(Refusal.CONFLICT, "not as expected")
        key = (self.names.service_name, RecordType.CNAME)
        target = f"{wanted.targets[0].rstrip('.')}."
        changed: RecordSet = replace(self.names.zone.records[key], values=(target,))
        now_s = self._now_s()
        self.names.zone.publish({**self.names.zone.records, key: changed}, at_s=now_s + self.propagation_s, now_s=now_s)
        return ChangeRef(change_id=str(now_s))

    async def is_in_sync(self, change: ChangeRef) -> bool:
        self._check()
        return self._now_s() >= float(change.change_id) + self.propagation_s

    async def authoritative(self) -> Answers:
        name, now_s = self.names.service_name, self._now_s()
        by_server: dict[str, str | None] = {}
        for label in SERVERS:
            is_silent = self.names.is_silent(label, Place.BASTION)
            target = self.names.zone.target_of(name, server=f"{label}.example.test.", now_s=now_s)
            by_server[label] = None if is_silent else target or ""
        return Answers(by_server=by_server)

    async def resolvers(self) -> Answers:
        return Answers(by_server={})


@dataclass(slots=True, kw_only=True)
class WorldFence:
    """The `Fence` port on the client network of the world. `result` set overrides what `on` comes to."""

    world: World
    result: FenceResult | None = None
    off_result: FenceResult | None = None  # what `off` comes to, while it is set
    check_result: FenceResult | None = None  # what `check` comes to, while it is set
    calls: list[tuple[FenceVerb, ClusterId]] = field(default_factory=list)
    revoked: bool = False

    async def __call__(self, verb: FenceVerb, cluster: ClusterId, *, epoch: int, run_id: str) -> FenceResult:
        if self.revoked:
            raise Revoked("the fence")
        self.calls.append((verb, cluster))
        if verb is FenceVerb.CHECK:
            return self.check_result or FenceResult(outcome=FenceOutcome.DONE)
        if self.result is not None and verb is FenceVerb.ON:
            return self.result
        if self.off_result is not None and verb is FenceVerb.OFF:
            return self.off_result
        self.world.fence(cluster, verb is FenceVerb.ON)
        return FenceResult(outcome=FenceOutcome.DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One change of the decision, as a scenario reads it."""

    at_s: float
    situation: str
    name_situation: str


Check = Callable[[World], None]


class Stage:
    """`async with Stage(...)`: a healthy world of east (primary) and west, and a daemon that watches it."""

    def __init__(
        self,
        *,
        level: Level = Level.OBSERVE,
        timing: Timing = DEMO,
        seed: int = 1,
        spec: WorldSpec | None = None,
        change: Callable[[PairPolicy], PairPolicy] = lambda policy: policy,
        check: Check = lambda world: None,
        writers: int = 0,
    ) -> None:
        self.world = World(spec or WorldSpec(clusters=(ClusterSpec(name="east"), ClusterSpec(name="west"))), seed=seed)
        self.names = Names(self.world.spec, self.world.faults, epoch_utc_s=self.world.epoch_utc_s)
        self.world.published_cluster = self.names.published_cluster
        self.check = check
        self.clock = LoopClock()
        self.boot_id = "boot-1"
        self.memory = DictMemory()
        self.journal = MemoryJournal(clock=self.clock)
        self.notifier = ListNotifier()
        self.timeline: list[Seen] = []
        self.steps: list[StepEvent] = []
        self.reachable = True  # the anchors
        self.secrets = {
            "a": Secret(self.world.credentials()["dr_token_a"]),
            "b": Secret(self.world.credentials()["dr_token_b"]),
            "root": Secret(self.world.credentials()["root_token"]),
        }
        self.policy = change(_policy(self.world, level, timing, self.names))
        self._writers = writers
        self._incarnations = AsyncExitStack()
        self._daemon: AsyncExitStack | None = None
        self.transport = WorldTransport(self.world, Place.BASTION)
        self.fence = WorldFence(world=self.world)
        self.dns = WorldDns(names=self.names)
        self.app: App | None = None

    # -- running -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        for number in range(self._writers):
            self.world.clients.append(_client(self.world, self.names, number))
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def start(self) -> None:
        """A daemon of its own starts: with the journal and the memory of the one before."""
        stack = AsyncExitStack()
        self.transport = WorldTransport(self.world, Place.BASTION)
        self.fence = WorldFence(world=self.world, result=self.fence.result)
        self.dns = WorldDns(names=self.names)
        settings = _settings(self.policy)
        gear = await open_gear(
            settings,
            (AnchorPolicy(address="sts.example.net:443", place="neutral"),),
            self._seams(),
            journal=self.journal,
            memory=self.memory,
            clock=self.clock,
            stack=stack,
        )
        ground = Ground(
            stamper=Stamper(clock=self.clock, boot_id=self.boot_id),
            journal=self.journal,
            memory=self.memory,
            notifier=self.notifier,
            observers=Observers(decided=self._decided, stepped=lambda pair, event: self.steps.append(event)),
        )
        self.app = await stack.enter_async_context(App(ground, [gear]))
        self.orders = Orders(self.app.units, ground)
        self._daemon = stack

    async def leave(self) -> None:
        """The daemon ends without a word: tasks are cancelled."""
        if self._daemon is not None:
            stack, self._daemon = self._daemon, None
            await stack.aclose()

    async def kill(self) -> None:
        """As SIGKILL: whatever the dead incarnation still tries touches nothing."""
        self.transport.revoked = self.fence.revoked = self.dns.revoked = True
        self.journal = self.journal.reopened()
        try:
            await self.leave()
        except* Revoked:
            pass  # it was about to look when it was killed

    async def run_until(self, at_s: float) -> None:
        """Let virtual time pass up to `at_s`; the world is ticked and checked once a second."""
        loop = asyncio.get_running_loop()
        while at_s - loop.time() > A_MOMENT_S:
            await asyncio.sleep(min(1.0, at_s - loop.time()))
            self.world.tick(loop.time())
            self.check(self.world)

    async def run_for(self, seconds: float) -> None:
        """As `run_until`, from now."""
        await self.run_until(asyncio.get_running_loop().time() + seconds)

    async def run_till(self, situation: str, *, within_s: float) -> float:
        """Run until the row is seen; the time at which it was. Fails when it is not seen in time."""
        loop = asyncio.get_running_loop()
        end_s, begun = loop.time() + within_s, len(self.timeline)
        while loop.time() < end_s:
            for seen in self.timeline[begun:]:
                if situation in (seen.situation, seen.name_situation):
                    return seen.at_s
            await self.run_for(0.5)
        raise AssertionError(f"{situation} was not seen in {within_s} s; seen: {self.situations}")

    # -- the world ---------------------------------------------------------------------------------------------------

    def fault(self, kind: FaultKind, target: str, *, place: str | None = None, **params: str | float | bool) -> int:
        """Something goes wrong from now on."""
        return self.world.faults.add(Fault(kind=kind, target=target, place=place, params=params))

    def lose(self, region: str) -> int:
        """A region is gone: nothing gets in or out, and every process in it has ended."""
        return self.fault(FaultKind.CRASH, f"region:{region}")

    async def by_hand(self, verb: str, cluster: ClusterId) -> None:
        """Somebody else promotes or demotes a cluster, not through us: with a token and `curl`."""
        serving = self.world.clusters[cluster].serving()
        assert serving is not None
        wire = WorldTransport(self.world, Place.INTERIOR)
        node = NodeAddress(self.world.spec.api_addr(serving.target))
        token = self.secrets["root" if verb == "demote" else "a"].reveal()
        part = "primary" if verb == "demote" else "secondary"
        request = HttpRequest(
            method="POST",
            url=f"{node}/v1/sys/replication/dr/{part}/{verb}",
            headers={"X-Vault-Token": token},
            body=json.dumps({"dr_operation_token": token} if verb == "promote" else {}).encode(),
        )
        reply = await wire(request, timeout_s=30.0)
        assert reply.status < 300, reply

    # -- the daemon --------------------------------------------------------------------------------------------------

    @property
    def unit(self) -> PairUnit:
        """The one pair."""
        assert self.app is not None
        return self.app.units[PAIR]

    @property
    def ledger(self) -> Ledger:
        """What is durable."""
        return self.journal.ledger(PAIR)

    @property
    def facts(self) -> Facts:
        """The newest facts."""
        standing = self.unit.deciding.standing
        assert standing is not None
        return standing.facts

    @property
    def decision(self) -> Decision:
        """The newest decision."""
        standing = self.unit.deciding.standing
        assert standing is not None
        return standing.decision

    @property
    def situations(self) -> tuple[str, ...]:
        """Every row in the order in which it was seen."""
        return tuple(seen.situation for seen in self.timeline)

    def explain(self) -> Shape:
        """What `explain` says now."""
        shape = explanation(self.unit)
        assert shape is not None
        return shape

    async def ask(self, verb: str, *, run_id: str = "", caller: Caller = OPERATOR, **body: object) -> Answer:
        """An order, as it comes over the control socket."""
        given = {"reason": "a test", **body}
        asked = Asked(verb=verb, pair="" if run_id else PAIR, run_id=run_id, body=given)  # type: ignore[arg-type]
        return await self.orders.ask(asked, caller)

    def _decided(self, facts: Facts, decision: Decision) -> None:
        newest = self.timeline[-1] if self.timeline else None
        row, name = decision.row.id, decision.name_row.id
        if newest is None or (newest.situation, newest.name_situation) != (row, name):
            self.timeline.append(Seen(at_s=facts.now.at_s, situation=row, name_situation=name))

    def _seams(self) -> Seams:
        @asynccontextmanager
        async def transport(node: NodeAddress, tls: TlsOptions, names: NameTable) -> AsyncIterator[HttpTransport]:
            yield self.transport

        async def dns(settings: PairSettings, memory: Memory, stack: AsyncExitStack) -> OpenedDns:
            provider: DnsProvider = self.dns
            background: tuple[Background, ...] = ()
            return provider, self.dns, background

        async def reach(address: str) -> bool:
            return self.reachable

        async def resolve(host: str) -> tuple[str, ...]:
            return ()

        def read_secret(ref: SecretRef) -> Secret:
            name = ref.path if isinstance(ref, FileRef) else ref.name
            if name not in self.secrets:
                raise NeedsOperator(Need.CREDENTIAL, f"{name} cannot be read")
            return self.secrets[name]

        return Seams(
            transport=transport,
            resolve=resolve,
            dns=dns,
            fence=lambda settings: self.fence,
            reach=reach,
            read_secret=read_secret,
        )


def _whole_policy(policy: PairPolicy) -> Policy:
    return Policy(pairs={policy.pair: policy})


def _policy(world: World, level: Level, timing: Timing, names: Names) -> PairPolicy:
    fence = FencePolicy(command=("fence",), timeout_s=5.0, on_failure=OnFenceFailure.BLOCK)
    clusters: Mapping[ClusterId, ClusterPolicy] = {
        cluster: ClusterPolicy(
            cluster=cluster,
            address=world.spec.api_addr(f"{cluster}/lb", Place.CLIENTS),
            nodes=tuple(
                NodeAddress(world.spec.api_addr(f"{cluster}/{n}", Place.BASTION))
                for n in range(1, world.spec.cluster(cluster).nodes + 1)
            ),
            vault_id=world.clusters[cluster].vault_id,
            fence=fence,
        )
        for cluster in (EAST, WEST)
    }
    return PairPolicy(
        pair=PAIR,
        replication=Replication(world.spec.kind),
        home=EAST,
        replication_id=world.clusters[EAST].roles[world.kind].set_id,
        clusters=clusters,
        levels=Levels(failover=level),
        timing=timing,
        record=names.service_name.rstrip("."),
        dns_targets={cluster: names.cluster_name(cluster).rstrip(".") for cluster in (EAST, WEST)},
        credentials=CredentialPolicy(dr_operation_tokens=2),
    )


def _settings(policy: PairPolicy) -> PairSettings:
    return PairSettings(
        policy=policy,
        tls={cluster: TlsOptions() for cluster in policy.cluster_ids},
        fences={},
        credentials=Credentials(
            dr_operation_tokens=(FileRef(path="a"), FileRef(path="b")), vault_token=FileRef(path="root")
        ),
        witnesses=(),
        name=NameSettings(provider="manual", route53=None, authoritative=(), resolvers=()),
    )


def _client(world: World, names: Names, number: int) -> SimClient:
    """A program that writes through the service name, by a resolver that keeps answers for the TTL."""

    def resolve(name: str, now_s: float) -> str | None:
        reply = names.resolve(name, RecordType.A, place=Place.CLIENTS, now_s=now_s)
        if reply.answer is None:
            return None
        addresses = [r.values[0] for r in reply.answer.records if r.rtype is RecordType.A]
        return addresses[0] if addresses else None

    return SimClient(
        name=f"writer-{number}",
        service_name=names.service_name,
        token=world.credentials()["client_token"],
        resolve=resolve,
    )
