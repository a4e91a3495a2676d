"""The verbs that change something. Each names its target, checks what it may never overrule, and is journalled."""

from __future__ import annotations

from dataclasses import dataclass

from watchdogd.core.commands import PROGRAM, Command, line
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
from watchdogd.core.gates import WAIVABLE
from watchdogd.core.ledger import Ledger, Run, RunState
from watchdogd.core.model import ClusterId
from watchdogd.core.observed import RUNS_OF_THE_DEBT, resuming
from watchdogd.core.parked import RunVerb, why_not, why_not_adopted
from watchdogd.core.plan import Agreed, Plan
from watchdogd.core.refusals import never_failed_over, why_not_forgiven
from watchdogd.daemon.bodies import (
    Approving,
    Body,
    Excused,
    FailingOver,
    OfCluster,
    Order,
    Pausing,
    Proceeding,
    Reasoned,
    Starting,
)
from watchdogd.daemon.deciding import Standing
from watchdogd.daemon.plans import NOT_DECIDED, PlanBook, Wish, no_cluster, not_waivable, plan_of
from watchdogd.daemon.protocol import (
    ACCEPTED,
    Answer,
    Code,
    refuse,
)
from watchdogd.daemon.stamps import Stamper
from watchdogd.daemon.unit import PairUnit
from watchdogd.ports import Chronicle
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


async def pause(desk: Desk, order: Order[Pausing]) -> Answer:
    """Nothing starts, and what runs stops at its next safe point."""
    pair, reason, for_s = desk.unit.policy.pair, order.given.reason, order.given.for_s
    until = None if for_s is None else desk.stamper.now().at_utc_s + for_s
    await desk.journal.append(pair, Paused(reason=reason, by_uid=order.uid, until_utc_s=until))
    return Answer(body={"pair": pair, "paused": reason, "until_utc_s": until})


async def resume(desk: Desk, order: Order[Reasoned]) -> Answer:
    """The pause is over; an outage that already exists is held until the primary was up once, or `ack`."""
    pair = desk.unit.policy.pair
    if desk.ledger.pause is None:
        return Answer(body={"pair": pair, "paused": None, "hold": desk.ledger.hold})
    resumed = Resumed(by_uid=order.uid, reason=order.given.reason)
    facts = desk.standing.facts if desk.standing is not None else None
    await desk.journal.append(pair, *resuming(facts, resumed))
    return Answer(body={"pair": pair, "paused": None, "hold": desk.ledger.hold})


async def failover(desk: Desk, order: Order[FailingOver]) -> Answer:
    """Open a failover to the named cluster, past the gates that are waived by name and no others."""
    return await _fail_over(desk, order, order.given.target, order.given.waivers)


async def _fail_over(desk: Desk, order: Order[Reasoned], target: str, waivers: frozenset[str]) -> Answer:
    wish = Wish(action=Runbook.FAILOVER, target=target, waivers=waivers)
    return await _open(desk, wish, order, why=f"asked for by uid {order.uid}: {order.given.reason}")


def _run_open(run: Run) -> Answer:
    return refuse(
        Code.RUN_IN_PROGRESS, f"{run.runbook} {run.run_id} holds the slot: `{line(Command.RUN_SHOW, run.run_id)}`"
    )


def _blocked(what: str, closed: tuple[GateAnswer, ...], standing: Standing) -> Answer:
    gates = [gate_shape(gate, standing.facts.now) for gate in closed]
    names = ", ".join(gate.gate for gate in closed)
    return refuse(Code.BLOCKED, f"{what} by {names}", gates)


async def start(desk: Desk, order: Order[Starting]) -> Answer:
    """Start what a row asks for now and only waits for its command."""
    runbook, target = Runbook(order.given.runbook), order.given.target
    if runbook is Runbook.FAILOVER:
        return await _fail_over(desk, order, target, frozenset())
    return await _open(desk, Wish(action=runbook, target=target), order)


async def approve(desk: Desk, order: Order[Approving]) -> Answer:
    """Start the run of a plan that was shown, now or once its window is full; never another run than that."""
    await desk.unit.deciding.tick()  # compared is what can be seen now, not what was decided a moment ago
    key, reason = order.given.plan_hash, order.given.reason
    if desk.ledger.run is not None:
        return _run_open(desk.ledger.run)
    shown = desk.plans.shown(desk.unit.policy.pair, key)
    if shown is None:
        return refuse(Code.STALE, f"no plan {key} was shown since the daemon started: `{PROGRAM} {Command.PLAN}`")
    by = f"uid {order.uid}: {reason}" if reason else f"uid {order.uid}"
    return await _open(desk, Wish.of(shown), order, why=f"plan {key} approved by {by}", shown=shown)


async def _open(
    desk: Desk, wish: Wish, order: Order[Reasoned | Excused], *, why: str = "", shown: Agreed | None = None
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
        return refuse(Code.STALE, f"it is not what was planned any more: {changed}; `{PROGRAM} {Command.PLAN}` again")
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
        asked_by_uid=order.uid,
        reason=order.given.reason or (f"plan {shown.hash}" if shown is not None else ""),
        request_id=order.given.request_id or "",
    )
    if shown is not None and plan.waits_for_time_alone:
        return _approved_ahead(desk, plan, wanted, by_uid=order.uid)
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


async def ack(desk: Desk, order: Order[Reasoned]) -> Answer:
    """A human has looked: lifts the hold, and lets the next automatic failover go."""
    pair, ledger = desk.unit.policy.pair, desk.ledger
    if ledger.ack_asked_by is None and not ledger.hold:
        return Answer(body={"pair": pair, "acknowledged": None})
    await desk.journal.append(pair, Acked(by_uid=order.uid, reason=order.given.reason))
    return Answer(body={"pair": pair, "acknowledged": ledger.ack_asked_by or ledger.hold})


async def adopt(desk: Desk, order: Order[OfCluster]) -> Answer:
    """Record that the named cluster is the elected one: it must be seen as active primary with its pins.

    What is elected already opens no new epoch: what somebody else changed, and the hold, are over.
    """
    if desk.ledger.run is not None:
        return _run_open(desk.ledger.run)
    return await _adopt(desk, order, ())


async def _adopt(desk: Desk, order: Order[OfCluster], ending: tuple[RunEnded, ...]) -> Answer:
    standing, cluster = desk.standing, desk.cluster(order.given.cluster)
    if cluster is None:
        return desk.no_cluster(order.given.cluster)
    if why := why_not_adopted(cluster, standing.facts.views if standing is not None else {}):
        return refuse(Code.BLOCKED, why)
    ledger, pair = desk.ledger, desk.unit.policy.pair
    epoch = ledger.epoch if ledger.is_confirmed_as_elected(cluster) else ledger.next_epoch
    adopted = Adopted(epoch=epoch, cluster=cluster, by_uid=order.uid, reason=order.given.reason)
    await desk.journal.append(pair, *ending, adopted)
    return Answer(body={"pair": pair, "elected": cluster, "epoch": epoch})


async def forgive(desk: Desk, order: Order[OfCluster]) -> Answer:
    """The named cluster never comes back: its debt orders nothing any more. Not while a run makes or settles it."""
    standing, cluster, debt = desk.standing, desk.cluster(order.given.cluster), desk.ledger.open_debt
    if cluster is None:
        return desk.no_cluster(order.given.cluster)
    if debt is None or debt.debtor != cluster:
        return refuse(Code.STALE, f"{cluster} owes nothing")
    if (run := desk.ledger.run) is not None and run.runbook in RUNS_OF_THE_DEBT:
        return _run_open(run)
    if why := why_not_forgiven(cluster, standing.facts.views if standing is not None else {}):
        return refuse(Code.BLOCKED, why)
    pair = desk.unit.policy.pair
    await desk.journal.append(pair, DebtForgiven(epoch=debt.epoch, by_uid=order.uid, reason=order.given.reason))
    return Answer(body={"pair": pair, "forgiven": cluster, "epoch": debt.epoch})


# -- runs --------------------------------------------------------------------------------------------------------------


def _open_run(desk: Desk, order: Order[Body]) -> Run | Answer:
    run = desk.ledger.run
    if run is None or run.run_id != order.run_id:
        return refuse(Code.STALE, f"{order.run_id} has ended")
    return run


def _parked_run(desk: Desk, order: Order[Body], verb: RunVerb) -> Run | Answer:
    """The open run, when it takes `verb` now."""
    run = _open_run(desk, order)
    if not isinstance(run, Run) or not (why := why_not(run, verb)):
        return run
    is_parked = run.state is RunState.PARKED
    return refuse(Code.BLOCKED, why) if is_parked else refuse(Code.STALE, why)


async def _unpark(
    desk: Desk,
    order: Order[Reasoned | Excused],
    run: Run,
    verb: RunVerb,
    *,
    skip_step: str = "",
    waive: tuple[str, ...] = (),
) -> Answer:
    entry = RunUnparked(
        run_id=run.run_id,
        by_uid=order.uid,
        verb=verb.value,
        waive=waive,
        skip_step=skip_step,
        reason=order.given.reason or "",
    )
    await desk.journal.append(desk.unit.policy.pair, entry)
    return Answer(status=ACCEPTED, body={"run_id": run.run_id, "pair": desk.unit.policy.pair})


async def run_retry(desk: Desk, order: Order[Excused]) -> Answer:
    """Try the parked step again."""
    run = _parked_run(desk, order, RunVerb.RETRY)
    return run if isinstance(run, Answer) else await _unpark(desk, order, run, RunVerb.RETRY)


async def run_skip(desk: Desk, order: Order[Reasoned]) -> Answer:
    """Pass over the parked step."""
    run = _parked_run(desk, order, RunVerb.SKIP)
    if isinstance(run, Answer):
        return run
    return await _unpark(desk, order, run, RunVerb.SKIP, skip_step=run.parked_step)


async def run_proceed(desk: Desk, order: Order[Proceeding]) -> Answer:
    """Go on with more gates waived, each by its name, for this run only."""
    run = _parked_run(desk, order, RunVerb.PROCEED)
    if isinstance(run, Answer):
        return run
    waive = order.given.waivers
    if not waive:
        return refuse(Code.MALFORMED, f"name the gates to waive, out of: {', '.join(sorted(WAIVABLE))}")
    if (refusal := not_waivable(desk.unit.policy, waive)) is not None:
        return refusal
    return await _unpark(desk, order, run, RunVerb.PROCEED, waive=waive)


async def run_abort(desk: Desk, order: Order[Reasoned]) -> Answer:
    """Ask the run to give up and undo what it can. A failover that a human stopped does not begin anew by itself."""
    run = _open_run(desk, order)
    if isinstance(run, Answer):
        return run
    entries: list[Entry] = [RunAbortAsked(run_id=run.run_id, by_uid=order.uid, reason=order.given.reason)]
    if run.runbook is Runbook.FAILOVER and not desk.ledger.hold:
        entries.append(HoldPlaced(cause=f"an operator aborted {run.run_id}"))
    await desk.journal.append(desk.unit.policy.pair, *entries)
    return Answer(status=ACCEPTED, body={"run_id": run.run_id, "pair": desk.unit.policy.pair})


async def run_adopt(desk: Desk, order: Order[OfCluster]) -> Answer:
    """Take the world as it is: the run ends, and the named cluster is elected."""
    run = _parked_run(desk, order, RunVerb.ADOPT)
    if isinstance(run, Answer):
        return run
    why = f"adopted by uid {order.uid}: {order.given.reason}"
    ended = RunEnded(run_id=run.run_id, outcome=RunOutcome.ADOPTED, why=why)
    return await _adopt(desk, order, (ended,))
