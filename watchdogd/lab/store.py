"""A cluster's storage: entries, the write-ahead log that secondaries stream, and the merkle root over it all."""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

Value = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stored value. `uid` names the write itself: the same write on two clusters has the same uid."""

    uid: str
    value: Value
    at_utc_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry of the write-ahead log. `entry` is None for a deletion."""

    wal: int
    key: str
    entry: Entry | None
    at_s: float


def _digest(key: str, uid: str) -> int:
    return int.from_bytes(hashlib.sha1(f"{key}\0{uid}".encode(), usedforsecurity=False).digest(), "big")


class Store:
    """Durable data of one cluster. WAL numbers are its own: those of two stores cannot be compared (INTERNALS).

    `merkle_root` is the same on two stores exactly if they hold the same writes, and changes with every write.
    """

    def __init__(self, name: str, *, last_wal: int, log_max: int) -> None:
        self._name = name
        self.last_wal = last_wal
        self._entries: dict[str, Entry] = {}
        self._log: deque[LogEntry] = deque(maxlen=log_max)
        self._end = 0  # position one past the newest entry of the log; positions never repeat
        self._root = 0

    @property
    def merkle_root(self) -> str:
        """40 hex digits."""
        return f"{self._root:040x}"

    @property
    def end(self) -> int:
        """The log position that the next write will get."""
        return self._end

    def get(self, key: str) -> Entry | None:
        """The entry under a key."""
        return self._entries.get(key)

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin with `prefix`, sorted."""
        return sorted(k for k in self._entries if k.startswith(prefix))

    def put(self, key: str, value: Value, *, now_s: float, utc_s: float) -> Entry:
        """A write of this cluster itself."""
        entry = Entry(uid=f"{self._name}-{self.last_wal + 1}-{self._end}", value=value, at_utc_s=utc_s)
        self._apply(key, entry, now_s)
        return entry

    def delete(self, key: str, *, now_s: float) -> bool:
        """Remove a key; false if there was none."""
        if key not in self._entries:
            return False
        self._apply(key, None, now_s)
        return True

    def apply(self, received: LogEntry, *, now_s: float) -> None:
        """A write that came by replication: same uid, own WAL number."""
        self._apply(received.key, received.entry, now_s)

    def replace_with(self, source: "Store") -> None:
        """What a merkle sync ends in: this store holds what `source` holds. Whatever differed is discarded."""
        self._entries = dict(source._entries)
        self._root = source._root
        self.last_wal += 1
        self._log.clear()

    def wipe(self) -> None:
        """Nothing is left. WAL numbers and log positions go on."""
        self._entries, self._root = {}, 0
        self.last_wal += 1
        self._log.clear()

    def log_since(self, position: int, until_s: float, limit: int) -> Iterator[LogEntry]:
        """Log entries from a position on that were written at `until_s` at the latest, at most `limit` of them."""
        start = len(self._log) - (self._end - position)
        for entry in islice(self._log, start, start + limit):
            if entry.at_s > until_s:
                return
            yield entry

    def holds_log_from(self, position: int) -> bool:
        """Whether the log still reaches back to a position."""
        return self._end - position <= len(self._log)

    def written_s(self, position: int) -> float | None:
        """When the entry at a log position was written; None if there is none yet."""
        back = self._end - position
        return self._log[len(self._log) - back].at_s if 0 < back <= len(self._log) else None

    def _apply(self, key: str, entry: Entry | None, now_s: float) -> None:
        previous = self._entries.get(key)
        if previous is not None:
            self._root ^= _digest(key, previous.uid)
        if entry is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = entry
            self._root ^= _digest(key, entry.uid)
        self.last_wal += 1
        self._log.append(LogEntry(wal=self.last_wal, key=key, entry=entry, at_s=now_s))
        self._end += 1
