"""What a journal does when the disk refuses, or somebody meddles while it runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.entries import EAST, PAIR, RUN, WEST, stamp
from tests.support.memory import HandClock
from watchdogd.adapters.store.ballast import Ballast
from watchdogd.adapters.store.book import BALLAST_NAME, NAME, Book, open_book
from watchdogd.adapters.store.codec import encode
from watchdogd.adapters.store.journal import open_journal
from watchdogd.core.entries import Entry, FirstElected, Noted
from watchdogd.errors import Need, NeedsOperator

BIG = Noted(run_id=RUN, step="fence", note="x" * 20_000)


def write(book: Book, *entries: Entry) -> None:
    book.append(PAIR, [(entry, encode(entry)) for entry in entries], stamp(5.0))


def refuse_growth(book: Book) -> None:
    """The database may not grow any more: SQLITE_FULL, without a full disk."""
    (pages,) = book.connection.execute("PRAGMA page_count").fetchone()
    book.connection.execute(f"PRAGMA max_page_count = {pages}")


def allow_growth(book: Book) -> None:
    book.connection.execute("PRAGMA max_page_count = 1000000")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(tmp_path, lambda stored, took_s: None)
    write(book, FirstElected(cluster=EAST))
    book.connection.execute("PRAGMA busy_timeout = 10")
    yield book
    book.close()


def assert_refused(book: Book, entry: Entry = BIG) -> str:
    """Nothing of a refused append is kept; the sentence that it came with."""
    before, rows = book.ledgers[PAIR], book.history(None, 100, None)
    with pytest.raises(NeedsOperator) as refused:
        write(book, FirstElected(cluster=WEST), entry)
    assert refused.value.need is Need.JOURNAL
    assert book.ledgers[PAIR] == before
    assert book.history(None, 100, None) == rows
    assert not book.health.is_writable
    assert book.health.trouble == refused.value.detail
    return refused.value.detail


def assert_usable(book: Book) -> None:
    entries = book.ledgers[PAIR].entries
    write(book, BIG)
    assert book.ledgers[PAIR].entries == entries + 1
    assert book.health.is_writable


def test_a_commit_waits_for_the_disk(book: Book) -> None:
    (synchronous,) = book.connection.execute("PRAGMA synchronous").fetchone()
    (journal_mode,) = book.connection.execute("PRAGMA journal_mode").fetchone()
    assert (synchronous, journal_mode) == (2, "wal")  # FULL: sqlite.org/pragma.html#pragma_synchronous


def test_a_full_database_refuses_cleanly_and_goes_on_when_there_is_room(book: Book) -> None:
    refuse_growth(book)
    assert "full" in assert_refused(book)
    allow_growth(book)
    assert_usable(book)


def test_the_ballast_is_given_back_at_the_first_refusal_and_taken_again_when_all_is_well(book: Book) -> None:
    assert book.health.has_ballast
    refuse_growth(book)
    assert_refused(book)
    assert not book.health.has_ballast
    assert not (book.path.parent / BALLAST_NAME).exists()
    allow_growth(book)
    assert book.answer().is_writable
    assert book.health.has_ballast


def test_an_answer_tries_a_tiny_write_only_after_a_failed_one(book: Book) -> None:
    stored = book.health.stored
    assert book.answer().stored == stored
    book.connection.execute("PRAGMA query_only = 1")
    assert "read-only" in assert_refused(book)
    assert not book.answer().is_writable
    book.connection.execute("PRAGMA query_only = 0")
    assert book.answer().is_writable
    assert_usable(book)


def test_another_process_that_holds_the_file_is_named_as_the_cause(book: Book) -> None:
    with closing(sqlite3.connect(book.path, isolation_level=None)) as meddler:
        meddler.execute("BEGIN IMMEDIATE")
        assert "another process" in assert_refused(book)
        assert book.health.has_ballast  # space would not help
        meddler.execute("ROLLBACK")
    assert_usable(book)


def test_people_may_read_the_file_while_the_daemon_writes(book: Book) -> None:
    with closing(sqlite3.connect(f"file:{book.path}?mode=ro", uri=True)) as reader:
        reading = reader.execute("SELECT seq FROM entries")
        assert reading.fetchone() == (1,)
        assert_usable(book)


def test_a_file_that_was_removed_under_the_daemon_is_noticed_before_anything_is_acknowledged(book: Book) -> None:
    away = book.path.with_name("away.db")
    book.path.rename(away)
    assert "removed" in assert_refused(book)
    away.rename(book.path)
    assert_usable(book)


def test_a_file_that_was_replaced_under_the_daemon_is_noticed_before_anything_is_acknowledged(book: Book) -> None:
    away = book.path.with_name("away.db")
    book.path.rename(away)
    book.path.write_bytes(away.read_bytes())
    assert "replaced" in assert_refused(book)


def test_failed_and_stored_writes_are_counted_apart(tmp_path: Path) -> None:
    seen: list[bool] = []
    book = open_book(tmp_path, lambda stored, took_s: seen.append(stored))
    with closing(book):
        write(book, FirstElected(cluster=EAST))
        book.connection.execute("PRAGMA query_only = 1")
        with pytest.raises(NeedsOperator):
            write(book, BIG)
    assert seen == [True, False]
    assert (book.health.stored, book.health.failed) == (1, 1)


async def test_a_journal_that_refuses_still_answers_and_says_why(tmp_path: Path) -> None:
    async with open_journal(tmp_path, clock=HandClock(), boot_id="b") as journal:
        await journal.append(PAIR, FirstElected(cluster=EAST))
        (tmp_path / NAME).rename(tmp_path / "away.db")
        with pytest.raises(NeedsOperator):
            await journal.append(PAIR, BIG)
        health = await journal.answered()
        assert (health.is_writable, health.failed) == (False, 2)
        assert "removed" in health.trouble
        assert journal.ledger(PAIR).entries == 1


def test_damage_met_while_reading_the_history_asks_for_a_human(book: Book) -> None:
    book.connection.execute("UPDATE entries SET body = '{'")
    with pytest.raises(NeedsOperator) as refused:
        book.history(PAIR, 10, None)
    assert refused.value.need is Need.JOURNAL


def test_ballast_is_not_taken_where_there_is_no_room_for_it(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast", size_bytes=2**60)
    ballast.restore()
    assert not ballast.is_held
    assert not ballast.release()
    assert list(tmp_path.iterdir()) == []


def test_half_a_ballast_is_made_whole(tmp_path: Path) -> None:
    (tmp_path / "ballast").write_bytes(b"half")
    ballast = Ballast(tmp_path / "ballast", size_bytes=8192)
    assert not ballast.is_held
    ballast.restore()
    assert ballast.is_held
    assert (tmp_path / "ballast").stat().st_size == 8192
    assert Ballast(tmp_path / "ballast", size_bytes=8192).is_held


def test_ballast_in_a_directory_that_is_gone_is_simply_not_held(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "gone" / "ballast", size_bytes=16)
    ballast.restore()
    assert not ballast.is_held
