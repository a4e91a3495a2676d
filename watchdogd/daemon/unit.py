"""Everything that watches and changes one pair, joined, and what it stands on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from watchdogd.core.decision import Decision
from watchdogd.core.facts import Facts
from watchdogd.core.ledger import Run, RunState
from watchdogd.core.model import NodeSeen, PairId
from watchdogd.core.plan import Plan
from watchdogd.daemon.alarms import Alarms, Over
from watchdogd.daemon.approvals import Approvals
from watchdogd.daemon.deciding import Deciding
from watchdogd.daemon.gear import PairGear
from watchdogd.daemon.keeping import KNOWN, known_of
from watchdogd.daemon.plans import Wish, plan_of
from watchdogd.daemon.probing import PairEyes, Probing
from watchdogd.daemon.proofs import ProofBook, ProvenHands
from watchdogd.daemon.running import Running
from watchdogd.daemon.sightings import Sightings
from watchdogd.daemon.stamps import Stamper
from watchdogd.daemon.watching import PairDesk
from watchdogd.ports import Chronicle, Memory, Notifier
from watchdogd.runbooks.context import StepEvent, StepOutcome
from watchdogd.runbooks.opening import Wanted

log = structlog.get_logger()


def _ignore(*_: object) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observers:
    """Who is told what happens: metrics and the page. Never blocks, never raises."""

    decided: Callable[[Facts, Decision], None] = _ignore
    probed: Callable[[PairId, NodeSeen], None] = _ignore
    stepped: Callable[[PairId, StepEvent], None] = _ignore
    ended: Callable[[PairId, Run], None] = _ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the daemon stands on, whichever pairs it watches."""

    stamper: Stamper
    journal: Chronicle
    memory: Memory
    notifier: Notifier
    notice_over: Over = _ignore
    observers: Observers = field(default_factory=Observers)


class PairUnit:
    """Everything that watches and changes one pair."""

    def __init__(self, gear: PairGear, ground: Ground) -> None:
        pair = gear.policy.pair
        self.gear = gear
        self.policy = gear.policy
        self._ground = ground
        self._waits: StepEvent | None = None
        journal, memory, stamper = ground.journal, ground.memory, ground.stamper
        book = ProofBook(pair, memory)
        self.hands = ProvenHands(gear.hands, book, gear.expiry_utc_s)
        self.sightings = Sightings(gear, hands=self.hands, book=book, clock=stamper.clock)
        known = known_of(memory.get(pair, KNOWN), gear.policy)
        self.desk = PairDesk(gear, self.sightings, journal=journal, stamper=stamper, known=known)
        self.probing = Probing(gear, self.desk, stamper.clock)
        self.eyes = PairEyes(gear, self.desk, self.probing, stamper.clock)
        self.alarms = Alarms(pair, ground.notifier, ground.notice_over)
        self.approvals = Approvals(pair, ground.notifier)
        self.running = Running(
            gear,
            self.desk,
            journal=journal,
            eyes=self.eyes,
            hands=self.hands,
            notifier=ground.notifier,
            stamper=stamper,
            on_step=self._stepped,
            on_end=self._ended,
        )
        self.deciding = Deciding(
            self.desk,
            self.sightings,
            self.alarms,
            journal=journal,
            memory=memory,
            stamper=stamper,
            on_decided=self._decided,
        )

    def loops(self, turn: float = 0.0) -> Sequence[tuple[str, Callable[[], Awaitable[None]]]]:
        """Every loop of the pair with its name; its nodes are probed `turn` of an interval after those of the first."""
        sightings = self.sightings
        named: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("decide", self.deciding.decide_forever),
            ("pulse", self.deciding.pulse_forever),
            ("run", self.running.run_forever),
            ("anchors", sightings.watch_anchors),
            ("witnesses", sightings.watch_witnesses),
            ("fences", sightings.watch_fences),
            ("name", sightings.watch_name),
            ("provider", sightings.watch_provider),
            ("credentials", sightings.proving.watch),
        ]
        named += [(f"background-{n}", loop) for n, loop in enumerate(self.gear.background)]
        for cluster, node in self.probing.places:
            named.append((f"probe-{node}", partial(self.probing.probe_forever, cluster, node, turn=turn)))
        return named

    def rounds(self) -> dict[str, int]:
        """How many rounds each loop has finished that the service manager watches, by the name of the loop."""
        probed = {f"probe of {node}": self.desk.rounds.get((cluster, node), 0) for cluster, node in self.probing.places}
        return {**probed, "decision": self.deciding.ticks}

    def _decided(self, facts: Facts, decision: Decision) -> None:
        self.running.decided(facts, decision, self._approved(facts, decision))
        for seen in self.desk.drain():
            self._ground.observers.probed(self.policy.pair, seen)
        self._ground.observers.decided(facts, decision)

    def _approved(self, facts: Facts, decision: Decision) -> Wanted | None:
        waiting = self.approvals.waiting
        if waiting is None:
            return None
        plan = plan_of(self.policy, facts, decision, Wish.of(waiting.agreed))
        is_asked = any(todo.runbook is waiting.agreed.action for todo in decision.todo)
        return self.approvals.due(facts, plan if isinstance(plan, Plan) else None, is_asked=is_asked)

    def why_waits(self, run: Run) -> str:
        """At which step an open run waits, and what its latest attempt was answered; empty while it goes on."""
        waits = self._waits
        if waits is None or waits.run.run_id != run.run_id or run.state is not RunState.OPEN:
            return ""
        return f"{waits.step}: {waits.why}"

    def _stepped(self, event: StepEvent) -> None:
        self._waits = event if event.outcome in (StepOutcome.NOT_YET, StepOutcome.UNKNOWN) else None
        log.info(
            "step_finished",
            pair=self.policy.pair,
            run_id=event.run.run_id,
            runbook=event.run.runbook.value,
            step=event.step,
            outcome=event.outcome.value,
            attempt=event.attempt,
            elapsed_s=round(event.elapsed_s, 3),
            why=event.why,
        )
        self._ground.observers.stepped(self.policy.pair, event)

    def _ended(self, run: Run) -> None:
        self.sightings.forget_name()
        self._ground.observers.ended(self.policy.pair, run)
