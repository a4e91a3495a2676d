"""What really happened, in order: for people, and for tests that wait until "the lab has seen promote"."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

EVENTS_KEPT_MAX = 20_000


class What(StrEnum):
    """Kinds of events."""

    SENT = "sent"  # a mutation reached a node, whatever came of it
    APPLIED = "applied"  # a role change was accepted
    NAME_CHANGED = "name_changed"  # a change batch was accepted by the provider; not yet published
    NAME_PUBLISHED = "name_published"  # every authoritative server shows another cluster
    FAULT_ADDED = "fault_added"
    FAULT_CLEARED = "fault_cleared"  # by a person; or it ended by itself, and `how` says by what
    FENCED = "fenced"
    UNFENCED = "unfenced"
    CRASHED = "crashed"  # the lab itself could not cope with a request: please report it


class How(StrEnum):
    """By what a fault is over."""

    CLEARED = "cleared"
    ENDED = "ended"  # its time has passed
    USED_UP = "used_up"  # it was to happen so many times, and has


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the log. `at_s` is the lab's clock."""

    seq: int
    at_s: float
    what: What
    detail: Mapping[str, object]

    def as_json(self) -> dict[str, object]:
        return {"seq": self.seq, "at_s": round(self.at_s, 3), "what": self.what.value, **self.detail}


class EventLog:
    """Append-only; the newest EVENTS_KEPT_MAX stay in memory."""

    def __init__(self) -> None:
        self._file: IO[str] | None = None
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT_MAX)
        self._seq = 0
        self._changed = asyncio.Event()

    def append(self, what: What, at_s: float, **detail: object) -> None:
        self._seq += 1
        event = Event(seq=self._seq, at_s=at_s, what=what, detail=detail)
        self._events.append(event)
        self._write(event)
        self._changed.set()
        self._changed = asyncio.Event()

    def keep_in(self, file: IO[str]) -> None:
        """Every event goes to `file` as a line, those that are there already first."""
        self._file = file
        for event in self._events:
            self._write(event)

    def _write(self, event: Event) -> None:
        if self._file is not None:
            self._file.write(json.dumps(event.as_json()) + "\n")
            self._file.flush()

    def after(self, seq: int) -> list[Event]:
        """Events later than `seq`, oldest first."""
        return [event for event in self._events if event.seq > seq]

    async def wait_after(self, seq: int, *, timeout_s: float) -> list[Event]:
        """As `after`, but waits up to `timeout_s` for the first one."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (found := self.after(seq)):
                    await self._changed.wait()
                return found
        except TimeoutError:
            return []
