"""A daemon that does nothing but append: `append_forever.py STATE_DIR`. Prints each note once it is durable."""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

from watchdogd.adapters.clock import SystemClock, read_boot_id
from watchdogd.adapters.store.journal import open_journal
from watchdogd.adapters.store.lock import locked
from watchdogd.core.entries import Noted, StepIntended
from watchdogd.core.model import PairId, RunId


async def append_forever(state_dir: Path) -> None:
    async with open_journal(state_dir, clock=SystemClock(), boot_id=read_boot_id()) as journal:
        pair, run_id = PairId("prod"), RunId("run-1")
        for number in count(journal.ledger(pair).entries // 2):
            note = Noted(run_id=run_id, step="step", note=str(number))
            await journal.append(pair, StepIntended(run_id=run_id, step="step"), note)
            print(number, flush=True)  # noqa: T201  # what it prints is what it acknowledged


if __name__ == "__main__":
    with locked(Path(sys.argv[1])):
        asyncio.run(append_forever(Path(sys.argv[1])))
