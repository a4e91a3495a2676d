"""sys/seal, sys/step-down, sys/ha-status, terms of the keyring, licence. Sources: OBS obs2, obs4 and obs5, HADOC."""

from __future__ import annotations

from watchdogd.lab import tokens
from watchdogd.lab.call import Call, rfc3339
from watchdogd.lab.fields import UNSUPPORTED_PATH
from watchdogd.lab.knobs import LicenceBody
from watchdogd.lab.node import Node
from watchdogd.lab.reply import Rejected, Reply, empty, envelope, errors
from watchdogd.lab.route import Route
from watchdogd.lab.routes_health import licence_ends

_YEAR_S = 365 * 86400.0
_LICENCE_SINCE = (1, 8)  # autoloaded licences (CHLOG)
_FEATURES = ("DR Replication", "HSM", "Namespaces", "Performance Replication", "Performance Standby")


def seal(call: Call) -> Reply:
    """PUT sys/seal [OBS obs4]: seals the node that was asked, a standby too [OBS: OpenBao]; of Vault a knob."""
    call.authorise(sudo=True)
    call.cluster.seal_node(call.node if call.knobs.standby_forwards_seal else call.asked, call.now_s)
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


def key_status(call: Call) -> Reply:
    """GET sys/key-status [a real OpenBao]: the term of the keyring, also at the top."""
    call.authorise()
    term = tokens.newest_term(call.store)
    since = call.store.get(tokens.term_path(term))
    from_wal = 0 if since is None else int(str(since.value.get("from_wal", 0)))
    data = {
        "encryptions": max(1, call.store.last_wal - from_wal),
        "install_time": rfc3339(0.0 if since is None else since.at_utc_s, nanos=True),
        "term": term,
    }
    return envelope(call.cluster.chance.uuid(), data=data, top=data)


def rotate(call: Call) -> Reply:
    """PUT sys/rotate and sys/rotate/keyring: a new term; what earlier terms sealed stays readable (TOKDOC)."""
    call.authorise(sudo=True)
    if call.cluster.is_performance_secondary:
        return errors(400, "cannot rotate on a replication secondary")
    key = call.cluster.chance.octets(32).hex()
    path = tokens.term_path(tokens.newest_term(call.store) + 1)
    call.write(path, {"key": key, "from_wal": call.store.last_wal})
    return empty()


def licence(call: Call) -> Reply:
    """GET sys/license/status: no sample of its body is at hand, hence a knob; when it ends is what health says."""
    call.authorise()
    return call.logical(licence_told(call))


def licence_told(call: Call) -> dict[str, object]:
    """The licence as it is told with a token and, on a DR secondary, without one. Raises Rejected before 1.8."""
    if call.cluster.version < _LICENCE_SINCE:
        raise Rejected(errors(404, UNSUPPORTED_PATH))
    loaded = {
        "expiration_time": licence_ends(call),
        "features": list(_FEATURES),
        "license_id": call.cluster.vault_id,
        "performance_standby_count": 9999,
        "start_time": rfc3339(call.world.epoch_utc_s - _YEAR_S),
    }
    if call.knobs.licence_body is LicenceBody.FLAT:
        return loaded
    return {"autoloading_used": True, "autoloaded": loaded, "persisted_autoload": loaded}


def _ha_node(call: Call, node: Node) -> dict[str, object]:
    is_active = node is call.node
    return {
        "hostname": node.target.replace("/", "-"),
        "api_address": call.world.spec.api_addr(node.target),
        "cluster_address": call.world.spec.cluster_addr(node.target),
        "active_node": is_active,
        "last_echo": None if is_active else rfc3339(call.utc_s, nanos=True),
        "version": call.cluster.spec.number,
        "upgrade_version": call.cluster.spec.number,
    }


ROUTES: tuple[Route, ...] = (
    Route("PUT", "sys/seal", seal, "OBS"),
    Route("PUT", "sys/step-down", step_down, "OBS"),
    Route("GET", "sys/ha-status", ha_status, "HADOC OBS"),
    Route("GET", "sys/key-status", key_status, "OBS"),
    Route("PUT", "sys/rotate", rotate, "OBS"),
    Route("PUT", "sys/rotate/keyring", rotate, "OBS"),
    Route("GET", "sys/license/status", licence, "APIDOC"),
)
