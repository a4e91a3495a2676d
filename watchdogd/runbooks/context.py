"""The only things that a step may touch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite

from watchdogd.core.entries import Entry
from watchdogd.core.ledger import Ledger, Run, StepRecord
from watchdogd.core.model import ClusterId, NodeSeen, PairId, RunId
from watchdogd.core.policy import PairPolicy
from watchdogd.errors import NeedsOperator, Refusal, Refused, WatchdogError
from watchdogd.ports import (
    Clock,
    DnsProvider,
    DnsWatch,
    Eyes,
    Fence,
    Hands,
    Journal,
    Look,
    Notice,
    Notifier,
    Record,
    Severity,
)
from watchdogd.runbooks.settling import Settling

UNWRITABLE_POLL_S = 2.0


class StepOutcome(StrEnum):
    """How a step, or one attempt of it, came out; a metric label."""

    DONE = "done"
    SENT = "sent"
    NOT_YET = "not_yet"
    UNKNOWN = "unknown"
    PARKED = "parked"
    SKIPPED = "skipped"
    GAVE_UP = "gave_up"
    BROKE = "broke"  # a bug of ours: parked by the loop that carries runs out


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent:
    """What people and metrics hear of a step."""

    run: Run
    step: str
    outcome: StepOutcome
    elapsed_s: float
    attempt: int
    why: str = ""


class RunGone(WatchdogError):
    """The run no longer holds the slot: an operator ended it. Never leaves the engine."""


class RunStopped(WatchdogError):
    """The run was told to stop, at a safe point; it is left open for a resume. Never leaves the engine."""


@dataclass(slots=True, kw_only=True)
class Memo:
    """What one execution remembers and a crash may forget."""

    look: Look | None = None
    denied: set[tuple[ClusterId, str]] = field(default_factory=set)  # what a cluster refused, not tried there again
    demote_denied: set[tuple[ClusterId, str]] = field(default_factory=set)  # empty again once all were
    generated: str = ""  # the name of the token that this execution made,
    generated_for: ClusterId | None = None  # and the cluster that it is for
    is_told_to_wait: bool = False  # promote was answered "not yet" by the target itself
    loss: str = ""  # what the promotion costs, as estimated right before it, for people
    told: set[str] = field(default_factory=set)
    change_id: str = ""
    record: Record | None = None  # the service name as the provider held it at the last guard
    without_quorum_since_s: float | None = None  # since when the promoted cluster was seen with too few nodes
    stays_secondary: Settling = field(default_factory=Settling)  # the cluster that was promoted in vain


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """One execution of one run."""

    pair: PairId
    run_id: RunId
    policy: PairPolicy
    journal: Journal
    eyes: Eyes
    hands: Hands
    fence: Fence
    dns: DnsProvider
    dns_watch: DnsWatch
    clock: Clock
    notifier: Notifier
    stop: Callable[[], str] = lambda: ""  # why the run must stop at its next safe point, or empty
    settle_first: Callable[[], bool] = lambda: False  # what is more urgent wants the slot now
    on_step: Callable[[StepEvent], None] = lambda event: None
    memo: Memo = field(default_factory=Memo)
    is_resumed: bool = False  # a run of an earlier incarnation: every window is empty

    @property
    def ledger(self) -> Ledger:
        """The durable state of the pair now."""
        return self.journal.ledger(self.pair)

    @property
    def run(self) -> Run:
        """This run. Raises: RunGone when it no longer holds the slot."""
        run = self.ledger.run
        if run is None or run.run_id != self.run_id:
            raise RunGone(self.run_id)
        return run

    @property
    def took(self) -> str:
        """How long this run took up to its newest entry, for people."""
        took_s = self.run.took_s
        return f"{took_s:.1f} s" if isfinite(took_s) else "a time that no clock can tell"

    def record(self, step: str) -> StepRecord:
        """What the journal knows of one step of this run."""
        return self.run.step(step)

    def waives(self, gate: str) -> bool:
        """True when this run waives `gate` by its name."""
        return gate in self.run.waivers

    async def write(self, *entries: Entry) -> None:
        """Make `entries` durable in one transaction. Raises: NeedsOperator(JOURNAL)."""
        await self.journal.append(self.pair, *entries)

    async def write_surely(self, *entries: Entry) -> None:
        """As `write`, but asks again until it was written: looking and paging go on, acting does not.

        Raises: RunStopped when the daemon is told to stop meanwhile; then nothing was written.
        """
        while True:
            try:
                await self.write(*entries)
            except NeedsOperator as need:
                self.tell("journal", Severity.PAGE, need.detail)
                if why := self.stop():
                    raise RunStopped(why) from need
            else:
                return
            await asyncio.sleep(UNWRITABLE_POLL_S)

    async def look(self, *, only: ClusterId | None = None) -> Look:
        """A complete new probe round; the newest look at both clusters is kept as the last look."""
        look = await self.eyes.look(only=only)
        if only is None:
            self.memo.look = look
        return look

    async def young_look(self) -> Look:
        """The last look while it is young enough to act on, else a new one."""
        look = self.memo.look
        return look if look is not None and self._is_young(look) else await self.look()

    def last_look(self) -> Look:
        """The last look. Raises Refused(NOT_YET) when it is too old to act on: nothing was sent, look again."""
        look = self.memo.look
        if look is None:
            raise Refused(Refusal.NOT_YET, "nothing was looked at")
        if not self._is_young(look):
            age_s = self.clock.now_s() - look.ended_s
            raise Refused(Refusal.NOT_YET, f"the last look is {age_s:.1f} s old")
        return look

    def active_node(self, cluster: ClusterId) -> NodeSeen:
        """The node that a mutation of `cluster` goes to. Raises: as `last_look`, or when it showed none."""
        node = self.last_look().facts.view(cluster).active
        if node is None:
            raise Refused(Refusal.NOT_YET, f"no active node of {cluster} was seen")
        return node

    def _is_young(self, look: Look) -> bool:
        return self.clock.now_s() - look.ended_s <= self.policy.timing.last_look_max_age_s

    def tell(self, key: str, severity: Severity, summary: str, *details: str, command: str = "") -> None:
        """Tell people once per run and key."""
        if key in self.memo.told:
            return
        self.memo.told.add(key)
        self.notifier.tell(
            Notice(
                pair=self.pair,
                key=f"{self.run_id}:{key}",
                severity=severity,
                summary=summary,
                details=details,
                command=command,
            )
        )
