"""Every route with where it is written down, and the order of checks that a request goes through at a node.

The tags are those of section 12 of the reference. Order [HANDLER17, OBS]: role-change window, local routes, seal,
active node or forwarding, the gate of a DR secondary, then the route itself, which asks for its token.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto
from functools import lru_cache

from watchdogd.lab import activation, routes_auth, routes_kv, routes_optoken, routes_roles, routes_status, routes_sys
from watchdogd.lab.call import Call
from watchdogd.lab.knobs import RoleWindow
from watchdogd.lab.reply import Rejected, Reply, errors
from watchdogd.lab.routes_health import health, init_status, is_sealed, seal_status, unseal, who_is_active
from watchdogd.lab.wire import Outcome

PATH_DISABLED = "path disabled in replication DR secondary mode"
NO_ACTIVE = "local node not active but active cluster node not found"

Handler = Callable[[Call], Reply]


class Trait(Flag):
    """What is special about a route."""

    NONE = 0
    LOCAL = auto()  # every node answers it itself, sealed or not
    ON_DR_SECONDARY = auto()  # stays open there (section 6)
    EXEMPT = auto()  # not rate-limited by default (QUOTA)


@dataclass(frozen=True, slots=True)
class Route:
    """One path. `methods` are Vault's verbs (PUT stands for POST too)."""

    methods: str
    pattern: str
    handler: Handler
    source: str
    trait: Trait = Trait.NONE


_LOCAL = Trait.LOCAL | Trait.ON_DR_SECONDARY | Trait.EXEMPT
_DR = Trait.ON_DR_SECONDARY
_OPEN = Trait.ON_DR_SECONDARY | Trait.EXEMPT

ROUTES: tuple[Route, ...] = (
    Route("GET HEAD", "sys/health", health, "HEALTHSRC HEALTHDOC", _LOCAL),
    Route("GET", "sys/leader", who_is_active, "APILEADER OBS", Trait.LOCAL | Trait.ON_DR_SECONDARY),
    Route("GET", "sys/seal-status", seal_status, "SEALDOC OBS", _LOCAL),
    Route("GET", "sys/init", init_status, "OBS", _LOCAL),
    Route("PUT", "sys/unseal", unseal, "OBS TC", _LOCAL),
    Route("GET", "sys/replication/status", routes_status.both, "REPDOC SYSPATHS LAB2", _DR),
    Route("GET", "sys/replication/<kind>/status", routes_status.one, "REPDOC DRDOC2 SYSPATHS", _DR),
    Route("PUT", "sys/replication/<kind>/primary/demote", routes_roles.demote, "DRDOC2 GUIDE18"),
    Route("PUT", "sys/replication/<kind>/primary/secondary-token", routes_roles.secondary_token, "DRDOC2 GUIDE18"),
    Route("PUT", "sys/replication/<kind>/primary/revoke-secondary", routes_roles.revoke_secondary, "DRDOC2"),
    Route("PUT", "sys/replication/<kind>/secondary/promote", routes_roles.promote, "DRDOC2 GUIDE18 TC", _DR),
    Route("PUT", "sys/replication/<kind>/secondary/update-primary", routes_roles.update_primary, "DRDOC2 TC", _DR),
    Route(
        "PUT", "sys/replication/<kind>/secondary/generate-public-key", routes_roles.generate_public_key, "ENOS-PK", _DR
    ),
    Route("GET PUT DELETE", f"{routes_optoken.DR_PATH}/attempt", routes_optoken.attempt, "GENROOT GRHTTP111", _OPEN),
    Route("PUT", f"{routes_optoken.DR_PATH}/update", routes_optoken.update, "GENROOT GRHTTP111 OBS", _OPEN),
    Route(
        "PUT",
        "sys/replication/dr/secondary/operation-token/delete",
        routes_roles.delete_operation_token,
        "DRDOC2 SYSPATHS",
        _DR,
    ),
    Route("GET PUT DELETE", "sys/generate-root/attempt", routes_optoken.attempt, "GENROOT OBS", Trait.EXEMPT),
    Route("PUT", "sys/generate-root/update", routes_optoken.update, "GENROOT OBS", Trait.EXEMPT),
    Route("GET", "sys/storage/raft/autopilot/state", routes_sys.autopilot_state, "APIRAFT DRTOKGUIDE", _DR),
    Route("GET PUT", "sys/storage/raft/configuration", routes_sys.raft_configuration, "RAFTDOC VAGRANT", _DR),
    Route("PUT", "sys/seal", routes_sys.seal, "OBS"),
    Route("PUT", "sys/step-down", routes_sys.step_down, "OBS"),
    Route("GET", "sys/ha-status", routes_sys.ha_status, "HADOC OBS"),
    Route("PUT", "sys/wrapping/unwrap", activation.unwrap, "ACTINT OBS"),
    Route("PUT", "sys/wrapping/lookup", activation.lookup, "OBS SYSPATHS"),
    Route("GET", "sys/mounts", routes_kv.list_mounts, "OBS"),
    Route("PUT", "sys/mounts/<name>", routes_kv.mount, "OBS"),
    Route("LIST", "sys/policies/acl", routes_auth.list_policies, "OBS"),
    Route("PUT", "sys/policies/acl/<name>", routes_auth.write_policy, "OBS ENOS-TOK"),
    Route("GET", "sys/policies/acl/<name>", routes_auth.read_policy, "OBS"),
    Route("DELETE", "sys/policies/acl/<name>", routes_auth.delete_policy, "OBS"),
    Route("PUT", "sys/policy/<name>", routes_auth.write_policy, "TC OBS"),
    Route("PUT", "sys/capabilities-self", routes_auth.capabilities_self, "APIDOC"),
    Route("GET", "auth/token/lookup-self", routes_auth.lookup_self, "OBS"),
    Route("PUT", "auth/token/lookup", routes_auth.lookup, "OBS"),
    Route("PUT", "auth/token/revoke-self", routes_auth.revoke_self, "OBS"),
    Route("PUT", "auth/token/create", routes_auth.create, "OBS TOKDOC"),
    Route("PUT", "auth/token/create-orphan", routes_auth.create, "OBS"),
    Route("PUT", "auth/token/create/<role>", routes_auth.create, "OBS ENOS-TOK"),
    Route("PUT", "auth/token/roles/<role>", routes_auth.write_role, "OBS ENOS-TOK"),
    Route("PUT", "auth/approle/login", routes_auth.approle_login, "OBS"),
    Route("PUT", "auth/approle/role/<role>", routes_auth.approle_write, "OBS"),
    Route("GET", "auth/approle/role/<role>/role-id", routes_auth.approle_role_id, "OBS"),
    Route("PUT", "auth/approle/role/<role>/secret-id", routes_auth.approle_secret_id, "OBS"),
)

_PLACEHOLDERS = {"kind": "dr|performance", "name": ".+", "role": "[^/]+"}


def _regex(pattern: str) -> re.Pattern[str]:
    body = re.sub(r"<(\w+)>", lambda m: f"(?P<{m.group(1)}>{_PLACEHOLDERS[m.group(1)]})", pattern)
    return re.compile(body)


_COMPILED = tuple((_regex(r.pattern), r) for r in ROUTES)


@lru_cache(maxsize=4096)
def routes_of(path: str) -> tuple[tuple[Route, tuple[tuple[str, str], ...]], ...]:
    """The routes of a path with what their placeholders stand for; several if verbs differ."""
    return tuple((r, tuple(m.groupdict().items())) for rx, r in _COMPILED if (m := rx.fullmatch(path)))


def is_exempt(path: str) -> bool:
    """Whether a path is not rate-limited by default (QUOTA)."""
    return any(Trait.EXEMPT in route.trait for route, _ in routes_of(path))


def answer(call: Call) -> Reply | Outcome:
    """What a node says to a request, or the outcome in place of an answer."""
    window = call.cluster.window
    if window is not None and call.knobs.role_window is RoleWindow.RESET:
        return Outcome.RESET
    if call.request.path.startswith("/"):
        return errors(404)
    try:
        return _handle(call)
    except Rejected as stop:
        return stop.reply
    except routes_kv.Hangs:
        return Outcome.HANG


def _handle(call: Call) -> Reply:
    found = routes_of(call.request.path)
    route = next(((r, p) for r, p in found if call.request.method in r.methods.split()), None)
    if found and route is None and Trait.LOCAL in found[0][0].trait:
        return errors(405)  # OBS obs1:health POST
    if route is not None and Trait.LOCAL in route[0].trait:
        return route[0].handler(call)
    if is_sealed(call):
        return errors(503, "Vault is sealed")
    is_status = route is not None and route[0].handler in (routes_status.both, routes_status.one)
    if not (is_status and routes_status.is_own_answer(call) and call.cluster.serving() is not None):
        forwarded = _at_active(call)
        if isinstance(forwarded, Reply):
            return forwarded
        call = forwarded
    return _at_node(call, route, is_known=bool(found))


def _at_active(call: Call) -> Call | Reply:
    active = call.cluster.serving()
    if active is call.asked:
        return call
    if active is None or not call.asked.can_vote:
        return errors(500, NO_ACTIVE)
    if "x-vault-no-request-forwarding" in call.request.headers:
        location = f"{call.world.spec.api_addr(active.target)}/v1/{call.request.path}"
        return Reply(status=307, headers={"Cache-Control": "no-store", "Location": location})
    call.node = active
    return call


def _at_node(call: Call, route: tuple[Route, tuple[tuple[str, str], ...]] | None, *, is_known: bool) -> Reply:
    is_open = route is not None and Trait.ON_DR_SECONDARY in route[0].trait
    if call.cluster.is_dr_secondary and not is_open and call.request.path not in call.knobs.open_on_dr_secondary:
        return errors(400, PATH_DISABLED)  # with or without a valid token: VAGRANT, LAB2
    if route is not None:
        call.params = dict(route[1])
        return route[0].handler(call)
    if is_known:
        return errors(405, "1 error occurred:\n\t* unsupported operation\n\n")
    if call.request.path.startswith("sys/"):
        return _unsupported(call)
    if call.request.path.startswith("auth/"):
        return errors(403, "permission denied")  # OBS obs5:login unmounted
    return routes_kv.secrets(call)


def _unsupported(call: Call) -> Reply:
    if not call.request.token_text:
        is_open = call.request.path.startswith("sys/replication/")  # OBS obs2: no token, no such path
        return errors(404, "unsupported path") if is_open else errors(403, "permission denied")
    return errors(404, "1 error occurred:\n\t* unsupported path\n\n")
