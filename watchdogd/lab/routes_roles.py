"""Role changes: promote, demote, update-primary, and the tokens and ids around them.

Sources: DRDOC2, GUIDE18, TC, ENOS-SCN, ISS19603, PR4498; section 3 of the reference. An answer means accepted: the
window of the change follows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from watchdogd.lab import activation, tokens
from watchdogd.lab.call import Call, duration_s, rfc3339
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.node import Mode
from watchdogd.lab.reply import Rejected, Reply, empty, envelope, errors
from watchdogd.lab.roles import Kind, Role, SyncState
from watchdogd.lab.route import ON_DR, Handler, Route

BRIEF = "Vault will be unavailable for a brief period and will resume service shortly."
PROMOTING = f"This cluster is being promoted to a replication primary. {BRIEF}"
DEMOTING = f"This cluster is being demoted to a replication secondary. {BRIEF}"
CATCHING_UP = 'replication is still catching up, try again later or provide the "force" argument'
DEFAULT_TTL = "30m"
UPDATE = frozenset({"update"})


def demote(call: Call) -> Reply:
    """POST sys/replication/{kind}/primary/demote [DRDOC2 3.3, GUIDE18]: Vault token with `update`."""
    kind = Kind(call.params["kind"])
    call.authorise(wanted=UPDATE)
    if call.cluster.roles[kind].mode is not Mode.PRIMARY:
        return errors(400, call.knobs.not_primary_text)
    call.world.demote(call.cluster, kind)
    return call.logical(warnings=[DEMOTING])


def promote(call: Call) -> Reply:
    """POST sys/replication/{kind}/secondary/promote [DRDOC2 3.9, GUIDE18, TC]."""
    kind = Kind(call.params["kind"])
    role = secondary_role(call, kind)
    authorise_operation(call, kind)
    if not call.flag("force") and _is_catching_up(call, role):
        return errors(503, CATCHING_UP)
    use_up(call)
    call.world.promote(call.cluster, kind)
    role.primary_cluster_addr = call.text("primary_cluster_addr")
    return call.logical(warnings=[PROMOTING])


def update_primary(call: Call) -> Reply:
    """POST sys/replication/{kind}/secondary/update-primary [DRDOC2 3.10, APOC, TFHA]."""
    kind = Kind(call.params["kind"])
    role = secondary_role(call, kind)
    authorise_operation(call, kind)
    body = call.body()
    if "update_primary_addrs" in body:
        _turn_to_the_first_that_answers(call, kind, role)
    elif "token" not in body:
        return errors(400, call.knobs.missing_activation_text)
    elif not call.text("token"):
        call.world.replication.forget(call.cluster, kind, call.now_s)
    else:
        found = activation.activate(call, kind, call.text("token"), call.text("primary_api_addr"))
        call.world.replication.follow(call.cluster, kind, found, call.now_s)
    use_up(call)
    return call.logical(warnings=[call.knobs.update_primary_text])


def secondary_token(call: Call) -> Reply:
    """POST sys/replication/{kind}/primary/secondary-token [DRDOC2 3.5, GUIDE18]: sudo; wrapped, unless for a key."""
    kind = Kind(call.params["kind"])
    call.authorise(sudo=True, wanted=UPDATE)
    role = call.cluster.roles[kind]
    if role.mode is not Mode.PRIMARY:
        return errors(400, call.knobs.not_primary_text)
    if call.node.active is not None and call.now_s - call.node.active.since_s < call.knobs.secondary_token_waits_s:
        return errors(412, "required index state not present")
    secondary_id = call.text("id")
    if not secondary_id:
        return errors(400, call.knobs.missing_secondary_id_text)
    if secondary_id in role.known_secondaries:
        return errors(call.knobs.duplicate_secondary_id_status, call.knobs.duplicate_secondary_id_text)
    ttl_s = int(duration_s(call.text("ttl", DEFAULT_TTL)))
    call.store.admit()
    public_key = call.text("secondary_public_key")
    if public_key:
        encrypted = activation.issue_encrypted(call, kind, secondary_id, public_key)
        role.known_secondaries[secondary_id] = ""
        return call.logical({"token": encrypted})
    role.known_secondaries[secondary_id] = ""
    token, accessor = activation.issue(call, kind, secondary_id, ttl_s)
    wrap_info = {
        "token": token,
        "accessor": accessor,
        "ttl": ttl_s,
        "creation_time": rfc3339(call.utc_s, nanos=True),
        "creation_path": call.request.path,
    }
    return envelope("", wrap_info=wrap_info)


def revoke_secondary(call: Call) -> Reply:
    """POST sys/replication/{kind}/primary/revoke-secondary [DRDOC2 3.6]: cut off at once; an unknown id is no error."""
    kind, secondary_id = Kind(call.params["kind"]), call.text("id")
    call.authorise(wanted=UPDATE)
    role = call.cluster.roles[kind]
    if role.mode is not Mode.PRIMARY:
        return errors(400, call.knobs.not_primary_text)
    if not secondary_id:
        return errors(400, call.knobs.missing_secondary_id_text)
    call.store.admit()
    role.known_secondaries.pop(secondary_id, None)
    if call.node.active is not None:
        call.node.active.peers.pop(f"{kind}/{secondary_id}", None)
    return empty(call.knobs.revoke_secondary_status) if call.knobs.revoke_secondary_status == 204 else call.logical()


def generate_public_key(call: Call) -> Reply:
    """POST sys/replication/{kind}/secondary/generate-public-key [ENOS-PK]: open on a DR secondary, with a token."""
    call.authorise(wanted=UPDATE)
    is_batch = call.token is not None and call.token.type is tokens.TokenType.BATCH
    if is_batch and not call.knobs.batch_token_makes_public_key:
        raise Rejected(call.permission_denied(invalid=True))
    return call.logical({"secondary_public_key": activation.make_public_key(call)})


def delete_operation_token(call: Call) -> Reply:
    """POST sys/replication/dr/secondary/operation-token/delete [DRDOC2 3.12]."""
    secondary_role(call, Kind.DR)
    text = _operation_token(call)
    if text not in call.cluster.op_tokens:
        raise Rejected(_invalid_operation_token(call))
    call.cluster.op_tokens.remove(text)
    return empty()


def authorise_operation(call: Call, kind: Kind) -> None:
    """The DR operation token of the body, or for performance the caller's own token. Raises Rejected."""
    if kind is Kind.PERFORMANCE:
        call.authorise(wanted=UPDATE)
        return
    if not is_operation_token(call, _operation_token(call), call.request.path, UPDATE):
        raise Rejected(_invalid_operation_token(call))


def _operation_token(call: Call) -> str:
    """The one of the body. Raises Rejected where there is none (PR4498)."""
    text = call.text("dr_operation_token")
    if not text:
        raise Rejected(errors(call.knobs.missing_dr_token_status, "DR operation token was not provided"))
    return text


def is_operation_token(call: Call, text: str, path: str, wanted: frozenset[str]) -> bool:
    """A generated token of this cluster, or a batch token whose policies allow exactly this (section 4.5)."""
    if text in call.cluster.op_tokens:
        return True
    token = call.find_token(text)
    if token is None or token.type is not tokens.TokenType.BATCH:
        return False
    return bool(tokens.allowed(call.store, token, path) & wanted)


def secondary_role(call: Call, kind: Kind) -> Role:
    role = call.cluster.roles[kind]
    if role.mode is not Mode.SECONDARY:
        raise Rejected(errors(call.knobs.not_dr_secondary_status, call.knobs.not_dr_secondary_text))  # ISS19603
    return role


def _turn_to_the_first_that_answers(call: Call, kind: Kind, role: Role) -> None:
    """update_primary_addrs: cluster addresses, asked in order (DRDOC120). Raises Rejected.

    A demoted cluster has no link whose identity could be used again: it needs a token (DRDOC2, failure mode 7).
    """
    addresses = call.body()["update_primary_addrs"]
    if "token" in call.body() or role.link is None:
        raise Rejected(errors(400, call.knobs.addrs_refused_text))
    if not isinstance(addresses, list) or not addresses:
        raise Rejected(errors(400, call.knobs.addrs_invalid_text))
    answering = next((a for a in map(str, addresses) if activation.answers(call, a)), None)
    if answering is None:
        raise Rejected(errors(call.knobs.addrs_silent_status, call.knobs.addrs_silent_text))
    found = call.world.spec.target_of(answering)
    if found is not None:
        activation.refuse_newer(call, call.world.clusters[found[1].partition("/")[0]])
    call.world.replication.turn_to(call.cluster, kind, role.link, answering, call.now_s)


def _invalid_operation_token(call: Call) -> Reply:
    return errors(call.knobs.invalid_dr_token_status, call.knobs.invalid_dr_token_text)


def use_up(call: Call) -> None:
    text = call.text("dr_operation_token")
    if call.knobs.single_use_op_token and text in call.cluster.op_tokens:
        call.cluster.op_tokens.remove(text)


def _is_catching_up(call: Call, role: Role) -> bool:
    if role.link is not None and role.link.state in (SyncState.MERKLE_DIFF, SyncState.MERKLE_SYNC):
        return True
    if call.world.network.holds(FaultKind.SYNCING, call.node.target):
        return True
    if role.catching_up_since_s is None:
        role.catching_up_since_s = call.now_s
    return call.now_s - role.catching_up_since_s < call.knobs.catching_up_s


def with_legacy_paths(routes: Iterable[Route]) -> Iterator[Route]:
    """The routes, and each of a kind once more without its kind: performance replication, as ENTPATHS has it."""
    for route in routes:
        yield route
        if "<kind>/" in route.pattern:
            path = route.pattern.replace("<kind>/", "")
            yield replace(route, pattern=path, handler=_of_performance(route.handler), source="ENTPATHS SYSPATHS")


def _of_performance(handler: Handler) -> Handler:
    def answered(call: Call) -> Reply:
        call.params = {**call.params, "kind": Kind.PERFORMANCE}
        return handler(call)

    return answered


_ROUTES: tuple[Route, ...] = (
    Route("PUT", "sys/replication/<kind>/primary/demote", demote, "DRDOC2 GUIDE18"),
    Route("PUT", "sys/replication/<kind>/primary/secondary-token", secondary_token, "DRDOC2 GUIDE18"),
    Route("PUT", "sys/replication/<kind>/primary/revoke-secondary", revoke_secondary, "DRDOC2"),
    Route("PUT", "sys/replication/<kind>/secondary/promote", promote, "DRDOC2 GUIDE18 TC", ON_DR),
    Route("PUT", "sys/replication/<kind>/secondary/update-primary", update_primary, "DRDOC2 TC", ON_DR),
    Route("PUT", "sys/replication/<kind>/secondary/generate-public-key", generate_public_key, "ENOS-PK", ON_DR),
    Route(
        "PUT",
        "sys/replication/dr/secondary/operation-token/delete",
        delete_operation_token,
        "DRDOC2 SYSPATHS",
        ON_DR,
    ),
)
ROUTES = tuple(with_legacy_paths(_ROUTES))
