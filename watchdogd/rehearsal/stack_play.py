"""A random story on the whole stack: the App against the lab's world, its journal and its memory files of SQLite.

A restart finds what the files hold. Jobs of the stores are done where they are asked for, without a thread, so that a
story is the same every time.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from structlog.testing import capture_logs

from watchdogd.adapters.store.book import Book, open_book
from watchdogd.adapters.store.journal import SqliteJournal
from watchdogd.adapters.store.memory import NAME as MEMORY_NAME
from watchdogd.adapters.store.memory import MemoryFile, SqliteMemory
from watchdogd.adapters.store.writer import Writer
from watchdogd.core.entries import Entry
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import PairId
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.scenario import ActLine, Budget, Do, FaultLine, Scalars, Scenario, Tag, When
from watchdogd.ports import JournalHealth, Notice, Severity
from watchdogd.rehearsal.play import Play
from watchdogd.rehearsal.ports import PlayJournal
from watchdogd.rehearsal.site import EAST, PAIR, WEST
from watchdogd.rehearsal.virtual_time import virtual_loop

T = TypeVar("T")
IN_RAM = Path("/dev/shm")  # noqa: S108  every play makes a directory of its own in it


# -- the words of a story --------------------------------------------------------------------------------------------


def fault(at_s: float, kind: FaultKind, target: str, for_s: float | None = None, **given: Any) -> FaultLine:
    """Something goes wrong at a second, for so long."""
    place = given.pop("place", None)
    return FaultLine(
        when=When(at_s=at_s), fault=Fault(kind=kind, target=target, place=place, params=given), for_s=for_s
    )


def act(when: float | When, do: Do, **given: Any) -> ActLine:
    """Somebody does something at a second, or when a line of the story is seen."""
    moment = when if isinstance(when, When) else When(at_s=when)
    return ActLine(when=moment, do=do, given={key.rstrip("_"): value for key, value in given.items()})


def scenario(
    title: str,
    until_s: float,
    seed: int,
    faults: list[FaultLine],
    acts: list[ActLine],
    *,
    world: Scalars,
    pair: Scalars,
    fence: Scalars,
    tags: frozenset[Tag] = frozenset(),
) -> Scenario:
    """A scenario that expects nothing by itself: its story is judged by whoever told it."""
    return Scenario(
        title=title,
        case="",
        stands_for="",
        until_s=until_s,
        seed=seed,
        tags=tags,
        world=world,
        pair={"timing": "default", **pair},
        fence=fence,
        faults=tuple(faults),
        acts=tuple(acts),
        expected=(),
        standing=(),
        budget=Budget(),
    )


# -- files -----------------------------------------------------------------------------------------------------------


class AtOnce(Writer):
    """Does a job where it is asked for. The thread of the real one begins with its first job: here there is none."""

    async def run(self, job: Callable[[], T]) -> T:
        """As `Writer.run`."""
        return job()


def _ignore(stored: bool, took_s: float) -> None:
    """Nobody counts."""


class FileJournal(PlayJournal):
    """The real journal on its file; what a play reads of one is kept beside it."""

    real: SqliteJournal | None = None  # none while what is kept beside it is read

    @property
    def health(self) -> JournalHealth:
        return self.real.health if self.real is not None else super().health

    def ledger(self, pair: PairId) -> Ledger:
        return self.real.ledger(pair) if self.real is not None else super().ledger(pair)

    async def append(self, pair: PairId, *entries: Entry) -> None:
        if not self.is_dead and self.real is not None:  # a dead one is refused by what follows
            await self.real.append(pair, *entries)
        await super().append(pair, *entries)

    async def answered(self) -> JournalHealth:
        return await self.real.answered() if self.real is not None else await super().answered()


class FileMemory(SqliteMemory):
    """The real memory on its file."""

    @property
    def values(self) -> Mapping[tuple[PairId, str], str]:
        """All that is remembered."""
        return self._texts


@dataclass(frozen=True, slots=True)
class Complaints:
    """The `Notifier` of a memory that is read: there is nothing to tell of a file that only a kill has left behind."""

    broken: list[str]

    def tell(self, notice: Notice) -> None:
        """As the port says."""
        self.broken.append(f"the memory's file cannot be read again: {notice.summary}")


class StackPlay(Play):
    """A play whose daemon has a state directory."""

    def __init__(self, told: Scenario, folder: Path) -> None:
        super().__init__(told)
        self._folder = folder
        self._book: Book | None = None
        self._memory_file: MemoryFile | None = None

    def open_journal(self) -> PlayJournal:
        """What the file holds; it must be what the process before was told is durable."""
        journal = FileJournal(clock=self.clock, durable=self.durable, fuse=self.burn)
        self._book = open_book(self._folder, _ignore)
        real = SqliteJournal(self._book, AtOnce("journal"), self.clock, "boot-1")
        if real.ledger(PAIR) != journal.ledger(PAIR):
            self.invariants.broken.append("I2 broken: the journal's file does not add up to what was durable")
        journal.real = real
        return journal

    def start(self) -> None:
        """As `Play.start`, on the files that were left."""
        self._memory_file = MemoryFile(self._folder / MEMORY_NAME)
        texts = self._memory_file.load(Complaints(self.invariants.broken))
        self.memory = FileMemory(self._memory_file, AtOnce("memory"), texts)  # type: ignore[assignment]
        super().start()

    def kill(self) -> None:
        """As `Play.kill`; the kernel closes its files."""
        super().kill()
        if self._book is not None:
            self._book.close()
        if self._memory_file is not None:
            self._memory_file.close()
        self._book = self._memory_file = None

    # -- what is asked of a story --------------------------------------------------------------------------------------

    def line_s(self, words: str, after_s: float = 0.0) -> float | None:
        """When the story first says so."""
        return next((line.at_s for line in self.story.of(words) if line.at_s >= after_s), None)

    def pages(self) -> tuple[str, ...]:
        """The sentences of every page that stands."""
        unit = self.daemon.unit if self.daemon is not None else None
        standing = unit.alarms.standing if unit is not None else ()
        return tuple(notice.summary for notice in standing if notice.severity is Severity.PAGE)

    def row(self) -> str:
        """The row that is decided now."""
        unit = self.daemon.unit if self.daemon is not None else None
        return unit.deciding.standing.decision.row.id if unit is not None and unit.deciding.standing else ""

    def gates(self) -> tuple[str, ...]:
        """The gates that are closed now."""
        unit = self.daemon.unit if self.daemon is not None else None
        facts = unit.deciding.standing.facts if unit is not None and unit.deciding.standing else None
        return tuple(gate.gate for gate in facts.closed_gates()) if facts is not None else ()

    def is_reached_by_clients(self, cluster: str) -> bool:
        """Whether the clients' place reaches it, our own fence left aside."""
        world = self.world
        region, was_fenced = world.clusters[cluster].region, world.is_fenced(cluster)
        world.network.fence(region, on=False)
        try:
            return world.clients_reach(cluster)
        finally:
            world.network.fence(region, on=was_fenced)

    def is_at_rest(self, *, is_back: bool) -> bool:
        """Failed over, and nothing left to do: west primary and published; the debt settled once east is back."""
        ledger, world = self.ledger, self.world
        primaries = world.active_primaries()
        is_moved = WEST in primaries and ledger.elected == WEST and ledger.run is None
        is_named = self.names.published_cluster(self.clock.now_s()) == WEST
        if not is_moved or not is_named or not is_back:
            return is_moved and is_named and ledger.open_debt is not None
        is_open = bool(ledger.fences) or any(world.is_fenced(cluster) for cluster in (EAST, WEST))
        return primaries == (WEST,) and ledger.open_debt is None and not is_open


P = TypeVar("P", bound=StackPlay)


def play_through(make: Callable[[Path], P]) -> P:
    """Make a play in a state directory of its own and play it to its end, on a loop of its own."""

    async def through(folder: Path) -> P:
        play = make(folder)
        with capture_logs():
            await play.run()
        return play

    within = IN_RAM if IN_RAM.is_dir() else None
    with tempfile.TemporaryDirectory(dir=within, prefix="watchdogd-soak-") as folder:
        with asyncio.Runner(loop_factory=virtual_loop) as runner:
            return runner.run(through(Path(folder)))
