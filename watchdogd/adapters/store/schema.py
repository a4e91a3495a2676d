"""The tables, their versions, and how a database file of ours comes to be and is opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from watchdogd.adapters.store.files import make_private_file, sync_directory
from watchdogd.adapters.store.trouble import StateUnreadable, Trouble

BUSY_TIMEOUT_S = 2.0  # somebody looks into the file by hand: wait for a moment, then say so
COMPANIONS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """`migrations[n]` are the statements that lead from version n to n + 1."""

    file_name: str
    application_id: int
    migrations: tuple[tuple[str, ...], ...]

    @property
    def version(self) -> int:
        """The version that this program writes."""
        return len(self.migrations)


SCRATCH = "CREATE TABLE scratch (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL) STRICT"

JOURNAL = Schema(
    file_name="journal.db",
    application_id=0x77644A4C,
    migrations=(
        (
            """CREATE TABLE entries (
                 seq INTEGER PRIMARY KEY, pair TEXT NOT NULL, at_utc_s REAL NOT NULL, at_s REAL NOT NULL,
                 boot_id TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
                 prev_hash TEXT NOT NULL, hash TEXT NOT NULL) STRICT""",
            "CREATE INDEX entries_by_pair ON entries (pair, seq)",
            SCRATCH,
        ),
    ),
)

MEMORY = Schema(
    file_name="memory.db",
    application_id=0x77644D45,
    migrations=(
        (
            "CREATE TABLE remembered (pair TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, "
            "PRIMARY KEY (pair, key)) STRICT, WITHOUT ROWID",
        ),
    ),
)


def companions(path: Path) -> Iterator[Path]:
    """The files that SQLite keeps beside `path`."""
    return (path.with_name(path.name + suffix) for suffix in COMPANIONS)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it durable when this ends normally, nothing of it otherwise. Raises: sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")


def create(path: Path, schema: Schema) -> None:
    """An empty database at `path`, whole or not at all: made under another name, then renamed.

    Raises: sqlite3.Error, OSError.
    """
    unfinished = path.with_name(path.name + ".new")
    for leftover in (unfinished, *companions(unfinished)):
        leftover.unlink(missing_ok=True)
    make_private_file(unfinished)
    with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {schema.application_id}")
        _migrate(connection, schema)
    descriptor = os.open(unfinished, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    unfinished.rename(path)
    sync_directory(path.parent)


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot change `path`, nor the write-ahead log beside it. Raises: sqlite3.Error."""
    uri = f"file:{quote(str(path))}?mode=ro"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)


def open_for_writing(path: Path, schema: Schema) -> sqlite3.Connection:
    """A connection whose commits are durable when they return; the file is of our version afterwards.

    Raises: sqlite3.Error.
    """
    uri = f"file:{quote(str(path))}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"this file system cannot hold a write-ahead log (it stays at {mode})")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection, schema)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def check(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """`path` is a database of ours, of a version that we can read, and its pages are sound.

    Raises: StateUnreadable, sqlite3.Error.
    """
    check_version(connection, path, schema)
    said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if said != "ok":
        raise StateUnreadable(Trouble.CORRUPT, path, f"damaged: {said}")


def check_version(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """`path` is a database of ours, of a version that we can read. Raises: StateUnreadable, sqlite3.Error."""
    application_id, version = pragma(connection, "application_id"), pragma(connection, "user_version")
    if application_id != schema.application_id or version < 1:
        raise StateUnreadable(Trouble.NOT_OURS, path, "this file was not made by watchdogd")
    if version > schema.version:
        detail = f"version {version} was written by a newer watchdogd; this one reads up to {schema.version}"
        raise StateUnreadable(Trouble.NEWER, path, detail)


def pragma(connection: sqlite3.Connection, name: str) -> int:
    """The number that SQLite keeps under `name`."""
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def trouble_of(error: sqlite3.Error) -> Trouble:
    """Whether the file is damaged, or only cannot be used now."""
    damaged = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)  # ERROR: a table is missing
    return Trouble.CORRUPT if code_of(error) in damaged else Trouble.IO


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where there is none. Source: sqlite.org/rescode.html."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _migrate(connection: sqlite3.Connection, schema: Schema) -> None:
    version = pragma(connection, "user_version")
    if version == schema.version:
        return
    with transaction(connection):
        for migration in schema.migrations[version:]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {schema.version}")
