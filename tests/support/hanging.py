"""`watchdogd run` as it is, but for one part that hangs for ever once a file appears: hanging.py PART FILE run CONFIG.

Imports nothing but the package, so that it also runs where only that is installed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading

from watchdogd.adapters.store.book import Book
from watchdogd.cli.main import main
from watchdogd.core.model import ClusterId, NodeAddress, NodeSeen
from watchdogd.daemon.deciding import Deciding
from watchdogd.daemon.probing import Probing
from watchdogd.ports import JournalHealth

part, appears, command = sys.argv[1], sys.argv[2], sys.argv[3:]
tick, answer, probe = Deciding.tick, Book.answer, Probing._probe


def is_due(hangs: str) -> bool:
    """True when this part is to hang from now on."""
    return hangs == part and os.path.exists(appears)


async def slow_tick(self: Deciding) -> None:
    if is_due("decision"):
        await asyncio.Event().wait()
    await tick(self)


async def slow_probe(self: Probing, cluster: ClusterId, node: NodeAddress) -> NodeSeen:
    if is_due("probe"):
        await asyncio.Event().wait()
    return await probe(self, cluster, node)


def slow_answer(self: Book) -> JournalHealth:
    if is_due("journal"):
        threading.Event().wait()
    return answer(self)


Deciding.tick = slow_tick  # type: ignore[method-assign]
Probing._probe = slow_probe  # type: ignore[method-assign]
Book.answer = slow_answer  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main(command))
