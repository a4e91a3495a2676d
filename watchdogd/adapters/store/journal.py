"""The journal on disk: what must survive any crash, in a file of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from watchdogd.adapters.store.book import Book, WriteSeen, open_book
from watchdogd.adapters.store.codec import decode, encode
from watchdogd.adapters.store.writer import Writer
from watchdogd.core.entries import Entry, Recorded, Stamp
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import PairId
from watchdogd.errors import Need, NeedsOperator
from watchdogd.ports import HISTORY_MAX, Clock, JournalHealth


class SqliteJournal:
    """The `Chronicle` port on one SQLite file (WAL, synchronous=FULL), written by one thread."""

    def __init__(self, book: Book, writer: Writer, clock: Clock, boot_id: str) -> None:
        self._book = book
        self._writer = writer
        self._clock = clock
        self._boot_id = boot_id

    @property
    def health(self) -> JournalHealth:
        """As of the latest write or answer; never waits."""
        return self._book.health

    @property
    def pairs(self) -> tuple[PairId, ...]:
        """As `Chronicle.pairs`."""
        return tuple(self._book.ledgers)

    def ledger(self, pair: PairId) -> Ledger:
        """What the entries of `pair` that are durable now add up to."""
        return self._book.ledgers.get(pair, Ledger())

    async def append(self, pair: PairId, *entries: Entry) -> None:
        """Write `entries` in one transaction; durable, and part of the ledger, when this returns.

        Cancelled while it waits, it is either written and in the ledger or neither. One thing no program can promise:
        when the disk refuses the very last fsync and the machine dies before the next write, the refused transaction
        may be found at the next start. It then reads as an intent without an outcome, which is looked at, not repeated.

        Raises: NeedsOperator(JOURNAL) when it cannot be written; NeedsOperator(BUG) for what is no entry.
        """
        if not entries:
            return
        at_utc_s = self._clock.wall_utc().timestamp()
        stamp = Stamp(at_s=float(self._clock.now_s()), at_utc_s=at_utc_s, boot_id=self._boot_id)
        bodies = [_as_stored(entry) for entry in entries]
        await self._writer.run(partial(self._book.append, pair, bodies, stamp))

    async def answered(self) -> JournalHealth:
        """Wait until the writer thread has answered; after a failed write a tiny one is tried first. Never raises.

        Waits for as long as the disk hangs: the caller bounds it. Cancelling the wait is harmless.
        """
        return await self._writer.run(self._book.answer)

    async def history(self, pair: PairId | None, *, limit: int, before: int | None = None) -> tuple[Recorded, ...]:
        """At most `limit` (and HISTORY_MAX) entries of `pair`, or of all, newest first, with `seq` < `before`.

        Raises: NeedsOperator(JOURNAL) when it cannot be read.
        """
        bounded = max(0, min(limit, HISTORY_MAX))
        return await self._writer.run(partial(self._book.history, pair, bounded, before))


def _ignore(stored: bool, took_s: float) -> None:
    """Nobody counts."""


@asynccontextmanager
async def open_journal(
    state_dir: Path, *, clock: Clock, boot_id: str, on_write: WriteSeen = _ignore
) -> AsyncIterator[SqliteJournal]:
    """The journal of `state_dir`, which the caller has locked; created (0600) when there was never one.

    Everything in it is read, checked and folded before this yields. `on_write` is called on the writer thread after
    every write, with whether it was stored and the seconds it took.

    Raises: StateUnreadable; the file was not changed then.
    """
    writer = Writer("journal")
    book: Book | None = None
    try:
        book = await writer.run(partial(open_book, state_dir, on_write))
        yield SqliteJournal(book, writer, clock, boot_id)
    finally:
        await writer.close(book.close if book else _nothing_to_close)


def _nothing_to_close() -> None:
    """The book was never opened."""


def _as_stored(entry: Entry) -> tuple[Entry, str]:
    """The entry as it will be read back, and its body: what could not be read back is never written."""
    try:
        body = encode(entry)
        return decode(entry.kind, body), body
    except (ValueError, TypeError) as exc:
        raise NeedsOperator(Need.BUG, f"an entry that cannot be stored: {exc}") from exc
