"""What one probe round of one node counts as (the first table of DESIGN section 4).

Only bodies are read: all non-active health codes are asked for as 299, as the Go client does.
"""

from __future__ import annotations

from dataclasses import replace

from watchdogd.core.lateness import is_our_fault
from watchdogd.core.model import Attempt, NodeSeen, Pins, Raw, RawRound, Reading

# Source: OBS, and `handleRequestForwarding` of Vault: a standby that knows no active node.
NO_ACTIVE_NODE = "active cluster node not found"
RATE_LIMITED = 429  # health never answers it here; sys/leader is not exempt from quotas (QUOTA)
SERVER_ERROR = 500


def read(raw: RawRound, pins: Pins) -> NodeSeen:
    """The reading of one round, with the sentence that says why."""
    seen, raw = raw, _heard(raw)
    reading, why = _health_reading(raw, pins)
    we_were_late = raw is not seen and reading is Reading.OURS and _health_reading(seen, pins)[0] is not Reading.OURS
    by_health_alone = reading is Reading.LEADERLESS and _is_active_by_health(raw)
    wrong_id = wrong_ids(raw, pins) if raw.health is not None else ""
    return NodeSeen(
        cluster=raw.cluster,
        node=raw.node,
        started_s=raw.started_s,
        ended_s=raw.ended_s,
        reading=reading,
        why=why,
        health=raw.health,
        names=raw.names,
        status=raw.replication,
        malformed=_malformed(raw),
        active_by_health_alone=by_health_alone,
        connection=raw.connection,
        wrong_id=wrong_id,
        we_were_late=we_were_late,
    )


def _heard(raw: RawRound) -> RawRound:
    """The round without what timed out while our own loop was late: that is our fault, and says nothing of the node."""
    if not is_our_fault(raw.late_s, raw.timeout_s):
        return raw
    late = Raw(attempt=Attempt.OURS, detail=f"we were late, by {raw.late_s:.1f} s in a round of {raw.timeout_s:g} s")
    return replace(
        raw,
        health_raw=late if raw.health_raw.timed_out else raw.health_raw,
        names_raw=late if raw.names_raw.timed_out else raw.names_raw,
        status_raw=late if raw.status_raw.timed_out else raw.status_raw,
    )


def _malformed(raw: RawRound) -> tuple[str, ...]:
    endpoints = {"sys/health": raw.health_raw, "sys/leader": raw.names_raw, "sys/replication": raw.status_raw}
    return tuple(name for name, part in endpoints.items() if part.attempt in (Attempt.MALFORMED, Attempt.BROKEN))


def _is_active_by_health(raw: RawRound) -> bool:
    health = raw.health
    if health is None or not health.initialized or health.sealed or health.removed_from_cluster:
        return False
    return not health.standby and not health.performance_standby


def _health_reading(raw: RawRound, pins: Pins) -> tuple[Reading, str]:
    match raw.health_raw.attempt:
        case Attempt.OURS:
            return Reading.OURS, raw.health_raw.detail
        case Attempt.SILENT:
            return _silence(raw)
        case Attempt.BROKEN | Attempt.MALFORMED:
            return Reading.STRANGE, f"sys/health: {raw.health_raw.detail}"
        case Attempt.ANSWERED:
            return _answered(raw, pins)


def _silence(raw: RawRound) -> tuple[Reading, str]:
    if not raw.ever_answered:
        return Reading.OURS, f"{raw.health_raw.detail}, at an address that never answered us"
    elsewhere = (raw.names_raw, raw.status_raw)
    if any(part.attempt not in (Attempt.SILENT, Attempt.OURS) for part in elsewhere):
        return Reading.STRANGE, "sys/health is silent while bytes come from the node elsewhere"
    ours = next((part for part in elsewhere if part.attempt is Attempt.OURS), None)
    if ours is not None:
        return Reading.OURS, f"sys/health is silent, and asking elsewhere failed by our own fault: {ours.detail}"
    return Reading.SILENT, raw.health_raw.detail


def _answered(raw: RawRound, pins: Pins) -> tuple[Reading, str]:
    health = raw.health
    if health is None:
        if raw.health_raw.status == SERVER_ERROR and NO_ACTIVE_NODE in raw.health_raw.detail:
            return Reading.LEADERLESS, "no active node is known"
        return Reading.STRANGE, f"sys/health answered {raw.health_raw.status}: {raw.health_raw.detail}"
    if mismatch := wrong_ids(raw, pins):
        return Reading.STRANGE, mismatch
    if not health.initialized:
        return Reading.UNINIT, "not initialised"
    if health.removed_from_cluster:
        return Reading.LEADERLESS, "removed from its cluster"
    if health.sealed:
        return Reading.SEALED, "sealed"
    return _unsealed(raw)


def wrong_ids(raw: RawRound, pins: Pins) -> str:
    """The sentence that names an id other than pinned; empty when none is shown that differs. No pin is no id."""
    if raw.health is not None and _differs(raw.health.cluster_id, pins.vault_id):
        return f"cluster_id {raw.health.cluster_id} is not the pinned {pins.vault_id}"
    if raw.replication is not None and _differs(raw.replication.cluster_id, pins.replication_id):
        return f"replication id {raw.replication.cluster_id} is not the pinned {pins.replication_id}"
    return ""


def _differs(shown: str | None, pinned: str) -> bool:
    return bool(shown) and bool(pinned) and shown != pinned


def _unsealed(raw: RawRound) -> tuple[Reading, str]:
    if raw.names_raw.status == RATE_LIMITED:
        return Reading.STRANGE, "sys/leader is rate-limited"
    if raw.health is not None and raw.health.ha_connection_healthy is False and raw.health.standby:
        return Reading.LEADERLESS, "a standby that cannot reach its active node"
    names = raw.names
    if names is None:
        return _names_unread(raw)
    if not names.ha_enabled and _is_active_by_health(raw):
        return Reading.ACTIVE, "active, without HA"
    if names.is_self and _is_active_by_health(raw):
        return Reading.ACTIVE, "active"
    if names.address or names.is_self:
        return Reading.FOLLOWS, f"follows {names.address or 'itself'}"
    return Reading.LEADERLESS, "names no active node"


def _names_unread(raw: RawRound) -> tuple[Reading, str]:
    # Only what says active while sys/leader errs serves nobody as far as anybody can tell. A standby that answers
    # slowly, or with something else than Vault's own sentence, has not said that it knows no active node.
    names_raw = raw.names_raw
    match names_raw.attempt:
        case Attempt.OURS:
            return Reading.OURS, f"sys/leader: {names_raw.detail}"
        case Attempt.BROKEN | Attempt.MALFORMED:
            return Reading.STRANGE, f"sys/leader: {names_raw.detail}"
        case Attempt.SILENT:
            why = "health answers, sys/leader does not"
            return (Reading.LEADERLESS if _is_active_by_health(raw) else Reading.STRANGE), why
        case Attempt.ANSWERED:
            return _names_refused(raw)


def _names_refused(raw: RawRound) -> tuple[Reading, str]:
    status, detail = raw.names_raw.status, raw.names_raw.detail
    is_vaults_error = status is not None and status >= SERVER_ERROR and detail  # a proxy's own page has no such text
    if is_vaults_error and (_is_active_by_health(raw) or NO_ACTIVE_NODE in detail):
        return Reading.LEADERLESS, f"sys/leader answered {status}: {detail}"
    return Reading.STRANGE, f"sys/leader answered {status}: {detail}"
