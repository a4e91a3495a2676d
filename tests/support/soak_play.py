"""The decision core, fed with one pair's rounds, tick by tick; quiet stretches are left out by whoever calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.support.pair import EAST, WEST, elected
from tests.support.soak_bodies import bodies
from tests.support.soak_rounds import Pair, Rounds
from watchdogd.core.budget import TICK_S
from watchdogd.core.decision import Decision, decide
from watchdogd.core.entries import Stamp
from watchdogd.core.facts import AnchorSeen, CredentialSeen, Facts, FenceSeen, Side, Surroundings
from watchdogd.core.watch import PairWatch
from watchdogd.daemon.deciding import KEEP_EVERY_S
from watchdogd.daemon.keeping import known_kept, known_of

LOOK_S = 2.5  # the last look at a primary that does not answer, and a little


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One tick: what was seen, and what is decided; no decision where nobody wanted one."""

    at_s: float
    facts: Facts
    decision: Decision | None


class Player:
    """A daemon's memory of one pair. `known` is kept every few seconds and is all that survives a restart."""

    def __init__(self, pair: Pair, credentials: tuple[CredentialSeen, ...] = ()) -> None:
        self.pair = pair
        self.watch = PairWatch(policy=bodies().policy)
        self.ticks = 0
        self._rounds = Rounds(pair)
        self._ledger = elected()
        self._restarts = list(pair.story.restarts)
        self._started_s = 0.0
        self._from_s = 0.0  # of the stretch that is played
        self._kept: tuple[float, dict[str, object] | None] = (-KEEP_EVERY_S, None)
        self._around = Surroundings(
            now=self._stamp(0.0),
            started_s=0.0,
            anchors=tuple(
                AnchorSeen(address=f"{place}:443", place=place, is_reachable=True) for place in ("own", "neutral")
            ),
            credentials=credentials or (CredentialSeen(name="a", is_present=True, is_proven=True),),
            fences={cluster: FenceSeen(is_configured=True, answers=True) for cluster in (EAST, WEST)},
        )

    @staticmethod
    def _stamp(at_s: float) -> Stamp:
        return Stamp(at_s=at_s, at_utc_s=bodies().utc_ahead_s + at_s, boot_id="boot-1")

    def around_at(self, at_s: float) -> Surroundings:
        """What the shell says besides probes."""
        return replace(self._around, now=self._stamp(at_s), started_s=self._started_s)

    def play(self, from_s: float, to_s: float, *, decides_always: bool = False) -> Iterator[Tick]:
        """Every tick of a stretch. A decision is asked for only where a failover could be one."""
        phase_s = self.pair.story.tick_phase_s
        self._from_s = from_s
        self._rounds.seek(from_s)
        number = max(0, round((from_s - phase_s) / TICK_S))
        while (at_s := phase_s + TICK_S * number) <= to_s:  # not summed up: a tick is at the same moment in any stretch
            number += 1
            if not self._is_gone(at_s):
                yield self._tick(at_s, decides_always=decides_always)

    def _is_gone(self, at_s: float) -> bool:
        """Whether no daemon runs; the next one begins with what the one before kept."""
        while self._restarts and at_s >= self._restarts[0][1]:
            _, self._started_s = self._restarts.pop(0)
            self.watch = PairWatch(policy=self.watch.policy, known=known_of(self._kept[1], self.watch.policy))
            self._rounds.seek(max(self._started_s, self._from_s))
        return bool(self._restarts) and at_s >= self._restarts[0][0]

    def _tick(self, at_s: float, *, decides_always: bool) -> Tick:
        self.ticks += 1
        self.watch = self.watch.observe_all(self._rounds.until(at_s))
        self.watch, facts = self.watch.assess(self._ledger, self.around_at(at_s))
        if at_s - self._kept[0] >= KEEP_EVERY_S:
            self._kept = (at_s, known_kept(self.watch.known, self.watch.policy))
        # S-30 asks for an elected side that is DOWN: no other facts can decide it.
        is_asked = decides_always or facts.elected_side is Side.DOWN
        return Tick(at_s=at_s, facts=facts, decision=decide(facts, self.watch.policy) if is_asked else None)
