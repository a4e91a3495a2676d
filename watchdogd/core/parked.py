"""What may be asked of a parked run: one place that accepts and refuses, and offers only what it would accept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import assert_never

from watchdogd.core.commands import Command, line
from watchdogd.core.entries import Runbook
from watchdogd.core.ledger import Run, RunState
from watchdogd.core.model import ClusterId, ClusterView, RunId

Views = Mapping[ClusterId, ClusterView]

RECHECK, PROMOTE = "recheck", "promote"  # steps of a failover: the first one, and the point of no return
PROMOTE_BACK = "promote_back"
# Skipping one of these would be an effect without its proof, or without its fence: waive the gate, or abort.
NEVER_SKIPPED = frozenset({RECHECK, "credential", "demote_source", "fence", PROMOTE, PROMOTE_BACK, "demote"})


class RunVerb(StrEnum):
    """What an operator may ask of a run."""

    RETRY = "retry"
    PROCEED = "proceed"
    SKIP = "skip"
    ABORT = "abort"
    ADOPT = "adopt"


def why_not(run: Run, verb: RunVerb) -> str:
    """Why `verb` would be refused for `run` now; empty where it is accepted. `adopt` asks about a cluster, too."""
    if verb is not RunVerb.ABORT and run.state is not RunState.PARKED:
        return f"{run.run_id} is not parked: it goes on by itself, or `{Command.RUN_ABORT}` it"
    match verb:
        case RunVerb.RETRY | RunVerb.ABORT | RunVerb.ADOPT:
            return ""
        case RunVerb.SKIP:
            return why_not_skipped(run)
        case RunVerb.PROCEED:
            return why_not_waived(run)
        case _:
            assert_never(verb)


def why_not_skipped(run: Run) -> str:
    """Why the step at which `run` is parked is not passed over; empty where it may be."""
    if run.parked_step not in NEVER_SKIPPED:
        return ""
    proceed = "" if why_not_waived(run) else f"`{Command.RUN_PROCEED} --waive GATE`, "
    return f"{run.parked_step} is never skipped: {proceed}`{Command.RUN_RETRY}` or `{Command.RUN_ABORT}`"


def why_not_waived(run: Run) -> str:
    """Why no waiver would change anything for `run`; empty where one may."""
    if run.runbook is not Runbook.FAILOVER:
        return f"{run.runbook} asks no gate that could be waived: `{Command.RUN_RETRY}` or `{Command.RUN_ABORT}`"
    if run.step(PROMOTE).done:
        return "the promotion is done: no gate is asked any more"
    return ""


def why_not_adopted(cluster: ClusterId, views: Views) -> str:
    """Why `cluster` cannot be recorded as the elected one now; empty where it can be."""
    view = views.get(cluster)
    if view is None or not view.is_active_primary or view.wrong:
        return f"{cluster} is not seen as an active primary with the pinned ids"
    return ""


def command(verb: RunVerb, run_id: RunId, *words: str, **options: str) -> str:
    """`verb` of a run, as an operator types it."""
    return line(Command(f"run {verb}"), run_id, *words, **options)


def commands(run: Run, views: Views) -> tuple[str, ...]:
    """What would be accepted of a parked run now, as an operator types it; nothing for a run that is not parked."""
    if run.state is not RunState.PARKED:
        return ()
    return tuple(typed for verb in RunVerb if not why_not(run, verb) for typed in _commands(run, verb, views))


def _commands(run: Run, verb: RunVerb, views: Views) -> Iterator[str]:
    match verb:
        case RunVerb.PROCEED:
            yield command(verb, run.run_id, waive="GATE")
        case RunVerb.ADOPT:
            adoptable = (cluster for cluster in views if not why_not_adopted(cluster, views))
            yield from (command(verb, run.run_id, cluster) for cluster in adoptable)
        case RunVerb.ABORT if run.abort_asked:
            pass  # it was asked for: once more would change nothing
        case _:
            yield command(verb, run.run_id)
