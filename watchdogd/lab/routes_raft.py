"""Raft storage: its nodes, autopilot, who joins and who goes, and snapshots.

Sources: OBS obs2, APIRAFT, RAFTDOC, DRTOKGUIDE, VAGRANT, a real OpenBao asked the same; section 8 of the reference.
"""

from __future__ import annotations

from collections.abc import Mapping

from watchdogd.lab import snapshot
from watchdogd.lab.call import Call, duration_s, rfc3339
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.fields import PATH_DISABLED, boolean, go_duration, not_converted, whole
from watchdogd.lab.node import Node
from watchdogd.lab.reply import HEADERS, Rejected, Reply, bare, empty, errors
from watchdogd.lab.route import LOCAL, ON_DR, Route, Trait
from watchdogd.lab.routes_roles import is_operation_token

_READ, _UPDATE = frozenset({"read"}), frozenset({"update"})
_DURATIONS = ("dead_server_last_contact_threshold", "last_contact_threshold", "server_stabilization_time")
_AUTOPILOT: Mapping[str, object] = {
    "cleanup_dead_servers": False,
    "dead_server_last_contact_threshold": 86400.0,
    "disable_upgrade_migration": False,
    "last_contact_threshold": 10.0,
    "max_trailing_logs": 1000,
    "min_quorum": 0,
    "server_stabilization_time": 10.0,
}
_QUORUM_LEAST = 3


def _node_id(node: Node) -> str:
    return node.target.replace("/", "-")


def _authorise_by_body(call: Call) -> None:
    """On a DR secondary the token is in the body of a PUT [VAGRANT, RAFTDOC]. Raises Rejected."""
    if not call.cluster.is_dr_secondary:
        call.authorise()
        return
    text = call.text("dr_operation_token")
    if call.request.method != "PUT" or not text:
        raise Rejected(errors(400, PATH_DISABLED))
    if not is_operation_token(call, text, call.request.path, _READ | _UPDATE):
        raise Rejected(errors(call.knobs.invalid_dr_token_status, call.knobs.invalid_dr_token_text))


def _authorise_by_header(call: Call, wanted: frozenset[str]) -> None:
    """On a DR secondary X-Vault-Token is the token of the operation [DRTOKGUIDE]. Raises Rejected."""
    if not call.cluster.is_dr_secondary:
        call.authorise(wanted=wanted)
        return
    text = call.request.token_text
    if not text or not is_operation_token(call, text, call.request.path, wanted):
        raise Rejected(errors(call.knobs.invalid_dr_token_status, call.knobs.invalid_dr_token_text))


def raft_configuration(call: Call) -> Reply:
    """GET sys/storage/raft/configuration [RAFTDOC]; on a DR secondary only PUT with the token in the body [VAGRANT]."""
    _authorise_by_body(call)
    servers = [
        {
            "address": call.world.spec.cluster_addr(n.target).removeprefix("https://"),
            "leader": n is call.node,
            "node_id": _node_id(n),
            "protocol_version": "3",
            "voter": True,
        }
        for n in call.cluster.members
    ]
    return call.logical({"config": {"index": 0, "servers": servers}})


def autopilot_state(call: Call) -> Reply:
    """GET sys/storage/raft/autopilot/state [APIRAFT]; on a DR secondary X-Vault-Token is the DR token [DRTOKGUIDE]."""
    _authorise_by_header(call, _READ)
    cluster = call.cluster
    healthy = [n for n in cluster.nodes if n.can_vote]
    names = {n.target: _node_id(n) for n in cluster.members}
    tolerance = max(0, len(healthy) - cluster.quorum)
    data = {
        "failure_tolerance": tolerance,
        "healthy": all(n.can_vote for n in cluster.nodes if n.joined),
        "leader": names.get(call.node.target, ""),
        "optimistic_failure_tolerance": tolerance,
        "servers": {names[n.target]: _server(call, n, names[n.target]) for n in cluster.members},
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
        "version": call.cluster.spec.number,
        "upgrade_version": call.cluster.spec.number,
        "node_type": "voter",
    }


def autopilot_configuration(call: Call) -> Reply:
    """GET sys/storage/raft/autopilot/configuration [APIRAFT]: of this cluster alone, it does not replicate."""
    _authorise_by_header(call, _READ)
    shown = {**_AUTOPILOT, **call.cluster.autopilot}
    return call.logical({k: go_duration(v) if isinstance(v, float) else v for k, v in shown.items()})


def configure_autopilot(call: Call) -> Reply:
    """POST sys/storage/raft/autopilot/configuration."""
    _authorise_by_header(call, _UPDATE)
    known = {**_AUTOPILOT, **call.cluster.autopilot}
    wanted: dict[str, object] = {name: _span(call, name, known[name]) for name in _DURATIONS}
    for name in ("cleanup_dead_servers", "disable_upgrade_migration"):
        wanted[name] = boolean(call, name, default=known[name] is True)
    for name in ("max_trailing_logs", "min_quorum"):
        wanted[name] = whole(call, name, int(str(known[name])))
    quorum = int(str(wanted["min_quorum"]))
    if wanted["cleanup_dead_servers"] and quorum < _QUORUM_LEAST:
        text = "min_quorum must be set when cleanup_dead_servers is set and it should at least be 3"
        return errors(400, f"{text}; cleanup_dead_servers: true, min_quorum: {quorum:#x}")
    call.store.admit()
    call.cluster.autopilot = wanted
    return empty()


def _span(call: Call, name: str, known: object) -> object:
    value = call.body().get(name)
    if value is None:
        return known
    try:
        return float(duration_s(str(value)))
    except Rejected as exc:
        raise Rejected(not_converted(name, f'time: invalid duration "{value}"')) from exc


def join(call: Call) -> Reply:
    """POST sys/storage/raft/join [OBS obs2]: no token; a node that was removed is started anew, with its storage."""
    node = call.asked
    if node.removed and call.world.faults.clear(kind=FaultKind.REMOVED, target=f"node:{node.target}"):
        auto_s = call.now_s + call.knobs.unseal_s if call.knobs.auto_unseal else None
        node.start(unseal_at_s=auto_s)
    return bare(200, {"joined": True})


def remove_peer(call: Call) -> Reply:
    """POST sys/storage/raft/remove-peer: the node is out until it joins again; 204 also for one nobody knows."""
    _authorise_by_body(call)
    name = call.text("server_id")
    if not name:
        return errors(400, "no server id provided")
    for node in call.cluster.nodes:
        if _node_id(node) == name and not node.removed:
            call.world.faults.add(Fault(kind=FaultKind.REMOVED, target=f"node:{node.target}"))
    return empty()


def save(call: Call) -> Reply:
    """GET sys/storage/raft/snapshot [APIRAFT]: an archive, always of the active node."""
    call.authorise()
    servers = [
        {
            "Suffrage": 0,
            "ID": _node_id(node),
            "Address": call.world.spec.cluster_addr(node.target).removeprefix("https://"),
        }
        for node in call.cluster.members
    ]
    archive = snapshot.pack(
        call.store, servers=servers, index=call.store.end + 20, term=call.cluster.term, at_s=int(call.utc_s)
    )
    headers = {**HEADERS, "Content-Type": "application/gzip", "Content-Disposition": "attachment"}
    return Reply(status=200, body=archive, headers=headers)


def restore(call: Call) -> Reply:
    """POST sys/storage/raft/snapshot and snapshot-force: the second does not ask whose keys sealed it."""
    call.authorise()
    try:
        entries = snapshot.unpack(call.request.body, call.store, force=call.request.path.endswith("-force"))
    except snapshot.NoSnapshot as exc:
        return errors(500, f"1 error occurred:\n\t* {exc}\n\n")
    except snapshot.SealedByOthers as exc:
        return errors(400, str(exc))
    for key in call.store.keys(""):
        if key not in entries:
            call.store.delete(key, now_s=call.now_s)
    for key, value in entries.items():
        known = call.store.get(key)
        if known is None or snapshot.plain(known.value) != value:
            call.store.put(key, value, now_s=call.now_s, utc_s=call.utc_s)
    return empty()


_HERE = Trait.REDIRECTED
ROUTES: tuple[Route, ...] = (
    Route("GET", "sys/storage/raft/autopilot/state", autopilot_state, "APIRAFT DRTOKGUIDE", ON_DR),
    Route("GET", "sys/storage/raft/autopilot/configuration", autopilot_configuration, "APIRAFT", ON_DR),
    Route("PUT", "sys/storage/raft/autopilot/configuration", configure_autopilot, "APIRAFT", ON_DR),
    Route("GET PUT", "sys/storage/raft/configuration", raft_configuration, "RAFTDOC VAGRANT", ON_DR),
    Route("PUT", "sys/storage/raft/join", join, "OBS RAFTDOC", LOCAL),
    Route("PUT", "sys/storage/raft/remove-peer", remove_peer, "RAFTDOC", ON_DR),
    Route("GET", "sys/storage/raft/snapshot", save, "APIRAFT BAO-HANDLER", _HERE),
    Route("PUT", "sys/storage/raft/snapshot", restore, "RAFTDOC", _HERE),
    Route("PUT", "sys/storage/raft/snapshot-force", restore, "RAFTDOC", _HERE),
)
