"""Vault's answers as values: bytes in, values of `core.model` out. Pure; raises `MalformedReply` and nothing else.

Field names, presence and types: `sys/health` hashicorp/vault http/sys_health.go 1.19+; replication status
developer.hashicorp.com/vault/api-docs/system/replication, samples of 2020 and 2024; `sys/leader` api/sys_leader.go;
`generate-operation-token` vault/generate_root.go. Words that we do not know become OTHER or UNKNOWN.
"""

from __future__ import annotations

from types import MappingProxyType

from watchdogd.adapters.vault.shape import Fields, decode
from watchdogd.adapters.vault.values import AutopilotState, TokenAttempt, TokenInfo
from watchdogd.core.model import (
    ConnectionState,
    Health,
    License,
    Mode,
    NamedActive,
    Peer,
    Replication,
    ReplicationStatus,
    StreamState,
)
from watchdogd.errors import MalformedReply
from watchdogd.secret import Secret

HEALTH = "sys/health"
NAMES = "sys/leader"
ATTEMPT = "generate-operation-token"
AUTOPILOT = "sys/storage/raft/autopilot/state"
LOOKUP_SELF = "auth/token/lookup-self"


def parse_health(body: bytes) -> Health:
    """The body of sys/health, whatever status it came with."""
    top = decode(HEALTH, body)
    return Health(
        initialized=top.flag("initialized"),
        sealed=top.flag("sealed"),
        standby=top.flag("standby"),
        performance_standby=top.flag_or_none("performance_standby") or False,
        dr_mode=_mode(top.text("replication_dr_mode")),
        performance_mode=_mode(top.text("replication_performance_mode")),
        server_time_utc_s=top.number("server_time_utc"),
        version=top.text("version"),
        enterprise=top.flag_or_none("enterprise"),
        cluster_name=top.text_or_none("cluster_name"),
        cluster_id=top.text_or_none("cluster_id"),
        last_wal=top.number_or_none("last_wal"),
        license=_license(top.child_or_none("license")),
        removed_from_cluster=top.flag_or_none("removed_from_cluster") or False,
        ha_connection_healthy=top.flag_or_none("ha_connection_healthy"),
        clock_skew_ms=top.number_or_none("clock_skew_ms"),
        primary_canary_age_ms=top.number_or_none("replication_primary_canary_age_ms"),
    )


def parse_names(body: bytes) -> NamedActive:
    """The body of sys/leader: bare fields, or the same under `data`."""
    top = _payload(decode(NAMES, body))
    started = top.text("active_time")
    return NamedActive(
        ha_enabled=top.flag("ha_enabled"),
        is_self=top.flag("is_self"),
        address=top.text("leader_address"),
        cluster_address=top.text("leader_cluster_address"),
        active_time=started if top.time_or_none("active_time") is not None else None,
    )


def parse_replication_status(body: bytes, kind: Replication) -> ReplicationStatus:
    """`data` of sys/replication/{dr,performance}/status, or its part of sys/replication/status.

    Community Edition answers the combined path with a flat `data.mode`, which then holds for both kinds (ENTPATHS).
    """
    data = _payload(decode(f"sys/replication/{kind}/status", body))
    data = data.child_or_none(kind) or data
    if "mode" not in data:
        raise MalformedReply(f"sys/replication/{kind}/status", "mode: missing")
    mode = _mode(data.text("mode"))
    return ReplicationStatus(
        mode=mode,
        cluster_id=data.text_or_none("cluster_id"),
        state=_state(data.text("state")),
        connection_state=_connection_state(data.text("connection_state")),
        last_wal=data.number_or_none("last_wal"),
        last_kind_wal=data.number_or_none("last_dr_wal" if kind is Replication.DR else "last_performance_wal"),
        last_remote_wal=data.number_or_none("last_remote_wal"),
        merkle_root=data.text_or_none("merkle_root"),
        peers=_peers(data, mode),
        known_secondaries=data.texts_or_none("known_secondaries"),
        known_primary_cluster_addrs=data.texts_or_none("known_primary_cluster_addrs"),
        secondary_id=data.text_or_none("secondary_id"),
        corrupted_merkle_tree=data.flag_or_none("corrupted_merkle_tree") or False,
        sync_progress=data.number_or_none("sync_progress"),
    )


def parse_attempt(body: bytes) -> TokenAttempt:
    """The status of an operation token generation: bare fields, or under `data` on the authenticated route of 2.x."""
    top = _payload(decode(ATTEMPT, body))
    encoded = top.text("encoded_token") or top.text("encoded_root_token")
    otp = top.text("otp")
    return TokenAttempt(
        nonce=top.text("nonce"),
        started=top.flag("started"),
        progress=top.number_or_none("progress") or 0,
        required=top.number("required"),
        complete=top.flag_or_none("complete") or False,
        otp_length=top.number_or_none("otp_length"),
        otp=Secret(otp) if otp else None,
        encoded_token=Secret(encoded) if encoded else None,
    )


def parse_autopilot_state(body: bytes) -> AutopilotState:
    """`data` of sys/storage/raft/autopilot/state. Source: api/sys_raft.go."""
    data = _payload(decode(AUTOPILOT, body))
    servers = data.child_or_none("servers")
    by_id = {name: servers.child_or_none(name) for name in servers.names()} if servers else {}
    return AutopilotState(
        healthy=data.flag("healthy"),
        failure_tolerance=data.number_or_none("failure_tolerance") or 0,
        active_server=data.text("leader"),
        servers=MappingProxyType({k: bool(v and v.flag_or_none("healthy")) for k, v in by_id.items()}),
        voters=data.texts_or_none("voters") or (),
    )


def parse_token_info(body: bytes) -> TokenInfo:
    """`data` of auth/token/lookup-self."""
    data = _payload(decode(LOOKUP_SELF, body))
    return TokenInfo(
        ttl_s=data.number("ttl"),
        expires_utc_s=data.time_or_none("expire_time"),
        token_type=data.text("type"),
        orphan=data.flag_or_none("orphan") or False,
        renewable=data.flag_or_none("renewable") or False,
        num_uses=data.number_or_none("num_uses") or 0,
        policies=data.texts_or_none("policies") or (),
        path=data.text("path"),
    )


def _payload(top: Fields) -> Fields:
    """The fields of `data` where there is an envelope, else the fields themselves."""
    return top.child_or_none("data") or top


def _mode(word: str) -> Mode:
    try:
        return Mode(word)
    except ValueError:
        return Mode.UNKNOWN


def _state(word: str) -> StreamState:
    if not word:
        return StreamState.ABSENT
    try:
        return StreamState(word)
    except ValueError:
        return StreamState.OTHER


def _connection_state(word: str) -> ConnectionState:
    if not word:
        return ConnectionState.ABSENT
    try:
        return ConnectionState(word.lower())
    except ValueError:
        return ConnectionState.OTHER


def _license(part: Fields | None) -> License | None:
    if part is None:
        return None
    return License(state=part.text("state"), terminated=part.flag_or_none("terminated") or False)


def _peers(data: Fields, mode: Mode) -> tuple[Peer, ...] | None:
    """A secondary lists `primaries`, everything else `secondaries`; the array of the other role is not ours to read."""
    entries = data.children_or_none("primaries" if mode is Mode.SECONDARY else "secondaries")
    return None if entries is None else tuple(_peer(entry) for entry in entries)


def _peer(entry: Fields) -> Peer:
    return Peer(
        api_address=entry.text("api_address"),
        cluster_address=entry.text("cluster_address"),
        connection_status=entry.text("connection_status"),
        last_heartbeat_utc_s=entry.time_or_none("last_heartbeat"),
        canary_age_ms=entry.number_or_none("replication_primary_canary_age_ms"),
        clock_skew_ms=entry.number_or_none("clock_skew_ms"),
        node_id=entry.text_or_none("node_id"),
    )
