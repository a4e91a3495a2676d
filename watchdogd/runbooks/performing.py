"""Perform one step: intent before effect, and intent without a seen end means unknown."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from watchdogd.core.entries import RunParked, RunUnparked, StepDone, StepIntended, StepNotApplied
from watchdogd.core.ledger import RunState
from watchdogd.errors import MalformedReply, Need, NeedsOperator, OutcomeUnknown, Refusal, Refused, Unreachable
from watchdogd.ports import Severity
from watchdogd.runbooks.context import RunContext, RunStopped, StepEvent, StepOutcome
from watchdogd.runbooks.step import Done, Safe, Step

PARKED_POLL_S = 2.0
ACTS = "run retry | skip | proceed --waive GATE | abort | adopt"


class GivesWay(NeedsOperator):
    """The run's remaining steps are convergent and a debt wants the slot. Never leaves the engine."""


async def perform(step: Step, ctx: RunContext) -> None:
    """Returns when the end of `step` is seen, or it was skipped. Raises what ends the run."""
    await Performance(step=step, ctx=ctx, began_s=ctx.clock.now_s()).run()


@dataclass(slots=True, kw_only=True)
class Performance:
    """One step being performed."""

    step: Step
    ctx: RunContext
    began_s: float
    unsure_since_s: float | None = None
    deadline_from_s: float = 0.0
    poll_s: float = 0.0
    is_parked: bool = False

    async def run(self) -> None:
        """Returns when the step's end is seen, or it was skipped. Raises what ends the run."""
        if self._is_over():
            return
        run, step = self.ctx.run, self.step
        self.deadline_from_s = self.ctx.clock.now_s()
        self.poll_s = step.poll_s
        if self.ctx.record(step.name).is_unsure:
            self.unsure_since_s = self.ctx.clock.now_s()  # what happened before the crash is unknown: settle anew
        self.is_parked = run.state is RunState.PARKED
        while not await self._written_turn():
            await asyncio.sleep(PARKED_POLL_S if self.is_parked else self.poll_s)

    async def _written_turn(self) -> bool:
        # What cannot be written down is not done: the run stands still, looks and pages until it can be.
        try:
            return await self._turn()
        except NeedsOperator as need:
            if need.need is not Need.JOURNAL:
                raise
            self.ctx.tell("journal", Severity.PAGE, need.detail)
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
            raise NeedsOperator(Need.VETO, veto)
        if self.is_parked:
            return False
        if self._is_late():
            return await self._be_late(seen)
        if seen is Done.CANNOT_SEE and self.unsure_since_s is not None:
            self.unsure_since_s = self.ctx.clock.now_s()
        if seen is Done.NO and self._may_send():
            await self._guarded_send()
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
            raise GivesWay(Need.STOPPED, "a demotion debt comes first")

    def _is_safe_point(self) -> bool:
        match self.step.safe:
            case Safe.NEVER:
                return False
            case Safe.BEFORE_ANY_EFFECT:
                return not any(record.intents for record in self.ctx.run.steps.values())
            case Safe.ALWAYS:
                return True

    async def _look(self) -> Done:
        try:
            return await self.step.done(self.ctx)
        except NeedsOperator as need:
            await self._park_or_raise(need)
            return Done.CANNOT_SEE

    def _waits_for_human(self) -> bool:
        # Lateness ends when the end is seen; what was parked for any other reason ends by an operator's verb.
        return self.is_parked and self.ctx.run.parked_need not in (Need.DEADLINE, Need.OUTCOME_UNKNOWN)

    def _is_late(self) -> bool:
        if self.step.deadline_s is None:
            return False
        timing = self.ctx.policy.timing
        more_s = timing.cold_start_s + timing.stale_link_hold_s
        deadline_s = self.step.deadline_s + (more_s if self.step.waits_for_window and self.ctx.is_resumed else 0.0)
        return self.ctx.clock.now_s() - self.deadline_from_s >= deadline_s

    async def _be_late(self, seen: Done) -> bool:
        if self.step.is_optional:
            await self._finish(f"not confirmed in time: {seen}")
            return True
        why = self.step.parks_as or f"{self.step.name} did not come to its end in time ({seen})"
        await self._park(NeedsOperator(Need.DEADLINE, why))
        return False

    def _may_send(self) -> bool:
        if self.step.act is None:
            return False
        if self.unsure_since_s is None:
            return True
        return self.ctx.clock.now_s() - self.unsure_since_s >= self.step.settle_s

    async def _guarded_send(self) -> None:
        try:
            await self.step.guard(self.ctx)
        except Refused as refused:
            self._wait_for(refused)
        except NeedsOperator as need:
            await self._park_or_raise(need)
        else:
            await self._send()

    async def _send(self) -> None:
        act, ctx, name = self.step.act, self.ctx, self.step.name
        if act is None:
            return
        look = ctx.memo.look
        intent = StepIntended(run_id=ctx.run_id, step=name, look_ended_s=look.ended_s if look is not None else None)
        await ctx.write(intent, *self.step.with_intent(ctx))
        try:
            await act(ctx)
        except (OutcomeUnknown, MalformedReply) as unknown:
            self.unsure_since_s = ctx.clock.now_s()
            self._tell(StepOutcome.UNKNOWN, str(unknown))
        except Unreachable as unreachable:
            await self._not_applied(Refused(Refusal.NOT_YET, str(unreachable)))
        except Refused as refused:
            await self._not_applied(refused)
        else:
            self.unsure_since_s = ctx.clock.now_s()
            self._tell(StepOutcome.SENT)

    async def _not_applied(self, refused: Refused) -> None:
        await self.ctx.write(StepNotApplied(run_id=self.ctx.run_id, step=self.step.name, why=str(refused)))
        if refused.kind is not Refusal.NOT_YET:
            raise NeedsOperator(Need.REFUSED, f"{self.step.name} was refused: {refused}")
        self._wait_for(refused)

    def _wait_for(self, refused: Refused) -> None:
        # An earlier send of unknown outcome stays unknown; this one certainly did not happen.
        if not self.ctx.record(self.step.name).is_unsure:
            self.unsure_since_s = None
        self.poll_s = min(self.step.poll_s_max, max(self.step.poll_s, self.poll_s * 2))
        self._tell(StepOutcome.NOT_YET, str(refused))

    async def _park_or_raise(self, need: NeedsOperator) -> None:
        if need.need is not Need.FOREIGN:
            raise need
        await self._park(need)

    async def _park(self, need: NeedsOperator) -> None:
        if self.is_parked:
            return
        ctx, step = self.ctx, self.step.name
        await ctx.write(RunParked(run_id=ctx.run_id, step=step, need=need.need, why=need.detail))
        self.is_parked = True
        ctx.memo.told.discard(f"parked:{step}")
        ctx.tell(
            f"parked:{step}",
            Severity.PAGE,
            f"{ctx.run.runbook} is parked at {step}: {need.detail}",
            f"possible acts: {ACTS}",
            command=f"watchdogctl run retry {ctx.run_id}",
        )
        self._tell(StepOutcome.PARKED, need.detail)

    async def _finish(self, seen: str) -> None:
        ctx, step = self.ctx, self.step
        end = (StepDone(run_id=ctx.run_id, step=step.name, seen=seen), *step.with_done(ctx))
        if self.is_parked and ctx.run.state is RunState.PARKED:
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
