"""Chapters of what a daemon may do, and TERM at any point of one: what it still does, where it ends, how it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from tests.support.play_crossing import QUIET, Crossed, Kept
from watchdogd.core.entries import Entry, Runbook, RunEnded, RunOpened, StepDone, StepIntended
from watchdogd.core.explain import Json
from watchdogd.core.ledger import Run, RunState
from watchdogd.core.model import PairId, RunId
from watchdogd.daemon.app import STOP_S_MAX
from watchdogd.daemon.forcing import force
from watchdogd.daemon.protocol import Asked
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.scenario import Scenario
from watchdogd.lab.scenario_file import parse_scenarios
from watchdogd.rehearsal.site import OPERATOR, PAIR

GONE_S = 5.0  # between the end of one process and the start of the next
SLACK_S = 1.0
LONG_S = 5.0  # between two points
OPENS_S, ENDS_S, RESTS_S = 120.0, 240.0, 900.0
# The step after whose seen end a pair may be left for hours; a run without one may be left anywhere (DESIGN section 2).
DECIDED_BY = {Runbook.FAILOVER: "promote", Runbook.SETTLE_DEBT: "demote", Runbook.ROLL_BACK: "promote_back"}
EFFECTS = ("vault before", "fence before", "dns before")


def is_safe(run: Run | None) -> bool:
    """Whether the pair may be left as this run left it."""
    if run is None or run.state is RunState.PARKED or run.runbook not in DECIDED_BY:
        return True
    return run.step(DECIDED_BY[run.runbook]).done or not any(record.intents for record in run.steps.values())


class Stopped(Crossed):
    """A stage whose daemon may be told to stop at a point that is counted from a moment of the test's choice."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.points: list[str] = []
        self.written: list[Entry] = []
        self.reached_s: list[float] = []
        self.stop_at: int | None = None
        self.stop_later_s = 0.0
        self.at_point: Callable[[Stopped, str], None] = lambda stage, point: None
        self.was_safe = False
        self.written_at_stop = 0
        self.stopped_s = -1.0

    def count(self) -> None:
        """From now on every point counts; at the one with the number `stop_at`, TERM comes."""
        self.fuse = self._counted

    def _counted(self, point: str) -> None:
        self.points.append(point)
        self.at_point(self, point)
        self.reached_s.append(self.clock.now_s())
        if self.stop_at == len(self.points) - 1:
            if self.stop_later_s:
                asyncio.get_running_loop().call_later(self.stop_later_s, self.term)
            else:
                self.term()

    def told(self) -> str:
        """For the message of a failure."""
        return "\n".join((*self.invariants.broken, self.story.text()))

    def told_entry(self, pair: PairId, entry: Entry) -> None:
        self.written.append(entry)
        super().told_entry(pair, entry)

    def term(self) -> None:
        """TERM, once more right after it, and USR1, which opens nothing any more."""
        daemon = self.daemon
        assert daemon is not None
        assert daemon.orders is not None
        self.was_safe, self.stopped_s = is_safe(self.ledger.run), self.clock.now_s()
        self.written_at_stop = len(self.written)
        self.tell("daemon told to stop")
        daemon.term()
        daemon.term()
        self.spawn(force(daemon.orders, OPERATOR))

    def fault(self, kind: FaultKind, target: str, **params: str | float | bool) -> None:
        """From now on this is wrong."""
        self.world.tick(max(self.clock.now_s(), self.world.now_s))
        self.world.faults.add(Fault(kind=kind, target=target, params=params))

    def end(self, kind: FaultKind) -> None:
        """No such fault any more."""
        self.world.tick(max(self.clock.now_s(), self.world.now_s))
        self.world.faults.clear(kind=kind)
        self.world.tick(self.world.now_s)

    async def order(self, verb: str, **body: Json) -> bool:
        """Ask as an operator; whether it was taken."""
        daemon = self.daemon
        assert daemon is not None
        assert daemon.orders is not None
        run = self.ledger.run
        asked = Asked(
            verb=verb,
            pair="" if verb.startswith("run-") else PAIR,
            run_id=run.run_id if run is not None and verb.startswith("run-") else "",
            body={"reason": "told so", **body},
        )
        return not (await daemon.orders.ask(asked, OPERATOR)).is_error

    def spawn(self, asked: Awaitable[object]) -> None:
        """Ask it beside the story."""
        self._tasks.create_task(_asked(asked))

    def has_ended(self) -> bool:
        """Whether a run came to its end while it counted."""
        return any(point.startswith("journal after run_ended") for point in self.points)

    def second_promotes(self) -> list[str]:
        """Each cluster that was promoted more than once, or beside the other one."""
        world = self.world
        promoted = [effect.cluster for effect in world.applied if effect.verb == "promote"]
        wrong = [f"promote of {', '.join(promoted)}"] if len(promoted) > 1 else []
        if world.counts.two_writable_primaries_s:
            wrong.append(f"two writable primaries for {world.counts.two_writable_primaries_s} s")
        return wrong


async def _asked(asked: Awaitable[object]) -> None:
    await asked


Tale = Callable[[Stopped], Awaitable[None]]


def _nothing(stage: Stopped, point: str) -> None:
    """The world goes on as it is."""


async def _no_more(stage: Stopped) -> None:
    """Nothing happens while no daemon is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Part of an incident: `begin` leads to it, `unfold` lets it happen, and in the end it `is_over`."""

    name: str
    pair: str = ""  # more lines of [pair]
    more: str = ""  # more tables
    begin: Tale
    kept_at: str = ""  # the first such point of `begin` is where it starts; else its end
    unfold: Tale
    at_point: Callable[[Stopped, str], None] = _nothing
    since: str = ""  # stopped from this point on only: before it is what another chapter tells
    is_over: Callable[[Stopped], bool]

    def stage(self) -> Stopped:
        """A new stage for it."""
        text = QUIET.replace("[world]", f"{self.pair}\n{self.more}\n[world]")
        stage = Stopped(parse_scenarios(text)[0])
        stage.at_point = self.at_point
        return stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One chapter told without a stop, up to the end of its run."""

    chapter: Chapter
    base: Kept
    points: tuple[str, ...]
    reached_s: tuple[float, ...]  # when each point was come to
    written: tuple[Entry, ...]
    opened: Mapping[RunId, Runbook]

    @property
    def stops(self) -> list[tuple[int, float]]:
        """Where a stop can make a difference, as a point and how long after it.

        Between the two points of one write nobody looks. What goes on for long is stopped in its middle as well.
        """
        began = self.points.index(self.chapter.since) if self.chapter.since else 0
        found = [(at, 0.0) for at, point in enumerate(self.points) if not point.startswith("journal before")]
        gaps = enumerate(pairwise(self.reached_s))
        found += [(at, (after_s - s) / 2) for at, (s, after_s) in gaps if after_s - s > LONG_S]
        return sorted(stop for stop in found if stop[0] >= began)

    @property
    def kinds(self) -> set[str]:
        """Of every entry."""
        return {entry.kind for entry in self.written}

    def steps(self, kind: type[StepDone] | type[StepIntended]) -> set[tuple[Runbook, str]]:
        """Those with such an entry."""
        return {(self.opened[entry.run_id], entry.step) for entry in self.written if isinstance(entry, kind)}


async def tell(chapter: Chapter) -> Told:
    """Tell it once from its beginning and once more from where its base was kept."""
    base = await _base(chapter)
    stage = chapter.stage()

    async def story() -> None:
        stage.take_over(base)
        stage.start()
        await chapter.unfold(stage)
        assert await stage.until(lambda: stage.has_ended() and chapter.is_over(stage), within_s=ENDS_S), stage.told()

    await stage.on_stage(story)
    assert not stage.invariants.broken, stage.told()
    ends = next(at for at, point in enumerate(stage.points) if point.startswith("journal after run_ended"))
    last = next(at for at, entry in enumerate(stage.written) if isinstance(entry, RunEnded))
    opened = {entry.run_id: entry.runbook for entry in stage.written if isinstance(entry, RunOpened)}
    points, reached_s = tuple(stage.points[: ends + 1]), tuple(stage.reached_s[: ends + 1])
    return Told(
        chapter=chapter,
        base=base,
        points=points,
        reached_s=reached_s,
        written=tuple(stage.written[: last + 1]),
        opened=opened,
    )


async def _base(chapter: Chapter) -> Kept:
    stage = chapter.stage()
    kept: list[Kept] = []

    def keep(point: str) -> None:
        if point == chapter.kept_at and not kept:
            kept.append(stage.keep(point))

    async def story() -> None:
        stage.start()
        stage.fuse = keep
        await chapter.begin(stage)
        if not chapter.kept_at:
            kept.append(stage.keep("the end"))

    await stage.on_stage(story)
    return kept[0]


async def wrong_when_stopped(told: Told, at: int, later_s: float = 0.0, *, stopped: Tale = _no_more) -> list[str]:
    """What is wrong with how the daemon ends when TERM comes at this point, and with how it goes on, in sentences.

    `stopped` happens once the process is gone.
    """
    stage = told.chapter.stage()
    wrong: list[str] = []

    async def story() -> None:
        stage.take_over(told.base)
        stage.stop_at, stage.stop_later_s = at, later_s
        stage.start()
        await told.chapter.unfold(stage)
        if not await stage.until(lambda: stage.stopped_s >= 0.0, within_s=OPENS_S + ENDS_S):
            wrong.append("never came to the point")
            return
        wrong.extend(await wrong_end(stage, told.points[at]))
        await stopped(stage)
        wrong.extend(await wrong_going_on(stage, told.chapter))

    await stage.on_stage(story)
    return [
        f"[{told.chapter.name}, {later_s:.1f} s after {at}: {told.points[at]}]: {what}\n{stage.told()}"
        for what in wrong
    ]


async def wrong_end(stage: Stopped, point: str) -> list[str]:
    """Whether the process ends in time, at a safe point, after no more than it had to do."""
    daemon = stage.daemon
    assert daemon is not None
    assert stage.stop_at is not None
    came_to = stage.points[stage.stop_at]
    wrong = [] if came_to == point else [f"came to {came_to}"]
    if not await stage.until(lambda: daemon.has_stopped, within_s=STOP_S_MAX + SLACK_S):
        return [*wrong, "did not stop in time"]
    took_s = stage.clock.now_s() - stage.stopped_s
    run = stage.ledger.run
    if not is_safe(run) and took_s < STOP_S_MAX:
        wrong.append(f"stopped after {took_s:.1f} s, at no safe point")
    sent = [one for one in stage.points[stage.stop_at + 1 :] if one.startswith(EFFECTS)]
    if stage.was_safe and len(sent) > (1 if "step_intended" in point and not stage.stop_later_s else 0):
        wrong.append(f"could have been left as it was, and went on to {', '.join(sent)}")
    opened = [entry.runbook for entry in stage.written[stage.written_at_stop :] if isinstance(entry, RunOpened)]
    if opened and "run_opened" not in point:
        wrong.append(f"opened {', '.join(opened)} although it was to stop")
    stage.kill()
    began = len(stage.points)
    await stage.pass_by(GONE_S)
    if len(stage.points) != began:
        wrong.append(f"went on after its end: {stage.points[began:]}")
    return wrong


async def wrong_going_on(stage: Stopped, chapter: Chapter) -> list[str]:
    """Whether the next process takes up first what was left open, and comes to the end of the chapter."""
    left, began = stage.ledger.run, len(stage.written)
    stage.start()
    is_over = await stage.until(lambda: stage.ledger.run is None and chapter.is_over(stage), within_s=ENDS_S)
    has_rested = await stage.rests(within_s=RESTS_S)
    wrong = [*stage.invariants.broken, *stage.second_promotes()]
    first = next((e for e in stage.written[began:] if isinstance(e, RunOpened | RunEnded)), None)
    if left is not None and not (isinstance(first, RunEnded) and first.run_id == left.run_id):
        wrong.append(f"did not take up {left.runbook} first")
    if not (is_over and has_rested and chapter.is_over(stage)):
        wrong.append("did not come to the end")
    return wrong
