"""Every metric of the daemon, in one table, on a registry of its own (INTERFACES section 5).

Labels come from enums and the config, never from the text of an error. Whoever sets a gauge sets it for every label of
its set, so that `rate()` and `absent()` tell the truth.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from watchdogd import __version__

PREFIX = "watchdogd_"
PROBE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
STEP_BUCKETS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
WRITE_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)


class Kind(StrEnum):
    """What an instrument does."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric: its name without the prefix, its labels, and what it says."""

    kind: Kind
    name: str
    labels: tuple[str, ...]
    says: str
    buckets: tuple[float, ...] = ()


C, G, H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
TABLE: tuple[Spec, ...] = (
    Spec(C, "probes_total", ("pair", "cluster", "node", "reading"), "Finished probe rounds by what was read."),
    Spec(H, "probe_duration_seconds", ("pair", "cluster", "node"),
         "One probe round of one node, first request to last answer.", PROBE_BUCKETS),
    Spec(G, "node_reading", ("pair", "cluster", "node", "reading"), "1 for what the node reads as now."),
    Spec(C, "malformed_replies_total", ("pair", "cluster", "endpoint"),
         "Answers that are not of the documented shape."),
    Spec(G, "anchors_reachable", ("place",), "Anchors of the self-check that take a connection."),
    Spec(G, "belief", ("pair", "cluster", "belief"), "1 for what is believed of the cluster after hysteresis."),
    Spec(G, "link", ("pair", "verdict"), "1 for what the secondary says about the primary."),
    Spec(G, "heartbeat_age_seconds", ("pair",), "Since the secondary was last seen to hear the primary."),
    Spec(G, "situation", ("pair", "situation"), "1 for the row of the situation table that matches."),
    Spec(G, "phase", ("pair", "phase"), "1 for the phase of the pair."),
    Spec(G, "gate_blocked", ("pair", "gate"), "1 for a gate that is closed."),
    Spec(G, "window_progress_ratio", ("pair",), "How much of the emptiest window of the evidence is full."),
    Spec(C, "flaps_total", ("pair", "cluster"), "Times that the elected cluster went down without filling the window."),
    Spec(C, "evidence_resets_total", ("pair", "cause"), "Times that a running window began anew."),
    Spec(G, "replication_wal", ("pair", "cluster", "kind"), "WAL positions as the cluster reports them."),
    Spec(G, "replication_lag_wal", ("pair",), "WAL entries that the secondary lacks."),
    Spec(G, "estimated_loss_seconds", ("pair",), "What a promotion now loses at least; NaN where it cannot be told."),
    Spec(G, "failover_ready", ("pair",), "1 when a failover would not be held, were the primary to die now."),
    Spec(G, "readiness_check", ("pair", "check"), "1 for every part of being ready that is fulfilled."),
    Spec(G, "dns_serving", ("pair", "cluster"),
         "1 for the cluster that every answering authoritative server publishes."),
    Spec(G, "dns_drift", ("pair",), "1 when the name publishes something else than the elected cluster."),
    Spec(G, "dns_servers_disagreeing", ("pair",),
         "Authoritative servers that publish something else than the elected cluster."),
    Spec(G, "credential_expiry_timestamp_seconds", ("pair", "credential"),
         "When the credential expires, as the primary said."),
    Spec(G, "credential_proven_timestamp_seconds", ("pair", "credential"),
         "When the secondary last accepted the credential."),
    Spec(G, "independent_ways_in", ("pair",), "Ways to promote that do not depend on each other."),
    Spec(G, "tls_verification_disabled", ("pair", "cluster"),
         "1 when the certificates of the cluster are not checked."),
    Spec(C, "runs_total", ("pair", "runbook", "outcome"), "Ended runs."),
    Spec(G, "run_in_progress", ("pair", "runbook"), "1 while a run holds the slot."),
    Spec(G, "run_parked", ("pair", "runbook"), "1 while the run waits for a human or the world."),
    Spec(C, "runbook_steps_total", ("pair", "runbook", "step", "outcome"),
         "Steps by how they, or one attempt of them, came out."),
    Spec(H, "step_duration_seconds", ("pair", "runbook", "step"), "Steps that came to their end.", STEP_BUCKETS),
    Spec(G, "last_failover_timestamp_seconds", ("pair",), "When the latest failover ended."),
    Spec(G, "last_failover_duration_seconds", ("pair", "phase"), "How long the latest failover took."),
    Spec(G, "epoch", ("pair",), "The latest epoch that counts."),
    Spec(G, "demotion_debt", ("pair", "cluster"), "1 while the cluster owes its demotion."),
    Spec(G, "fence_held", ("pair", "cluster"), "1 while a fence of ours must still be turned off."),
    Spec(G, "paused", ("pair",), "1 while nothing may start."),
    Spec(G, "ack_missing", ("pair",), "1 while an automatic failover was not acknowledged."),
    Spec(G, "event_loop_lag_seconds", (), "How late the latest tick came."),
    Spec(C, "journal_writes_total", ("outcome",), "Transactions of the journal."),
    Spec(H, "journal_write_duration_seconds", (), "One transaction of the journal, fsync included.", WRITE_BUCKETS),
    Spec(C, "config_reloads_total", ("outcome",), "Reloads of the config: applied, unchanged, refused."),
    Spec(C, "control_requests_total", ("verb", "outcome"), "Requests on the control socket."),
    Spec(G, "last_tick_timestamp_seconds", ("loop",), "When the loop last finished a round."),
    Spec(G, "build_info", ("version", "python"), "Always 1."),
)  # fmt: skip


class Metrics:
    """The instruments of TABLE on a new registry: two daemons in one test process never collide."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._counters = {s.name: _counter(s, self.registry) for s in TABLE if s.kind is Kind.COUNTER}
        self._gauges = {s.name: _gauge(s, self.registry) for s in TABLE if s.kind is Kind.GAUGE}
        self._histograms = {s.name: _histogram(s, self.registry) for s in TABLE if s.kind is Kind.HISTOGRAM}
        self._newest: dict[tuple[str, ...], float] = {}  # of every gauge: most ticks change none of them
        self._chosen: dict[tuple[str, ...], str] = {}
        self.set("build_info", 1, __version__, platform.python_version())
        for outcome in ("stored", "failed"):
            self.count("journal_writes_total", outcome, by=0)
        for outcome in ("applied", "unchanged", "refused"):
            self.count("config_reloads_total", outcome, by=0)

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter; with `by=0` only make the label set exist."""
        counter = self._counters[name]
        (counter.labels(*labels) if labels else counter).inc(by)

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        place = (name, *labels)
        if self._newest.get(place) == value:
            return
        self._newest[place] = value
        gauge = self._gauges[name]
        (gauge.labels(*labels) if labels else gauge).set(value)

    def one_of(self, name: str, chosen: str, words: Iterable[str], *labels: str) -> None:
        """Set the gauge to 1 for the `chosen` one of `words`, and to 0 for the rest. The word is its last label."""
        place = (name, *labels)
        if self._chosen.get(place) == chosen:
            return
        self._chosen[place] = chosen
        for word in words:
            self.set(name, float(word == chosen), *labels, word)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add to a histogram."""
        histogram = self._histograms[name]
        (histogram.labels(*labels) if labels else histogram).observe(value)

    def journal_written(self, stored: bool, took_s: float) -> None:
        """One write of the journal. Called on its own thread: instruments are thread-safe."""
        self.count("journal_writes_total", "stored" if stored else "failed")
        self.observe("journal_write_duration_seconds", took_s)


def _counter(spec: Spec, registry: CollectorRegistry) -> Counter:
    return Counter(PREFIX + spec.name, spec.says, spec.labels, registry=registry)


def _gauge(spec: Spec, registry: CollectorRegistry) -> Gauge:
    return Gauge(PREFIX + spec.name, spec.says, spec.labels, registry=registry)


def _histogram(spec: Spec, registry: CollectorRegistry) -> Histogram:
    return Histogram(PREFIX + spec.name, spec.says, spec.labels, registry=registry, buckets=spec.buckets)
