"""Perform one step: intent before effect, and intent without a seen end means unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

from watchdogd.core.entries import (
    ElectionVoided,
    Entry,
    PromoteIntended,
    RunParked,
    RunUnparked,
    StepDone,
    StepIntended,
    StepNotApplied,
)
from watchdogd.core.ledger import RunState
from watchdogd.core.parked import RunVerb, command, commands
from watchdogd.errors import MalformedReply, Need, NeedsOperator, OutcomeUnknown, Refusal, Refused, Unreachable
from watchdogd.ports import Severity
from watchdogd.runbooks.context import RunContext, RunGone, RunStopped, StepEvent, StepOutcome
from watchdogd.runbooks.seen import Done
from watchdogd.runbooks.settling import Settling
from watchdogd.runbooks.step import Safe, Step

PARKED_POLL_S = 2.0
# What was parked for these waits for an operator's verb even when its end is seen; lateness ends by itself.
FOR_A_HUMAN = frozenset({Need.FOREIGN, Need.STALE_RUN})


Act = Callable[[RunContext], Awaitable[None]]


class GivesWay(NeedsOperator):
    """The run's remaining steps are convergent and a debt wants the slot. Never leaves the engine."""


async def perform(step: Step, ctx: RunContext) -> None:
    """Returns when the end of `step` is seen, or it was skipped. Raises what ends the run."""
    await Performance(step=step, ctx=ctx, began_s=ctx.clock.now_s()).run()


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A send that was certainly not applied, and could not be written down yet; `need` is what follows from it."""

    entry: StepNotApplied
    need: NeedsOperator | None


@dataclass(slots=True, kw_only=True)
class Performance:
    """One step being performed."""

    step: Step
    ctx: RunContext
    began_s: float
    unsure: Settling | None = None  # None while no send is without a known outcome
    deadline_from_s: float = 0.0
    wait_s: float = 0.0
    not_before_s: float = 0.0
    waits_since_s: float | None = None
    unseen_since_s: float | None = None
    is_parked: bool = False
    is_just_sent: bool = False
    answered: str = ""  # what the latest attempt was answered, in the words of whoever answered
    owed: Owed | None = None

    async def run(self) -> None:
        """Returns when the step's end is seen, or it was skipped. Raises what ends the run."""
        if self._is_over():
            return
        self.deadline_from_s = self.ctx.clock.now_s()
        if self.ctx.record(self.step.name).is_unsure:
            self._settle_anew()  # what happened before the crash is unknown
        self.is_parked = self.ctx.run.state is RunState.PARKED
        while not await self._written_turn():
            await asyncio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        if self.is_parked:
            return PARKED_POLL_S
        is_just_sent, self.is_just_sent = self.is_just_sent, False
        return 0.0 if is_just_sent else self.step.poll_s

    async def _written_turn(self) -> bool:
        # What cannot be written down is not done: the run stands still, looks and pages until it can be. That is no
        # lateness of the step.
        try:
            await self._write_owed()
            return await self._turn()
        except NeedsOperator as need:
            if need.need is not Need.JOURNAL:
                raise
            self.ctx.tell("journal", Severity.PAGE, need.detail)
            self.deadline_from_s = self.ctx.clock.now_s()
            return False

    def _is_over(self) -> bool:
        if self.step.name in self.ctx.run.skipped:
            self._tell(StepOutcome.SKIPPED)
            return True
        return self.ctx.record(self.step.name).done and not self.step.is_looked_at_again

    async def _turn(self) -> bool:
        self._check_orders()
        if self._is_over():
            return True
        seen = await self._look()
        if seen is Done.YES and not self._waits_for_human():
            await self._finish("seen")
            return True
        if veto := self.step.veto(self.ctx):
            await self._stop_for(NeedsOperator(Need.VETO, veto))
        self._end_what_nobody_sees(seen)
        self._go_on_settling(seen)
        if self.is_parked:
            return False
        if self._is_late():
            return await self._be_late(seen)
        if seen is Done.NO and self.step.act is not None and self._may_send():
            await self._guarded_send(self.step.act)
        return False

    def _check_orders(self) -> None:
        run = self.ctx.run
        if run.abort_asked and not self.step.ignores_abort:
            raise NeedsOperator(Need.STOPPED, "an operator asked to abort")
        if self.is_parked and run.state is RunState.OPEN:
            self.is_parked = False
            self.deadline_from_s = self.ctx.clock.now_s()
        if (why := self.ctx.stop()) and (self.is_parked or self._is_safe_point()):
            raise RunStopped(why)
        if self.step.is_convergent and self.ctx.settle_first():
            raise GivesWay(Need.STOPPED, "what is more urgent comes first")

    def _is_safe_point(self) -> bool:
        match self.step.safe:
            case Safe.NEVER:
                return False
            case Safe.BEFORE_ANY_EFFECT:
                return not any(record.intents for record in self.ctx.run.steps.values())
            case Safe.ALWAYS:
                return True
            case _:
                assert_never(self.step.safe)

    async def _look(self) -> Done:
        try:
            return await self.step.done(self.ctx)
        except NeedsOperator as need:
            await self._stop_for(need)
            return Done.CANNOT_SEE

    def _waits_for_human(self) -> bool:
        return self._is_parked_here() and self.ctx.run.parked_need in FOR_A_HUMAN

    def _is_parked_here(self) -> bool:
        # A resumed run that is parked at a later step walks up to it by what it sees, and waits there.
        return self.is_parked and self.ctx.run.parked_step == self.step.name

    # -- time ----------------------------------------------------------------------------------------------------------

    def _is_late(self) -> bool:
        if self.step.deadline_s is None:
            return False
        timing = self.ctx.policy.timing
        more_s = timing.cold_start_s + timing.stale_link_hold_s
        deadline_s = self.step.deadline_s + (more_s if self.step.waits_for_window and self.ctx.is_resumed else 0.0)
        return self.ctx.clock.now_s() - self.deadline_from_s >= deadline_s

    async def _be_late(self, seen: Done) -> bool:
        step = self.step
        why = step.parks_as or f"{step.name} did not come to its end in time ({seen})"
        if cause := self.answered or step.still_missing(self.ctx):
            why = f"{why}: {cause}"
        if not step.is_optional(self.ctx):
            await self._park(NeedsOperator(Need.DEADLINE, why), answered=self.answered)
            return False
        if step.parks_as:
            self.ctx.tell(f"passed:{step.name}", Severity.PAGE, f"{why}; the run goes on without it")
        await self._finish(f"not confirmed in time: {seen}")
        return True

    def _end_what_nobody_sees(self, seen: Done) -> None:
        # Nothing can be done here before it is seen again, and then the table asks for it anew: the slot is for others.
        now_s = self.ctx.clock.now_s()
        if seen is not Done.CANNOT_SEE or not self.step.ends_unseen:
            self.unseen_since_s = None
            return
        if self.unseen_since_s is None:
            self.unseen_since_s = now_s
        is_waiting = (self.is_parked and not self._waits_for_human()) or self._is_late()
        if is_waiting and now_s - self.unseen_since_s >= self.step.settle_s:
            raise NeedsOperator(Need.VETO, self.step.ends_unseen)

    def _go_on_settling(self, seen: Done) -> None:
        if self.unsure is not None:
            now_s, gap_max_s = self.ctx.clock.now_s(), self.ctx.policy.timing.gap_max_s
            self.unsure = self.unsure.after(seen, now_s=now_s, gap_max_s=gap_max_s)

    def _settle_anew(self) -> None:
        self.unsure = Settling.begun(self.ctx.clock.now_s())

    def _may_send(self) -> bool:
        now_s = self.ctx.clock.now_s()
        if now_s < self.not_before_s:
            return False
        return self.unsure is None or self.unsure.is_over(self.step.settle_s, now_s=now_s)

    def _wait_for(self, refused: Refused) -> None:
        # An earlier send of unknown outcome stays unknown; this one certainly did not happen.
        if not self.ctx.record(self.step.name).is_unsure:
            self.unsure = None
        self.answered = refused.detail or str(refused)
        self.wait_s = min(self.step.poll_s_max, max(self.step.poll_s, self.wait_s * 2))
        self.not_before_s = self.ctx.clock.now_s() + self.wait_s
        self._tell(StepOutcome.NOT_YET, self.answered)
        self._page_a_long_wait()

    def _page_a_long_wait(self) -> None:
        # A run that stands still for a window, with whatever it holds, is said once, long before it parks.
        ctx, now_s = self.ctx, self.ctx.clock.now_s()
        if self.waits_since_s is None:
            self.waits_since_s = now_s
        elif now_s - self.waits_since_s >= ctx.policy.timing.down_after_s:
            ctx.tell(
                f"waits:{self.step.name}",
                Severity.PAGE,
                f"{ctx.run.runbook} waits at {self.step.name}: {self.answered}",
                command=command(RunVerb.ABORT, ctx.run_id),
            )

    # -- sending -------------------------------------------------------------------------------------------------------

    async def _guarded_send(self, act: Act) -> None:
        try:
            await self.step.guard(self.ctx)
        except Refused as refused:
            self._wait_for(refused)
        except NeedsOperator as need:
            await self._stop_for(need)
        else:
            await self._send(act)

    async def _send(self, act: Act) -> None:
        ctx, step = self.ctx, self.step
        look = ctx.memo.look
        entries = step.with_intent(ctx)
        looked_s = look.ended_s if look is not None else None
        await ctx.write(StepIntended(run_id=ctx.run_id, step=step.name, look_ended_s=looked_s), *entries)
        try:
            self._ensure_still_ours()
            await act(ctx)
        except RunGone:
            await self._void(entries)
            raise
        except (OutcomeUnknown, MalformedReply) as unknown:
            self._settle_anew()
            self.answered = str(unknown)
            self._tell(StepOutcome.UNKNOWN, str(unknown))
        except Unreachable as unreachable:
            await self._not_applied(Refused(Refusal.NOT_YET, str(unreachable)))
        except Refused as refused:
            await self._not_applied(refused)
        except NeedsOperator:
            self._settle_anew()
            raise
        else:
            self._settle_anew()
            self.is_just_sent = True
            self.waits_since_s = None
            self.answered = ""
            self._tell(StepOutcome.SENT)

    def _ensure_still_ours(self) -> None:
        """An operator may have ended the run, or asked to, while the disk wrote the intent."""
        if self.ctx.run.abort_asked and not self.step.ignores_abort:
            raise Refused(Refusal.NOT_YET, "an operator asked to abort")

    async def _void(self, entries: tuple[Entry, ...]) -> None:
        # Written by a run that was over already: nothing was sent, so there was no election.
        voided = [entry.epoch for entry in entries if isinstance(entry, PromoteIntended)]
        why = "the run was ended before anything was sent"
        if voided:
            await self.ctx.write_surely(*(ElectionVoided(epoch=epoch, why=why) for epoch in voided))

    async def _not_applied(self, refused: Refused) -> None:
        entry = StepNotApplied(run_id=self.ctx.run_id, step=self.step.name, why=str(refused))
        need = None
        if refused.kind is not Refusal.NOT_YET:
            need = NeedsOperator(Need.REFUSED, f"{self.step.name} was refused: {refused}")
        self.owed = Owed(entry=entry, need=need)
        await self._write_owed()
        if need is None:
            self._wait_for(refused)

    async def _write_owed(self) -> None:
        owed = self.owed
        if owed is None:
            return
        await self.ctx.write(owed.entry)
        self.owed = None
        if owed.need is not None:
            await self._stop_for(owed.need, answered=owed.entry.why)

    # -- parking and ending --------------------------------------------------------------------------------------------

    async def _stop_for(self, need: NeedsOperator, *, answered: str = "") -> None:
        """Park where this step waits for a human; else raise `need`, and the run gives up."""
        step, is_unsure = self.step, self.ctx.record(self.step.name).is_unsure
        if need.need in step.parks_on:
            await self._park(need, answered=answered)
        elif step.parks_while_unsure and is_unsure and need.need not in (Need.JOURNAL, Need.STOPPED):
            unknown = NeedsOperator(Need.OUTCOME_UNKNOWN, f"{need.detail}: {step.parks_as}")
            await self._park(unknown, answered=answered)
        else:
            raise need

    async def _park(self, need: NeedsOperator, *, answered: str) -> None:
        if self.is_parked:
            return
        ctx, step, look = self.ctx, self.step.name, self.ctx.memo.look
        await ctx.write(RunParked(run_id=ctx.run_id, step=step, need=need.need, why=need.detail, answered=answered))
        self.is_parked = True
        ctx.memo.told.discard(f"parked:{step}")
        ctx.tell(
            f"parked:{step}",
            Severity.PAGE,
            f"{ctx.run.runbook} is parked at {step}: {need.detail}",
            *commands(ctx.run, look.facts.views if look is not None else {}),
            command=command(RunVerb.RETRY, ctx.run_id),
        )
        self._tell(StepOutcome.PARKED, need.detail)

    async def _finish(self, seen: str) -> None:
        ctx, step = self.ctx, self.step
        end = (StepDone(run_id=ctx.run_id, step=step.name, seen=seen), *step.with_done(ctx))
        if self._is_parked_here():
            await ctx.write(RunUnparked(run_id=ctx.run_id, verb="seen"), *end)
        elif not ctx.record(step.name).done:
            await ctx.write(*end)
        self._tell(StepOutcome.DONE, seen)

    def _tell(self, outcome: StepOutcome, why: str = "") -> None:
        self.ctx.on_step(
            StepEvent(
                run=self.ctx.run,
                step=self.step.name,
                outcome=outcome,
                elapsed_s=self.ctx.clock.now_s() - self.began_s,
                attempt=self.ctx.record(self.step.name).intents,
                why=why,
            )
        )
