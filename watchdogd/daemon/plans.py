"""The plans that were shown, so that one can be approved by its hash. They are forgotten with the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watchdogd.core.decision import Decision
from watchdogd.core.entries import Runbook
from watchdogd.core.facts import Facts
from watchdogd.core.gates import WAIVABLE, is_waivable
from watchdogd.core.plan import Agreed, Plan, failover_plan, todo_plan
from watchdogd.core.policy import PairPolicy
from watchdogd.daemon.protocol import Answer, Code, refuse
from watchdogd.runbooks.catalog import PROCEDURES

NOT_DECIDED = "nothing was decided yet"
SHOWN_MAX = 100  # the newest that one uid was shown, of all pairs: nobody pushes out what somebody else is to approve
UIDS_MAX = 100  # the ones that asked last


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody would like to start. An empty target: the one that the row, or a failover, is about."""

    action: Runbook
    target: str = ""
    waivers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, agreed: Agreed) -> Wish:
        """The wish that this was the plan of."""
        return cls(action=agreed.action, target=agreed.target, waivers=frozenset(agreed.waivers))


class PlanBook:
    """What was shown to whom, by hash. What one was shown, another may approve."""

    def __init__(self) -> None:
        self._shown: dict[int, dict[str, Agreed]] = {}

    def show(self, plan: Plan, uid: int) -> str:
        """Keep `plan`, and return its hash."""
        key, shown = plan.agreed.hash, self._shown.pop(uid, {})
        shown.pop(key, None)
        shown[key] = plan.agreed
        if len(shown) > SHOWN_MAX:
            del shown[next(iter(shown))]
        self._shown[uid] = shown
        if len(self._shown) > UIDS_MAX:
            del self._shown[next(iter(self._shown))]
        return key

    def shown(self, pair: str, key: str) -> Agreed | None:
        """The plan of `pair` that was shown under this hash, or None."""
        found = (shown[key] for shown in self._shown.values() if key in shown)
        return next((agreed for agreed in found if agreed.pair == pair), None)


def no_cluster(policy: PairPolicy, name: str) -> Answer:
    """The refusal for a cluster that is not of this pair."""
    return refuse(Code.NOT_FOUND, f"no cluster {name!r} in this pair: one of {', '.join(policy.cluster_ids)}")


def not_waivable(policy: PairPolicy, gates: Sequence[str]) -> Answer | None:
    """The refusal for gates that have no waiver, or are none of this pair; None where each has one."""
    unknown = ", ".join(gate for gate in gates if not is_waivable(gate))
    known = ", ".join({"node": "node:ADDRESS", "witness": "witness:NAME"}.get(gate, gate) for gate in sorted(WAIVABLE))
    if unknown:
        return refuse(Code.MALFORMED, f"{unknown} cannot be waived; these can be: {known}")
    nodes = [f"node:{node}" for cluster in policy.clusters.values() for node in cluster.nodes]
    named = [*nodes, *(f"witness:{witness.name}" for witness in policy.witnesses)]
    strange = ", ".join(gate for gate in gates if gate not in WAIVABLE and gate not in named)
    return refuse(Code.MALFORMED, f"{strange} is not of this pair: one of {', '.join(named)}") if strange else None


def plan_of(policy: PairPolicy, facts: Facts, decision: Decision, wish: Wish) -> Plan | Answer:
    """What would be begun now, or why there is no such plan."""
    known = policy.cluster_ids
    if wish.target and wish.target not in known:
        return no_cluster(policy, wish.target)
    if (refusal := not_waivable(policy, sorted(wish.waivers))) is not None:
        return refusal
    steps = [step.name for step in PROCEDURES[wish.action].steps]
    if wish.action is not Runbook.FAILOVER:
        return _todo_plan(facts, decision, wish, steps)
    target = next((cluster for cluster in known if cluster == wish.target), facts.partner.cluster)
    if target == facts.ledger.elected:
        return refuse(Code.ALREADY_PRIMARY, f"{target} is the elected cluster of epoch {facts.ledger.epoch}")
    return failover_plan(facts, policy, decision.row.id, target=target, waivers=wish.waivers, steps=steps)


def _todo_plan(facts: Facts, decision: Decision, wish: Wish, steps: list[str]) -> Plan | Answer:
    asked_for = [one for one in decision.todo if one.runbook == wish.action]
    todo = next((one for one in asked_for if wish.target in ("", one.target)), None)
    if todo is None:
        to = f" to {wish.target}" if wish.target else ""
        commands = [one.command for one in asked_for if one.command]
        said = "; but this is asked for: ".join([f"nothing asks for {wish.action}{to} now", *commands])
        return refuse(Code.STALE, said)
    if wish.waivers:
        return refuse(Code.MALFORMED, f"{wish.action} takes no waiver: only a failover does")
    return todo_plan(facts, todo, wish.action, steps=steps)
