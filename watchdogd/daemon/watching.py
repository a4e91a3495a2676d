"""The desk of one pair: everything seen so far comes together here, and facts are made of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from watchdogd.core.facts import Facts, Surroundings
from watchdogd.core.known import Known
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import ClusterId, NodeAddress, NodeSeen
from watchdogd.core.watch import PairWatch
from watchdogd.daemon.gear import PairGear
from watchdogd.daemon.proving import server_utc_s
from watchdogd.daemon.sightings import Sightings
from watchdogd.daemon.stamps import Stamper
from watchdogd.daemon.tilt import Clocks, TiltWatch
from watchdogd.ports import Chronicle


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the desk has counted since the start, for metrics."""

    rounds: dict[NodeAddress, int]


class PairDesk:
    """Holds the newest watch of one pair. `assess` never waits for anything."""

    def __init__(
        self, gear: PairGear, sightings: Sightings, *, journal: Chronicle, stamper: Stamper, known: Known
    ) -> None:
        self.policy = gear.policy
        self.watch = PairWatch(policy=gear.policy, known=known)
        self.rounds: dict[tuple[ClusterId, NodeAddress], int] = {}
        self.newest_rounds: list[NodeSeen] = []
        self.around: Surroundings | None = None
        self.hold_due = ""  # a hold that counts already and could not be written down yet
        self._sightings = sightings
        self._journal = journal
        self._stamper = stamper
        self._started_s = stamper.now().at_s
        self._tilt = TiltWatch()
        self._facts: Facts | None = None

    @property
    def ledger(self) -> Ledger:
        """The durable state of the pair now, and the hold that is yet to be written."""
        ledger = self._journal.ledger(self.policy.pair)
        return replace(ledger, hold=self.hold_due) if self.hold_due and not ledger.hold else ledger

    @property
    def tilt(self) -> TiltWatch:
        """Whether we may be trusted to decide."""
        return self._tilt

    @property
    def facts(self) -> Facts | None:
        """The newest facts."""
        return self._facts

    def take(self, *seen: NodeSeen) -> None:
        """Feed probe rounds into the watch."""
        self.watch = self.watch.observe_all(seen)
        for node in seen:
            place = (node.cluster, node.node)
            self.rounds[place] = self.rounds.get(place, 0) + 1
        self.newest_rounds.extend(seen)

    def drain(self) -> tuple[NodeSeen, ...]:
        """The rounds that were taken since the last call."""
        drained, self.newest_rounds = tuple(self.newest_rounds), []
        return drained

    def pulse(self, expected_s: float) -> None:
        """Once a tick: compare the clocks. After a tilt all evidence begins anew."""
        now, timing = self._stamper.now(), self.policy.timing
        before = self._tilt.count
        self._tilt = self._tilt.feed(
            Clocks(loop_s=asyncio.get_running_loop().time(), boot_s=now.at_s, utc_s=now.at_utc_s),
            stall_after_s=timing.stall_after_s,
            divergence_s=timing.clock_divergence_s,
            window_s=timing.down_after_s,
            expected_s=expected_s,
        )
        if self._tilt.count > before:
            self.watch = replace(self.watch, newest={}, streaks={}, links={})

    def assess(self) -> Facts:
        """Look at everything at once: the facts now."""
        ledger = self.ledger
        self.around = self._surroundings(ledger)
        self.watch, facts = self.watch.assess(ledger, self.around)
        self._facts = facts
        return facts

    def _surroundings(self, ledger: Ledger) -> Surroundings:
        now = self._stamper.now()
        # While a promote of ours is under way it is still the guarded cluster's partner that a credential is for.
        guarded = ledger.guarded if ledger.guarded is not None else self.policy.home
        partner = self.policy.partner_of(guarded)
        health = self._journal.health
        return Surroundings(
            now=now,
            started_s=self._started_s,
            anchors=self._sightings.anchors(now.at_s),
            witnesses=self._sightings.witnesses(now.at_s),
            credentials=self._sightings.proving.judged(partner, server_utc_s(self._facts)),
            fences=self._sightings.fences(now.at_s),
            name=self._sightings.name(now.at_s, ledger.elected),
            provider_why=self._sightings.seen.provider_why,
            tilt=self._tilt.why,
            tilt_until_s=self._tilt.until_s,
            state_unwritable="" if health.is_writable else health.trouble or "the journal cannot be written",
        )
