"""What is offered of a parked run is what would be accepted of it."""

from __future__ import annotations

import pytest

from tests.support.pair import around
from watchdogd.core.entries import RunAbortAsked, Runbook, RunOpened, RunParked, StepDone
from watchdogd.core.fold import apply
from watchdogd.core.ledger import Ledger, Run
from watchdogd.core.model import ClusterId, RunId
from watchdogd.core.parked import RunVerb, commands, why_not, why_not_adopted

RUN = RunId("prod-1")


def parked(runbook: Runbook, step: str, *, promoted: bool = False, aborting: bool = False) -> Run:
    opened = RunOpened(
        run_id=RUN, incident_id="i", runbook=runbook, source=ClusterId("east"), target=ClusterId("west"),
        situation="S-30", why="down",
    )  # fmt: skip
    entries = [
        opened,
        *([StepDone(run_id=RUN, step="promote")] if promoted else []),
        *([RunAbortAsked(run_id=RUN)] if aborting else []),
        RunParked(run_id=RUN, step=step, need="deadline", why="late"),
    ]
    ledger = Ledger()
    for entry in entries:
        ledger = apply(ledger, entry, around(10.0).now)
    assert ledger.run is not None
    return ledger.run


def offered(run: Run) -> list[str]:
    return [command.split()[2] for command in commands(run, {})]


@pytest.mark.parametrize(
    ("run", "verbs"),
    [
        (parked(Runbook.FAILOVER, "fence"), ["retry", "proceed", "abort"]),
        (parked(Runbook.FAILOVER, "target_primary", promoted=True), ["retry", "skip", "abort"]),
        (parked(Runbook.FAILOVER, "promote", aborting=True), ["retry", "proceed"]),
        (parked(Runbook.SETTLE_DEBT, "demote"), ["retry", "abort"]),
        (parked(Runbook.CUTOVER_DNS, "publish_name"), ["retry", "skip", "abort"]),
    ],
)
def test_only_what_would_be_accepted_is_offered(run: Run, verbs: list[str]) -> None:
    assert offered(run) == verbs
    refused = {verb for verb in RunVerb if why_not(run, verb)}
    assert not refused & set(verbs)


def test_a_refusal_names_only_ways_that_are_open() -> None:
    assert "proceed" in why_not(parked(Runbook.FAILOVER, "fence"), RunVerb.SKIP)
    assert "proceed" not in why_not(parked(Runbook.SETTLE_DEBT, "demote"), RunVerb.SKIP)


def test_a_cluster_that_nobody_sees_as_primary_is_not_offered_for_adoption() -> None:
    assert "not seen as an active primary" in why_not_adopted(ClusterId("west"), {})
