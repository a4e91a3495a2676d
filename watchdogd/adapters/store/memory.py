"""What is worth remembering and given up first: last known, proofs, addresses that worked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType

from watchdogd.adapters.store.schema import (
    MEMORY,
    check,
    companions,
    create,
    open_for_writing,
    open_read_only,
    transaction,
    trouble_of,
)
from watchdogd.adapters.store.trouble import StateUnreadable, Trouble
from watchdogd.adapters.store.writer import Writer
from watchdogd.core.model import EVERY_PAIR, PairId
from watchdogd.ports import Notice, Notifier, Severity

NAME = MEMORY.file_name
ASIDE_SUFFIX = ".unreadable"  # one is kept; a second one replaces it
VALUE_BYTES_MAX = 64 * 1024
KEYS_MAX = 4096
TOTAL_BYTES_MAX = 8 * 1024 * 1024
Place = tuple[PairId, str]


class SqliteMemory:
    """The `Memory` port on one SQLite file. Everything is also held in RAM, and the file follows it.

    What the disk refused stays in RAM and is tried again with the next `put`; what is over the quota is not kept.
    """

    def __init__(self, file: MemoryFile, writer: Writer, texts: Mapping[Place, str]) -> None:
        self._file = file
        self._writer = writer
        self._texts = dict(texts)
        self._unstored: set[Place] = set()
        self._size_bytes = sum(len(text) for text in self._texts.values())

    def get(self, pair: PairId, key: str) -> Mapping[str, object] | None:
        """The value last put, or None."""
        text = self._texts.get((pair, key))
        return None if text is None else MappingProxyType(json.loads(text))

    async def put(self, pair: PairId, values: Mapping[str, Mapping[str, object]]) -> bool:
        """Remember `values`; False when they, or some put before them, could not be stored. Never raises."""
        fitted = all([self._keep((pair, key), value) for key, value in values.items()])
        places = frozenset(self._unstored)
        if not places:
            return fitted
        rows = [(*place, self._texts[place]) for place in places]
        self._unstored -= places
        stored = False
        try:
            stored = await self._writer.run(partial(self._file.store, rows))
        finally:
            if not stored:
                self._unstored |= places
        self._recover()
        return stored and fitted

    def _recover(self) -> None:
        """Take in what a file held that could not be opened at the start; what was seen since then is newer."""
        for place, text in self._file.take_recovered().items():
            if place not in self._texts:
                self._texts[place] = text
                self._size_bytes += len(text)

    def _keep(self, place: Place, value: Mapping[str, object]) -> bool:
        try:
            text = json.dumps(dict(value), allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError):
            return False
        before = self._texts.get(place)
        if text == before:
            return True
        size_bytes = self._size_bytes + len(text) - len(before or "")
        if len(text) > VALUE_BYTES_MAX or size_bytes > TOTAL_BYTES_MAX:
            return False
        if before is None and len(self._texts) >= KEYS_MAX:
            return False
        self._texts[place], self._size_bytes = text, size_bytes
        self._unstored.add(place)
        return True


class MemoryFile:
    """The file, as the writer thread sees it. Without a connection nothing is stored and nothing fails."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._recovered: dict[Place, str] = {}

    def take_recovered(self) -> dict[Place, str]:
        """What a late opening found; once."""
        found, self._recovered = self._recovered, {}
        return found

    def load(self, notifier: Notifier) -> dict[Place, str]:
        """What was remembered. A file that cannot be read is moved aside, told, and begun anew. Never raises."""
        try:
            texts, self._connection = self._open()
        except StateUnreadable as exc:
            if exc.trouble is not Trouble.IO:
                self._move_aside()
            notifier.tell(_begun_anew(exc, self._path))
            return {}
        return texts

    def store(self, rows: list[tuple[PairId, str, str]]) -> bool:
        """All of `rows`, durable, or False."""
        try:
            if self._connection is None:
                self._recovered, self._connection = self._open()
            with transaction(self._connection):
                self._connection.executemany("INSERT OR REPLACE INTO remembered VALUES (?, ?, ?)", rows)
        except (sqlite3.Error, OSError, StateUnreadable):
            return False
        return True

    def close(self) -> None:
        """Let the file go."""
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> tuple[dict[Place, str], sqlite3.Connection]:
        try:
            if not self._path.exists():
                self._clear_companions()
                create(self._path, MEMORY)
            with closing(open_read_only(self._path)) as looking:
                check(looking, self._path, MEMORY)
                rows = looking.execute("SELECT pair, key, value FROM remembered").fetchall()
            connection = open_for_writing(self._path, MEMORY)
        except sqlite3.Error as exc:
            raise StateUnreadable(trouble_of(exc), self._path, f"cannot be opened ({exc})") from exc
        except OSError as exc:
            raise StateUnreadable(Trouble.IO, self._path, f"cannot be opened ({exc.strerror})") from exc
        return {(PairId(pair), key): value for pair, key, value in rows if _is_value(value)}, connection

    def _move_aside(self) -> None:
        with suppress(OSError):
            self._path.rename(self._path.with_name(self._path.name + ASIDE_SUFFIX))
            self._clear_companions()

    def _clear_companions(self) -> None:
        for companion in companions(self._path):
            companion.unlink(missing_ok=True)


@asynccontextmanager
async def open_memory(state_dir: Path, notifier: Notifier) -> AsyncIterator[SqliteMemory]:
    """The memory of `state_dir`, which the caller has locked. Never raises: without a file it remembers in RAM."""
    writer = Writer("memory")
    file = MemoryFile(state_dir / NAME)
    try:
        texts = await writer.run(partial(file.load, notifier))
        yield SqliteMemory(file, writer, texts)
    finally:
        await writer.close(file.close)


def _is_value(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _begun_anew(error: StateUnreadable, path: Path) -> Notice:
    is_aside = error.trouble is not Trouble.IO
    return Notice(
        pair=EVERY_PAIR,
        key="memory_begun_anew" if is_aside else "memory_not_stored",
        severity=Severity.WARN,
        summary=f"{path}: {error.detail}",
        details=(
            "last known positions, proofs of credentials and node addresses are unknown until they are seen again",
            f"it was moved to {path.name}{ASIDE_SUFFIX}" if is_aside else "it is tried again with every write",
        ),
    )
