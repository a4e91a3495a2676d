"""What people must be told about a pair now: one notice per condition, each with its command and every closed gate."""

from __future__ import annotations

from collections.abc import Iterator

from watchdogd.core import paging
from watchdogd.core.ledger import RunState
from watchdogd.core.parked import RunVerb, command, commands
from watchdogd.core.situations import Act, Row
from watchdogd.core.telling import Loudness, loudness, row_told
from watchdogd.daemon.beside import beside
from watchdogd.daemon.question import Question
from watchdogd.ports import Notice, Severity

NAME_ALERT_AFTER_S = 60.0
SEVERITIES = {Loudness.WARNS: Severity.WARN, Loudness.PAGES: Severity.PAGE}


def conditions(question: Question) -> tuple[Notice, ...]:
    """Every condition that holds now. Feeds the timers: call it once a tick."""
    found = (*_row(question), *_parked(question), *_name(question), *beside(question))
    question.timers.end_tick()
    return found


def _row(question: Question) -> tuple[Notice, ...]:
    facts, timers, row = question.facts, question.timers, row_told(question.facts, question.decision)
    progress = max((window.progress for window in facts.windows), default=0.0)
    timers.holding = timers.holding.feed(
        row, facts.signature, question.policy.timing, progress=progress, now_s=facts.now.at_s
    )
    told = timers.holding.told
    if told is None or row is None:
        timers.row_notices = ()
    elif told.alarm == row.alarm:
        timers.row_notices = tuple(_row_notice(question, row))
    return timers.row_notices


def _row_notice(question: Question, row: Row) -> Iterator[Notice]:
    facts, decision = question.facts, question.decision
    loud = loudness(row, goes=any(todo.goes for todo in decision.todo))
    if loud is Loudness.QUIET:
        return
    yield question.notice(
        row.alarm,
        SEVERITIES[loud],
        paging.summary(row, facts, decision),
        *paging.details(row, facts, decision),
        command=paging.command(row, facts, decision),
    )


def _parked(question: Question) -> Iterator[Notice]:
    run = question.facts.ledger.run
    if run is None or run.state is not RunState.PARKED:
        return
    yield question.notice(
        f"{run.run_id}:parked:{run.parked_step}",  # the page of the run itself, which a restart forgets
        Severity.PAGE,
        f"{run.runbook} is parked at {run.parked_step}: {run.parked_why}",
        *commands(run, question.facts.views),
        command=command(RunVerb.RETRY, run.run_id),
    )


def _name(question: Question) -> Iterator[Notice]:
    row, name = question.decision.name_row, question.facts.name
    if name is None:
        return
    held_s = question.held_s("name") if row.act is Act.ALERT else 0.0
    todo = paging.todo_of(row.id, question.decision)
    if row.act is Act.ALERT and held_s >= NAME_ALERT_AFTER_S:
        published = ", ".join(name.published) or "nothing"
        yield question.notice(
            row.id, Severity.WARN, f"{row.id} {row.why}: published is {published}, {len(name.unasked)} not asked"
        )
    elif row.act is Act.CUTOVER_DNS and todo is not None and not todo.goes and question.facts.ledger.run is None:
        why_not = paging.why_not(todo, question.facts, question.decision)
        yield question.notice(row.id, Severity.PAGE, f"{row.id} {row.why}", *why_not, command=todo.command)
