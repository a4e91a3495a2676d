"""What happens, as metrics: every decision, probe, step and run of every pair."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import product

from watchdogd.adapters.metrics import Metrics
from watchdogd.core.decision import Decision
from watchdogd.core.entries import Runbook, RunOutcome
from watchdogd.core.facts import Facts
from watchdogd.core.ledger import Run, RunState
from watchdogd.core.link import Hears
from watchdogd.core.model import ClusterView, NodeSeen, PairId, Reach, Reading
from watchdogd.core.naming import NameSeen
from watchdogd.core.policy import PairPolicy, Policy
from watchdogd.core.situations import SITUATIONS, Phase
from watchdogd.daemon.deciding import Standing
from watchdogd.daemon.orders import is_ready
from watchdogd.daemon.protocol import Answer
from watchdogd.daemon.unit import Observers, PairUnit
from watchdogd.runbooks.context import StepEvent, StepOutcome

ROWS = tuple(dict.fromkeys(row.id for row in SITUATIONS))
PLACES = ("own", "neutral")


class Measuring:
    """Feeds the metrics. Never blocks, never raises."""

    def __init__(self, metrics: Metrics, policy: Policy) -> None:
        self._metrics = metrics
        self._flaps: dict[PairId, int] = {}
        self._reset_s: dict[PairId, float] = {}
        self.begin(policy)

    def begin(self, policy: Policy) -> None:
        """Every label set of a config that has just come to count."""
        for pair in policy.pairs.values():
            self._begin(pair)

    def _begin(self, pair: PairPolicy) -> None:
        """Every label set that the config and the enums name is there from the start."""
        metrics = self._metrics
        for runbook, outcome in product(Runbook, RunOutcome):
            metrics.count("runs_total", pair.pair, runbook, outcome, by=0)
        for cluster in pair.clusters.values():
            is_unverified = float(not cluster.is_tls_verified)
            metrics.set("tls_verification_disabled", is_unverified, pair.pair, cluster.cluster)
            for node, reading in product(cluster.probed_nodes, Reading):
                metrics.count("probes_total", pair.pair, cluster.cluster, node, reading, by=0)
        ways = int(pair.credentials.dr_operation_tokens > 0) + int(pair.credentials.key_shares > 0)
        metrics.set("independent_ways_in", ways, pair.pair)

    @property
    def observers(self) -> Observers:
        """What the pairs tell."""
        return Observers(probed=self._probed, decided=self._decided, stepped=self._stepped, ended=self._ended)

    def reloaded(self, outcome: str) -> None:
        """One reload of the config."""
        self._metrics.count("config_reloads_total", outcome)

    def answered(self, verb: str, answer: Answer) -> None:
        """One request on the control socket."""
        self._metrics.count("control_requests_total", verb, str(answer.status))

    def lagged(self, lag_s: float) -> None:
        """How late the latest tick came."""
        self._metrics.set("event_loop_lag_seconds", max(0.0, lag_s))

    def surveyed(self, units: Iterable[PairUnit], at_utc_s: float, *, is_fed: bool) -> None:
        """What is only looked at now and then: readiness, anchors, proofs, and that the loops go on."""
        for unit in units:
            standing = unit.deciding.standing
            if standing is None:
                continue
            self._readiness(standing)
            self._evidence(unit, standing)
            for (name, cluster), proof_s in unit.sightings.proving.proven_s.items():
                if cluster == standing.facts.partner.cluster:
                    at_s = at_utc_s - (standing.facts.now.at_s - proof_s)
                    self._metrics.set("credential_proven_timestamp_seconds", at_s, unit.policy.pair, name)
            if is_fed:
                for loop in ("probe", "decide"):
                    self._metrics.set("last_tick_timestamp_seconds", at_utc_s, loop)

    def _evidence(self, unit: PairUnit, standing: Standing) -> None:
        pair, watch, facts = unit.policy.pair, unit.desk.watch, standing.facts
        for cluster, streak in watch.streaks.items():
            self._metrics.one_of("belief", streak.belief, Reach, pair, cluster)
        link = watch.links.get(facts.partner.cluster)
        if link is not None and link.last_advance_s is not None:
            self._metrics.set("heartbeat_age_seconds", facts.now.at_s - link.last_advance_s, pair)
        if facts.known.loss.wal is not None:
            self._metrics.set("replication_lag_wal", facts.known.loss.wal, pair)
        newest_s = self._reset_s.get(pair, 0.0)
        for reset in watch.resets:
            if reset.at_s > newest_s:
                self._metrics.count("evidence_resets_total", pair, reset.cause)
                self._reset_s[pair] = reset.at_s

    # -- one pair ----------------------------------------------------------------------------------------------------

    def _probed(self, pair: PairId, seen: NodeSeen) -> None:
        metrics, place = self._metrics, (pair, seen.cluster, seen.node)
        metrics.count("probes_total", *place, seen.reading)
        metrics.observe("probe_duration_seconds", seen.ended_s - seen.started_s, *place)
        metrics.one_of("node_reading", seen.reading, Reading, *place)
        for endpoint in seen.malformed:
            metrics.count("malformed_replies_total", pair, seen.cluster, endpoint)

    def _decided(self, facts: Facts, decision: Decision) -> None:
        pair, metrics = facts.pair, self._metrics
        metrics.one_of("situation", decision.row.id, ROWS, pair)
        metrics.one_of("phase", decision.phase, Phase, pair)
        metrics.one_of("link", facts.hears, Hears, pair)
        for gate in facts.gates:
            if ":" not in gate.gate:
                metrics.set("gate_blocked", float(not gate.is_open), pair, gate.gate)
        metrics.set("window_progress_ratio", min((w.progress for w in facts.windows), default=0.0), pair)
        for view in facts.views.values():
            self._cluster(facts, view)
        loss_s = facts.known.loss.seconds
        metrics.set("estimated_loss_seconds", math.nan if loss_s is None else loss_s, pair)
        self._ledger(facts)
        self._name(facts)
        self._flapped(facts)

    def _cluster(self, facts: Facts, view: ClusterView) -> None:
        pair, metrics = facts.pair, self._metrics
        ledger = facts.ledger
        debtor = ledger.open_debt.debtor if ledger.open_debt is not None else None
        metrics.set("demotion_debt", float(view.cluster == debtor), pair, view.cluster)
        metrics.set("fence_held", float(view.cluster in ledger.fences), pair, view.cluster)
        status = view.active.status if view.active is not None else None
        if status is not None:
            for kind, wal in (("last", status.last_kind_wal), ("remote", status.last_remote_wal)):
                if wal is not None:
                    metrics.set("replication_wal", wal, pair, view.cluster, kind)

    def _ledger(self, facts: Facts) -> None:
        pair, metrics, ledger = facts.pair, self._metrics, facts.ledger
        metrics.set("epoch", ledger.epoch, pair)
        metrics.set("paused", float(ledger.pause is not None), pair)
        metrics.set("ack_missing", float(ledger.ack_asked_by is not None), pair)
        for runbook in Runbook:
            is_open = ledger.run is not None and ledger.run.runbook is runbook
            is_parked = is_open and ledger.run is not None and ledger.run.state is RunState.PARKED
            metrics.set("run_in_progress", float(is_open), pair, runbook)
            metrics.set("run_parked", float(is_parked), pair, runbook)

    def _name(self, facts: Facts) -> None:
        pair, metrics, name = facts.pair, self._metrics, facts.name
        if name is None:
            return
        for cluster in facts.views:
            metrics.set("dns_serving", float(name.serving == cluster), pair, cluster)
        is_drift = name.seen not in (NameSeen.PUBLISHES_ELECTED, NameSeen.CANNOT_ASK)
        metrics.set("dns_drift", float(is_drift), pair)
        metrics.set("dns_servers_disagreeing", len(name.off_target), pair)

    def _flapped(self, facts: Facts) -> None:
        before = self._flaps.get(facts.pair, 0)
        if facts.flaps > before and facts.elected is not None:
            self._metrics.count("flaps_total", facts.pair, facts.elected.cluster, by=facts.flaps - before)
        self._flaps[facts.pair] = facts.flaps

    def _readiness(self, standing: Standing) -> None:
        pair, metrics = standing.facts.pair, self._metrics
        metrics.set("failover_ready", float(is_ready(standing)), pair)
        for gate in standing.facts.gates:
            if ":" not in gate.gate:
                metrics.set("readiness_check", float(gate.is_open), pair, gate.gate)
        is_sound = not any(view.says_corrupted for view in standing.facts.views.values())
        metrics.set("readiness_check", float(is_sound), pair, "merkle-tree")
        if standing.facts.name is not None:
            metrics.set("readiness_check", float(standing.around.provider_why == ""), pair, "name-provider")
        for credential in standing.around.credentials:
            if credential.expires_utc_s is not None:
                metrics.set("credential_expiry_timestamp_seconds", credential.expires_utc_s, pair, credential.name)
        for place in PLACES:
            reached = [a for a in standing.around.anchors if a.place == place and a.is_reachable]
            metrics.set("anchors_reachable", len(reached), place)

    # -- runs --------------------------------------------------------------------------------------------------------

    def _stepped(self, pair: PairId, event: StepEvent) -> None:
        labels = (pair, event.run.runbook, event.step)
        self._metrics.count("runbook_steps_total", *labels, event.outcome)
        if event.outcome is StepOutcome.DONE:
            self._metrics.observe("step_duration_seconds", event.elapsed_s, *labels)

    def _ended(self, pair: PairId, run: Run) -> None:
        self._metrics.count("runs_total", pair, run.runbook, run.outcome or "")
        if run.runbook is Runbook.FAILOVER and run.outcome is RunOutcome.SUCCEEDED:
            self._metrics.set("last_failover_timestamp_seconds", run.touched.at_utc_s, pair)
            if math.isfinite(run.took_s):
                self._metrics.set("last_failover_duration_seconds", run.took_s, pair, "procedure")
