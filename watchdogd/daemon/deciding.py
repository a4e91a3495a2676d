"""One tick a second for each pair: facts, decision, what to write down, what to say, and what to hand to a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite

import structlog

from watchdogd.core.budget import TICK_S
from watchdogd.core.decision import Decision, Todo, decide
from watchdogd.core.entries import Entry, ForeignSeen, HoldPlaced
from watchdogd.core.explain import command_now, sentence
from watchdogd.core.facts import Facts, Surroundings
from watchdogd.core.model import ClusterId
from watchdogd.core.observed import Suspected, entries_due
from watchdogd.core.policy import Level, PairPolicy
from watchdogd.core.telling import why
from watchdogd.daemon.alarms import Alarms
from watchdogd.daemon.conditions import conditions
from watchdogd.daemon.keeping import HEARTBEAT, KNOWN, LEVEL, known_kept, repinned, stamp_kept, stamp_of
from watchdogd.daemon.question import Question, Timers
from watchdogd.daemon.sightings import Sightings
from watchdogd.daemon.stamps import Stamper
from watchdogd.daemon.watching import PairDesk
from watchdogd.errors import NeedsOperator
from watchdogd.ports import Chronicle, Memory

KEEP_EVERY_S = 8.0  # the record that tells how long nobody looked
LATE_START_S = 900.0
LEVELS = (Level.OBSERVE, Level.APPROVE, Level.AUTO)

log = structlog.get_logger()
OnDecided = Callable[[Facts, Decision], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The newest decision, and since when it has been so."""

    facts: Facts
    decision: Decision
    around: Surroundings
    since_s: float


class Deciding:
    """The decision loop of one pair."""

    def __init__(
        self,
        desk: PairDesk,
        sightings: Sightings,
        alarms: Alarms,
        *,
        journal: Chronicle,
        memory: Memory,
        stamper: Stamper,
        on_decided: OnDecided,
    ) -> None:
        self.policy = desk.policy
        self.standing: Standing | None = None
        self.ticks = 0
        self._desk = desk
        self._sightings = sightings
        self._alarms = alarms
        self._journal = journal
        self._memory = memory
        self._stamper = stamper
        self._on_decided = on_decided
        self._timers = Timers()
        self._ticking = asyncio.Lock()  # an order decides anew at once, beside the loop
        self._suspected = Suspected()
        self._foreign_due = ""  # written down with the hold that is due
        self._kept_s: float | None = None
        self._kept_of: tuple[object, ...] = ()
        self._told_of: tuple[object, ...] = ()

    async def begin(self) -> None:
        """Before the first tick: an outage that already exists is held after a late start or a raised level.

        Ids that the config pins otherwise than before are foreign to an open debt: it may speak of another cluster now.
        """
        pair, now = self.policy.pair, self._stamper.now()
        ledger = self._journal.ledger(pair)
        records = [stamp_of(self._memory.get(pair, HEARTBEAT)), ledger.last]
        ages_s = [record.age_s(now) for record in records if record is not None]
        cause = ""
        if not ages_s:
            cause = "the first start"
        elif min(ages_s) > LATE_START_S:
            cause = f"nobody looked for {_minutes(min(ages_s))} before this start"
        elif _is_raised(self._memory.get(pair, LEVEL), self.policy, ledger.elected):
            cause = "the level of failover was raised"
        if ledger.open_debt is not None and not ledger.foreign:
            self._foreign_due = repinned(self._memory.get(pair, KNOWN), self.policy)
        if self._foreign_due or (cause and not ledger.hold):
            self._desk.hold_due = cause or self._foreign_due
            await self._write_hold()

    async def decide_forever(self) -> None:
        """Tick for ever."""
        while True:
            await self.tick()
            await asyncio.sleep(TICK_S)

    async def pulse_forever(self) -> None:
        """Compare the clocks once a second, whatever a tick waits for."""
        while True:
            self._desk.pulse(TICK_S)
            await asyncio.sleep(TICK_S)

    async def tick(self) -> None:
        """Decide once. Only writing down what was observed is waited for."""
        async with self._ticking:
            await self._tick()

    async def _write_hold(self) -> None:
        # It counts from now on, and no run goes on before it is durable: a full disk is no way around it.
        cause, foreign = self._desk.hold_due, self._foreign_due
        seen = (ForeignSeen(what=foreign),) if foreign else ()
        if cause and await self._write(HoldPlaced(cause=cause), *seen):
            self._desk.hold_due = self._foreign_due = ""

    async def _tick(self) -> None:
        await self._write_hold()
        facts = self._desk.assess()
        self._suspected = self._suspected.observe(facts)
        # A tilted daemon decides nothing, and writes no observation down either.
        due = () if self._desk.tilt.why else tuple(entries_due(facts, self.policy, self._suspected))
        if due and await self._write(*due):
            facts = self._desk.assess()
        decision = decide(facts, self.policy)
        self._stand(facts, decision)
        self._say(facts, decision)
        self._on_decided(facts, decision)
        await self._keep(facts)
        self.ticks += 1

    def _stand(self, facts: Facts, decision: Decision) -> None:
        around = self._desk.around
        if around is None:
            return
        before = self.standing
        is_same = before is not None and before.decision.row.id == decision.row.id
        since_s = before.since_s if before is not None and is_same else facts.now.at_s
        self.standing = Standing(facts=facts, decision=decision, around=around, since_s=since_s)
        self._sightings.notice(facts, decision.phase)

    def _say(self, facts: Facts, decision: Decision) -> None:
        standing = self.standing
        if standing is None:
            return
        question = Question(
            facts=facts,
            decision=decision,
            around=standing.around,
            policy=self.policy,
            resets=self._desk.watch.resets,
            timers=self._timers,
        )
        self._alarms.update(conditions(question), facts.now.at_s)
        of = _what_changed(decision)
        if of != self._told_of:
            self._told_of = of
            _log_decision(facts, decision)

    async def _keep(self, facts: Facts) -> None:
        """Remember what must survive us: every few seconds, and at once when a pin was confirmed for the first time."""
        known = facts.known
        of = (known.confirmed, known.seen_primary, known.about)
        now_s = facts.now.at_s
        if self._kept_s is not None and now_s - self._kept_s < KEEP_EVERY_S and of == self._kept_of:
            return
        self._kept_s, self._kept_of = now_s, of
        # What a hold, or something foreign, follows from stays until that itself is durable.
        values: dict[str, dict[str, object]] = {}
        if not self._foreign_due:
            values |= {KNOWN: known_kept(known, self.policy)}
        if not self._desk.hold_due:
            values |= {HEARTBEAT: stamp_kept(facts.now), LEVEL: self._levels(facts)}
        await self._memory.put(self.policy.pair, values)

    def _levels(self, facts: Facts) -> dict[str, object]:
        """What may happen by itself: as configured, and as it acts while this cluster is elected."""
        policy = self.policy
        acts_as = policy.failover_level(facts.ledger.elected)
        return {"failover": policy.levels.failover.value, "acts_as": acts_as.value}

    async def _write(self, *entries: Entry) -> bool:
        try:
            await self._journal.append(self.policy.pair, *entries)
        except NeedsOperator as need:
            log.warning("observation_not_written", pair=self.policy.pair, error=need.detail)
            return False
        log.info("observation_written", pair=self.policy.pair, entries=[entry.kind for entry in entries])
        return True


def _minutes(age_s: float) -> str:
    return f"{age_s / 60:.0f} minutes" if isfinite(age_s) else "a time that no clock can tell"


def _is_raised(kept: object, policy: PairPolicy, elected: ClusterId | None) -> bool:
    """True when more may happen by itself than before: by the level, or by what `auto` asks for (DESIGN section 4)."""
    now = {"failover": policy.levels.failover, "acts_as": policy.failover_level(elected)}
    words = {key: kept.get(key) for key in now} if isinstance(kept, Mapping) else {}
    return any(
        LEVELS.index(now[key]) > LEVELS.index(Level(word)) for key, word in words.items() if word in tuple(LEVELS)
    )


def _what_changed(decision: Decision) -> tuple[object, ...]:
    return (
        decision.row.id,
        decision.beneath.id,
        decision.name_row.id,
        decision.is_flapping,
        tuple(_todo_key(todo) for todo in decision.todo),
    )


def _todo_key(todo: Todo) -> tuple[object, ...]:
    return (todo.runbook, todo.execution, todo.target, tuple(gate.gate for gate in todo.blocked_by))


def _log_decision(facts: Facts, decision: Decision) -> None:
    log.info(
        "decision",
        pair=facts.pair,
        situation=decision.row.id,
        why=why(decision.row, facts),
        phase=decision.phase.value,
        name_situation=decision.name_row.id,
        elected=facts.ledger.elected,
        epoch=facts.ledger.epoch,
        sides={view.cluster: facts.side(view.cluster).value for view in facts.views.values()},
        sight=facts.sight.value,
        action=sentence(decision, facts),
        gate=[gate.gate for gate in facts.closed_gates()],
        command=command_now(decision, facts),
    )
