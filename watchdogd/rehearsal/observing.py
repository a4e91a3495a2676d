"""What is seen of a served lab and a real daemon, as the same story that virtual time tells.

The lab's events and its counts are its own truth; of the daemon there is its journal (by its socket), its log, and what
it explains. All times are seconds since the play began.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from watchdogd.adapters.store.codec import decode
from watchdogd.core.entries import Stamp
from watchdogd.core.fold import apply
from watchdogd.core.ledger import Ledger
from watchdogd.core.situations import Phase
from watchdogd.lab.counts import TrueCounts
from watchdogd.lab.story import State
from watchdogd.rehearsal.asking import EVENTS_WAIT_S, Asking
from watchdogd.rehearsal.ports import MUTATIONS
from watchdogd.rehearsal.processes import new_lines
from watchdogd.rehearsal.site import PAIR
from watchdogd.rehearsal.words import Told, line_of_notice, line_of_todo, lines_of_entry, state_of

LOG_EVERY_S, JOURNAL_EVERY_S, STANDING_EVERY_S = 0.05, 0.25, 0.5
HISTORY = 200  # the newest entries that one look asks for: far more than are written between two looks
Tell = Callable[[str, str, float], None]  # a line, more about it, and when


class Observer:
    """Everything that was seen so far; the loops are the caller's. Seconds count from the moment of `begin`."""

    def __init__(self, ask: Asking, log: Path, tell: Tell, now_s: Callable[[], float]) -> None:
        self._ask, self._log, self._tell, self.now_s = ask, log, tell, now_s
        self._wall_s = 0.0  # the wall clock at second 0
        self._lab_s = 0.0  # the lab's clock at second 0
        self._seq = self._read_to = 0
        self._ledger = Ledger()
        self._situation = self._name_row = ""
        self._todo: tuple[Told, ...] = ()
        self.applied: list[str] = []
        self.crashes: list[str] = []
        self.status: Mapping[str, Any] = {}
        self.explained: Mapping[str, Any] = {}

    async def begin(self, wall_s: float) -> None:
        """What stands now is where the story starts. `wall_s`: the wall clock at second 0."""
        self._wall_s = wall_s
        self.status = await self._ask.lab("GET", "/status")
        self._lab_s = float(self.status["now_s"]) - self.now_s()
        published = self.status["name"]["published"]
        self._tell(f"published {published or 'nothing of ours'}", "", self.now_s())

    # -- the lab -----------------------------------------------------------------------------------------------------

    async def follow_lab(self) -> None:
        """Every event of the lab, as it happens."""
        seq = 0
        while True:
            found = await self._ask.lab("GET", f"/events?after={seq}&wait_s={EVENTS_WAIT_S:g}")
            for event in found["events"]:
                seq = event["seq"]
                for text, more in self._of_event(event):
                    self._tell(text, more, event["at_s"] - self._lab_s)

    def _of_event(self, event: Mapping[str, Any]) -> Iterator[Told]:
        match event["what"]:
            case "sent":
                cluster = event["target"].partition("/")[0]
                for verb in [verb for path, verb in MUTATIONS.items() if event["path"].endswith(path)]:
                    yield f"sent {verb} {cluster}", event["target"]
                    yield f"answered {verb} {cluster}", f"{event['outcome']} {event['status']}"
            case "applied":
                self.applied.append(event["verb"])
                yield f"applied {event['verb']} {event['cluster']}", ""
            case "name_published":
                yield f"published {event['cluster'] or 'nothing of ours'}", ""
            case "fault_added":
                yield f"world fault: {event['kind']} {event['target']}", ""
            case "fault_cleared":
                yield f"world fault over: {event['kind']} {event['target']}", ""
            case "fenced" | "unfenced":
                how = "closed" if event["what"] == "fenced" else "open"
                yield f"world client network of {event['cluster']} {how}", ""
            case "crashed":
                self.crashes.append(f"the lab itself failed at {event['method']} {event['path']}: {event['error']}")

    # -- the daemon --------------------------------------------------------------------------------------------------

    async def follow_log(self) -> None:
        """The daemon's log, line by line."""
        while True:
            self.read_log()
            await asyncio.sleep(LOG_EVERY_S)

    def read_log(self) -> None:
        """What is new in the daemon's log."""
        lines, self._read_to = new_lines(self._log, self._read_to)
        for text in lines:
            with suppress(ValueError):
                for told, more in self._of_log(json.loads(text)):
                    self._tell(told, more, self.now_s())

    def _of_log(self, said: Mapping[str, Any]) -> Iterator[Told]:
        match said.get("event"):
            case "decision":
                if said["situation"] != self._situation:
                    self._situation = said["situation"]
                    yield f"situation {said['situation']}", said["why"]
                if said["name_situation"] != self._name_row:
                    self._name_row = said["name_situation"]
                    yield f"name_row {said['name_situation']}", ""
            case "step_finished":
                yield f"step {said['runbook']}.{said['step']} {said['outcome']}", said["why"]
            case "notice_told":
                yield line_of_notice(said["severity"], said["key"], said["why"], said["details"], said["command"])

    async def follow_journal(self) -> None:
        """Every entry of the daemon's journal, once."""
        while True:
            await self.read_journal()
            await asyncio.sleep(JOURNAL_EVERY_S)

    async def read_journal(self) -> None:
        """What is new in the journal."""
        status, body = await self._ask.daemon("GET", f"/history?pair={PAIR}&limit={HISTORY}")
        for one in reversed(body["entries"]) if status == 200 else ():
            if one["seq"] <= self._seq:
                continue
            self._seq, at_utc_s = one["seq"], float(one["at_utc_s"])
            entry = decode(one["kind"], json.dumps(one["entry"]))
            self._ledger = apply(self._ledger, entry, Stamp(at_s=at_utc_s, at_utc_s=at_utc_s, boot_id="seen"))
            for text, more in lines_of_entry(entry, self._ledger):
                self._tell(text, more, at_utc_s - self._wall_s)

    async def follow_standing(self, keep: Callable[[State], None]) -> None:
        """What both say about now."""
        while True:
            await self.look()
            keep(self.state())
            await asyncio.sleep(STANDING_EVERY_S)

    async def look(self) -> None:
        """Ask both."""
        self.status = await self._ask.lab("GET", "/status")
        status, body = await self._ask.daemon("GET", f"/pairs/{PAIR}/explain")
        self.explained = body if status == 200 else {}
        todo = tuple(
            line_of_todo(one["runbook"], one["execution"], [gate["gate"] for gate in one["blocked_by"]])
            for one in (self.explained["decision"]["todo"] if self.explained else ())
        )
        for line in [line for line in todo if line not in self._todo]:
            self._tell(*line, self.now_s())
        self._todo = todo

    def begin_anew(self) -> None:
        """Another process of the daemon: what it says first is news again."""
        self._situation = self._name_row = ""

    # -- how things stand ----------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """What is durable, as far as it was read."""
        return self._ledger

    def state(self) -> State:
        """As `Play` keeps it."""
        clusters = self.status["clusters"].items()
        explained = self.explained
        is_steady = bool(explained) and explained["phase"] == Phase.STEADY and self._ledger.run is None
        return {
            **state_of(self._ledger),
            "fenced": tuple(name for name, one in clusters if one["client_network_closed"]),
            "published": str(self.status["name"]["published"] or ""),
            "primaries": tuple(name for name, one in clusters if one["dr"] == "primary" and one["active"]),
            "promotes": self.applied.count("promote"),
            "demotes": self.applied.count("demote"),
            "steady": is_steady,
            "gates": tuple(gate["gate"] for gate in explained["gates"] if not gate["open"]) if explained else (),
        }

    def counts(self) -> TrueCounts:
        """The lab's four true counts."""
        given = self.status["counts"]
        return TrueCounts(
            two_writable_primaries_s=given["two_writable_primaries_s"],
            no_primary_s=given["no_primary_s"],
            name_at_non_primary_s=given["name_at_non_primary_s"],
            acknowledged_writes=given["acknowledged_writes"],
            lost_keys={str(number) for number in range(given["acknowledged_writes_lost"])},
        )
