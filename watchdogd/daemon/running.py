"""Runs of one pair: at most one at a time, resumed at the start, chosen by precedence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from watchdogd.core.commands import Command
from watchdogd.core.decision import Decision, Todo
from watchdogd.core.entries import Runbook, RunParked
from watchdogd.core.facts import Facts
from watchdogd.core.ledger import Run, RunState
from watchdogd.core.model import RunId
from watchdogd.core.parked import PROMOTE, RECHECK, RunVerb, command
from watchdogd.daemon.gear import PairGear
from watchdogd.daemon.stamps import Stamper
from watchdogd.daemon.watching import PairDesk
from watchdogd.errors import Need, NeedsOperator
from watchdogd.ports import Eyes, Hands, Journal, Notice, Notifier, Severity
from watchdogd.runbooks.catalog import PROCEDURES
from watchdogd.runbooks.context import RunContext, StepEvent, StepOutcome
from watchdogd.runbooks.engine import execute
from watchdogd.runbooks.opening import Wanted, open_run
from watchdogd.runbooks.performing import FOR_A_HUMAN

TURN_S = 0.25

log = structlog.get_logger()
OnStep = Callable[[StepEvent], None]
OnEnd = Callable[[Run], None]


class Running:
    """Opens, resumes and stops the runs of one pair."""

    def __init__(
        self,
        gear: PairGear,
        desk: PairDesk,
        *,
        journal: Journal,
        eyes: Eyes,
        hands: Hands,
        notifier: Notifier,
        stamper: Stamper,
        on_step: OnStep,
        on_end: OnEnd,
    ) -> None:
        self._gear = gear
        self._pair = gear.policy.pair
        self._desk = desk
        self._journal = journal
        self._eyes = eyes
        self._hands = hands
        self._notifier = notifier
        self._stamper = stamper
        self._on_step = on_step
        self._on_end = on_end
        self._stopping = ""
        self._sealed = ""
        self._wanted: Wanted | None = None
        self._settle_first = False
        self._ran_here: set[RunId] = set()
        self._broken: RunId | None = None
        self._gave_way: RunId | None = None  # a broken run that was told to: it may break again at that
        self._park_due: RunParked | None = None  # what could not be written down yet
        self._is_park_refused = False
        self._begun_s: dict[str, float] = {}  # when each situation was handed over last
        self._opening = asyncio.Lock()
        self.is_idle = True

    # -- what decides ------------------------------------------------------------------------------------------------

    def decided(self, facts: Facts, decision: Decision, approved: Wanted | None = None) -> None:
        """Take over what the newest decision wants done now, or else what was `approved` and may begin now."""
        self._settle_first = any(todo.takes_the_slot for todo in decision.todo)
        self._wanted = None
        if facts.ledger.run is not None or self._stopping:
            return
        goes = next((todo for todo in decision.todo if todo.goes), None)
        if goes is not None and goes.runbook is not None and self._is_due_again(goes, facts.now.at_s):
            self._begun_s[goes.situation] = facts.now.at_s
            self._wanted = Wanted(
                runbook=goes.runbook, source=goes.source, target=goes.target, situation=goes.situation, why=goes.why
            )
        self._wanted = self._wanted or approved

    def _is_due_again(self, todo: Todo, now_s: float) -> bool:
        begun_s = self._begun_s.get(todo.situation)
        return begun_s is None or now_s - begun_s >= todo.again_after_s

    async def open(self, wanted: Wanted) -> Run:
        """Take the slot. Raises: NeedsOperator(STOPPED) when it is taken or closed, NeedsOperator(JOURNAL)."""
        async with self._opening:
            if why := self._sealed or self._stopping:
                raise NeedsOperator(Need.STOPPED, f"no run starts: {why}")
            run = await open_run(self._journal, self._pair, wanted)
        self._ran_here.add(run.run_id)
        log.info("run_opened", pair=self._pair, run_id=run.run_id, runbook=run.runbook.value, situation=run.situation)
        return run

    def stop(self, why: str) -> None:
        """No run starts from now on, and the one that is open stops at its next safe point."""
        self._stopping = why

    async def seal(self, why: str) -> bool:
        """No run starts from now on; False, and nothing changed, when one is open. What is open is not touched."""
        self._sealed = why
        async with self._opening:  # one that is being opened is an open one
            is_free = self.is_idle and self._journal.ledger(self._pair).run is None
        self._sealed = why if is_free else ""
        return is_free

    def unseal(self) -> None:
        """Runs may start again."""
        self._sealed = ""

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def run_forever(self) -> None:
        """Resume the open run, then whatever is wanted, until told to stop."""
        self._take_up()
        while not self._stopping:
            if await self._park_what_is_due():
                await self._turn()
            await asyncio.sleep(TURN_S)
        self.is_idle = True

    async def _turn(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None and self._journal.ledger(self._pair).run is None and not self._why_stop():
            try:
                await self.open(wanted)
            except NeedsOperator as need:
                log.warning("run_not_opened", pair=self._pair, runbook=wanted.runbook.value, error=need.detail)
        run = self._journal.ledger(self._pair).run
        if run is None or self._why_stop() or (self._is_broken(run) and not self._gives_way(run)):
            return
        if self._is_stale(run) and self._goes_on_alone(run):
            self._park_due = self._parked_as_stale(run)  # a pause, or a tilt, kept it from going on for that long
        else:
            await self._execute(run)

    def _is_broken(self, run: Run) -> bool:
        return run.run_id == self._broken and run.state is RunState.PARKED

    def _gives_way(self, run: Run) -> bool:
        """True once for a broken run of which only convergent steps are left, when something more urgent waits."""
        left = [step for step in PROCEDURES[run.runbook].steps if not run.step(step.name).done]
        gives_way = self._settle_first and all(step.is_convergent for step in left) and self._gave_way != run.run_id
        self._gave_way = run.run_id if gives_way else self._gave_way
        return gives_way

    async def _execute(self, run: Run) -> None:
        self.is_idle, self._broken = False, None
        try:
            await execute(self._context(run))
        except Exception as bug:  # loop edge: one run that we cannot carry out must not stop the watching
            log.critical("run_broke", pair=self._pair, run_id=run.run_id, exc_info=bug)
            await self._park_broken(run, bug)
        finally:
            self.is_idle = True
            self._wanted = None  # decided before this run ended: what is wanted after it is decided anew
        self._ran_here.add(run.run_id)
        ledger = self._journal.ledger(self._pair)
        ended = next((one for one in reversed(ledger.recent_runs) if one.run_id == run.run_id), None)
        if ended is not None:
            log.info(
                "run_ended",
                pair=self._pair,
                run_id=run.run_id,
                runbook=run.runbook.value,
                outcome=ended.outcome.value if ended.outcome else "",
                why=ended.why,
            )
            self._on_end(ended)

    async def _park_broken(self, run: Run, bug: Exception) -> None:
        """A bug of ours: the run waits for a human, and is not tried again before one says so."""
        self._broken = run.run_id
        now = self._journal.ledger(self._pair).run
        run = now if now is not None and now.run_id == run.run_id else run
        then = f"look at both clusters, then `{Command.RUN_RETRY}` or `{Command.RUN_ABORT}`"
        why = f"a bug of the daemon: {type(bug).__name__}; {then}"
        step = _open_step(run)
        attempt = run.step(step).intents
        broke = StepEvent(run=run, step=step, outcome=StepOutcome.BROKE, elapsed_s=0.0, attempt=attempt, why=why)
        self._on_step(broke)
        self._park_due = RunParked(run_id=run.run_id, step=step, need=Need.BUG, why=why)
        await self._park_what_is_due()
        self._notifier.tell(
            Notice(
                pair=self._pair,
                key=f"{run.run_id}:bug",
                severity=Severity.PAGE,
                summary=f"{run.runbook} {run.run_id} broke: {why}",
                command=command(RunVerb.RETRY, run.run_id),
            )
        )

    async def _park_what_is_due(self) -> bool:
        """Write down that a run waits for a human. False while that is refused: the run is not taken up meanwhile."""
        due = self._park_due
        if due is None:
            return True
        try:
            await self._journal.append(self._pair, due)
        except NeedsOperator as need:
            if not self._is_park_refused:
                log.warning("run_not_parked", pair=self._pair, run_id=due.run_id, error=need.detail)
            self._is_park_refused = True
            return False
        self._park_due, self._is_park_refused = None, False
        log.warning("run_parked", pair=self._pair, run_id=due.run_id, why=due.why)
        return True

    def _context(self, run: Run) -> RunContext:
        gear = self._gear
        return RunContext(
            pair=self._pair,
            run_id=run.run_id,
            policy=gear.policy,
            journal=self._journal,
            eyes=self._eyes,
            hands=self._hands,
            fence=gear.fence,
            dns=gear.dns,
            dns_watch=gear.dns_watch,
            clock=self._stamper.clock,
            notifier=self._notifier,
            stop=self._why_stop,
            settle_first=lambda: self._settle_first,
            on_step=self._on_step,
            is_resumed=run.run_id not in self._ran_here,
        )

    def _why_stop(self) -> str:
        if self._stopping:
            return self._stopping
        if self._desk.tilt.why:
            return self._desk.tilt.why
        if self._desk.hold_due:
            return f"a hold is not written down yet: {self._desk.hold_due}"
        ledger = self._journal.ledger(self._pair)
        if ledger.pause is None or (ledger.run is not None and ledger.run.abort_asked):
            return ""  # giving up undoes what was done: a pause does not keep a fence on
        return f"paused: {ledger.pause.reason}"

    def _take_up(self) -> None:
        """What an earlier incarnation left open goes on, or is to be parked.

        A run that nobody touched for long, before its point of no return, waits for a human.
        """
        run = self._journal.ledger(self._pair).run
        if run is None or run.state is not RunState.OPEN:
            return
        if not self._is_stale(run):
            log.info("run_resumed", pair=self._pair, run_id=run.run_id, runbook=run.runbook.value)
            return
        self._park_due = self._parked_as_stale(run)

    def _parked_as_stale(self, run: Run) -> RunParked:
        bound_s = self._gear.policy.timing.resume_max_age_s
        why = f"untouched for longer than {bound_s:.0f} s before its point of no return"
        return RunParked(run_id=run.run_id, step=_open_step(run), need=Need.STALE_RUN, why=why)

    def _is_stale(self, run: Run) -> bool:
        """True for a run that would go on to promote by what was true long ago. One that gives up only undoes."""
        age_s = run.touched.age_s(self._stamper.now())
        is_past_return = not run.step(PROMOTE).was_never_applied
        is_young = age_s <= self._gear.policy.timing.resume_max_age_s
        return run.runbook is Runbook.FAILOVER and not is_past_return and not is_young and not run.abort_asked

    def _goes_on_alone(self, run: Run) -> bool:
        """True for a run that would act without another word of a human.

        One that nobody asked for waits while a hold does. One that is parked for being late goes on once it sees what
        it waits for; that is all of section 4, unless it waives some of it by what its operator knew then.
        """
        if run.state is RunState.PARKED:
            return bool(run.waivers) and run.parked_need not in FOR_A_HUMAN
        return run.asked_by_uid is not None or not self._journal.ledger(self._pair).hold


def _open_step(run: Run) -> str:
    return next((name for name, record in run.steps.items() if not record.done), RECHECK)
