"""What one probe round of one node counts as (the first table of DESIGN section 4).

Only bodies are read: all non-active health codes are asked for as 299, as the Go client does.
"""

from __future__ import annotations

from watchdogd.core.model import Attempt, NodeSeen, Pins, Raw, RawRound, Reading

# Source: OBS, and `handleRequestForwarding` of Vault: a standby that knows no active node.
NO_ACTIVE_NODE = "active cluster node not found"
RATE_LIMITED = 429  # health never answers it here; sys/leader is not exempt from quotas (QUOTA)
SERVER_ERROR = 500


def read(raw: RawRound, pins: Pins) -> NodeSeen:
    """The reading of one round, with the sentence that says why."""
    reading, why = _health_reading(raw, pins)
    by_health_alone = reading is Reading.LEADERLESS and _is_active_by_health(raw)
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
    )


def _malformed(raw: RawRound) -> tuple[str, ...]:
    endpoints = {"sys/health": raw.health_raw, "sys/leader": raw.names_raw, "sys/replication": raw.status_raw}
    return tuple(name for name, part in endpoints.items() if part.attempt in (Attempt.MALFORMED, Attempt.BROKEN))


def _is_active_by_health(raw: RawRound) -> bool:
    return raw.health is not None and not raw.health.sealed and not raw.health.standby


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
    if any(part.attempt is Attempt.ANSWERED for part in (raw.names_raw, raw.status_raw)):
        return Reading.STRANGE, "sys/health is silent while the node answers elsewhere"
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
    """The sentence that names an id other than pinned; empty when none is shown that differs."""
    if raw.health is not None and raw.health.cluster_id not in (None, "", pins.vault_id):
        return f"cluster_id {raw.health.cluster_id} is not the pinned {pins.vault_id}"
    if raw.replication is not None and raw.replication.cluster_id not in (None, "", pins.replication_id):
        return f"replication id {raw.replication.cluster_id} is not the pinned {pins.replication_id}"
    return ""


def _unsealed(raw: RawRound) -> tuple[Reading, str]:
    if raw.names_raw.status == RATE_LIMITED:
        return Reading.STRANGE, "sys/leader is rate-limited"
    if raw.health is not None and raw.health.ha_connection_healthy is False and raw.health.standby:
        return Reading.LEADERLESS, "a standby that cannot reach its active node"
    names = raw.names
    if names is None:
        return _leader_unread(raw.names_raw)
    if not names.ha_enabled and _is_active_by_health(raw):
        return Reading.ACTIVE, "active, without HA"
    if names.is_self and _is_active_by_health(raw):
        return Reading.ACTIVE, "active"
    if names.address or names.is_self:
        return Reading.FOLLOWS, f"follows {names.address or 'itself'}"
    return Reading.LEADERLESS, "names no active node"


def _leader_unread(names_raw: Raw) -> tuple[Reading, str]:
    # A node that answers sys/health but not sys/leader serves nobody as far as anybody can tell; only the window
    # makes anything of it. What is our own fault or not Vault's shape says nothing.
    match names_raw.attempt:
        case Attempt.OURS:
            return Reading.OURS, f"sys/leader: {names_raw.detail}"
        case Attempt.BROKEN | Attempt.MALFORMED:
            return Reading.STRANGE, f"sys/leader: {names_raw.detail}"
        case Attempt.SILENT:
            return Reading.LEADERLESS, "health answers, sys/leader does not"
        case Attempt.ANSWERED:
            if names_raw.status is not None and names_raw.status >= SERVER_ERROR:
                return Reading.LEADERLESS, f"sys/leader answered {names_raw.status}"
            return Reading.STRANGE, f"sys/leader answered {names_raw.status}"
