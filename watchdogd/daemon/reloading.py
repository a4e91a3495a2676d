"""A new config for a daemon that runs: read, compared, and only the pairs that changed are wired anew.

All or nothing: whatever cannot be applied leaves the running config, and every run, as they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path

import structlog

from watchdogd.adapters.config import load_with_table
from watchdogd.adapters.settings import CredentialRef, PairSettings, Settings, VaultWitness
from watchdogd.core.explain import Json
from watchdogd.core.model import PairId
from watchdogd.core.policy import AnchorPolicy
from watchdogd.daemon.bodies import Excused, Order
from watchdogd.daemon.gear import PairGear
from watchdogd.daemon.protocol import Answer, Code, refuse
from watchdogd.daemon.unit import PairUnit
from watchdogd.daemon.wiring import Seams, open_gear
from watchdogd.errors import ConfigError
from watchdogd.ports import Chronicle, Clock, Memory
from watchdogd.secret import without_secrets

WHY_SEALED = "the config is being reloaded"
ABSENT = "(not set)"
READ_S_MAX = 10.0
NO_ANSWER = "the file system does not answer"

log = structlog.get_logger()
Table = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A config file that is valid: what it means, how it is written, and what stands in the files that it names."""

    settings: Settings
    table: Table
    prints: Mapping[str, str]  # of every CA file

    @classmethod
    def of(cls, path: str | Path) -> Loaded:
        """Read it. Raises: ConfigError."""
        settings, table = load_with_table(path)
        return cls(settings=settings, table=table, prints=_prints(settings))


@dataclass(slots=True, kw_only=True)
class Wardrobe:
    """Opens the gear of pairs, and keeps what has to be closed for each."""

    journal: Chronicle
    memory: Memory
    clock: Clock
    seams: Seams
    stacks: dict[PairId, AsyncExitStack] = field(default_factory=dict)

    async def first(self, settings: Settings) -> list[PairGear]:
        """The gear of every pair, at the start. Raises: ConfigError."""
        opened = await self.open([*settings.pairs.values()], settings.policy.anchors)
        await self.wear(opened)
        return [worn.gear for worn in opened.values()]

    async def open(self, pairs: Sequence[PairSettings], anchors: tuple[AnchorPolicy, ...]) -> dict[PairId, Worn]:
        """The gear of each of `pairs`, or of none of them. Raises: ConfigError."""
        opened = dict[PairId, Worn]()
        try:
            for settings in pairs:
                opened[settings.policy.pair] = await self._open_one(settings, anchors)
        except ConfigError:
            await self.drop(opened)
            raise
        return opened

    async def _open_one(self, settings: PairSettings, anchors: tuple[AnchorPolicy, ...]) -> Worn:
        async with AsyncExitStack() as stack:
            gear = await open_gear(
                settings, anchors, self.seams, journal=self.journal, memory=self.memory, clock=self.clock, stack=stack
            )
            return Worn(gear=gear, stack=stack.pop_all())

    async def wear(self, opened: Mapping[PairId, Worn]) -> None:
        """These count from now on; what they replace is closed."""
        for pair, worn in opened.items():
            before, self.stacks[pair] = self.stacks.get(pair), worn.stack
            if before is not None:
                await before.aclose()

    async def drop(self, opened: Mapping[PairId, Worn]) -> None:
        """These never count."""
        for worn in opened.values():
            await worn.stack.aclose()

    async def close(self) -> None:
        """The end."""
        for stack in self.stacks.values():
            await stack.aclose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Worn:
    """One pair's gear, once it is open, and what closes it."""

    gear: PairGear
    stack: AsyncExitStack


@dataclass(slots=True, kw_only=True)
class Reloading:
    """Holds the config that counts, and replaces it."""

    path: str
    loaded: Loaded
    units: Mapping[PairId, PairUnit]
    wardrobe: Wardrobe
    replace: Callable[[PairGear], Awaitable[None]]
    spawn: Callable[[Coroutine[object, object, Answer]], asyncio.Task[Answer]]
    why_stop: Callable[[], str]  # why nothing is to begin any more, or empty
    check: Callable[[Settings], None]  # raises ConfigError for what the journal contradicts
    on_begin: Callable[[], object]
    on_end: Callable[[str], object]  # applied, unchanged, refused
    on_applied: list[Callable[[Settings], None]] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _reading: asyncio.Future[Loaded] | None = None

    async def reload(self, order: Order[Excused]) -> Answer:
        """Apply the file as it is now. Whoever waits for the answer may give up: the reload comes to its end."""
        return await asyncio.shield(self.spawn(self._in_turn(order.given.reason or "", order.uid)))

    async def _in_turn(self, reason: str, uid: int) -> Answer:
        async with self.lock:
            if why := self.why_stop():
                return refuse(Code.STALE, f"the running config is kept: {why}")
            self.on_begin()
            outcome = "refused"
            try:
                answer = await self._attempt()
                outcome = "refused" if answer.is_error else "applied" if answer.body["changed"] else "unchanged"
            finally:
                self.on_end(outcome)
        if answer.is_error:
            log.error("config_not_reloaded", uid=uid, why=reason, error=answer.body["error"])
        else:
            log.info("config_reloaded", uid=uid, why=reason, **answer.body)
        return answer

    async def _attempt(self) -> Answer:
        try:
            new = await self._read()
            _ensure_changeable(self.loaded.settings, new.settings)
            self.check(new.settings)
            pairs = changed_pairs(self.loaded, new)
            opened = await self.wardrobe.open([new.settings.pairs[pair] for pair in pairs], new.settings.policy.anchors)
        except ConfigError as broken:
            return refuse(Code.BLOCKED, "\n".join(("the running config is kept:", *broken.problems)))
        if (busy := await self._seal(pairs)) is not None:
            await self.wardrobe.drop(opened)
            return busy
        changed = [*differences(self.loaded.table, new.table), *_changed_files(self.loaded, new)]
        await self._apply(new, opened)
        lines: list[Json] = [*changed]
        rewired: list[Json] = [*pairs]
        return Answer(body={"changed": lines, "rewired": rewired})

    async def _read(self) -> Loaded:
        """The file as it is now. Raises: ConfigError, also when a file system does not answer in time.

        What hangs is left in its thread, one of them however often a reload is asked for.
        """
        if self._reading is not None and not self._reading.done():
            raise ConfigError((f"{self.path}: {NO_ANSWER}: what the last reload asked for is not read yet",))
        self._reading = asyncio.get_running_loop().run_in_executor(None, Loaded.of, self.path)
        await asyncio.wait({self._reading}, timeout=READ_S_MAX)
        if not self._reading.done():
            self._reading.add_done_callback(lambda reading: reading.cancelled() or reading.exception())
            said = f"it, or a CA file that it names, could not be read within {READ_S_MAX:g} s"
            raise ConfigError((f"{self.path}: {NO_ANSWER}: {said}",))
        return self._reading.result()

    async def _seal(self, pairs: Sequence[PairId]) -> Answer | None:
        """No run starts on these pairs; the refusal, and nothing changed, when one is open on any of them."""
        for n, pair in enumerate(pairs):
            if not await self.units[pair].running.seal(WHY_SEALED):
                for sealed in pairs[:n]:
                    self.units[sealed].running.unseal()
                said = f"a run is open on {pair}, and nothing is changed under it: end it, or restart the daemon"
                return refuse(Code.RUN_IN_PROGRESS, f"the running config is kept: {said}")
        return None

    async def _apply(self, new: Loaded, opened: Mapping[PairId, Worn]) -> None:
        self.loaded = new
        self.tell()
        for worn in opened.values():
            await self.replace(worn.gear)
        await self.wardrobe.wear(opened)

    def tell(self) -> None:
        """Tell everybody who goes by the config what counts now."""
        for apply in self.on_applied:
            apply(self.loaded.settings)


def changed_pairs(before: Loaded, after: Loaded) -> list[PairId]:
    """The pairs that have to be wired anew; all of them when the anchors changed."""
    is_every = before.settings.policy.anchors != after.settings.policy.anchors
    return [pair for pair in after.settings.pairs if is_every or _what_wires(before, pair) != _what_wires(after, pair)]


def _what_wires(loaded: Loaded, pair: PairId) -> object:
    settings = loaded.settings.pairs[pair]
    return settings, {path: loaded.prints[path] for path in _ca_files(settings)}


def _ca_files(settings: PairSettings) -> set[str]:
    seen_from = [witness.tls for witness in settings.witnesses if isinstance(witness, VaultWitness)]
    return {tls.ca_file for tls in (*settings.tls.values(), *seen_from) if tls.ca_file is not None}


def _prints(settings: Settings) -> dict[str, str]:
    return {path: _print_of(path) for pair in settings.pairs.values() for path in _ca_files(pair)}


def _print_of(path: str) -> str:
    try:
        return sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""  # whoever opens it for use says what is wrong with it


def _changed_files(before: Loaded, after: Loaded) -> list[str]:
    paths = sorted(before.prints.keys() & after.prints.keys())
    return [f"{path}: its content was replaced" for path in paths if before.prints[path] != after.prints[path]]


def _ensure_changeable(before: Settings, after: Settings) -> None:
    if problems := tuple(unchangeable(before, after)):
        raise ConfigError(problems)


def unchangeable(before: Settings, after: Settings) -> Iterator[str]:
    """What only a restart can change. A daemon that moved these under its feet would lose its state or its callers."""
    fixed = {
        "state_dir": (before.state_dir, after.state_dir),
        "environment": (before.policy.environment, after.policy.environment),
        "control.socket": (before.control_socket, after.control_socket),
        "listen.http": ((before.http_host, before.http_port), (after.http_host, after.http_port)),
        "pair": (sorted(before.pairs), sorted(after.pairs)),
    }
    for pair in sorted(set(before.pairs) & set(after.pairs)):
        one, two = before.pairs[pair].policy, after.pairs[pair].policy
        fixed[f"pair.{pair}.cluster"] = (sorted(one.clusters), sorted(two.clusters))
        fixed[f"pair.{pair}.replication"] = (one.replication, two.replication)
        if given := sorted(_given_at_start(after.pairs[pair]) - _given_at_start(before.pairs[pair])):
            yield (
                f"pair.{pair}.credentials: systemd gives {', '.join(given)} to the process when it starts: "
                "restart the daemon"
            )
    for key, (was, now) in fixed.items():
        if was != now:
            yield f"{key}: changes only by a restart: put it back, or restart the daemon"


def _given_at_start(settings: PairSettings) -> set[str]:
    return {ref.name for ref in settings.credentials.every_ref if isinstance(ref, CredentialRef)}


def differences(before: Table, after: Table) -> list[str]:
    """One line for every key whose value differs, as the file spells them, but for what may be a secret."""
    one, two = dict(_flat(before)), dict(_flat(after))
    keys = dict.fromkeys(chain(one, two))
    changed = [key for key in keys if one.get(key) != two.get(key)]
    return [without_secrets(f"{key}: {one.get(key, ABSENT)} -> {two.get(key, ABSENT)}") for key in changed]


def _flat(table: Table, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
