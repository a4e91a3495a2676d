"""What a step of a runbook is: how its end is seen, how it acts, what forbids it, and how long it may take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from watchdogd.core.entries import Entry, RunEnded, RunOutcome
from watchdogd.errors import Need
from watchdogd.runbooks.context import RunContext
from watchdogd.runbooks.seen import Done


class Safe(StrEnum):
    """When a run may be stopped at a step (DESIGN section 2, safe point)."""

    NEVER = "never"
    BEFORE_ANY_EFFECT = "before_any_effect"
    ALWAYS = "always"  # what is left open converges whenever it is taken up again


async def _nothing(ctx: RunContext) -> None:
    """Nothing forbids it."""


def _no_veto(ctx: RunContext) -> str:
    return ""


def _nothing_missing(ctx: RunContext) -> str:
    return ""


def never(ctx: RunContext) -> bool:
    """Past its deadline the step parks."""
    return False


def always(ctx: RunContext) -> bool:
    """Past its deadline the run goes on."""
    return True


async def end_as_it_is(ctx: RunContext, why: str) -> None:
    """The run is over, aborted where a human asked for that; the table asks for the rest of it again."""
    outcome = RunOutcome.ABORTED if ctx.run.abort_asked else RunOutcome.SUPERSEDED
    await ctx.write_surely(RunEnded(run_id=ctx.run_id, outcome=outcome, why=why))


def _no_entries(ctx: RunContext) -> tuple[Entry, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step.

    `done` looks and says whether the end is reached. `guard` runs right before each send and raises what forbids it:
    Refused(NOT_YET) when it must wait, NeedsOperator when it must not happen. `act` sends; it is bounded by its own
    request time-outs and never cancelled by a deadline. `veto` is asked at every turn, parked or not: a sentence
    makes the run give up. An intent without a known outcome may be repeated only after a *seen* NO that has held for
    `settle_s`. Past `deadline_s` the run parks, or goes on where `is_optional` says so; None never parks. `with_intent`
    and `with_done` are written in the transaction of the intent and of the end. What needs a human parks the step
    where `parks_on` names it, or where `parks_while_unsure` and a send has no known outcome; else the run gives up.
    """

    name: str
    done: Callable[[RunContext], Awaitable[Done]]
    act: Callable[[RunContext], Awaitable[None]] | None = None
    guard: Callable[[RunContext], Awaitable[None]] = _nothing
    veto: Callable[[RunContext], str] = _no_veto
    with_intent: Callable[[RunContext], tuple[Entry, ...]] = _no_entries
    with_done: Callable[[RunContext], tuple[Entry, ...]] = _no_entries
    poll_s: float = 1.0
    poll_s_max: float = 1.0  # the back-off of sending, after "not yet", ends here; looking goes on every `poll_s`
    settle_s: float = 0.0
    deadline_s: float | None = 60.0
    safe: Safe = Safe.NEVER
    is_convergent: bool = False  # it and what follows only converge: the slot goes to settle-debt at once
    is_looked_at_again: bool = False  # its end is never taken from the journal
    is_optional: Callable[[RunContext], bool] = never  # past its deadline the run goes on
    waits_for_window: bool = False  # a resumed run gets one window more: its windows are empty
    ignores_abort: bool = False  # it is part of giving up itself
    parks_on: frozenset[Need] = frozenset({Need.FOREIGN})
    parks_while_unsure: bool = False  # a send of unknown outcome cannot be given up, only looked at
    ends_unseen: str = ""  # instead of parking: what nobody sees for `settle_s` holds no slot; what people hear then
    parks_as: str = ""  # the sentence for people, when it parks or is passed over
    still_missing: Callable[[RunContext], str] = _nothing_missing  # by the last look, where it is not an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """The steps of one runbook, and what giving up means for it.

    `give_up` undoes what can be undone and ends the run; where nothing may be undone it parks and goes on looking.
    `give_way` ends a run of which only convergent steps are left, for what is more urgent.
    """

    steps: tuple[Step, ...]
    give_up: Callable[[RunContext, str], Awaitable[None]]
    give_way: Callable[[RunContext, str], Awaitable[None]] = end_as_it_is
