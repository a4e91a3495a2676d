"""One process of the daemon in a scenario: its own App on the scenario's ports, until it is killed."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from watchdogd.adapters.settings import FileRef, PairSettings, SecretRef
from watchdogd.adapters.vault.names import NameTable
from watchdogd.adapters.vault.transport import TlsOptions
from watchdogd.core.model import ClusterId, NodeAddress, PairId
from watchdogd.core.policy import AnchorPolicy
from watchdogd.daemon.app import App
from watchdogd.daemon.gear import PairGear, Sighting
from watchdogd.daemon.orders import Orders
from watchdogd.daemon.stamps import Stamper
from watchdogd.daemon.unit import Ground, Observers, PairUnit
from watchdogd.daemon.wiring import OpenedDns, Seams, open_gear
from watchdogd.errors import Need, NeedsOperator
from watchdogd.lab.wire import Place
from watchdogd.lab.zone import RecordType
from watchdogd.ports import HttpTransport, Memory, Notice, Severity
from watchdogd.rehearsal.memory import Revoked
from watchdogd.rehearsal.ports import PlayDns, PlayFence, PlayTransport
from watchdogd.rehearsal.site import PAIR, address_of, settings_of
from watchdogd.secret import Secret

if TYPE_CHECKING:
    from watchdogd.rehearsal.play import Play

ANCHOR = AnchorPolicy(address="sts.example.net:443", place="neutral")
WITNESS = "third"
WHY_STOPPED = "the daemon was told to stop"


class Incarnation:
    """Started with what is durable on the stage; `kill` revokes it."""

    def __init__(self, stage: Play) -> None:
        self._stage = stage
        journal = stage.open_journal()
        journal.disk, journal.tell_entry, journal.now = stage.disk, stage.told_entry, stage.clock
        self.journal = journal
        ask = stage.invariants
        self.transport = PlayTransport(stage.world, stage.clock, stage.tell, ask.sends, stage.burn)
        self.fence = PlayFence(
            world=stage.world, plan=stage.fence_plan, tell=stage.tell, check=ask.fences, burn=stage.burn
        )
        self.dns = PlayDns(names=stage.names, clock=stage.clock, check=ask.publishes, burn=stage.burn)
        self.app: App | None = None
        self.orders: Orders | None = None
        self.task: asyncio.Task[None] | None = None
        self.told_to_stop = asyncio.Event()
        self.is_over = self.has_stopped = False

    @property
    def unit(self) -> PairUnit | None:
        """The one pair, once it is watched."""
        return self.app.units[PAIR] if self.app is not None else None

    def kill(self) -> None:
        """As SIGKILL: from now on it touches nothing, whatever its coroutines still do."""
        self.is_over = True
        self.transport.revoked = self.fence.revoked = self.dns.revoked = True
        self.journal.is_dead = True
        self.journal.reopened()
        if self.task is not None:
            self.task.cancel()

    def term(self) -> None:
        """As SIGTERM, noticed at whatever was waited for last: it counts before anything else runs. Twice is once."""
        for unit in self.app.units.values() if self.app is not None else ():
            unit.running.stop(WHY_STOPPED)
        self.told_to_stop.set()

    async def run_until_killed(self) -> None:
        """Watch, decide and act until killed or told to stop. A loop that dies is a finding of the scenario."""
        try:
            async with AsyncExitStack() as stack:
                ground, gear = self._ground(), await self._gear(stack)
                self.app = await stack.enter_async_context(App(ground, [gear]))
                self.orders = Orders(self.app.units, ground)
                await self.told_to_stop.wait()
                await self.app.stop(WHY_STOPPED)
            self.has_stopped = True
        except* Revoked:
            pass  # it was killed
        except* asyncio.CancelledError:
            pass
        except* Exception as died:  # noqa: BLE001  loop edge: what a process would have died of
            if not self.is_over:
                self._stage.invariants.broken.append(f"a loop died: {''.join(traceback.format_exception(died))}")

    def _ground(self) -> Ground:
        stage = self._stage
        return Ground(
            stamper=Stamper(clock=stage.clock, boot_id="boot-1"),
            journal=self.journal,
            memory=OwnMemory(stage.memory, self),
            notifier=OwnNotifier(stage, self),
            observers=Observers(decided=self._while_alive(stage.decided), stepped=self._while_alive(stage.stepped)),
        )

    def _while_alive(self, tell: Callable[..., None]) -> Callable[..., None]:
        def told(*args: Any) -> None:
            if not self.is_over:
                tell(*args)

        return told

    async def _gear(self, stack: AsyncExitStack) -> PairGear:
        stage = self._stage
        gear = await open_gear(
            settings_of(stage.scenario, stage.policy),
            (ANCHOR,),
            self._seams(),
            journal=self.journal,
            memory=OwnMemory(stage.memory, self),
            clock=stage.clock,
            stack=stack,
        )
        has_witness = stage.scenario.pair.get("witness") is True
        return replace(gear, witnesses={WITNESS: self._witness}) if has_witness else gear

    async def _witness(self, cluster: ClusterId) -> Sighting:
        return Sighting(sees=self._stage.clock.now_s() < self._stage.witness_until_s, why="as the scenario says")

    def _seams(self) -> Seams:
        return Seams(
            transport=self._transport,
            resolve=self._resolve,
            dns=self._dns,
            fence=lambda settings: self.fence,
            reach=self._reach,
            read_secret=self._read_secret,
        )

    @asynccontextmanager
    async def _transport(self, node: NodeAddress, tls: TlsOptions, names: NameTable) -> AsyncIterator[HttpTransport]:
        yield self.transport.through(node, names)

    async def _dns(self, settings: PairSettings, memory: Memory, stack: AsyncExitStack) -> OpenedDns:
        return self.dns, self.dns, ()

    async def _reach(self, address: str) -> bool:
        return self._stage.clock.now_s() >= self._stage.anchors_cut_until_s

    async def _resolve(self, host: str) -> tuple[str, ...]:
        stage, address = self._stage, address_of(self._stage.world, host)
        asked = stage.names.service_name  # a resolver that answers at all answers this
        reply = stage.names.resolve(asked, RecordType.A, place=Place.BASTION, now_s=stage.clock.now_s())
        return (address,) if address is not None and reply.answer is not None else ()

    def _read_secret(self, ref: SecretRef) -> Secret:
        name = ref.path if isinstance(ref, FileRef) else ref.name
        if name not in self._stage.secrets:
            raise NeedsOperator(Need.CREDENTIAL, f"{name} cannot be read")
        return self._stage.secrets[name]


@dataclass(slots=True)
class OwnMemory:
    """The `Memory` of one incarnation: what a dead one still puts is not kept."""

    kept: Memory
    daemon: Incarnation

    def get(self, pair: PairId, key: str) -> Mapping[str, object] | None:
        """As the port says."""
        return self.kept.get(pair, key)

    async def put(self, pair: PairId, values: Mapping[str, Mapping[str, object]]) -> bool:
        """As the port says."""
        return False if self.daemon.is_over else await self.kept.put(pair, values)


@dataclass(slots=True)
class OwnNotifier:
    """The `Notifier` of one incarnation: a line of the story once per condition."""

    stage: Play
    daemon: Incarnation
    told: set[tuple[str, Severity]] = field(default_factory=set)

    def tell(self, notice: Notice) -> None:
        """As the port says."""
        if self.daemon.is_over or (notice.key, notice.severity) in self.told:
            return
        self.told.add((notice.key, notice.severity))
        self.stage.told_notice(notice)
