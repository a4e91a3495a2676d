"""sys/health, sys/leader, sys/seal-status, sys/init, sys/unseal: what every node answers by itself.

Sources: HEALTHSRC (order, presence), HEALTHDOC, APILEADER, SEALDOC, OBS; sections 1 and 8 of the reference.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from watchdogd.lab.call import Call, rfc3339
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.fields import PATH_DISABLED
from watchdogd.lab.knobs import RoleWindow, WindowModes
from watchdogd.lab.node import Mode
from watchdogd.lab.reply import Rejected, Reply, Unanswered, bare, empty, errors
from watchdogd.lab.roles import Kind
from watchdogd.lab.route import LOCAL, Route
from watchdogd.lab.status import canary_age_ms

_TRUE, _FALSE = {"1", "t", "T", "TRUE", "true", "True"}, {"0", "f", "F", "FALSE", "false", "False", ""}
_ATOI = re.compile(r"[+-]?[0-9]{1,18}")
LICENCE_ENDS, LICENCE_ENDED = "2029-04-27T00:00:00Z", "2026-02-01T00:00:00Z"
BUILD_DATE = "2025-03-05T00:00:00Z"


def health(call: Call) -> Reply:
    """GET and HEAD sys/health [HEALTHSRC]. First match wins, in the order of the source."""
    if call.request.headers.get("x-vault-namespace", "").strip("/"):
        return errors(400, call.knobs.namespace_health_text)
    try:
        status = _health_status(call)
    except ValueError:
        return errors(400)
    if not 100 <= status <= 999:
        raise Unanswered  # OBS: Go's server panics at such a status, and the connection ends
    return empty(status) if call.request.method == "HEAD" else bare(status, _health_body(call))


def is_sealed(call: Call) -> bool:
    """Sealed, or torn down by a role change that looks like it."""
    window = call.cluster.window
    return call.asked.sealed or (window is not None and call.knobs.role_window is RoleWindow.SEALED)


def health_modes(call: Call) -> tuple[Mode, Mode]:
    """(dr, performance) as this node knows them: a standby only what an active node told it [HEALTHDOC]."""
    cluster, unknown = call.cluster, (Mode.UNKNOWN, Mode.UNKNOWN)
    if cluster.window is not None:
        previous = call.knobs.window_modes is WindowModes.PREVIOUS and not is_sealed(call)
        return cluster.window.modes_before if previous else unknown
    if call.asked.sealed or cluster.active is None or call.asked.removed:
        return unknown  # OBS obs5: quorum lost
    return cluster.modes if cluster.active is call.asked else call.asked.told


def _health_status(call: Call) -> int:
    query, node = call.request.query, call.asked
    codes = {name: _int(query, f"{name}code", default) for name, default in _CODES.items()}
    standby_ok, performance_ok = _bool(query, "standbyok"), _bool(query, "perfstandbyok")
    is_new = call.cluster.version >= (1, 19)
    if not node.initialized:
        return codes["uninit"]
    if node.removed and is_new:
        return codes["removed"]
    if is_sealed(call):
        return codes["sealed"]
    if is_new and not _is_ha_healthy(call):
        return codes["haunhealthy"]
    if health_modes(call)[0] is Mode.SECONDARY:
        return codes["drsecondary"]
    if _is_performance_standby(call):
        return codes["active"] if performance_ok else codes["performancestandby"]
    if call.cluster.serving() is not node:
        return codes["active"] if standby_ok else codes["standby"]
    return codes["active"]


_CODES: Mapping[str, int] = {
    "active": 200,
    "standby": 429,
    "drsecondary": 472,
    "performancestandby": 473,
    "haunhealthy": 474,
    "removed": 530,
    "sealed": 503,
    "uninit": 501,
}


def _health_body(call: Call) -> dict[str, object]:
    cluster, node, version = call.cluster, call.asked, call.cluster.version
    sealed, is_active = is_sealed(call), call.cluster.serving() is node
    dr, performance = health_modes(call)
    is_community = cluster.spec.is_community
    body: dict[str, object] = {
        "initialized": node.initialized,
        "sealed": sealed,
        "standby": not is_active or sealed,
        "performance_standby": _is_performance_standby(call),
        "replication_performance_mode": performance.value,
        "replication_dr_mode": dr.value,
        "server_time_utc": int(call.utc_s),
        "version": "" if _is_redacted(call, call.knobs.redact_version) else cluster.spec.shown_version,
    }
    if version >= (1, 16):
        body["enterprise"] = not is_community
    if not sealed:
        body |= _identity(call)
    if is_active and not sealed and cluster.store.last_wal and not is_community:
        body["last_wal"] = cluster.store.last_wal
    if version >= (1, 8) and not is_community:
        ended = call.world.network.holds(FaultKind.LICENCE_TERMINATED, node.target)
        state = "terminated" if ended else "autoloaded"
        body["license"] = {"state": state, "expiry_time": licence_ends(call), "terminated": ended}
    if version >= (1, 16):
        body |= {"echo_duration_ms": 0, "clock_skew_ms": 0, "replication_primary_canary_age_ms": _canary_ms(call)}
    if version >= (1, 19):
        body |= _ha_fields(call)
    return body


def _identity(call: Call) -> dict[str, object]:
    """The cluster's name and id; a name that is redacted is left out, as Go leaves out what is empty."""
    shown: dict[str, object] = {"cluster_name": call.cluster.name, "cluster_id": vault_id(call)}
    if _is_redacted(call, call.knobs.redact_cluster_name):
        del shown["cluster_name"]
    return shown


def _is_redacted(call: Call, option: bool) -> bool:
    """Whether a listener option blanks a field for this caller: not where the node finds his token [HEALTHSRC].

    Vault asks its token store, which a plain standby has not (`LookupToken`), nor a DR secondary, by inference.
    """
    knows_tokens = call.cluster.serving() is call.asked or _is_performance_standby(call)
    if not option or is_sealed(call) or call.cluster.is_dr_secondary or not knows_tokens:
        return option
    return call.find_token(call.request.token_text) is None


def licence_ends(call: Call) -> str:
    """When the licence of the answering node ends, or did."""
    ended = call.world.network.holds(FaultKind.LICENCE_EXPIRED, call.asked.target)
    return LICENCE_ENDED if ended else LICENCE_ENDS


def vault_id(call: Call) -> str:
    """The Vault cluster id, or the one of the fault that makes this node another cluster's."""
    strange = call.world.network.path(call.request.place, call.asked.target).first(FaultKind.STRANGE)
    return strange.text("cluster_id", call.cluster.vault_id) if strange is not None else call.cluster.vault_id


def _ha_fields(call: Call) -> dict[str, object]:
    fields: dict[str, object] = {"removed_from_cluster": call.asked.removed}
    if call.asked.echo_s is not None:
        fields["ha_connection_healthy"] = _is_ha_healthy(call)
        age_ms = int((call.now_s - call.asked.echo_s) * 1000)
        if age_ms:
            fields["last_request_forwarding_heartbeat_ms"] = age_ms
    return fields


def _canary_ms(call: Call) -> int:
    if call.cluster.serving() is call.asked or call.cluster.serving() is None:
        return 0
    for kind in Kind:
        link = call.cluster.roles[kind].link
        if link is not None:
            return canary_age_ms(link, call.knobs, call.now_s)
    return 0


def _is_ha_healthy(call: Call) -> bool:
    echo_s = call.asked.echo_s
    return echo_s is None or call.now_s - echo_s <= call.knobs.ha_unhealthy_after_s


def _is_performance_standby(call: Call) -> bool:
    active = call.cluster.serving()
    return (
        call.knobs.performance_standbys
        and not call.cluster.spec.is_community
        and active is not None
        and active is not call.asked
        and call.asked.can_vote
        and call.asked.told[0] not in (Mode.SECONDARY, Mode.UNKNOWN)
    )


def _int(query: Mapping[str, str], name: str, default: int) -> int:
    """As Go's Atoi reads it. Raises ValueError."""
    if name not in query:
        return default
    if not _ATOI.fullmatch(query[name]):
        raise ValueError(query[name])
    return int(query[name])


def _bool(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "")
    if value not in _TRUE | _FALSE:
        raise ValueError(value)
    return value in _TRUE


def who_is_active(call: Call) -> Reply:
    """GET sys/leader [APILEADER, OBS]: sealed 503; without an active node no addresses."""
    if is_sealed(call):
        return errors(503, "Vault is sealed")
    cluster, node = call.cluster, call.asked
    path = call.world.network.path(call.request.place, node.target)
    if path.first(FaultKind.ACTIVE_ERRS) is not None:
        return errors(500, "failed to read the HA lock from the storage backend")
    active = cluster.serving()
    body: dict[str, object] = {"ha_enabled": True, "is_self": active is node}
    if active is node and active.active is not None:
        body["active_time"] = rfc3339(active.active.since_utc_s, nanos=True)
    if active is not None:
        redacted = _is_redacted(call, call.knobs.redact_addresses)
        body["leader_address"] = "" if redacted else call.world.spec.api_addr(active.target)
        body["leader_cluster_address"] = "" if redacted else call.world.spec.cluster_addr(active.target)
    standby = _is_performance_standby(call)
    body["performance_standby"] = standby
    body["performance_standby_last_remote_wal"] = cluster.store.last_wal if standby else 0
    if active is node and not cluster.spec.is_community:
        body["last_wal"] = cluster.store.last_wal
    index = cluster.store.end + 20
    return bare(200, body | {"raft_committed_index": index, "raft_applied_index": index})


def seal_status(call: Call) -> Reply:
    """GET sys/seal-status [SEALDOC, OBS]."""
    knobs, node, sealed = call.knobs, call.asked, is_sealed(call)
    keys = call.cluster.keys if node.initialized else None
    redacted = _is_redacted(call, knobs.redact_version)
    body: dict[str, object] = {
        "type": seal_type(call),
        "initialized": node.initialized,
        "sealed": sealed,
        "t": keys.threshold if keys is not None else 0,
        "n": len(keys.shares) if keys is not None else 0,
        "progress": len(node.unseal_shares),
        "nonce": node.unseal_nonce,
        "version": "" if redacted else call.cluster.spec.shown_version,
        **(
            {"build_date": "" if redacted else BUILD_DATE} if call.cluster.version >= (1, 11) else {}
        ),  # the oldest sample that has it
        "migration": False,
    }
    if not sealed:
        body |= _identity(call)
    body["recovery_seal"] = knobs.auto_unseal
    if knobs.auto_unseal and call.cluster.version >= (1, 16):  # no sample says since when
        body["recovery_seal_type"] = "shamir"
    body["storage_type"] = "raft"
    if call.cluster.version >= (1, 19):
        body["removed_from_cluster"] = node.removed
    return bare(200, body)


def seal_type(call: Call) -> str:
    """The name of the seal, as seal-status and sys/init tell it."""
    return "awskms" if call.knobs.auto_unseal else "shamir"


def unseal(call: Call) -> Reply:
    """PUT sys/unseal [OBS obs1]: shares as hex or base64; a wrong set resets the progress."""
    node, keys = call.asked, call.cluster.keys
    if call.flag("reset"):
        if not node.sealed:
            return errors(400, "vault is unsealed")
        node.unseal_shares, node.unseal_nonce = [], ""
        return seal_status(call)
    if not call.text("key"):
        return errors(400, "'key' must be specified in request body as JSON, or 'reset' set to true")
    share = decode_share(call.text("key"))
    if keys is None or not node.initialized:
        return errors(400, "Vault is not initialized")
    if not node.sealed:
        is_disabled = call.knobs.unsealing_again_is_disabled and call.cluster.is_dr_secondary
        return errors(400, PATH_DISABLED) if is_disabled else seal_status(call)
    node.unseal_nonce = node.unseal_nonce or call.cluster.chance.uuid()
    try:
        unsealed = node.submit_share(share, keys)
    except ValueError:
        return errors(400, WRONG_SHARES)
    if unsealed:
        call.cluster.came_unsealed(node, call.now_s)
    return seal_status(call)


WRONG_SHARES = (
    "unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: "
    "cipher: message authentication failed"
)
_SHARE_MIN, _SHARE_MAX = 16, 33


def decode_share(text: str) -> bytes:
    """A key share from hex or base64, as GENROOT decodes it. Raises Rejected (400)."""
    if not text:
        raise Rejected(errors(400, "'key' must be specified in request body as JSON"))
    share = _hex(text)
    if share is None or not _SHARE_MIN <= len(share) <= _SHARE_MAX:
        try:
            share = base64.b64decode(text, validate=True)
        except ValueError as exc:
            raise Rejected(errors(400, "'key' must be a valid hex or base64 string")) from exc
    if len(share) < _SHARE_MIN:
        raise Rejected(errors(400, f"invalid key: key is shorter than minimum {_SHARE_MIN} bytes"))
    if len(share) > _SHARE_MAX:
        raise Rejected(errors(400, f"invalid key: key is longer than maximum {_SHARE_MAX} bytes"))
    return share


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


ROUTES: tuple[Route, ...] = (
    Route("GET HEAD", "sys/health", health, "HEALTHSRC HEALTHDOC", LOCAL),
    Route("GET", "sys/leader", who_is_active, "APILEADER OBS", LOCAL),
    Route("GET", "sys/seal-status", seal_status, "SEALDOC OBS", LOCAL),
    Route("PUT", "sys/unseal", unseal, "OBS TC", LOCAL),
)
