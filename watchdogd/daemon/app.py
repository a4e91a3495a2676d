"""The composition root: starting is `async with App(...)`, stopping is leaving; and `watchdogd run` as a process."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing, suppress
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from watchdogd import __version__
from watchdogd.adapters.clock import SystemClock, read_boot_id
from watchdogd.adapters.dumps import forbid_dumps
from watchdogd.adapters.logs import configure_from_environment
from watchdogd.adapters.metrics import Metrics
from watchdogd.adapters.notify import LogNotifier
from watchdogd.adapters.secrets import SecretReader
from watchdogd.adapters.settings import Settings
from watchdogd.adapters.store.journal import open_journal
from watchdogd.adapters.store.lock import StateLocked, locked
from watchdogd.adapters.store.memory import open_memory
from watchdogd.adapters.store.trouble import StateUnreadable
from watchdogd.adapters.systemd import ServiceManager, from_environment
from watchdogd.adapters.vault.names import SystemResolve
from watchdogd.core.commands import PROGRAM, Command
from watchdogd.core.model import PairId
from watchdogd.core.rules import notices
from watchdogd.daemon.control import ControlServer
from watchdogd.daemon.exits import Exit
from watchdogd.daemon.feeding import feed_forever, standing_line
from watchdogd.daemon.gear import PairGear
from watchdogd.daemon.leaving import UnwaitedThreads
from watchdogd.daemon.measuring import Measuring
from watchdogd.daemon.orders import Orders
from watchdogd.daemon.reloading import Loaded, Reloading, Wardrobe
from watchdogd.daemon.signals import Signals, heed_no_more, obey_from_the_start
from watchdogd.daemon.stamps import Stamper
from watchdogd.daemon.status import StatusServer
from watchdogd.daemon.unit import Ground, PairUnit
from watchdogd.daemon.unreadable import UnreadableJournal
from watchdogd.daemon.wiring import Anchors, production
from watchdogd.errors import ConfigError
from watchdogd.ports import Chronicle, Notice, Notifier, Severity
from watchdogd.secret import without_secrets

STOP_S_MAX = 80.0  # INTERFACES section 1: TERM
STOP_POLL_S = 0.1

log = structlog.get_logger()


class App:
    """All pairs of one daemon. Inside the block they are watched; leaving it stops every loop."""

    def __init__(self, ground: Ground, gears: Sequence[PairGear]) -> None:
        self.ground = ground
        self.units = {gear.policy.pair: PairUnit(gear, ground) for gear in gears}
        self.why_stop = ""
        self._loops: dict[PairId, list[asyncio.Task[None]]] = {}
        self._tasks = asyncio.TaskGroup()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._tasks)
            stack.callback(self._cancel_every_loop)
            for unit in self.units.values():
                await self._begin(unit)
            self._stack = stack.pop_all()
        return self

    async def _begin(self, unit: PairUnit) -> None:
        await unit.deciding.begin()
        pair = unit.policy.pair
        turn = list(self.units).index(pair) / len(self.units)
        self._loops[pair] = [
            self._tasks.create_task(_until_it_ends(loop), name=f"{pair}-{name}") for name, loop in unit.loops(turn)
        ]

    def _cancel_every_loop(self) -> None:
        for task in chain.from_iterable(self._loops.values()):
            task.cancel()

    async def replace(self, gear: PairGear) -> None:
        """Watch the pair of `gear` with it from now on. The caller has seen to it that no run is open, and none starts.

        Beliefs begin anew, as after a restart; what is durable, and what was told, stays.
        """
        pair = gear.policy.pair
        before, unit = self.units[pair], PairUnit(gear, self.ground)
        for task in self._loops.pop(pair):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        unit.alarms.take_over(before.alarms)
        before.approvals.end("its pair was changed by a reload")
        if self.why_stop:  # told so while this pair was being wired anew
            unit.running.stop(self.why_stop)
        self.units[pair] = unit
        await self._begin(unit)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, exc, trace)

    async def stop(self, why: str) -> None:
        """Bring every run to its next safe point; returns when all have stopped, or after STOP_S_MAX."""
        self.why_stop = why
        for unit in self.units.values():
            unit.running.stop(why)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + STOP_S_MAX
        while loop.time() < end_s and not all(unit.running.is_idle for unit in self.units.values()):
            await asyncio.sleep(STOP_POLL_S)


async def _until_it_ends(loop: Callable[[], Awaitable[None]]) -> None:
    """A loop that returns is done; one that raises takes the daemon down."""
    await loop()


# ------------------------------------------------------------------------------------------------------- the process


def run(config_path: str) -> int:
    """`watchdogd run`: until TERM or INT; the exit code. Raises: ConfigError for what cannot be started on."""
    configure_from_environment()
    if why := forbid_dumps():
        log.warning("memory_can_be_dumped", error=why)
    faulthandler.enable()  # the watchdog ends a hanging daemon with SIGABRT: what every thread was doing is logged then
    loaded = Loaded.of(config_path)
    configure_from_environment(loaded.settings.control_socket)
    try:
        with locked(Path(loaded.settings.state_dir)):
            return asyncio.run(_serve(config_path, loaded))
    except StateLocked as exc:
        log.critical("not_started", error=str(exc))
        print(exc, file=sys.stderr)  # noqa: T201  what the person who typed it must see
        return Exit.STATE_HELD


async def _serve(config_path: str, loaded: Loaded) -> int:
    stop = asyncio.Event()
    asyncio.get_running_loop().set_default_executor(UnwaitedThreads(thread_name_prefix="file"))
    obey_from_the_start(loaded.settings, stop.set)
    manager = from_environment()
    refused: list[Exception] = []
    code = Exit.CLEAN
    try:
        async with AsyncExitStack() as stack:
            app = await _start(config_path, loaded, manager, stack, stop)
            _keep_what_is_there()
            manager.ready(f"watching {', '.join(app.units)}")
            await stop.wait()
            manager.stopping("stopping at a safe point")
            log.info("stopping")
            await app.stop("the daemon was told to stop")
            heed_no_more()
    except* ConfigError as group:
        refused.extend(group.exceptions)
    except* Exception as died:  # loop edge: a dead loop takes the process down, and systemd starts it again
        log.critical("loop_died", error=[repr(exc) for exc in died.exceptions], exc_info=died)
        code = Exit.LOOP_DIED
    if refused:
        raise refused[0]
    log.info("stopped", code=code)
    return code


async def _start(
    config_path: str, loaded: Loaded, manager: ServiceManager, stack: AsyncExitStack, stop: asyncio.Event
) -> App:
    """Everything is opened in this order and closed in the opposite one."""
    settings = loaded.settings
    clock, boot_id = SystemClock(), read_boot_id()
    metrics = Metrics()
    notifier = LogNotifier(clock, structlog.get_logger())
    journal = await _journal(settings, clock, boot_id, metrics, notifier, stack)
    memory = await stack.enter_async_context(open_memory(Path(settings.state_dir), notifier))
    resolve = stack.enter_context(closing(SystemResolve()))
    anchors = Anchors(memory=memory, resolve=resolve)
    anchors.watch(settings.policy.anchors)
    secrets = stack.enter_context(closing(SecretReader.of_environment(os.environ)))
    seams = production(resolve, secrets, anchors)
    wardrobe = Wardrobe(journal=journal, memory=memory, clock=clock, seams=seams)
    stack.push_async_callback(wardrobe.close)
    gears = await wardrobe.first(settings)
    measuring = Measuring(metrics, settings.policy)
    ground = Ground(
        stamper=Stamper(clock=clock, boot_id=boot_id),
        journal=journal,
        memory=memory,
        notifier=notifier,
        notice_over=notifier.clear,
        observers=measuring.observers,
    )
    app = await stack.enter_async_context(App(ground, gears))
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    stack.callback(tasks.create_task(anchors.keep_names_forever(), name="anchor-names").cancel)
    feeding = feed_forever(app.units, journal, manager, measuring, clock)
    stack.callback(tasks.create_task(feeding, name="feed").cancel)
    reloading = Reloading(
        path=config_path,
        loaded=loaded,
        units=app.units,
        wardrobe=wardrobe,
        replace=app.replace,
        spawn=tasks.create_task,
        why_stop=lambda: app.why_stop,
        check=lambda new: ensure_reloadable(new, journal),
        on_begin=lambda: manager.reloading("reloading the config"),
        on_end=lambda outcome: _reload_ended(outcome, app, manager, measuring),
    )
    orders = Orders(app.units, ground, reloading.reload)
    control = await stack.enter_async_context(ControlServer(orders, settings, notifier, measuring.answered))
    await stack.enter_async_context(StatusServer(orders, settings, notifier, metrics.registry))
    reloading.on_applied += [
        lambda new: anchors.watch(new.policy.anchors),
        lambda new: measuring.begin(new.policy),
        _say_what_is_given_up,
        control.apply,
        Signals(orders, stop=stop.set, spawn=tasks.create_task).obey,
    ]
    reloading.tell()
    log.info("started", version=__version__, pairs=list(settings.pairs), state_dir=settings.state_dir)
    return app


def _reload_ended(outcome: str, app: App, manager: ServiceManager, measuring: Measuring) -> None:
    measuring.reloaded(outcome)
    if outcome == "applied":
        _keep_what_is_there()
    manager.ready(standing_line(app.units.values()) or f"watching {', '.join(app.units)}")


def _keep_what_is_there() -> None:
    """What is there now stays until the next reload, and the collector walks the heap of all pairs no more.

    What a reload replaced is let go first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def _journal(
    settings: Settings,
    clock: SystemClock,
    boot_id: str,
    metrics: Metrics,
    notifier: Notifier,
    stack: AsyncExitStack,
) -> Chronicle:
    """The journal; where it cannot be read, one that refuses everything: looking and paging go on.

    Raises: ConfigError as `ensure_same_clusters`.
    """
    try:
        journal = await stack.enter_async_context(
            open_journal(Path(settings.state_dir), clock=clock, boot_id=boot_id, on_write=metrics.journal_written)
        )
    except StateUnreadable as exc:
        log.critical("state_unreadable", error=str(exc))
        return UnreadableJournal(str(exc))
    ensure_same_clusters(settings, journal)
    tell_of_pairs_left(settings, journal, notifier)
    return journal


def ensure_same_clusters(settings: Settings, journal: Chronicle) -> None:
    """Raises: ConfigError when the journal speaks of a cluster that the config no longer has."""
    strangers = [
        f"pair.{pair}.cluster: the journal in {settings.state_dir} speaks of {', '.join(sorted(unknown))}: "
        "keep that name in the config, or give the renamed pair a state_dir of its own"
        for pair, policy in settings.policy.pairs.items()
        if (unknown := journal.ledger(pair).clusters - set(policy.clusters))
    ]
    if strangers:
        raise ConfigError(tuple(strangers))


def tell_of_pairs_left(settings: Settings, journal: Chronicle, notifier: Notifier) -> None:
    """Page for each pair that the config no longer has and of which something is left to settle: nobody watches it."""
    for pair in journal.pairs:
        left = journal.ledger(pair).left_open
        if pair in settings.pairs or not left:
            continue
        summary = (
            f"the config has no pair {pair} any more, and the journal holds {', '.join(left)}: nobody looks after it"
        )
        way_out = "put the pair back under that name until it is settled; under another name it begins with nothing"
        notifier.tell(Notice(pair=pair, key="pair_left", severity=Severity.PAGE, summary=summary, details=(way_out,)))


def ensure_reloadable(settings: Settings, journal: Chronicle) -> None:
    """Raises: ConfigError as `ensure_same_clusters`, and when nobody could turn off a fence that may be held."""
    ensure_same_clusters(settings, journal)
    left = [
        f"pair.{pair}.cluster.{cluster}.fence.command: a fence of ours may hold on {cluster}, and only this command "
        f"turns it off: keep it until `{PROGRAM} {Command.STATUS}` shows no fence"
        for pair, policy in settings.policy.pairs.items()
        for cluster in journal.ledger(pair).fences
        if not policy.cluster(cluster).fence.command
    ]
    if left:
        raise ConfigError(tuple(left))


def _say_what_is_given_up(settings: Settings) -> None:
    for notice in notices(settings.policy):
        log.warning("config_notice", error=without_secrets(str(notice)))
