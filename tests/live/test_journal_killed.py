"""kill -9 in the middle of appends, again and again: nothing that was acknowledged is lost."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.entries import PAIR
from watchdogd.adapters.store.book import open_book
from watchdogd.adapters.store.lock import locked
from watchdogd.core.entries import Noted

pytestmark = pytest.mark.live
ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.support.append_forever"]
LIVES = 4


def acknowledged_until_killed(state_dir: Path, appends: int) -> list[int]:
    """What one daemon acknowledged; it is killed after `appends`, wherever it is then."""
    with subprocess.Popen([*COMMAND, str(state_dir)], stdout=subprocess.PIPE, cwd=ROOT, text=True) as daemon:
        assert daemon.stdout is not None
        said = [int(daemon.stdout.readline()) for _ in range(appends)]
        daemon.kill()
        said += [int(line) for line in daemon.stdout.read().splitlines() if line.strip()]
    return said


@pytest.mark.parametrize("seed", [1, 2])
def test_no_acknowledged_entry_is_lost_and_the_ledger_folds(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged = 0
    for _ in range(LIVES):
        said = acknowledged_until_killed(tmp_path, chance.randint(1, 120))
        assert said == list(range(said[0], said[-1] + 1))
        with locked(tmp_path), closing(open_book(tmp_path, lambda stored, took_s: None)) as book:
            entries = book.ledgers[PAIR].entries
            assert entries % 2 == 0, "half a transaction"
            # One more than was said may be there: it was durable, and the word of it was not out yet.
            acknowledged = said[-1] + 1
            assert acknowledged <= entries // 2 <= acknowledged + 1
            newest = book.history(PAIR, 1, None)[0].entry
            assert isinstance(newest, Noted)
            assert newest.note == str(entries // 2 - 1)
    assert acknowledged > LIVES
