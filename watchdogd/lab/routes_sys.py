"""sys/seal, sys/step-down, sys/ha-status. Sources: OBS obs2, obs4 and obs5, HADOC."""

from __future__ import annotations

from watchdogd.lab.call import Call, rfc3339
from watchdogd.lab.node import Node
from watchdogd.lab.reply import Reply, empty, envelope
from watchdogd.lab.route import Route


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
    Route("PUT", "sys/seal", seal, "OBS"),
    Route("PUT", "sys/step-down", step_down, "OBS"),
    Route("GET", "sys/ha-status", ha_status, "HADOC OBS"),
)
