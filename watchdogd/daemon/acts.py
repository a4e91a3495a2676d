"""The verbs that change something. Each names its target, checks what it may never overrule, and is journalled."""

from __future__ import annotations

from dataclasses import dataclass

from watchdogd.core.entries import (
    Acked,
    Adopted,
    DebtForgiven,
    Entry,
    HoldPlaced,
    Paused,
    Resumed,
    RunAbortAsked,
    Runbook,
    RunEnded,
    RunOutcome,
    RunUnparked,
)
from watchdogd.core.explain import Shape, gate_shape
from watchdogd.core.facts import GateAnswer
from watchdogd.core.gates import WAITING_TIME, WAIVABLE
from watchdogd.core.ledger import Ledger, Run, RunState
from watchdogd.core.model import ClusterId
from watchdogd.core.observed import RUNS_OF_THE_DEBT, resuming
from watchdogd.core.parked import RunVerb, why_not, why_not_adopted
from watchdogd.core.plan import Agreed, Plan
from watchdogd.core.refusals import never_failed_over, why_not_forgiven
from watchdogd.daemon.deciding import Standing
from watchdogd.daemon.plans import NOT_DECIDED, PlanBook, Wish, no_cluster, not_waivable, plan_of
from watchdogd.daemon.protocol import (
    ACCEPTED,
    Answer,
    Asked,
    Caller,
    Code,
    refuse,
)
from watchdogd.daemon.stamps import Stamper
from watchdogd.daemon.unit import PairUnit
from watchdogd.ports import Chronicle
from watchdogd.runbooks.catalog import PROCEDURES
from watchdogd.runbooks.opening import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What an order works on."""

    unit: PairUnit
    journal: Chronicle
    stamper: Stamper
    plans: PlanBook

    @property
    def ledger(self) -> Ledger:
        """The durable state of the pair now."""
        return self.journal.ledger(self.unit.policy.pair)

    @property
    def standing(self) -> Standing | None:
        """The newest decision."""
        return self.unit.deciding.standing

    def cluster(self, name: str) -> ClusterId | None:
        """The cluster of that name, or None."""
        return next((cluster for cluster in self.unit.policy.cluster_ids if cluster == name), None)

    def no_cluster(self, name: str) -> Answer:
        """The refusal for a cluster that is not of this pair."""
        return no_cluster(self.unit.policy, name)


async def pause(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """Nothing starts, and what runs stops at its next safe point."""
    for_s = asked.body.get("for_s")
    until = desk.stamper.now().at_utc_s + for_s if isinstance(for_s, int | float) else None
    await desk.journal.append(
        desk.unit.policy.pair, Paused(reason=asked.text("reason"), by_uid=caller.uid, until_utc_s=until)
    )
    return Answer(body={"pair": desk.unit.policy.pair, "paused": asked.text("reason"), "until_utc_s": until})


async def resume(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """The pause is over; an outage that already exists is held until the primary was up once, or `ack`."""
    pair = desk.unit.policy.pair
    if desk.ledger.pause is None:
        return Answer(body={"pair": pair, "paused": None, "hold": desk.ledger.hold})
    resumed = Resumed(by_uid=caller.uid, reason=asked.text("reason"))
    facts = desk.standing.facts if desk.standing is not None else None
    await desk.journal.append(pair, *resuming(facts, resumed))
    return Answer(body={"pair": pair, "paused": None, "hold": desk.ledger.hold})


async def failover(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """Open a failover to the named cluster, past the gates that are waived by name and no others."""
    if not asked.text("target"):
        return desk.no_cluster("")
    waivers = {*asked.words("waive"), *([WAITING_TIME] if asked.body.get("now") else [])}
    wish = Wish(action=Runbook.FAILOVER, target=asked.text("target"), waivers=frozenset(waivers))
    return await _open(desk, wish, asked, caller, why=f"asked for by uid {caller.uid}: {asked.text('reason')}")


def _run_open(run: Run) -> Answer:
    return refuse(
        Code.RUN_IN_PROGRESS, f"{run.runbook} {run.run_id} holds the slot: `watchdogctl run show {run.run_id}`"
    )


def _blocked(what: str, closed: tuple[GateAnswer, ...], standing: Standing) -> Answer:
    gates = [gate_shape(gate, standing.facts.now) for gate in closed]
    names = ", ".join(gate.gate for gate in closed)
    return refuse(Code.BLOCKED, f"{what} by {names}", gates)


async def start(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """Start what a row asks for now and only waits for its command."""
    runbook = asked.text("runbook")
    if runbook == Runbook.FAILOVER:
        return await failover(desk, asked, caller)
    if runbook not in PROCEDURES or not asked.text("target"):
        return refuse(Code.STALE, f"nothing asks for {runbook or 'anything'} to {asked.text('target')} now")
    return await _open(desk, Wish(action=Runbook(runbook), target=asked.text("target")), asked, caller)


async def approve(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """Start the run of a plan that was shown, now or once its window is full; never another run than that."""
    await desk.unit.deciding.tick()  # compared is what can be seen now, not what was decided a moment ago
    key = asked.text("plan_hash")
    if desk.ledger.run is not None:
        return _run_open(desk.ledger.run)
    shown = desk.plans.shown(desk.unit.policy.pair, key)
    if shown is None:
        return refuse(Code.STALE, f"no plan {key} was shown since the daemon started: `watchdogctl plan`")
    by = f"uid {caller.uid}: {asked.text('reason')}" if asked.text("reason") else f"uid {caller.uid}"
    return await _open(desk, Wish.of(shown), asked, caller, why=f"plan {key} approved by {by}", shown=shown)


async def _open(
    desk: Desk, wish: Wish, asked: Asked, caller: Caller, *, why: str = "", shown: Agreed | None = None
) -> Answer:
    """Take the slot for `wish`, unless something blocks it, or it is no longer what was `shown`."""
    standing = desk.standing
    if standing is None:
        return refuse(Code.STARTING, NOT_DECIDED)
    plan = plan_of(desk.unit.policy, standing.facts, standing.decision, wish)
    if isinstance(plan, Answer):
        return plan
    agreed = plan.agreed
    if shown is not None and agreed != shown:
        changed = "; ".join(agreed.changed_since(shown))
        return refuse(Code.STALE, f"it is not what was planned any more: {changed}; `watchdogctl plan` again")
    if wish.action is Runbook.FAILOVER and (never := never_failed_over(standing.facts, agreed.target)) is not None:
        return refuse(Code.ALREADY_PRIMARY if never.is_elected_already else Code.BLOCKED, never.why)
    if desk.ledger.run is not None:
        return _run_open(desk.ledger.run)
    wanted = Wanted(
        runbook=agreed.action,
        source=agreed.source,
        target=agreed.target,
        situation=agreed.situation,
        why=why or plan.why,
        waivers=frozenset(agreed.waivers),
        asked_by_uid=caller.uid,
        reason=asked.text("reason") or (f"plan {shown.hash}" if shown is not None else ""),
        request_id=asked.text("request_id"),
    )
    if shown is not None and plan.waits_for_time_alone:
        return _approved_ahead(desk, plan, wanted, by_uid=caller.uid)
    if plan.blocked_by:
        return _blocked(f"{agreed.action} to {agreed.target} is blocked", plan.blocked_by, standing)
    run = await desk.unit.running.open(wanted)
    return Answer(status=ACCEPTED, body={"run_id": run.run_id, "pair": desk.unit.policy.pair})


def _approved_ahead(desk: Desk, plan: Plan, wanted: Wanted, *, by_uid: int) -> Answer:
    """Keep the approval until the window is full."""
    agreed = plan.agreed
    now, for_s = desk.stamper.now(), desk.unit.policy.timing.resume_max_age_s
    desk.unit.approvals.give(plan, wanted, desk.ledger, by_uid=by_uid, until_s=now.at_s + for_s)
    body: Shape = {
        "pair": agreed.pair,
        "approved": agreed.hash,
        "waits_for": [gate.gate for gate in plan.blocked_by],
        "until_utc_s": now.at_utc_s + for_s,
    }
    return Answer(status=ACCEPTED, body=body, is_lasting=False)


async def ack(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """A human has looked: lifts the hold, and lets the next automatic failover go."""
    pair, ledger = desk.unit.policy.pair, desk.ledger
    if ledger.ack_asked_by is None and not ledger.hold:
        return Answer(body={"pair": pair, "acknowledged": None})
    await desk.journal.append(pair, Acked(by_uid=caller.uid, reason=asked.text("reason")))
    return Answer(body={"pair": pair, "acknowledged": ledger.ack_asked_by or ledger.hold})


async def adopt(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """Record that the named cluster is the elected one: it must be seen as active primary with its pins.

    What is elected already opens no new epoch: what somebody else changed, and the hold, are over.
    """
    if desk.ledger.run is not None:
        return _run_open(desk.ledger.run)
    return await _adopt(desk, asked, caller, ())


async def _adopt(desk: Desk, asked: Asked, caller: Caller, ending: tuple[RunEnded, ...]) -> Answer:
    standing, cluster = desk.standing, desk.cluster(asked.text("cluster"))
    if cluster is None:
        return desk.no_cluster(asked.text("cluster"))
    if why := why_not_adopted(cluster, standing.facts.views if standing is not None else {}):
        return refuse(Code.BLOCKED, why)
    ledger, pair = desk.ledger, desk.unit.policy.pair
    epoch = ledger.epoch if ledger.is_confirmed_as_elected(cluster) else ledger.next_epoch
    adopted = Adopted(epoch=epoch, cluster=cluster, by_uid=caller.uid, reason=asked.text("reason"))
    await desk.journal.append(pair, *ending, adopted)
    return Answer(body={"pair": pair, "elected": cluster, "epoch": epoch})


async def forgive(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """The named cluster never comes back: its debt orders nothing any more. Not while a run makes or settles it."""
    standing, cluster, debt = desk.standing, desk.cluster(asked.text("cluster")), desk.ledger.open_debt
    if cluster is None:
        return desk.no_cluster(asked.text("cluster"))
    if debt is None or debt.debtor != cluster:
        return refuse(Code.STALE, f"{cluster} owes nothing")
    if (run := desk.ledger.run) is not None and run.runbook in RUNS_OF_THE_DEBT:
        return _run_open(run)
    if why := why_not_forgiven(cluster, standing.facts.views if standing is not None else {}):
        return refuse(Code.BLOCKED, why)
    pair = desk.unit.policy.pair
    await desk.journal.append(pair, DebtForgiven(epoch=debt.epoch, by_uid=caller.uid, reason=asked.text("reason")))
    return Answer(body={"pair": pair, "forgiven": cluster, "epoch": debt.epoch})


# -- runs --------------------------------------------------------------------------------------------------------------


def _open_run(desk: Desk, asked: Asked) -> Run | Answer:
    run = desk.ledger.run
    if run is None or run.run_id != asked.run_id:
        return refuse(Code.STALE, f"{asked.run_id} has ended")
    return run


def _parked_run(desk: Desk, asked: Asked, verb: RunVerb) -> Run | Answer:
    """The open run, when it takes `verb` now."""
    run = _open_run(desk, asked)
    if not isinstance(run, Run) or not (why := why_not(run, verb)):
        return run
    is_parked = run.state is RunState.PARKED
    return refuse(Code.BLOCKED, why) if is_parked else refuse(Code.STALE, why)


async def _unpark(desk: Desk, run: Run, entry: RunUnparked) -> Answer:
    await desk.journal.append(desk.unit.policy.pair, entry)
    return Answer(status=ACCEPTED, body={"run_id": run.run_id, "pair": desk.unit.policy.pair})


async def run_retry(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """Try the parked step again."""
    run = _parked_run(desk, asked, RunVerb.RETRY)
    if isinstance(run, Answer):
        return run
    entry = RunUnparked(run_id=run.run_id, by_uid=caller.uid, verb="retry", reason=asked.text("reason"))
    return await _unpark(desk, run, entry)


async def run_skip(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """Pass over the parked step."""
    run = _parked_run(desk, asked, RunVerb.SKIP)
    if isinstance(run, Answer):
        return run
    step = run.parked_step
    entry = RunUnparked(run_id=run.run_id, by_uid=caller.uid, verb="skip", skip_step=step, reason=asked.text("reason"))
    return await _unpark(desk, run, entry)


async def run_proceed(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """Go on with more gates waived, each by its name, for this run only."""
    run = _parked_run(desk, asked, RunVerb.PROCEED)
    if isinstance(run, Answer):
        return run
    waive = asked.words("waive")
    if not waive:
        return refuse(Code.MALFORMED, f"name the gates to waive, out of: {', '.join(sorted(WAIVABLE))}")
    if (refusal := not_waivable(waive)) is not None:
        return refusal
    entry = RunUnparked(run_id=run.run_id, by_uid=caller.uid, verb="proceed", waive=waive, reason=asked.text("reason"))
    return await _unpark(desk, run, entry)


async def run_abort(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """Ask the run to give up and undo what it can. A failover that a human stopped does not begin anew by itself."""
    run = _open_run(desk, asked)
    if isinstance(run, Answer):
        return run
    entries: list[Entry] = [RunAbortAsked(run_id=run.run_id, by_uid=caller.uid, reason=asked.text("reason"))]
    if run.runbook is Runbook.FAILOVER and not desk.ledger.hold:
        entries.append(HoldPlaced(cause=f"an operator aborted {run.run_id}"))
    await desk.journal.append(desk.unit.policy.pair, *entries)
    return Answer(status=ACCEPTED, body={"run_id": run.run_id, "pair": desk.unit.policy.pair})


async def run_adopt(desk: Desk, asked: Asked, caller: Caller) -> Answer:
    """Take the world as it is: the run ends, and the named cluster is elected."""
    run = _parked_run(desk, asked, RunVerb.ADOPT)
    if isinstance(run, Answer):
        return run
    why = f"adopted by uid {caller.uid}: {asked.text('reason')}"
    ended = RunEnded(run_id=run.run_id, outcome=RunOutcome.ADOPTED, why=why)
    return await _adopt(desk, asked, caller, (ended,))
