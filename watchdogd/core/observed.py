"""Journal entries that follow from looking alone: nobody acted, but what is seen must be written down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from watchdogd.core.entries import (
    DebtClosed,
    ElectionConfirmed,
    Entry,
    FirstElected,
    ForeignSeen,
    HoldLifted,
    HoldPlaced,
    Resumed,
    Runbook,
)
from watchdogd.core.facts import AbortedRun, Facts
from watchdogd.core.ledger import ElectionState
from watchdogd.core.model import Reach
from watchdogd.core.policy import PairPolicy

OUTAGE_STANDS = "the outage already existed when the pause ended"
NOBODY_LOOKED = "nobody had looked yet when the pause ended"
# These runs close a debt, or decide about it, themselves.
RUNS_OF_THE_DEBT = frozenset({Runbook.SETTLE_DEBT, Runbook.FAILOVER, Runbook.ROLL_BACK})
# While one of these is open, a change of the elected cluster's role may be its own.
RUNS_OF_ROLES = frozenset({Runbook.FAILOVER, Runbook.ROLL_BACK, Runbook.SWITCHOVER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspected:
    """Something foreign that was seen, and since when; one odd answer is no change of role."""

    what: str = ""
    since_s: float = 0.0

    def observe(self, facts: Facts) -> Suspected:
        """The suspicion after one more tick."""
        what = foreign(facts)
        if not what:
            return Suspected()
        return replace(self, what=what) if self.what else Suspected(what=what, since_s=facts.now.at_s)

    def is_certain(self, facts: Facts, policy: PairPolicy) -> bool:
        """True when it has held for two whole rounds of every node: nothing in it is older than the suspicion."""
        timing = policy.timing
        return bool(self.what) and facts.now.at_s - self.since_s >= 2 * (timing.interval_s + timing.probe_timeout_s)


def foreign(facts: Facts) -> str:
    """A role that changed by nobody's entry in our journal, in one sentence; empty when there is none."""
    ledger = facts.ledger
    if facts.elected is None or ledger.foreign:
        return ""
    if ledger.guarded != ledger.elected or (ledger.run is not None and ledger.run.runbook in RUNS_OF_ROLES):
        return ""  # a promote of ours that may still land explains whatever is seen
    if facts.elected.is_active_secondary and facts.signature.aborted is not AbortedRun.RECENT:
        return f"{facts.elected.cluster} was made secondary, and not by us"
    if facts.partner.is_active_primary and ledger.open_debt is None:
        return f"{facts.partner.cluster} was made primary, and not by us"
    return ""


def entries_due(facts: Facts, policy: PairPolicy, suspected: Suspected) -> Iterator[Entry]:
    """What has to be written down after this look."""
    ledger = facts.ledger
    if ledger.elected is None:
        yield from _first_elected(facts)
    yield from _elections(facts)
    yield from _debts(facts)
    if suspected.is_certain(facts, policy):
        yield ForeignSeen(what=suspected.what)
    if ledger.hold and facts.elected is not None and facts.elected.reach is Reach.UP:
        yield HoldLifted()
    pause = ledger.pause
    if pause is not None and pause.until_utc_s is not None and facts.now.at_utc_s >= pause.until_utc_s:
        yield from resuming(facts, Resumed(expired=True))


def resuming(facts: Facts | None, resumed: Resumed) -> Iterator[Entry]:
    """`resumed`, and a hold when there already is an outage, or may be: nothing may start the moment a pause ends."""
    yield resumed
    if facts is None:
        yield HoldPlaced(cause=NOBODY_LOOKED)
    elif facts.has_outage:
        yield HoldPlaced(cause=OUTAGE_STANDS)


def _first_elected(facts: Facts) -> Iterator[Entry]:
    primaries = [view for view in facts.views.values() if view.is_active_primary and not view.wrong]
    if len(primaries) == 1 and primaries[0].cluster in facts.known.confirmed:
        yield FirstElected(cluster=primaries[0].cluster)


def _elections(facts: Facts) -> Iterator[Entry]:
    election = facts.ledger.election
    if election is None or election.state is not ElectionState.INTENDED or facts.ledger.run is not None:
        return
    intended = facts.views.get(election.cluster)
    if intended is not None and intended.is_active_primary and not intended.wrong:
        yield ElectionConfirmed(epoch=election.epoch)


def _debts(facts: Facts) -> Iterator[Entry]:
    debt, run = facts.ledger.open_debt, facts.ledger.run
    if debt is None or (run is not None and run.runbook in RUNS_OF_THE_DEBT):
        return
    debtor = facts.views.get(debt.debtor)
    if debtor is not None and debtor.is_active_secondary:
        yield DebtClosed(epoch=debt.epoch, seen=f"{debt.debtor} says secondary")
