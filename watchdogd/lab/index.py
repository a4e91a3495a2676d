"""X-Vault-Index: what a client has to send back to be sure of its own writes, and who has got that far.

Sources: CONSIST, ISS24400, Vault's `api/client.go` (`ParseReplicationState`: `v1:ID:LOCAL:REPLICATED:HMAC` in base64)
and its `http/handler.go` (`forwardBasedOnHeaders`); that the two headers are refused unless configured: STANZA, Vault's
docs/configuration/replication (`allow_forwarding_via_header (boolean: false)`). Whose id it is, and how it is judged,
is in no source: a knob.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from watchdogd.lab import tokens
from watchdogd.lab.call import Call
from watchdogd.lab.cluster import Cluster
from watchdogd.lab.knobs import IndexScope
from watchdogd.lab.reply import Rejected, errors
from watchdogd.lab.roles import Kind

INDEX, INCONSISTENT, FORWARD = "X-Vault-Index", "X-Vault-Inconsistent", "X-Vault-Forward"
NOT_THERE = "required index state not present"


def of(cluster: Cluster) -> str:
    """What a write gives its client."""
    state = f"v1:{_id(cluster)}:{cluster.store.last_wal}:{_shared(cluster)}"
    seal = hmac.new(tokens.first_key(cluster.store).encode(), state.encode(), hashlib.sha256).hexdigest()
    return base64.b64encode(f"{state}:{seal}".encode()).decode()


def demand(call: Call) -> None:
    """Raises Rejected where the client asks for more than the answering cluster has: 412, or 400 for a header.

    A DR secondary answers nothing that an index is about. An index that cannot be read asks for nothing.
    """
    headers, may = call.request.headers, call.knobs.allow_forwarding_via_header
    wanted = headers.get(FORWARD.lower(), "")
    to_active = headers.get(INCONSISTENT.lower(), "") == "forward-active-node"
    if (wanted or to_active) and not may:
        name = FORWARD if wanted else f"{INCONSISTENT}=forward-active-node"
        raise Rejected(errors(400, f"forwarding via header {name} disabled in configuration"))
    if wanted == "active-node" or to_active or call.cluster.is_dr_secondary:
        return
    asked = (_read(text.strip()) for text in headers.get(INDEX.lower(), "").split(",") if text)
    if any(state is not None and not _has(call.cluster, *state) for state in asked):
        raise Rejected(errors(412, NOT_THERE))


def _has(cluster: Cluster, of_id: str, local: int, shared: int) -> bool:
    if of_id != _id(cluster):
        return cluster.knobs.index_scope is IndexScope.CLUSTER
    if cluster.is_performance_secondary:
        return _shared(cluster) >= shared
    return cluster.store.last_wal >= local and _shared(cluster) >= shared


def _shared(cluster: Cluster) -> int:
    """How far a cluster is in the log of its performance primary, which may be its own."""
    if not cluster.is_performance_secondary:
        return cluster.store.last_shared_wal
    link = cluster.roles[Kind.PERFORMANCE].link
    return 0 if link is None else link.reached_wal


def _id(cluster: Cluster) -> str:
    if cluster.knobs.index_scope is IndexScope.CLUSTER:
        return cluster.vault_id
    return cluster.roles[Kind.PERFORMANCE].set_id or cluster.roles[Kind.DR].set_id or cluster.vault_id


def _read(text: str) -> tuple[str, int, int] | None:
    try:
        version, of_id, local, shared, _seal = base64.b64decode(text, validate=True).decode().split(":")
        return (of_id, int(local), int(shared)) if version == "v1" and of_id else None
    except ValueError:
        return None
