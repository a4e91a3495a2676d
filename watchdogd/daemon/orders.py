"""What may be asked of the daemon, and what becomes of it. Knows nothing of sockets: tests and signals use it too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from watchdogd import __version__
from watchdogd.core.budget import longer_cases, worst_case
from watchdogd.core.commands import PROGRAM, Command
from watchdogd.core.entries import Recorded, Runbook
from watchdogd.core.explain import (
    Json,
    Shape,
    approval_shape,
    explain,
    gate_shape,
    loss_age_s,
    run_shape,
    sentence,
    todo_shape,
)
from watchdogd.core.headline import held_by
from watchdogd.core.ledger import FenceState, Ledger
from watchdogd.core.model import PairId
from watchdogd.core.plan import Plan
from watchdogd.core.refusals import never_failed_over
from watchdogd.core.telling import why
from watchdogd.daemon import acts
from watchdogd.daemon.answers import AnswerBook, begun
from watchdogd.daemon.api import ROUTES, VERBS, Route
from watchdogd.daemon.bodies import Body, Excused, OfHistory, OfPlan, Order, Query, Unreadable, read
from watchdogd.daemon.deciding import Standing
from watchdogd.daemon.openapi import document
from watchdogd.daemon.plans import NOT_DECIDED, PlanBook, Wish, plan_of
from watchdogd.daemon.protocol import API, Answer, Asked, Caller, Code, refuse
from watchdogd.daemon.unit import Ground, PairUnit
from watchdogd.errors import NeedsOperator
from watchdogd.ports import HISTORY_MAX

RELOAD = "reload"
FOR_EVERY = tuple(route.verb for route in ROUTES if route.for_every is not None)
Verb = Callable[[Order[Any]], Awaitable[Answer]]  # of what its route says is given with it
ActVerb = Callable[[acts.Desk, Order[Any]], Awaitable[Answer]]

ACTING: Mapping[str, ActVerb] = {
    "pause": acts.pause,
    "resume": acts.resume,
    "failover": acts.failover,
    "start": acts.start,
    "approve": acts.approve,
    "ack": acts.ack,
    "adopt": acts.adopt,
    "forgive": acts.forgive,
    "run-retry": acts.run_retry,
    "run-skip": acts.run_skip,
    "run-proceed": acts.run_proceed,
    "run-abort": acts.run_abort,
    "run-adopt": acts.run_adopt,
}


async def _no_reload(order: Order[Excused]) -> Answer:
    return refuse(Code.BLOCKED, "this daemon was not started from a file")


class Orders:
    """Every verb of the control socket."""

    def __init__(self, units: Mapping[PairId, PairUnit], ground: Ground, reload: Verb = _no_reload) -> None:
        self.units = units
        self._ground = ground
        self._reload = reload
        self._answers = AnswerBook(ground.memory)
        self._plans = PlanBook()
        self._acting, self._reloading = asyncio.Lock(), asyncio.Lock()
        self.reading: Mapping[str, Verb] = {
            "status": self._status,
            "explain": self._explain,
            "plan": self._plan,
            "history": self._history,
            "run": self._run,
            "timing": self._timing,
            "version": self._version,
            "openapi": self._openapi,
        }

    async def ask(self, asked: Asked, caller: Caller) -> Answer:
        """The answer to one request; never raises for what was asked."""
        route = VERBS.get(asked.verb)
        if route is None:
            return refuse(Code.NOT_FOUND, f"there is no verb {asked.verb!r}")
        if not caller.may_act and route.body is not None:
            return refuse(Code.NOT_ALLOWED, f"uid {caller.uid} may look but not act: the operators' group may")
        try:
            order = order_of(asked, caller, route)
        except Unreadable as exc:
            return refuse(Code.MALFORMED, str(exc))
        if route.body is None:
            return await self._guarded(self.reading[asked.verb](order))
        # A request that is sent twice at once is one request, too. A pause never waits behind a reload.
        async with self._reloading if asked.verb == RELOAD else self._acting:
            return await self._once(order, route)

    async def _once(self, order: Order[Body], route: Route) -> Answer:
        now = self._ground.stamper.now()
        if order.given.request_id:
            ledgers = {pair: self._ground.journal.ledger(pair) for pair in self.units}
            first = self._answers.first(order, now) or begun(ledgers, order, now)
            if first is not None:
                return first
        answer = await self._for_each_pair(order, route)
        await self._answers.keep(order, answer, now)
        return answer

    async def _for_each_pair(self, order: Order[Body], route: Route) -> Answer:
        if order.verb == RELOAD:
            return await self._reload(order)
        if order.pair == "*":
            if route.for_every is None:
                return refuse(Code.MALFORMED, f"only {' and '.join(FOR_EVERY)} take every pair at once")
            answers = [await self._act(unit, order) for unit in self.units.values()]
            return next((answer for answer in answers if answer.is_error), Answer(body={"pairs": [*self.units]}))
        unit = self._unit_of(order)
        if unit is None:
            return self._no_such(order)
        if route.instead:
            return not_there_yet(route)
        return await self._act(unit, order)

    async def _act(self, unit: PairUnit, order: Order[Body]) -> Answer:
        """Carry out, and decide anew at once: whoever asks next sees what was done."""
        answer = await self._guarded(ACTING[order.verb](self._desk(unit), order))
        if not answer.is_error:
            await unit.deciding.tick()
        return answer

    def _desk(self, unit: PairUnit) -> acts.Desk:
        return acts.Desk(unit=unit, journal=self._ground.journal, stamper=self._ground.stamper, plans=self._plans)

    async def _guarded(self, answering: Awaitable[Answer]) -> Answer:
        try:
            return await answering
        except NeedsOperator as need:
            return refuse(need.need, need.detail)

    def _unit_of(self, order: Order[object]) -> PairUnit | None:
        if order.run_id:
            return next((unit for unit in self.units.values() if self._has_run(unit, order.run_id)), None)
        return self.units.get(PairId(order.pair))

    def _has_run(self, unit: PairUnit, run_id: str) -> bool:
        return any(run.run_id == run_id for run in self._ground.journal.ledger(unit.policy.pair).runs)

    def _no_such(self, order: Order[object]) -> Answer:
        if order.run_id:
            return refuse(Code.NOT_FOUND, f"no run {order.run_id}: `{PROGRAM} {Command.HISTORY}` names them")
        return refuse(Code.NOT_FOUND, f"no pair {order.pair!r}: one of {', '.join(self.units)}")

    # -- reading -----------------------------------------------------------------------------------------------------

    async def _status(self, order: Order[None]) -> Answer:
        return Answer(body={"version": __version__, "pairs": [status_of(unit) for unit in self.units.values()]})

    async def _explain(self, order: Order[None]) -> Answer:
        unit = self._unit_of(order)
        if unit is None:
            return self._no_such(order)
        shape = explanation(unit)
        return Answer(body=shape) if shape is not None else refuse(Code.STARTING, NOT_DECIDED)

    async def _plan(self, order: Order[OfPlan]) -> Answer:
        unit = self._unit_of(order)
        if unit is None:
            return self._no_such(order)
        query = order.given
        later = VERBS.get(query.action)
        if later is not None and later.instead:
            return not_there_yet(later)
        if (standing := unit.deciding.standing) is None:
            return refuse(Code.STARTING, NOT_DECIDED)
        wish = Wish(action=Runbook(query.action), target=query.target, waivers=query.waivers)
        plan = plan_of(unit.policy, standing.facts, standing.decision, wish)
        if isinstance(plan, Answer):
            return plan
        return Answer(body={**plan_shape(plan, standing), "plan_hash": self._plans.show(plan, order.uid)})

    async def _history(self, order: Order[OfHistory]) -> Answer:
        query = order.given
        found = await self._ground.journal.history(
            PairId(query.pair) if query.pair else None, limit=query.limit, before=query.before
        )
        return Answer(body={"entries": [entry_shape(recorded) for recorded in found]})

    async def _run(self, order: Order[None]) -> Answer:
        unit = self._unit_of(order)
        if unit is None:
            return self._no_such(order)
        run = next(one for one in self._ground.journal.ledger(unit.policy.pair).runs if one.run_id == order.run_id)
        found = await self._ground.journal.history(unit.policy.pair, limit=HISTORY_MAX)
        standing = unit.deciding.standing
        told = [entry_shape(one) for one in found if getattr(one.entry, "run_id", "") == order.run_id]
        shape: Shape = {
            "pair": unit.policy.pair,
            **run_shape(run, self._ground.stamper.now(), standing.facts.views if standing is not None else {}),
            "waits": unit.why_waits(run),
            "entries": [*told[::-1]],
        }
        return Answer(body=shape)

    async def _timing(self, order: Order[None]) -> Answer:
        return Answer(body={"pairs": [self._timing_of(unit) for unit in self.units.values()]})

    def _timing_of(self, unit: PairUnit) -> Shape:
        policy = unit.policy
        clusters: list[Json] = []
        for cluster in policy.cluster_ids:
            fence = policy.cluster(cluster).fence
            worst = worst_case(policy.timing, fence_timeout_s=fence.timeout_s if fence.command else None)
            parts: list[Json] = [
                {"part": part.name, "seconds": part.seconds, "whose": part.whose.value} for part in worst.parts
            ]
            clusters.append({"lost": cluster, "worst_case_s": worst.total_s, "parts": parts})
        longer: list[Json] = [
            {"case": case.name, "since": case.since, "detection_s": case.detection_s}
            for case in longer_cases(policy.timing)
        ]
        return {"pair": policy.pair, "clusters": clusters, "longer": longer}

    async def _version(self, order: Order[None]) -> Answer:
        return Answer(body={"version": __version__, "api": API.strip("/")})

    async def _openapi(self, order: Order[None]) -> Answer:
        return Answer(body=document())


def order_of(asked: Asked, caller: Caller, route: Route) -> Order[Any]:
    """The request, read as its route says. Raises: Unreadable."""
    given: Body | Query | None = None
    if route.body is not None:
        given = read(route.body, asked.body)
    elif route.query is not None:
        given = read(route.query, asked.query)
    return Order(verb=asked.verb, pair=asked.pair, run_id=asked.run_id, caller=caller, given=given)


def not_there_yet(route: Route) -> Answer:
    """The refusal of what has no procedure yet."""
    return refuse(Code.BLOCKED, f"{route.verb} is not there yet: {route.instead}")


def plan_shape(plan: Plan, standing: Standing) -> Shape:
    """What a run would do now, and what keeps it from starting."""
    agreed, facts, now = plan.agreed, standing.facts, standing.facts.now
    is_election = agreed.action is Runbook.FAILOVER
    never = never_failed_over(facts, agreed.target) if is_election else None
    return {
        "action": agreed.action.value,
        "pair": agreed.pair,
        "source": agreed.source,
        "target": agreed.target,
        "situation": agreed.situation,
        "elected": agreed.elected,
        "epoch": agreed.next_epoch if is_election else agreed.epoch,
        "waivers": [*agreed.waivers],
        "blocked_by": [gate_shape(gate, now) for gate in plan.blocked_by],
        "steps": [*agreed.steps],
        "estimated_loss_s": facts.known.loss.seconds,
        "estimated_loss_age_s": loss_age_s(facts),
        "todo": [todo_shape(todo, now) for todo in standing.decision.todo],
        "never": never.why if never is not None else "",
    }


def explanation(unit: PairUnit) -> Shape | None:
    """The `explain` shape of what was decided last; None before anything was."""
    standing, waiting = unit.deciding.standing, unit.approvals.waiting
    if standing is None:
        return None
    since_s = standing.facts.now.at_s - standing.since_s
    return explain(standing.facts, standing.decision, standing.around, since_s=since_s, approval=waiting)


def status_of(unit: PairUnit) -> Shape:
    """One pair in a few words."""
    standing = unit.deciding.standing
    if standing is None:
        return {"pair": unit.policy.pair, "phase": "starting", "situation": "", "why": NOT_DECIDED}
    facts, decision, ledger = standing.facts, standing.decision, standing.facts.ledger
    notices: list[Json] = [
        {"severity": notice.severity.value, "summary": notice.summary, "command": notice.command, "key": notice.key}
        for notice in unit.alarms.standing
    ]
    return {
        "pair": unit.policy.pair,
        "phase": decision.phase.value,
        "situation": decision.row.id,
        "why": why(decision.row, facts),
        "action": sentence(decision, facts),
        "since_s": round(facts.now.at_s - standing.since_s, 1),
        "elected": ledger.elected,
        "epoch": ledger.epoch,
        "level": unit.policy.failover_level(ledger.elected).value,
        "clusters": [
            {"cluster": view.cluster, "side": facts.side(view.cluster).value, "mode": view.mode.value}
            for view in facts.views.values()
        ],
        "name": {"situation": decision.name_row.id, "serving": facts.name.serving if facts.name else None},
        "run": run_shape(ledger.run, facts.now, facts.views) if ledger.run is not None else None,
        "run_waits": unit.why_waits(ledger.run) if ledger.run is not None else "",
        "approval": approval_shape(unit.approvals.waiting, facts.now),
        "failover_ready": is_ready(standing),
        "paused": ledger.pause.reason if ledger.pause is not None else None,
        "paused_until_utc_s": ledger.pause.until_utc_s if ledger.pause is not None else None,
        "hold": ledger.hold,
        "foreign": ledger.foreign,
        "debtor": _debtor(ledger),
        "fences": [*ledger.fences],
        "fences_unsure": [fence.cluster for fence in ledger.fences.values() if fence.state is not FenceState.HELD],
        "notices": notices,
    }


def is_ready(standing: Standing) -> bool:
    """True when a failover would not be held, were the primary to die now."""
    return not held_by(standing.facts)


def _debtor(ledger: Ledger) -> str | None:
    return ledger.open_debt.debtor if ledger.open_debt is not None else None


def entry_shape(recorded: Recorded) -> Shape:
    """One entry of the journal. Entries hold only text, numbers, booleans, None and tuples of text."""
    said: Shape = {
        key: [*value] if isinstance(value, tuple) else value for key, value in asdict(recorded.entry).items()
    }
    return {
        "seq": recorded.seq,
        "pair": recorded.pair,
        "at_utc_s": round(recorded.stamp.at_utc_s, 3),
        "kind": recorded.entry.kind,
        "entry": said,
    }
