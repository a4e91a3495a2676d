"""A cluster's storage: entries, the write-ahead log that secondaries stream, and the merkle roots over them.

Some entries are local: tokens, what is wrapped, cubbyholes, and everything of a mount that was made `local`. They go to
DR secondaries with all the rest, and to no performance secondary (REPL-OV, INTERNALS).
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

Value = Mapping[str, object]

LOCAL = ("sys/token/id/", "sys/wrapping/kept/", "cubbyhole/")
_MOUNTS = {"sys/mounts/": ("logical/", "kv/config/"), "sys/auth/": ("auth/",)}
"""Where mounts are entered, and where what they hold is: the same path behind these."""


class ReadOnly(Exception):
    """Raised on a write to what only the performance primary may write (`logical.ErrReadOnly` of Vault's SDK)."""


class Overloaded(Exception):
    """Raised on a write while the fault `write_overload` holds (`consts.ErrOverloaded` of Vault's SDK)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stored value. `uid` names the write itself: the same write on two clusters has the same uid."""

    uid: str
    value: Value
    at_utc_s: float
    is_local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry of the write-ahead log. `entry` is None for a deletion."""

    wal: int
    key: str
    entry: Entry | None
    at_s: float
    is_local: bool = False


_NOTHING = Entry(uid="", value={}, at_utc_s=0.0)


def _digest(key: str, uid: str) -> int:
    return int.from_bytes(hashlib.sha1(f"{key}\0{uid}".encode(), usedforsecurity=False).digest(), "big")


def _never() -> bool:
    return False


class Store:
    """Durable data of one cluster. WAL numbers are its own: those of two stores cannot be compared (INTERNALS).

    `merkle_root` is the same on two stores exactly if they hold the same writes, and changes with every write;
    `shared_root` and `last_shared_wal` leave the local ones out. Where `is_replica` holds, it writes no others.
    """

    def __init__(self, name: str, *, last_wal: int, log_max: int) -> None:
        self._name = name
        self.asks_replica: Callable[[], bool] = _never  # whoever owns the roles says so
        self.is_overloaded = False
        self.last_wal = self.last_shared_wal = last_wal
        self._entries: dict[str, Entry] = {}
        self._log: deque[LogEntry] = deque(maxlen=log_max)
        self._end = 0  # position one past the newest entry of the log; positions never repeat
        self._root = self._local_root = 0

    @property
    def is_replica(self) -> bool:
        """Whether another cluster alone writes what is not local."""
        return self.asks_replica()

    @property
    def merkle_root(self) -> str:
        """40 hex digits."""
        return f"{self._root ^ self._local_root:040x}"

    @property
    def shared_root(self) -> str:
        """40 hex digits."""
        return f"{self._root:040x}"

    @property
    def local_root(self) -> str:
        """40 hex digits, over the local entries alone."""
        return f"{self._local_root:040x}"

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
        """A write of this cluster itself. Raises Overloaded; ReadOnly where only the performance primary may."""
        self.admit()
        is_local = self._belongs_here(key, value)
        if not is_local and self.is_replica:
            raise ReadOnly
        uid = f"{self._name}-{self.last_wal + 1}-{self._end}"
        entry = Entry(uid=uid, value=value, at_utc_s=utc_s, is_local=is_local)
        self._apply(key, entry, now_s, is_local=is_local)
        return entry

    def delete(self, key: str, *, now_s: float) -> bool:
        """Remove a key; false if there was none. Raises as `put` does."""
        self.admit()
        known = self._entries.get(key)
        if known is None:
            return False
        if not known.is_local and self.is_replica:
            raise ReadOnly
        self._apply(key, None, now_s, is_local=known.is_local)
        return True

    def admit(self) -> None:
        """What a write asks first, also one that is not kept here. Raises Overloaded."""
        if self.is_overloaded:
            raise Overloaded

    def apply(self, received: LogEntry, *, now_s: float) -> None:
        """A write that came by replication: same uid, own WAL number."""
        self._apply(received.key, received.entry, now_s, is_local=received.is_local)

    def replace_with(self, source: "Store", *, is_shared_only: bool = False) -> None:
        """What a merkle sync ends in: this store holds what `source` holds. Whatever differed is discarded.

        Of two stores that share only what is not local, each keeps its own local entries.
        """
        kept = self if is_shared_only else source
        shared = {key: entry for key, entry in source._entries.items() if not entry.is_local}
        self._entries = shared | {key: entry for key, entry in kept._entries.items() if entry.is_local}
        self._root, self._local_root = source._root, kept._local_root
        self._cut_log()

    def wipe(self) -> None:
        """Nothing is left. WAL numbers and log positions go on."""
        self._entries, self._root, self._local_root = {}, 0, 0
        self._cut_log()

    def _cut_log(self) -> None:
        """Nobody can stream past this moment: whoever follows has to compare."""
        self.last_wal += 1
        self.last_shared_wal = self.last_wal
        self._log.clear()
        self._end += 1

    def _belongs_here(self, key: str, value: Value) -> bool:
        if key.startswith(LOCAL):
            return True
        for table, places in _MOUNTS.items():
            if key.startswith(table):
                return bool(value.get("local"))
            for place in places:
                if key.startswith(place) and self._is_mounted_locally(table, key[len(place) :]):
                    return True
        return False

    def _is_mounted_locally(self, table: str, path: str) -> bool:
        parts = path.split("/")
        for count in range(len(parts), 0, -1):
            mount = self._entries.get(f"{table}{'/'.join(parts[:count])}/")
            if mount is not None:
                return mount.is_local
        return False

    def copy(self) -> "Store":
        """What it holds now, with the log position that is."""
        copied = Store(self._name, last_wal=self.last_wal, log_max=0)
        copied._entries, copied._end = dict(self._entries), self._end
        copied.last_shared_wal = self.last_shared_wal
        copied._root, copied._local_root = self._root, self._local_root
        return copied

    def differing(self, source: "Store", *, is_shared_only: bool = False) -> int:
        """How many keys a sync from `source` would have to change here."""
        keys = self._entries.keys() | source._entries.keys()
        both = ((self._entries.get(key), source._entries.get(key)) for key in keys)
        return sum(
            (mine is None or theirs is None or mine.uid != theirs.uid)
            and not (is_shared_only and (mine or theirs or _NOTHING).is_local)
            for mine, theirs in both
        )

    def clashes(self, source: "Store") -> bool:
        """Whether something is mounted here as local that `source` has mounted for all, at the same path."""
        return any(
            self._entries[key].is_local and (theirs := source._entries.get(key)) is not None and not theirs.is_local
            for table in _MOUNTS
            for key in self.keys(table)
        )

    def is_kept_from(self, received: LogEntry) -> bool:
        """Whether an entry that came by replication meets a mount that was made local here."""
        known = self._entries.get(received.key)
        return known is not None and known.is_local and not received.is_local

    def log_from(self, position: int) -> Iterator[LogEntry]:
        """Everything that the log still has from a position on."""
        return islice(self._log, max(0, len(self._log) - (self._end - position)), None)

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

    def _apply(self, key: str, entry: Entry | None, now_s: float, *, is_local: bool) -> None:
        self.last_wal += 1
        self._forget(key)
        if entry is not None:
            self._entries[key] = entry
            self._mix(key, entry)
        if not is_local:
            self.last_shared_wal = self.last_wal
        self._log.append(LogEntry(wal=self.last_wal, key=key, entry=entry, at_s=now_s, is_local=is_local))
        self._end += 1

    def _forget(self, key: str) -> None:
        previous = self._entries.pop(key, None)
        if previous is not None:
            self._mix(key, previous)

    def _mix(self, key: str, entry: Entry) -> None:
        if entry.is_local:
            self._local_root ^= _digest(key, entry.uid)
        else:
            self._root ^= _digest(key, entry.uid)
