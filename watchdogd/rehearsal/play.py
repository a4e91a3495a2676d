"""A scenario played: the lab's world, the daemon's own App in front of it, under virtual time, every line told.

What the file says happens at its second, or in the very moment in which a line of the story is told, also between a
journal entry and the first byte that follows it. A kill revokes the dead incarnation; the next one starts on what is
durable.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass

from structlog.testing import capture_logs

from watchdogd.core.decision import Decision
from watchdogd.core.entries import Entry, Recorded, RunEnded, RunOpened, RunParked
from watchdogd.core.facts import Facts
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import PairId
from watchdogd.core.situations import Phase
from watchdogd.lab.counts import TrueCounts
from watchdogd.lab.scenario import ActLine, FaultLine, Scenario
from watchdogd.lab.story import Check, State, Story, checks
from watchdogd.ports import Notice, Severity
from watchdogd.rehearsal.acts import FOREVER_S, Acts
from watchdogd.rehearsal.incarnation import Incarnation
from watchdogd.rehearsal.invariants import Invariants
from watchdogd.rehearsal.memory import DictMemory, Fuse
from watchdogd.rehearsal.ports import Disk, PlayClock, PlayJournal, no_fuse
from watchdogd.rehearsal.site import PAIR, fence_plan_of, found, policy_of, secrets_of
from watchdogd.rehearsal.virtual_time import move, virtual_loop
from watchdogd.runbooks.context import StepEvent

STEP_S = 0.25  # how often the world is looked at and the invariants are asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of it. `checks` is everything that the file asks for, `refused` what could not be done or was answered
    otherwise, `broken` every broken invariant.
    """

    scenario: Scenario
    story: Story
    counts: TrueCounts
    checks: tuple[Check, ...]
    refused: tuple[str, ...]
    broken: tuple[str, ...]

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
        checks=checks(scenario, stage.story, stage.world.counts),
        refused=tuple(stage.wrong),
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
    todo: tuple[str, ...] = ()
    published: str | None = None
    applied: int = 0
    transcript: int = 0


class Play:
    """One scenario on its stage."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.fuse: Fuse = no_fuse
        self.story = Story()
        self.wrong: list[str] = []
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
        self._due: list[tuple[float, int, FaultLine | ActLine]] = []
        self._order = itertools.count()
        self._tasks = asyncio.TaskGroup()
        self._acts = Acts(self, self._tasks)
        self._waiting: list[FaultLine | ActLine] = []
        self._state_s = -1.0

    # -- the story ---------------------------------------------------------------------------------------------------

    def tell(self, text: str, more: str = "") -> None:
        """One more line; whatever waits for it happens now."""
        line = self.story.add(self.clock.now_s(), text, more)
        for waiting in [w for w in self._waiting if line.begins(w.when.seen)]:
            if self.story.due_s(waiting.when) is None:
                continue
            self._waiting.remove(waiting)
            if waiting.when.plus_s:
                self._push(line.at_s + waiting.when.plus_s, waiting)
            else:
                self._acts.happen(waiting)

    def told_notice(self, notice: Notice) -> None:
        """What people are told; a run's own notices by its runbook."""
        word = "page" if notice.severity is Severity.PAGE else "warn"
        run_id, _, rest = notice.key.partition(":")
        key = f"{run_id.split('-', 2)[2]}.{rest}" if rest and run_id.count("-") >= 2 else notice.key
        details = " ".join(f"{detail.replace(' is closed', ' closed ')};" for detail in notice.details)
        self.tell(f"{word} {key}", f"{notice.summary} {details} {notice.command}".strip())

    def told_entry(self, pair: PairId, entry: Entry) -> None:
        """A line for every entry that is durable, and one for what people call a run."""
        daemon = self.daemon
        if daemon is not None:
            self.durable = daemon.journal.durable
        self.tell(f"journal {entry.kind} {getattr(entry, 'step', '')}".rstrip(), _entry(entry))
        match entry:
            case RunOpened():
                self.invariants.run_opens(entry)
                self.tell(f"run {entry.runbook} opened", entry.why)
            case RunParked():
                self.tell(f"run {self._runbook(entry.run_id)} parked", f"at {entry.step}: {entry.need}: {entry.why}")
            case RunEnded():
                self.tell(f"run {self._runbook(entry.run_id)} {entry.outcome}", entry.why)

    def _runbook(self, run_id: str) -> str:
        ledger = self.ledger
        runs = [*ledger.recent_runs, *([ledger.run] if ledger.run else [])]
        return next((run.runbook.value for run in runs if run.run_id == run_id), "?")

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
            f"{one.runbook.value if one.runbook else 'nothing'} "
            f"{'blocked' if one.blocked_by else one.execution.value}|"
            + " ".join(f"gate {gate.gate} closed," for gate in one.blocked_by)
            for one in decision.todo
        )
        for one in [one for one in todo if one not in told.todo]:
            text, _, more = one.partition("|")
            self.tell(f"decision {text}", more)
        told.todo = todo
        self.invariants.decided(facts, decision)

    def stepped(self, pair: PairId, event: StepEvent) -> None:
        """A step, or one attempt of it, came to something."""
        self.tell(f"step {event.run.runbook}.{event.step} {event.outcome}", event.why)

    # -- running -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """From the first second to the last."""
        lines: list[FaultLine | ActLine] = [*self.scenario.faults, *self.scenario.acts]
        for line in lines:
            if line.when.at_s is not None:
                self._push(line.when.at_s, line)
            else:
                self._waiting.append(line)
        async with self._tasks:
            self.start()
            await self._pass()
            self.kill()
            self._acts.stop()

    async def _pass(self) -> None:
        while (now_s := self.clock.now_s()) < self.scenario.until_s and not self.is_over():
            self._catch_up(now_s)
            next_s = min(self._due[0][0] if self._due else FOREVER_S, now_s + STEP_S, self.scenario.until_s)
            await asyncio.sleep(max(next_s - self.clock.now_s(), 0.001))
        self._catch_up(self.clock.now_s())
        self._stand(is_last=True)
        self.invariants.ended()

    def _catch_up(self, now_s: float) -> None:
        while self._due and self._due[0][0] <= now_s:
            at_s, _, line = heapq.heappop(self._due)
            self.world.tick(max(at_s, self.world.now_s))
            self._acts.happen(line)
        self.world.tick(now_s)
        self._look_at_the_world(now_s)
        self.invariants.ticked()
        if now_s - self._state_s >= 1.0:
            self._stand()

    def _look_at_the_world(self, now_s: float) -> None:
        told = self._told
        for line in itertools.islice(self.world.transcript, told.transcript, None):
            self.tell(f"world {line.partition(' ')[2]}", line.partition(" ")[0])
        told.transcript = len(self.world.transcript)
        for effect in self.world.applied[told.applied :]:
            self.tell(f"applied {effect.verb} {effect.cluster}", f"at {effect.at_s:.2f}")
        told.applied = len(self.world.applied)
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
        while self._due and self._due[0][0] <= end_s:
            at_s, _, line = heapq.heappop(self._due)
            self.clock.suspended_s += max(at_s - self.clock.now_s(), 0.0)
            self._acts.happen(line)
        self.clock.suspended_s += max(end_s - self.clock.now_s(), 0.0)
        self.world.tick(max(end_s, self.world.now_s))
        if not is_suspended:  # the process stood still: its own monotonic clock went on
            self.clock.suspended_s -= for_s
            move(asyncio.get_running_loop(), for_s)

    def _push(self, at_s: float, line: FaultLine | ActLine) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), line))

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
        debt = ledger.debts[-1].state.value if ledger.debts else "none"
        return {
            "elected": str(ledger.elected or ""),
            "epoch": ledger.epoch,
            "debt": debt,
            "fences": tuple(sorted(ledger.fences)),
            "fenced": tuple(name for name in world.clusters if world.is_fenced(name)),
            "published": str(self.names.published_cluster(self._state_s) or ""),
            "primaries": world.active_primaries(),
            "promotes": sum(effect.verb == "promote" for effect in world.applied),
            "demotes": sum(effect.verb == "demote" for effect in world.applied),
            "operation_tokens": tuple(name for name, one in world.clusters.items() if one.op_tokens),
            "steady": is_steady,
            "run": str(ledger.run.runbook) if ledger.run is not None else "",
            "parked": ledger.run.parked_step if ledger.run is not None else "",
            "paused": ledger.pause is not None,
            "foreign": bool(ledger.foreign),
            "gates": tuple(gate.gate for gate in standing.facts.closed_gates()) if standing is not None else (),
        }


def _entry(entry: Entry) -> str:
    shown = ("runbook", "epoch", "cluster", "elected", "debtor", "why", "seen", "cause", "what", "reason", "note")
    given = ((name, getattr(entry, name, "")) for name in shown)
    return " ".join(f"{name}={value}" for name, value in given if value not in ("", None))
