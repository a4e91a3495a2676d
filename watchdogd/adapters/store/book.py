"""The journal's file, as the writer thread sees it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from watchdogd.adapters.store.ballast import Ballast
from watchdogd.adapters.store.chain import COLUMNS, Row, Tip, next_row, read
from watchdogd.adapters.store.codec import EntryUnreadable
from watchdogd.adapters.store.schema import (
    JOURNAL,
    check,
    code_of,
    companions,
    create,
    open_for_writing,
    open_read_only,
    transaction,
    trouble_of,
)
from watchdogd.adapters.store.trouble import StateUnreadable, Trouble
from watchdogd.core.entries import Entry, Recorded, Stamp
from watchdogd.core.fold import apply
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import PairId
from watchdogd.errors import Need, NeedsOperator
from watchdogd.ports import JournalHealth

NAME = JOURNAL.file_name
BALLAST_NAME = "journal.ballast"
WriteSeen = Callable[[bool, float], None]  # stored or not, and how many seconds it took; called on the writer thread


@dataclass(slots=True, kw_only=True)
class Book:
    """One connection and what its rows add up to. Every method runs on the writer thread, except reading a field."""

    path: Path
    connection: sqlite3.Connection
    inode: int
    ballast: Ballast
    tip: Tip
    ledgers: dict[PairId, Ledger]
    on_write: WriteSeen
    health: JournalHealth = field(default_factory=lambda: JournalHealth(is_writable=True))

    def append(self, pair: PairId, entries: Sequence[tuple[Entry, str]], stamp: Stamp) -> None:
        """Store `entries`, each with its body, and advance the ledger of `pair`. Raises: NeedsOperator(JOURNAL)."""
        tip, rows, ledger = self.tip, [], self.ledgers.get(pair, Ledger())
        for entry, body in entries:
            row = next_row(tip, pair, entry, body, stamp)
            rows.append(row)
            tip, ledger = row.tip, apply(ledger, entry, stamp)

        def insert() -> None:
            marks = ", ".join("?" * len(rows[0]))
            self.connection.executemany(f"INSERT INTO entries ({COLUMNS}) VALUES ({marks})", rows)  # noqa: S608

        self._timed(insert, may_use_ballast=True)
        self.tip, self.ledgers[pair] = tip, ledger

    def answer(self) -> JournalHealth:
        """The health now. After a failed write a tiny one is tried; the ballast is taken back when all is well."""
        if not self.health.is_writable:
            try:
                self._timed(self._scratch, may_use_ballast=False)
            except NeedsOperator:
                return self.health
        self.ballast.restore()
        self.health = replace(self.health, has_ballast=self.ballast.is_held)
        return self.health

    def history(self, pair: PairId | None, limit: int, before: int | None) -> tuple[Recorded, ...]:
        """Newest first. Raises: NeedsOperator(JOURNAL)."""
        query = (
            f"SELECT {COLUMNS} FROM entries WHERE (?1 IS NULL OR pair = ?1) AND (?2 IS NULL OR seq < ?2) "  # noqa: S608
            "ORDER BY seq DESC LIMIT ?3"
        )
        try:
            rows = self.connection.execute(query, (pair, before, limit)).fetchall()
            return tuple(Row._make(values).recorded for values in rows)
        except (sqlite3.Error, EntryUnreadable) as exc:
            raise NeedsOperator(Need.JOURNAL, f"{self.path} cannot be read: {exc}") from exc

    def close(self) -> None:
        """Let the file go."""
        self.connection.close()

    def _scratch(self) -> None:
        self.connection.execute("INSERT INTO scratch VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1")

    def _timed(self, write: Callable[[], None], *, may_use_ballast: bool) -> None:
        """One transaction, measured and counted. Raises: NeedsOperator(JOURNAL), and then nothing of it is kept."""
        started_s = time.perf_counter()
        trouble, is_space = self._attempt(write)
        if is_space and may_use_ballast and self.ballast.release():
            trouble, _ = self._attempt(write)
        took_s = time.perf_counter() - started_s
        self.health = JournalHealth(
            is_writable=not trouble,
            trouble=trouble,
            last_write_s=took_s,
            stored=self.health.stored + (not trouble),
            failed=self.health.failed + bool(trouble),
            has_ballast=self.ballast.is_held,
        )
        self.on_write(not trouble, took_s)
        if trouble:
            raise NeedsOperator(Need.JOURNAL, trouble)

    def _attempt(self, write: Callable[[], None]) -> tuple[str, bool]:
        """Try once. The sentence that says why not, empty when it is durable; and whether more space may help."""
        try:
            if self.path.stat().st_ino != self.inode:
                return f"{self.path} was replaced while the daemon ran: stop it and put the file back", False
            with transaction(self.connection):
                write()
        except FileNotFoundError:
            return f"{self.path} was removed while the daemon ran: stop it and put the file back", False
        except sqlite3.Error as exc:
            # A quota, or an allocation that was put off, shows as an I/O error.
            return self._sentence(exc), code_of(exc) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
        except OSError as exc:
            return self._sentence(exc), False
        return "", False

    def _sentence(self, error: sqlite3.Error | OSError) -> str:
        match code_of(error) if isinstance(error, sqlite3.Error) else 0:
            case sqlite3.SQLITE_FULL:
                why = "the disk is full: free some space"
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                why = "another process holds it: end the program that has it open"
            case sqlite3.SQLITE_READONLY:
                why = "the file or its file system is read-only: check the mount and the owner"
            case sqlite3.SQLITE_IOERR:
                why = "the disk answers with errors: check its free space and its health"
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                why = "the file is damaged: stop the daemon and restore a backup"
            case _:
                why = "see what follows"
        return f"{self.path} cannot be written ({error}): {why}"


def open_book(state_dir: Path, on_write: WriteSeen) -> Book:
    """Read the whole journal and be ready to write; a first one is created.

    Raises: StateUnreadable. The file was not changed then.
    """
    path, ballast = state_dir / NAME, Ballast(state_dir / BALLAST_NAME)
    try:
        return _opened(path, ballast, on_write)
    except StateUnreadable as exc:
        # Even looking needs a little space: the index of the write-ahead log is a file.
        if exc.trouble is not Trouble.IO or not ballast.release():
            raise
    return _opened(path, ballast, on_write)


def _opened(path: Path, ballast: Ballast, on_write: WriteSeen) -> Book:
    try:
        if not path.exists():
            _create_first(path, ballast)
        with closing(open_read_only(path)) as connection:
            check(connection, path, JOURNAL)
            ledgers, tip = read(connection, path)
        connection = open_for_writing(path, JOURNAL)
    except sqlite3.Error as exc:
        raise StateUnreadable(trouble_of(exc), path, f"cannot be opened ({exc})") from exc
    except OSError as exc:
        raise StateUnreadable(Trouble.IO, path, f"cannot be opened ({exc.strerror})") from exc
    ballast.restore()
    return Book(
        path=path,
        connection=connection,
        inode=os.stat(path).st_ino,
        ballast=ballast,
        tip=tip,
        ledgers=ledgers,
        on_write=on_write,
        health=JournalHealth(is_writable=True, has_ballast=ballast.is_held),
    )


def _create_first(path: Path, ballast: Ballast) -> None:
    """A journal that is only gone is not begun anew: it may hold a debt, a fence, an open run."""
    left = [companion.name for companion in companions(path) if companion.exists()]
    if ballast.is_held:
        left.append(BALLAST_NAME)
    if left:
        raise StateUnreadable(Trouble.GONE, path, f"the file is gone, and {', '.join(left)} shows that there was one")
    create(path, JOURNAL)
