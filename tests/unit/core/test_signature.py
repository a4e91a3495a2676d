"""What the situation table is asked about, where it follows from the journal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.entries import RUN, run_opened
from tests.support.pair import EAST, around, policy_of, stamp
from watchdogd.core.entries import FirstElected, RunEnded, RunOutcome, StepIntended, StepNotApplied
from watchdogd.core.facts import AbortedRun
from watchdogd.core.fold import fold
from watchdogd.core.known import Known
from watchdogd.core.watch import PairWatch


@pytest.mark.parametrize(
    ("primary_s", "is_sent", "aborted"),
    [
        (1060.0, True, AbortedRun.RECENT),
        (1060.0, False, AbortedRun.NONE),
        (1130.0, True, AbortedRun.NONE),  # no demote of ours can land any more
    ],
)
@pytest.mark.parametrize("is_rebooted", [True, False])
def test_our_demote_may_land_late_until_the_source_was_primary_for_long_after_the_run(
    primary_s: float, aborted: AbortedRun, *, is_sent: bool, is_rebooted: bool
) -> None:
    sent = StepIntended(run_id=RUN, step="demote_source")
    never_left = () if is_sent else (StepNotApplied(run_id=RUN, step="demote_source", why="gone"),)
    ended = RunEnded(run_id=RUN, outcome=RunOutcome.ABORTED, why="x")
    entries = (FirstElected(cluster=EAST), run_opened(), sent, *never_left, ended)
    ledger = fold([(entry, stamp(1000.0)) for entry in entries])
    primary_at, now = stamp(primary_s), stamp(1200.0)
    if is_rebooted:
        primary_at, now = (replace(at, at_s=at.at_s - 1050.0, boot_id="boot-2") for at in (primary_at, now))
    watch = PairWatch(policy=policy_of(), known=Known(about=EAST, primary_at=primary_at))
    _, facts = watch.assess(ledger, around(now.at_s, now=now))
    assert facts.signature.aborted is aborted
