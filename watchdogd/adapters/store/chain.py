"""Each row of the journal carries the hash of the row before it: what was changed by hand shows."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from watchdogd.adapters.store.codec import EntryUnreadable, decode
from watchdogd.adapters.store.trouble import StateUnreadable, Trouble
from watchdogd.core.entries import Entry, Recorded, Stamp
from watchdogd.core.fold import apply
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import PairId

COLUMNS = "seq, pair, at_utc_s, at_s, boot_id, kind, body, prev_hash, hash"
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The last row."""

    seq: int = 0
    hash: str = GENESIS


class Row(NamedTuple):
    """One row of the table `entries`, in the order of COLUMNS."""

    seq: int
    pair: str
    at_utc_s: float
    at_s: float
    boot_id: str
    kind: str
    body: str
    prev_hash: str
    hash: str

    @property
    def tip(self) -> Tip:
        """This row as the last one."""
        return Tip(seq=self.seq, hash=self.hash)

    @property
    def recorded(self) -> Recorded:
        """The entry in it. Raises: EntryUnreadable."""
        stamp = Stamp(at_s=self.at_s, at_utc_s=self.at_utc_s, boot_id=self.boot_id)
        return Recorded(seq=self.seq, pair=PairId(self.pair), stamp=stamp, entry=decode(self.kind, self.body))


def next_row(tip: Tip, pair: PairId, entry: Entry, body: str, stamp: Stamp) -> Row:
    """The row that follows `tip`."""
    unsigned = Row(
        seq=tip.seq + 1,
        pair=pair,
        at_utc_s=float(stamp.at_utc_s),
        at_s=float(stamp.at_s),
        boot_id=stamp.boot_id,
        kind=entry.kind,
        body=body,
        prev_hash=tip.hash,
        hash="",
    )
    return unsigned._replace(hash=_hash(unsigned))


def read(connection: sqlite3.Connection, path: Path) -> tuple[dict[PairId, Ledger], Tip]:
    """What all rows add up to, pair by pair, and the last of them.

    Raises: StateUnreadable (CHAIN, ENTRY), sqlite3.Error.
    """
    ledgers: dict[PairId, Ledger] = {}
    tip = Tip()
    for recorded, row in _verified(connection, path):
        ledgers[recorded.pair] = apply(ledgers.get(recorded.pair, Ledger()), recorded.entry, recorded.stamp)
        tip = row.tip
    return ledgers, tip


def _verified(connection: sqlite3.Connection, path: Path) -> Iterator[tuple[Recorded, Row]]:
    tip = Tip()
    for values in connection.execute(f"SELECT {COLUMNS} FROM entries ORDER BY seq"):  # noqa: S608  # a constant
        row = Row._make(values)
        if (row.seq, row.prev_hash, row.hash) != (tip.seq + 1, tip.hash, _hash(row)):
            detail = f"the entry after number {tip.seq} was changed, removed or added by hand"
            raise StateUnreadable(Trouble.CHAIN, path, detail)
        try:
            yield row.recorded, row
        except EntryUnreadable as exc:
            raise StateUnreadable(Trouble.ENTRY, path, f"entry {row.seq} cannot be read ({exc})") from exc
        tip = row.tip


def _hash(row: Row) -> str:
    return hashlib.sha256(json.dumps(row[:-1]).encode()).hexdigest()
