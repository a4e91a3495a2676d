"""Every route, and the order of checks that a request goes through at a node.

The tags are those of section 12 of the reference. Order [HANDLER17, OBS]: role-change window, local routes, seal,
active node or forwarding, the gate of a DR secondary, then the route itself, which asks for its token.
"""

from __future__ import annotations

import re
import traceback
from functools import lru_cache

from watchdogd.lab import (
    forwarding,
    index,
    routes_about,
    routes_approle,
    routes_audit,
    routes_health,
    routes_init,
    routes_kv,
    routes_life,
    routes_metrics,
    routes_mounts,
    routes_optoken,
    routes_policy,
    routes_quota,
    routes_raft,
    routes_roles,
    routes_status,
    routes_sync,
    routes_sys,
    routes_token,
    routes_wrapping,
)
from watchdogd.lab.call import Call
from watchdogd.lab.counts import Crash
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.fields import PATH_DISABLED
from watchdogd.lab.knobs import RoleWindow
from watchdogd.lab.reply import Hangs, Rejected, Reply, Unanswered, errors
from watchdogd.lab.route import Route, Trait
from watchdogd.lab.routes_health import is_sealed
from watchdogd.lab.store import Overloaded, ReadOnly
from watchdogd.lab.wire import Outcome

CRASHED = "internal error"
SECRETS = "secrets"  # what `endpoint_of` calls every path of a secrets engine
_VERBS = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE", "LIST"})
_GENERATION = re.compile(r"^sys/generate-root/|/generate-operation-token/")
NO_ACTIVE = "local node not active but active cluster node not found"

ROUTES: tuple[Route, ...] = (
    *routes_health.ROUTES,
    *routes_init.ROUTES,
    *routes_status.ROUTES,
    *routes_life.ROUTES,
    *routes_roles.ROUTES,
    *routes_optoken.ROUTES,
    *routes_sync.ROUTES,
    *routes_sys.ROUTES,
    *routes_about.ROUTES,
    *routes_quota.ROUTES,
    *routes_raft.ROUTES,
    *routes_audit.ROUTES,
    *routes_metrics.ROUTES,
    *routes_wrapping.ROUTES,
    *routes_mounts.ROUTES,
    *routes_policy.ROUTES,
    *routes_token.ROUTES,
    *routes_approle.ROUTES,
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


@lru_cache(maxsize=4096)
def endpoint_of(path: str) -> str:
    """The route behind a path, as it is spelled here, of one kind of replication; `secrets` for those of an engine."""
    for route, params in routes_of(path):
        return route.pattern.replace("<kind>", dict(params).get("kind", ""))
    return "" if path.startswith(("sys/", "auth/", "/")) else SECRETS


def is_local(path: str) -> bool:
    """Whether every node answers a path itself, before anything is asked of its cluster."""
    return any(Trait.LOCAL in route.trait for route, _ in routes_of(path))


def answer(call: Call) -> Reply | Outcome:
    """What a node says to a request, or the outcome in place of an answer."""
    call.world.asked.add(endpoint_of(call.request.path))
    window = call.cluster.window
    if window is not None and call.knobs.role_window is RoleWindow.RESET:
        return Outcome.RESET
    try:
        return _checked(call)
    except Rejected as stop:
        return stop.reply
    except Unanswered:
        return Outcome.RESET
    except Hangs:
        return Outcome.HANG
    except Overloaded:
        return errors(503, f"1 error occurred:\n\t* {call.knobs.overload_text}\n\n")  # sdk/logical/response_util.go
    except Exception as bug:  # noqa: BLE001  loop edge: one request that we cannot cope with ends no lab
        return _crashed(call, bug)


def _crashed(call: Call, bug: Exception) -> Reply:
    at = traceback.extract_tb(bug.__traceback__)[-1]
    what = f"{type(bug).__name__}: {bug} ({at.name}, line {at.lineno})"
    request = call.request
    crash = Crash(at_s=call.now_s, target=call.asked.target, method=request.method, path=request.path, what=what[:500])
    call.world.crashed.append(crash)
    call.world.transcript.note(call.now_s, f"{crash.target} crashed at {crash.method} {crash.path}: {crash.what}")
    return errors(500, CRASHED)


def _checked(call: Call) -> Reply:
    """What Go's server and Vault's outermost handlers refuse [OBS: OpenBao]; everything else goes on."""
    if not call.request.path.isprintable():
        return Reply(status=400)
    if call.request.path.startswith("/"):
        return errors(404)
    if call.request.method not in _VERBS:
        return errors(405)
    return routes_quota.within(call, _handle)


def _handle(call: Call) -> Reply:
    found = routes_of(call.request.path)
    route = next(((r, p) for r, p in found if call.request.method in r.methods.split()), None)
    if found and route is None and Trait.LOCAL in found[0][0].trait:
        return errors(405)  # OBS obs1:health POST
    if route is not None and Trait.LOCAL in route[0].trait:
        return route[0].handler(call)
    if is_sealed(call):
        return errors(503, "Vault is sealed")
    if call.request.headers.get("x-vault-namespace", "").strip("/") not in ("", "root"):
        return _in_namespace(call)
    is_status = route is not None and route[0].handler in (routes_status.both, routes_status.one)
    if not (is_status and routes_status.is_own_answer(call) and call.cluster.serving() is not None):
        forwarded = _at_active(call, is_redirected=route is not None and Trait.REDIRECTED in route[0].trait)
        if isinstance(forwarded, Reply):
            return forwarded
        call = forwarded
    if routes_audit.is_logged(call) and call.world.network.holds(FaultKind.AUDIT_BLOCKED, call.node.target):
        raise Hangs
    index.demand(call)
    ttl_s = routes_wrapping.asked_ttl_s(call)
    try:
        reply = _at_node(call, route, is_known=bool(found))
    except ReadOnly:
        far = forwarding.at_primary(call, may_go=route is None or Trait.REDIRECTED not in route[0].trait)
        reply = _at_node(far, route, is_known=bool(found))
        call.written, call.writer = far.written, far.cluster
    return routes_wrapping.wrapped(call, reply, ttl_s) if ttl_s else reply


def _in_namespace(call: Call) -> Reply:
    """This world has the root namespace only [OBS: OpenBao asked for one that it has not]."""
    if _GENERATION.search(call.request.path):
        return errors(400, call.knobs.namespace_health_text)
    return errors(404, call.knobs.namespace_missing_text)


def _at_active(call: Call, *, is_redirected: bool) -> Call | Reply:
    active = call.cluster.serving()
    if active is call.asked:
        return call
    if active is None or not call.asked.can_vote:
        return errors(500, NO_ACTIVE)
    if is_redirected or "x-vault-no-request-forwarding" in call.request.headers:
        location = f"{call.world.spec.api_addr(active.target)}/v1/{call.request.path}"
        return Reply(status=307, headers={"Cache-Control": "no-store", "Location": location})
    call.node = active
    return call


def _at_node(call: Call, route: tuple[Route, tuple[tuple[str, str], ...]] | None, *, is_known: bool) -> Reply:
    if is_known and route is None and _GENERATION.search(call.request.path):
        return errors(405)  # GRHTTP111: a handler of its own, whatever the mode of its cluster
    is_open = route is not None and Trait.ON_DR_SECONDARY in route[0].trait
    if call.cluster.is_dr_secondary and not is_open and call.request.path not in call.knobs.open_on_dr_secondary:
        return errors(400, PATH_DISABLED)  # with or without a valid token: VAGRANT, LAB2
    if call.cluster.spec.is_community and _is_enterprise_only(call.request.path):
        return routes_status.community(call)
    if route is not None and not routes_mounts.is_unmounted(call):
        call.params = dict(route[1])
        return route[0].handler(call)
    if call.request.path.startswith("auth/") and (not is_known or routes_mounts.is_unmounted(call)):
        return routes_mounts.logins(call)
    if is_known:
        return errors(405, "1 error occurred:\n\t* unsupported operation\n\n")
    if call.request.path.startswith("sys/"):
        return _unsupported(call)
    return routes_kv.secrets(call)


def _is_enterprise_only(path: str) -> bool:
    return path.startswith("sys/replication/") or path == "sys/license/status"


def _unsupported(call: Call) -> Reply:
    if not call.request.token_text:
        is_open = call.request.path.startswith("sys/replication/")  # OBS obs2: no token, no such path
        return errors(404, "unsupported path") if is_open else errors(403, "permission denied")
    return errors(404, "1 error occurred:\n\t* unsupported path\n\n")
