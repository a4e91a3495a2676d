"""What a daemon keeps, without a disk: its journal, its memory, and clocks that virtual time moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from watchdogd.adapters.store.codec import decode, encode
from watchdogd.core.entries import Entry, Recorded, Stamp
from watchdogd.core.fold import apply
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import PairId
from watchdogd.errors import Need, NeedsOperator
from watchdogd.ports import Clock, JournalHealth

START_UTC = datetime(2026, 1, 1, tzinfo=UTC)
Fuse = Callable[[str], None]  # called with the name of a point; raises to crash there


@dataclass(slots=True, kw_only=True)
class LoopClock:
    """Both clocks follow the loop's time, so virtual time moves them. `suspended_s` and `stepped_s` push them apart."""

    suspended_s: float = 0.0  # what CLOCK_BOOTTIME is ahead of the loop
    stepped_s: float = 0.0  # what the wall clock is ahead of CLOCK_BOOTTIME

    def now_s(self) -> float:
        return asyncio.get_running_loop().time() + self.suspended_s

    def wall_utc(self) -> datetime:
        return START_UTC + timedelta(seconds=self.now_s() + self.stepped_s)


class Revoked(RuntimeError):
    """A daemon that was killed touched the world: in Python `finally` runs, under SIGKILL it does not."""


class MemoryJournal:
    """The `Chronicle` port. Entries pass the real codec, so what could not be stored fails here too.

    `fuse` is called with "journal before KIND+KIND" and "journal after KIND+KIND" around every append. `refusal` set
    to a sentence makes every append raise NeedsOperator(JOURNAL). `durable` is what a restart finds.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        fuse: Fuse | None = None,
        boot_id: str = "boot-1",
        durable: tuple[Recorded, ...] = (),
    ) -> None:
        self.clock = clock or LoopClock()
        self.fuse = fuse
        self.boot_id = boot_id
        self.durable = durable
        self.refusal = ""
        self._stored = self._failed = 0
        self._is_revoked = False
        self._ledgers: dict[PairId, Ledger] = {}
        for recorded in durable:
            self._advance(recorded)

    def reopened(self, *, fuse: Fuse | None = None, boot_id: str | None = None) -> MemoryJournal:
        """What the next daemon opens. This one is revoked: whoever still writes to it gets Revoked."""
        self._is_revoked = True
        return MemoryJournal(clock=self.clock, fuse=fuse, boot_id=boot_id or self.boot_id, durable=self.durable)

    @property
    def health(self) -> JournalHealth:
        return JournalHealth(
            is_writable=not self.refusal, trouble=self.refusal, stored=self._stored, failed=self._failed
        )

    @property
    def pairs(self) -> tuple[PairId, ...]:
        return tuple(self._ledgers)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of all durable entries, oldest first."""
        return tuple(recorded.entry.kind for recorded in self.durable)

    def entries(self, pair: PairId) -> tuple[Entry, ...]:
        """The durable entries of `pair`, oldest first."""
        return tuple(recorded.entry for recorded in self.durable if recorded.pair == pair)

    def ledger(self, pair: PairId) -> Ledger:
        return self._ledgers.get(pair, Ledger())

    async def append(self, pair: PairId, *entries: Entry) -> None:
        point = "+".join(entry.kind for entry in entries)
        self._burn(f"journal before {point}")
        if self._is_revoked:
            raise Revoked(point)
        if self.refusal:
            self._failed += 1
            raise NeedsOperator(Need.JOURNAL, self.refusal)
        now = Stamp(at_s=self.clock.now_s(), at_utc_s=self.clock.wall_utc().timestamp(), boot_id=self.boot_id)
        seq = len(self.durable) + 1
        added = tuple(
            Recorded(seq=seq + i, pair=pair, stamp=now, entry=decode(entry.kind, encode(entry)))
            for i, entry in enumerate(entries)
        )
        self.durable += added
        for recorded in added:
            self._advance(recorded)
        self._stored += 1
        self._burn(f"journal after {point}")

    async def answered(self) -> JournalHealth:
        return self.health

    async def history(self, pair: PairId | None, *, limit: int, before: int | None = None) -> tuple[Recorded, ...]:
        found = (
            recorded
            for recorded in reversed(self.durable)
            if pair in (None, recorded.pair) and (before is None or recorded.seq < before)
        )
        return tuple(found)[: max(0, limit)]

    def _advance(self, recorded: Recorded) -> None:
        self._ledgers[recorded.pair] = apply(self.ledger(recorded.pair), recorded.entry, recorded.stamp)

    def _burn(self, point: str) -> None:
        if self.fuse is not None:
            self.fuse(point)


@dataclass(slots=True, kw_only=True)
class DictMemory:
    """The `Memory` port. With `is_full` nothing more is stored. What it gives is a view, as the one on disk gives."""

    values: dict[tuple[PairId, str], Mapping[str, object]] = field(default_factory=dict)
    is_full: bool = False

    def get(self, pair: PairId, key: str) -> Mapping[str, object] | None:
        kept = self.values.get((pair, key))
        return None if kept is None else MappingProxyType(dict(kept))

    async def put(self, pair: PairId, values: Mapping[str, Mapping[str, object]]) -> bool:
        if self.is_full:
            return False
        self.values |= {(pair, key): dict(value) for key, value in values.items()}
        return True
