"""A journal that cannot be trusted is refused with a way out, and stays as it is, byte for byte."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.entries import EAST, PAIR, RUN, stamp
from tests.support.memory import HandClock
from watchdogd.adapters.store.book import BALLAST_NAME, NAME, open_book
from watchdogd.adapters.store.codec import encode
from watchdogd.adapters.store.journal import open_journal
from watchdogd.adapters.store.trouble import StateUnreadable, Trouble
from watchdogd.core.entries import FirstElected, Noted
from watchdogd.errors import ConfigError


def ignore(stored: bool, took_s: float) -> None:
    """Nobody counts."""


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state directory as kill -9 leaves it: with a write-ahead log that was never folded in."""
    living, killed = tmp_path / "living", tmp_path / "killed"
    living.mkdir()
    killed.mkdir()
    with closing(open_book(living, ignore)) as book:
        for number in range(40):
            entry = Noted(run_id=RUN, step="step", note=f"{number} " + "x" * 2000)
            book.append(PAIR, [(entry, encode(entry))], stamp(float(number)))
        for name in (NAME, NAME + "-wal", BALLAST_NAME):
            shutil.copy(living / name, killed / name)
    assert (killed / (NAME + "-wal")).stat().st_size > 0
    return killed


def change(state_dir: Path, *statements: str) -> None:
    """Meddle with the rows and be killed: what was done is in the write-ahead log only."""
    path = state_dir / NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as meddler:
        for statement in statements:
            meddler.execute(statement)
        copies = {p: p.read_bytes() for p in (path, path.with_name(NAME + "-wal"))}
    for copy, content in copies.items():
        copy.write_bytes(content)


def contents(state_dir: Path) -> dict[str, bytes]:
    """Everything but what any reader makes: the index of the write-ahead log, and an empty log where there is none."""
    whole = {p.name: p.read_bytes() for p in state_dir.iterdir() if not p.name.endswith("-shm")}
    return {name: content for name, content in whole.items() if content or not name.endswith("-wal")}


def assert_refused(state_dir: Path, *troubles: Trouble) -> StateUnreadable:
    before = contents(state_dir)
    with pytest.raises(StateUnreadable) as refused:
        open_book(state_dir, ignore)
    assert refused.value.trouble in troubles
    assert contents(state_dir) == before
    return refused.value


def test_what_kill_left_in_the_write_ahead_log_is_there(state_dir: Path) -> None:
    with closing(open_book(state_dir, ignore)) as book:
        assert book.ledgers[PAIR].entries == 40


def test_a_newer_version_is_refused(state_dir: Path) -> None:
    change(state_dir, "PRAGMA user_version = 2")
    refused = assert_refused(state_dir, Trouble.NEWER)
    assert isinstance(refused, ConfigError)
    assert refused.path == state_dir / NAME
    assert len(refused.problems) == 1
    assert "newer" in refused.problems[0]


def test_somebody_elses_database_is_refused(state_dir: Path) -> None:
    change(state_dir, "PRAGMA application_id = 1")
    assert_refused(state_dir, Trouble.NOT_OURS)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"this is a diary, not a journal\n" * 500)
    assert_refused(tmp_path, Trouble.CORRUPT)


def test_an_empty_file_is_refused_and_not_taken_for_a_new_one(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    assert_refused(tmp_path, Trouble.NOT_OURS)


DAMAGED = (Trouble.CORRUPT, Trouble.CHAIN, Trouble.NOT_OURS)
MEDDLING = {
    "an entry was changed": "UPDATE entries SET body = replace(body, 'x', 'y') WHERE seq = 7",
    "an entry was removed": "DELETE FROM entries WHERE seq = 7",
    "the first entry was removed": "DELETE FROM entries WHERE seq = 1",
    "entries changed places": "UPDATE entries SET seq = CASE seq WHEN 40 THEN 400 ELSE seq END",
    "another pair was written in": "UPDATE entries SET pair = 'test' WHERE seq = 40",
    "the time was changed": "UPDATE entries SET at_utc_s = at_utc_s + 1 WHERE seq = 40",
    "an entry was added": "INSERT INTO entries SELECT seq + 1, pair, at_utc_s, at_s, boot_id, kind, body, hash, hash "
    "FROM entries WHERE seq = 40",
}


@pytest.mark.parametrize("statement", MEDDLING.values(), ids=MEDDLING.keys())
def test_a_broken_chain_is_refused(state_dir: Path, statement: str) -> None:
    change(state_dir, statement)
    assert_refused(state_dir, Trouble.CHAIN)


def test_a_missing_table_is_refused(state_dir: Path) -> None:
    change(state_dir, "DROP TABLE entries")
    assert_refused(state_dir, Trouble.CORRUPT)


def folded(state_dir: Path) -> Path:
    """The same journal after a clean stop: everything in the one file."""
    open_book(state_dir, ignore).close()
    assert not (state_dir / (NAME + "-wal")).exists()
    return state_dir / NAME


@pytest.mark.parametrize("kept_bytes", [50, 100, 4096, 20_000, -1])
def test_a_truncated_file_is_refused(state_dir: Path, kept_bytes: int) -> None:
    path = folded(state_dir)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept_bytes])
    assert_refused(state_dir, *DAMAGED)


def test_any_damaged_page_is_refused_or_does_not_matter(state_dir: Path) -> None:
    path = folded(state_dir)
    whole = path.read_bytes()
    unnoticed = 0
    for start in range(0, len(whole), 4096):
        path.write_bytes(whole[:start] + b"\xa5" * 4096 + whole[start + 4096 :])
        unnoticed += is_opened_whole(state_dir)
    # Only a page that holds no entry may go unnoticed: the counter of the tiny probe writes.
    assert unnoticed <= 1


def is_opened_whole(state_dir: Path) -> bool:
    try:
        with closing(open_book(state_dir, ignore)) as book:
            assert book.ledgers[PAIR].entries == 40
    except StateUnreadable as refused:
        if refused.trouble not in DAMAGED:
            raise
        return False
    return True


def gone(path: Path) -> None:
    path.unlink()


def only_ballast(path: Path) -> None:
    path.unlink()
    path.with_name(NAME + "-wal").unlink()


@pytest.mark.parametrize("take_away", [gone, only_ballast])
def test_a_journal_that_is_gone_is_not_begun_anew(state_dir: Path, take_away: Callable[[Path], None]) -> None:
    take_away(state_dir / NAME)
    assert_refused(state_dir, Trouble.GONE)


def test_a_first_creation_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / (NAME + ".new")).write_bytes(b"half a database")
    (tmp_path / (NAME + ".new-journal")).write_bytes(b"half a journal")
    with closing(open_book(tmp_path, ignore)) as book:
        assert book.ledgers == {}
    assert sorted(p.name for p in tmp_path.iterdir()) == [BALLAST_NAME, NAME]


def test_an_unknown_kind_of_entry_is_refused_though_the_chain_holds(tmp_path: Path) -> None:
    with closing(open_book(tmp_path, ignore)) as book:
        entry = FirstElected(cluster=EAST)
        book.append(PAIR, [(entry, '{"cluster":"east","added_later":1}')], stamp(1.0))
    assert_refused(tmp_path, Trouble.ENTRY)


def test_a_directory_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateUnreadable) as refused:
        open_book(tmp_path / "nowhere", ignore)
    assert refused.value.trouble is Trouble.IO


async def test_the_refusal_reaches_whoever_opens_the_journal(state_dir: Path) -> None:
    change(state_dir, "PRAGMA user_version = 7")
    with pytest.raises(StateUnreadable):
        async with open_journal(state_dir, clock=HandClock(), boot_id="b"):
            pytest.fail("it was opened")
