"""sys/seal, sys/step-down, sys/ha-status, and raft storage. Sources: OBS obs2 and obs5, APIRAFT, DRTOKGUIDE."""

from __future__ import annotations

from watchdogd.lab.call import Call, rfc3339
from watchdogd.lab.node import Node
from watchdogd.lab.reply import Rejected, Reply, empty, envelope, errors
from watchdogd.lab.route import ON_DR, Route
from watchdogd.lab.routes_roles import is_operation_token

_READ = frozenset({"read"})
_PATH_DISABLED = "path disabled in replication DR secondary mode"


def seal(call: Call) -> Reply:
    """PUT sys/seal [OBS obs4]."""
    call.authorise(sudo=True)
    call.cluster.seal_node(call.node, call.now_s)
    return empty()


def step_down(call: Call) -> Reply:
    """PUT sys/step-down [OBS obs5]: for about half a second nobody is active."""
    call.authorise(sudo=True)
    call.cluster.step_down(call.now_s)
    return empty()


def ha_status(call: Call) -> Reply:
    """GET sys/ha-status [HADOC, OBS obs2]: `nodes`, also at the top."""
    call.authorise()
    data = {"nodes": [_ha_node(call, n) for n in call.cluster.voters]}
    return envelope(call.cluster.chance.uuid(), data=data, top=data)


def raft_configuration(call: Call) -> Reply:
    """GET sys/storage/raft/configuration [RAFTDOC]; on a DR secondary only PUT with the token in the body [VAGRANT]."""
    if call.cluster.is_dr_secondary:
        text = call.text("dr_operation_token")
        if call.request.method != "PUT" or not text:
            raise Rejected(errors(400, _PATH_DISABLED))
        if not is_operation_token(call, text, call.request.path, frozenset({"read", "update"})):
            raise Rejected(errors(call.knobs.invalid_dr_token_status, call.knobs.invalid_dr_token_text))
    else:
        call.authorise()
    servers = [
        {
            "address": call.world.spec.cluster_addr(n.target).removeprefix("https://"),
            "leader": n is call.node,
            "node_id": n.target.replace("/", "-"),
            "protocol_version": "3",
            "voter": True,
        }
        for n in call.cluster.nodes
        if not n.removed
    ]
    return call.logical({"config": {"index": 0, "servers": servers}})


def autopilot_state(call: Call) -> Reply:
    """GET sys/storage/raft/autopilot/state [APIRAFT]; on a DR secondary X-Vault-Token is the DR token [DRTOKGUIDE]."""
    if call.cluster.is_dr_secondary:
        text = call.request.token_text
        if not text or not is_operation_token(call, text, call.request.path, _READ):
            raise Rejected(errors(call.knobs.invalid_dr_token_status, call.knobs.invalid_dr_token_text))
    else:
        call.authorise(wanted=_READ)
    cluster = call.cluster
    healthy = [n for n in cluster.nodes if n.can_vote]
    names = {n.target: n.target.replace("/", "-") for n in cluster.nodes if not n.removed}
    tolerance = max(0, len(healthy) - cluster.quorum)
    data = {
        "failure_tolerance": tolerance,
        "healthy": len(healthy) == len(cluster.nodes),
        "leader": names.get(call.node.target, ""),
        "optimistic_failure_tolerance": tolerance,
        "servers": {names[n.target]: _server(call, n, names[n.target]) for n in cluster.nodes if not n.removed},
        "voters": list(names.values()),
    }
    return call.logical(data)


def _server(call: Call, node: Node, name: str) -> dict[str, object]:
    status = "leader" if node is call.node else "voter"
    return {
        "id": name,
        "name": name,
        "address": call.world.spec.cluster_addr(node.target).removeprefix("https://"),
        "node_status": "alive" if node.up else "failed",
        "last_contact": "0s" if node is call.node else "1.2s",
        "last_term": call.cluster.term,
        "last_index": call.store.end + 20,
        "healthy": node.can_vote,
        "stable_since": rfc3339(call.world.epoch_utc_s, nanos=True),
        "status": status,
        "version": call.cluster.spec.vault_version,
        "upgrade_version": call.cluster.spec.vault_version,
        "node_type": "voter",
    }


def _ha_node(call: Call, node: Node) -> dict[str, object]:
    is_active = node is call.node
    return {
        "hostname": node.target.replace("/", "-"),
        "api_address": call.world.spec.api_addr(node.target),
        "cluster_address": call.world.spec.cluster_addr(node.target),
        "active_node": is_active,
        "last_echo": None if is_active else rfc3339(call.utc_s, nanos=True),
        "version": call.cluster.spec.vault_version,
        "upgrade_version": call.cluster.spec.vault_version,
    }


ROUTES: tuple[Route, ...] = (
    Route("GET", "sys/storage/raft/autopilot/state", autopilot_state, "APIRAFT DRTOKGUIDE", ON_DR),
    Route("GET PUT", "sys/storage/raft/configuration", raft_configuration, "RAFTDOC VAGRANT", ON_DR),
    Route("PUT", "sys/seal", seal, "OBS"),
    Route("PUT", "sys/step-down", step_down, "OBS"),
    Route("GET", "sys/ha-status", ha_status, "HADOC OBS"),
)
