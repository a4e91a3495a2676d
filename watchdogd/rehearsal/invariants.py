"""The invariants of DESIGN section 11, held against the lab's own truth: at every effect, every decision, every tick.

What a budget already bounds is left to it: two writable primaries (I1), the name (I4), lost writes (I12).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from watchdogd.core.decision import Decision
from watchdogd.core.entries import Runbook, RunOpened
from watchdogd.core.facts import Facts
from watchdogd.core.ledger import DebtState, Ledger, Run
from watchdogd.core.model import ClusterId, Mode, NodeSeen
from watchdogd.core.situations import Phase
from watchdogd.ports import FenceVerb, Severity
from watchdogd.rehearsal.by_hand import promotes

if TYPE_CHECKING:
    from watchdogd.rehearsal.play import Play

# A fence that does not come off is asked again once a minute; a run that gives up asks for five minutes.
FENCE_LEFT_S_MAX = 75.0
LOOK_SLACK_S = 0.1
STEP_OF_HAND_S = 0.01


# What each invariant asks for, for whoever reads that one broke. `lab`: of the simulator, not of the daemon.
RULES: Mapping[str, str] = {
    "I1": "no promote while the other cluster is a writable primary, and none on a look that is out of date",
    "I2": "every effect belongs to a run and has its intent in the journal first; paused or tilted, no run starts",
    "I3": "of all promotes that one incident sends, at most one is applied",
    "I4": "the name is moved to an active primary only",
    "I5": "no secret is written down",
    "I6": "at the end the pair is steady, or says what it waits for: a page stands or a run is open",
    "I7": "every refusal names its gates and the command that would act",
    "I9": "a promote is sent under a durable debt of the other cluster, and the only primary is never demoted",
    "I10": "an effect goes only to a node that the last look saw with its ids and in the expected mode",
    "I11": "no fence outlives the debt or the run that it belongs to",
    "I15": "a cluster that owes a debt is not unfenced, and the name is not moved to it",
    "lab": "the simulator answers every request",
}


class Invariants:
    """Everything that was broken, each in one sentence."""

    def __init__(self, stage: Play) -> None:
        self.broken: list[str] = []
        self._stage = stage
        self._left_since_s: dict[str, float] = {}
        self._promoted: Counter[str] = Counter()  # by incident: those that were applied
        self._asked: list[tuple[str, str]] = []  # (incident, cluster) of every promote sent
        self._applied = self._crashed = 0

    # -- effects -----------------------------------------------------------------------------------------------------

    def sends(self, verb: str, target: str) -> None:
        """A role change is about to leave."""
        cluster = ClusterId(target.partition("/")[0])
        run = self._ledger.run
        if run is None:
            self._break("I2", f"{verb} {cluster} is sent without a run")
            return
        step = {"promote": "promote", "demote": "demote_source"}[verb] if run.runbook is Runbook.FAILOVER else verb
        names = (step, f"{verb}_back", verb)
        if not any(run.step(name).is_unsure for name in names):
            self._break("I2", f"{verb} {cluster} is sent without a durable intent")
        self._sees_as_expected(verb, cluster, target)
        if verb == "promote":
            self._promotes(run, cluster)
        elif run.runbook is not Runbook.FAILOVER:
            self._demotes(cluster)

    def _promotes(self, run: Run, cluster: ClusterId) -> None:
        debt = self._ledger.open_debt
        if debt is None or debt.creditor != cluster:
            self._break("I9", f"promote {cluster} is sent without a durable debt of the other")
        source = self._stage.policy.partner_of(cluster)
        is_expected = bool(self._stage.scenario.tags) or run.asked_by_uid is not None
        if self._is_writable(source) and not is_expected:
            self._break("I1", f"promote {cluster} is sent while {source} is a writable primary")
        self._asked.append((run.incident_id, cluster))

    def _demotes(self, cluster: ClusterId) -> None:
        others = [name for name in self._stage.world.active_primaries() if name != cluster]
        if not others:
            self._break("I9", f"demote {cluster} is sent while no other cluster is primary")

    def _sees_as_expected(self, verb: str, cluster: ClusterId, target: str) -> None:
        """I10, and the age of the last look of I1: the newest round of that node, by what the daemon saw itself."""
        node = self._newest(cluster, target)
        if node is None:
            self._break("I10", f"{verb} is sent to {target}, which was never looked at")
            return
        expected = Mode.SECONDARY if verb == "promote" else Mode.PRIMARY
        if node.status is None or node.status.mode is not expected or node.health is None:
            self._break("I10", f"{verb} is sent to {target}, last seen as {node.reading}: {node.why}")
        elif node.health.cluster_id != self._stage.policy.cluster(cluster).vault_id:
            self._break("I10", f"{verb} is sent to {target} with other ids than pinned")
        age_s = self._stage.clock.now_s() - node.ended_s
        if age_s > self._stage.policy.timing.last_look_max_age_s + LOOK_SLACK_S:
            self._break("I1", f"{verb} is sent on a look that is {age_s:.1f} s old")

    def _newest(self, cluster: ClusterId, target: str) -> NodeSeen | None:
        unit = self._stage.daemon.unit if self._stage.daemon is not None else None
        if unit is None:
            return None
        nodes = list(self._stage.policy.cluster(cluster).nodes)
        address = nodes[int(target.partition("/")[2]) - 1]
        found = [seen for seen in unit.desk.watch.newest.values() if seen.node == address]
        return found[0] if found else None

    def fences(self, verb: FenceVerb, cluster: ClusterId) -> None:
        """A fence is about to be turned on or off."""
        ledger = self._ledger
        if verb is FenceVerb.ON:
            if ledger.run is None or not ledger.run.step("fence").is_unsure:
                self._break("I2", f"the fence of {cluster} is turned on without a durable intent")
            return
        debt = ledger.open_debt
        if debt is not None and debt.debtor == cluster:
            self._break("I15", f"the fence of {cluster} is turned off while it owes a debt")

    def publishes(self, target: str) -> None:
        """The name is about to be changed."""
        ledger, names = self._ledger, self._stage.names
        cluster = next((c for c in self._stage.policy.cluster_ids if names.cluster_name(c).rstrip(".") == target), None)
        if ledger.run is None or not ledger.run.step("publish").is_unsure:
            self._break("I2", f"the name is moved to {target} without a durable intent")
        if cluster is None or cluster not in self._stage.world.active_primaries():
            self._break("I4", f"the name is moved to {target}, which is no active primary")
        if ledger.open_debt is not None and ledger.open_debt.debtor == cluster:
            self._break("I15", f"the name is moved to {cluster}, which owes a debt")

    # -- decisions ---------------------------------------------------------------------------------------------------

    def run_opens(self, opened: RunOpened) -> None:
        """A run has taken the slot."""
        unit = self._stage.daemon.unit if self._stage.daemon is not None else None
        if opened.asked_by_uid is not None or unit is None:
            return
        if self._ledger.pause is not None:
            self._break("I2", f"{opened.runbook} starts while paused")
        if unit.desk.tilt.why:
            self._break("I2", f"{opened.runbook} starts while tilted: {unit.desk.tilt.why}")

    def decided(self, facts: Facts, decision: Decision) -> None:
        """One tick of the daemon."""
        for todo in decision.todo:
            if todo.blocked_by and not todo.command and todo.runbook is not None:
                self._break("I7", f"{todo.runbook} is blocked, and no command is named")
        if decision.row.id in ("S-32", "S-34") and not any(one.blocked_by for one in decision.todo):
            self._break("I7", f"{decision.row.id} names no gate")

    # -- ticks -------------------------------------------------------------------------------------------------------

    def ticked(self) -> None:
        """After every tick of the world."""
        self._applied_once()
        self._no_fence_left()
        for crash in self._stage.world.crashed[self._crashed :]:
            self._break("lab", f"the lab itself failed at {crash.method} {crash.path}: {crash.what}")
        self._crashed = len(self._stage.world.crashed)

    def _applied_once(self) -> None:
        """I3: of all promotes that one incident sent, Vault applied at most one."""
        effects = self._stage.world.applied
        for effect in effects[self._applied :]:
            asked = [incident for incident, cluster in self._asked if cluster == effect.cluster]
            if effect.verb == "promote" and asked and not self._is_by_hand(effect.cluster, effect.at_s):
                self._promoted[asked[-1]] += 1
                if self._promoted[asked[-1]] > 1:
                    self._break("I3", f"a second promote of one incident was applied, to {effect.cluster}")
        self._applied = len(effects)

    def _is_by_hand(self, cluster: str, at_s: float) -> bool:
        acts = [line for line in promotes(self._stage.story) if f"cluster={cluster}" in line.more]
        return any(abs(line.at_s - at_s) < STEP_OF_HAND_S for line in acts)

    def _no_fence_left(self) -> None:
        ledger, now_s = self._ledger, self._stage.clock.now_s()
        # Of a cluster that was given up nobody knows whether it is a second primary: its fence stays until it is seen.
        is_forgiven = any(debt.state is DebtState.FORGIVEN for debt in ledger.debts[-1:])
        is_owed = ledger.open_debt is not None or ledger.run is not None or ledger.pause is not None or is_forgiven
        can_come_off = self._stage.fence_plan.off[0] == "exit 0" and self._stage.daemon is not None
        for cluster in self._stage.world.clusters:
            if not self._stage.world.is_fenced(cluster) or is_owed or not can_come_off:
                self._left_since_s.pop(cluster, None)
                continue
            since_s = self._left_since_s.setdefault(cluster, now_s)
            if now_s - since_s > FENCE_LEFT_S_MAX:
                self._break("I11", f"the fence of {cluster} outlives its debt")
                self._left_since_s[cluster] = now_s

    def ended(self) -> None:
        """At the last second."""
        self._keeps_secrets()
        self._says_what_it_waits_for()

    def _keeps_secrets(self) -> None:
        secrets = [secret.reveal() for name, secret in self._stage.secrets.items() if name != "wrong"]
        written = self._stage.story.text() + repr(self._stage.durable) + repr(self._stage.memory.values)
        if any(secret in written for secret in secrets):
            self._break("I5", "a secret was written down")

    def _says_what_it_waits_for(self) -> None:
        """I6: at the end the pair is steady, or a page stands, or a run is parked, or a step waits for the world."""
        unit = self._stage.daemon.unit if self._stage.daemon is not None else None
        standing = unit.deciding.standing if unit is not None else None
        if unit is None or standing is None:
            return
        is_steady = standing.decision.phase is Phase.STEADY
        has_page = any(notice.severity is Severity.PAGE for notice in unit.alarms.standing)
        # One that ended after the last tick is open in what that tick saw: nobody has looked at the pair since.
        has_run = self._ledger.run is not None or standing.facts.ledger.run is not None
        if not (is_steady or has_page or has_run):
            self._break("I6", f"neither steady nor waiting for anybody: {standing.decision.row.id}")

    # --------------------------------------------------------------------------------------------------------------

    @property
    def _ledger(self) -> Ledger:
        return self._stage.ledger

    def _is_writable(self, cluster: str) -> bool:
        world = self._stage.world
        return cluster in world.active_primaries() and world.clients_reach(cluster)

    def _break(self, invariant: str, what: str) -> None:
        self.broken.append(
            f"{invariant} broken at {self._stage.clock.now_s():.1f} s: {what} (the rule: {RULES[invariant]})"
        )
