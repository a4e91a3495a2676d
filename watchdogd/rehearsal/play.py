"""A scenario played: the lab's world, the daemon's own App in front of it, under virtual time, every line told.

What the file says happens at its second, or in the very moment in which a line of the story is told, also between a
journal entry and the first byte that follows it. A kill revokes the dead incarnation; the next one starts on what is
durable.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from structlog.testing import capture_logs

from watchdogd.core.decision import Decision
from watchdogd.core.entries import Entry, Recorded, RunOpened
from watchdogd.core.facts import Facts
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import PairId
from watchdogd.core.situations import Phase
from watchdogd.lab.counts import TrueCounts
from watchdogd.lab.scenario import Scenario
from watchdogd.lab.story import Check, State, Story, checks
from watchdogd.ports import Notice
from watchdogd.rehearsal.acts import Acts
from watchdogd.rehearsal.incarnation import Incarnation
from watchdogd.rehearsal.invariants import Invariants
from watchdogd.rehearsal.memory import DictMemory, Fuse
from watchdogd.rehearsal.ports import Disk, PlayClock, PlayJournal, no_fuse
from watchdogd.rehearsal.site import PAIR, fence_plan_of, found, policy_of, secrets_of
from watchdogd.rehearsal.time_line import TimeLine
from watchdogd.rehearsal.virtual_hands import VirtualHands
from watchdogd.rehearsal.virtual_time import move, virtual_loop
from watchdogd.rehearsal.words import line_of_notice, line_of_todo, lines_of_entry, state_of
from watchdogd.runbooks.context import StepEvent

STEP_S = 0.25  # how often the world is looked at and the invariants are asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of it. `checks` is everything that the file asks for, `refused` what could not be done or was answered
    otherwise, `broken` every broken invariant. `is_otherwise`: a person was answered otherwise than the file says.
    """

    scenario: Scenario
    story: Story
    counts: TrueCounts
    checks: tuple[Check, ...]
    refused: tuple[str, ...]
    broken: tuple[str, ...]
    is_otherwise: bool = False
    asked: frozenset[str] = frozenset()  # endpoints, as `routes.endpoint_of` names them

    @property
    def wrong(self) -> tuple[str, ...]:
        """Everything that is not as the scenario expects, each in one sentence."""
        return (*self.refused, *(check.wrong for check in self.checks if check.wrong))

    @property
    def has_held(self) -> bool:
        """Nothing is wrong and nothing broken."""
        return not self.wrong and not self.broken

    def __str__(self) -> str:
        found = "\n".join((*self.wrong, *self.broken))
        return f"{self.scenario.name} (seed {self.scenario.seed})\n{found}\n{self.story.text()}"


async def play(scenario: Scenario) -> Played:
    """Play it from its first second to its last."""
    stage = Play(scenario)
    with capture_logs():  # the story says it all
        await stage.run()
    return Played(
        scenario=scenario,
        story=stage.story,
        counts=stage.world.counts,
        asked=frozenset(stage.world.asked),
        checks=checks(scenario, stage.story, stage.world.counts),
        refused=(*stage.refused, *stage.otherwise),
        is_otherwise=bool(stage.otherwise),
        broken=tuple(stage.invariants.broken),
    )


def play_at_once(scenario: Scenario) -> Played:
    """As `play`, on a loop of its own: the scenario's minutes take as long as what happens in them."""
    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        return runner.run(play(scenario))


@dataclass(slots=True)
class Told:
    """What was told last, to tell what is new."""

    situation: str = ""
    name: str = ""
    todo: tuple[tuple[str, str], ...] = ()
    published: str | None = None
    applied: int = 0
    transcript: int = 0


class Play:
    """One scenario on its stage."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.fuse: Fuse = no_fuse
        self.story = Story()
        self.refused: list[str] = []
        self.otherwise: list[str] = []
        self.world, self.names = found(scenario)
        self.policy = policy_of(scenario, self.world, self.names)
        self.clock = PlayClock(epoch_utc_s=self.world.epoch_utc_s, began_s=asyncio.get_running_loop().time())
        self.secrets = secrets_of(self.world)
        self.memory = DictMemory()
        self.disk = Disk()
        self.fence_plan = fence_plan_of(scenario.fence)
        self.durable: tuple[Recorded, ...] = ()
        self.anchors_cut_until_s = self.witness_until_s = -1.0
        self.daemon: Incarnation | None = None
        self.invariants = Invariants(self)
        self._told = Told()
        self._time_line = TimeLine(scenario)
        self._tasks = asyncio.TaskGroup()
        self._acts = Acts(VirtualHands(self), self._tasks)
        self._state_s = -1.0

    # -- the story ---------------------------------------------------------------------------------------------------

    def tell(self, text: str, more: str = "") -> None:
        """One more line, behind those of what the world has done by now; whatever waits for it happens now."""
        self._tell_of_the_world()
        self._add(text, more)

    def _add(self, text: str, more: str) -> None:
        line = self.story.add(self.clock.now_s(), text, more)
        for begun in self._time_line.begun_by(line, self.story):
            self._acts.happen(begun)

    def told_notice(self, notice: Notice) -> None:
        """What people are told."""
        severity = notice.severity.value
        self.tell(*line_of_notice(severity, notice.key, notice.summary, notice.details, notice.command))

    def told_entry(self, pair: PairId, entry: Entry) -> None:
        """A line for every entry that is durable, and one for what people call a run."""
        daemon = self.daemon
        if daemon is not None:
            self.durable = daemon.journal.durable
        first, *others = lines_of_entry(entry, self.ledger)
        self.tell(*first)
        if isinstance(entry, RunOpened):
            self.invariants.run_opens(entry)
        for line in others:
            self.tell(*line)

    def decided(self, facts: Facts, decision: Decision) -> None:
        """One tick of the daemon; a line for what is new."""
        told = self._told
        if decision.row.id != told.situation:
            told.situation = decision.row.id
            self.tell(f"situation {decision.row.id}", decision.row.why)
        if decision.name_row.id != told.name:
            told.name = decision.name_row.id
            self.tell(f"name_row {decision.name_row.id}", decision.name_row.why)
        todo = tuple(
            line_of_todo(one.runbook, one.execution.value, [gate.gate for gate in one.blocked_by])
            for one in decision.todo
        )
        for one in [one for one in todo if one not in told.todo]:
            self.tell(*one)
        told.todo = todo
        self.invariants.decided(facts, decision)

    def stepped(self, pair: PairId, event: StepEvent) -> None:
        """A step, or one attempt of it, came to something."""
        self.tell(f"step {event.run.runbook}.{event.step} {event.outcome}", event.why)

    # -- running -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """From the first second to the last."""
        async with self._tasks:
            self.start()
            await self._pass()
            self.kill()
            self._acts.stop()

    async def _pass(self) -> None:
        while (now_s := self.clock.now_s()) < self.scenario.until_s and not self.is_over():
            self._catch_up(now_s)
            next_s = min(self._time_line.next_s, now_s + STEP_S, self.scenario.until_s)
            await asyncio.sleep(max(next_s - self.clock.now_s(), 0.001))
        self._catch_up(self.clock.now_s())
        self._stand(is_last=True)
        self.invariants.ended()

    def _catch_up(self, now_s: float) -> None:
        for at_s, line in self._time_line.take(now_s):
            self.world.tick(max(at_s, self.world.now_s))
            self._acts.happen(line)
        self.world.tick(now_s)
        self._look_at_the_world(now_s)
        self.invariants.ticked()
        if now_s - self._state_s >= 1.0:
            self._stand()

    def _tell_of_the_world(self) -> None:
        """What it did since it was told of last: its lines carry their own second."""
        told, transcript, applied = self._told, self.world.transcript, self.world.applied
        if transcript.noted == told.transcript and len(applied) == told.applied:
            return
        lines, effects = transcript.after(told.transcript), applied[told.applied :]
        told.transcript, told.applied = transcript.noted, len(applied)
        for line in lines:
            self._add(f"world {line.partition(' ')[2]}", line.partition(" ")[0])
        for effect in effects:
            self._add(f"applied {effect.verb} {effect.cluster}", f"at {effect.at_s:.2f}")

    def _look_at_the_world(self, now_s: float) -> None:
        told = self._told
        self._tell_of_the_world()
        published = self.names.published_cluster(now_s)
        if published != told.published:
            told.published = published
            self.tell(f"published {published or 'nothing of ours'}")

    def is_over(self) -> bool:
        """Whether nothing more is to be seen before the last second."""
        return False

    # -- incarnations ------------------------------------------------------------------------------------------------

    def open_journal(self) -> PlayJournal:
        """The journal as the next process finds it."""
        return PlayJournal(clock=self.clock, durable=self.durable, fuse=self.burn)

    def start(self) -> None:
        """A process of the daemon starts, on what the one before left."""
        daemon = self.daemon = Incarnation(self)
        self._told.situation = self._told.name = ""
        self.tell("daemon started")
        daemon.task = self._tasks.create_task(daemon.run_until_killed())

    def burn(self, point: str) -> None:
        """An incarnation comes to a point: before or after a journal write, or an effect."""
        self.fuse(point)

    def kill(self) -> None:
        """It is gone."""
        if self.daemon is not None:
            self.daemon.kill()
        self.daemon = None

    def sleep_through(self, for_s: float, *, is_suspended: bool) -> None:
        """The world goes on for so long, and not one line of the daemon runs; then its clocks show it."""
        end_s = self.clock.now_s() + for_s
        for at_s, line in self._time_line.take(end_s):
            self.clock.suspended_s += max(at_s - self.clock.now_s(), 0.0)
            self._acts.happen(line)
        self.clock.suspended_s += max(end_s - self.clock.now_s(), 0.0)
        self.world.tick(max(end_s, self.world.now_s))
        if not is_suspended:  # the process stood still: its own monotonic clock went on
            self.clock.suspended_s -= for_s
            move(asyncio.get_running_loop(), for_s)

    # -- how things stand ----------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """What is durable."""
        if self.daemon is not None:
            return self.daemon.journal.ledger(PAIR)
        return PlayJournal(clock=self.clock, durable=self.durable).ledger(PAIR)

    def _stand(self, *, is_last: bool = False) -> None:
        self._state_s = self.clock.now_s()
        self.story.states.append((self._state_s, self._state()))

    def _state(self) -> State:
        ledger, world = self.ledger, self.world
        unit = self.daemon.unit if self.daemon is not None else None
        standing = unit.deciding.standing if unit is not None else None
        is_steady = standing is not None and standing.decision.phase is Phase.STEADY and ledger.run is None
        return {
            **state_of(ledger),
            "fenced": tuple(name for name in world.clusters if world.is_fenced(name)),
            "published": str(self.names.published_cluster(self._state_s) or ""),
            "primaries": world.active_primaries(),
            "promotes": sum(effect.verb == "promote" for effect in world.applied),
            "demotes": sum(effect.verb == "demote" for effect in world.applied),
            "operation_tokens": tuple(name for name, one in world.clusters.items() if one.op_tokens),
            "steady": is_steady,
            "gates": tuple(gate.gate for gate in standing.facts.closed_gates()) if standing is not None else (),
        }
