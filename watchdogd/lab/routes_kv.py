"""Secrets: KV version 1 and 2 under whatever is mounted. Sources: OBS obs3, a real OpenBao; section 8 of the reference.

What a token needs depends on the path below the mount (`data/`, `metadata/`, `delete/` …) and, for a write, on
whether the secret is there: `update` if it is, `create` if it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from watchdogd.lab import mounts, tokens
from watchdogd.lab.call import Call, duration_s
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.fields import UNSUPPORTED_PATH, listed, unsupported_operation
from watchdogd.lab.mounts import Mount
from watchdogd.lab.reply import Hangs, Rejected, Reply, empty, errors
from watchdogd.lab.routes_kv2 import DATA, version_2

MOUNTS, CUBBYHOLES = mounts.MOUNTS, "cubbyhole/"
_LEASE_S = 2764800
UPGRADING = (
    "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will "
    "resume service shortly."
)
_WANTED = {
    "GET": frozenset({"read"}),
    "LIST": frozenset({"list"}),
    "DELETE": frozenset({"delete"}),
    "PATCH": frozenset({"patch"}),
}
_CREATE, _UPDATE = frozenset({"create"}), frozenset({"update"})


def secrets(call: Call) -> Reply:
    """Everything that is no system or login path: routed by its mount. Raises Hangs."""
    mount = mounts.SECRETS.over(call.store, call.request.path)
    if mount is None:
        call.authorise()
        return errors(404, f'no handler for route "{call.request.path}". route entry not found.')
    rest = call.request.path[len(mount.path) :]
    call.authorise(path=_list_path(call), wanted=_WANTED.get(call.request.method) or _to_write(call, mount, rest))
    _suffer_brown_out(call)
    if mount.type == "cubbyhole" and call.token is not None:
        if not rest and call.request.method in ("GET", "PUT"):
            return errors(500, "1 error occurred:\n\t* missing path\n\n")
        owner = sha256(call.token.id.encode()).hexdigest()
        return _version_1(call, mount, f"{CUBBYHOLES}{owner}/{rest}")
    if mount.type != "kv":
        return errors(404, UNSUPPORTED_PATH)
    if mount.version == "2":
        return errors(400, UPGRADING) if _is_upgrading(call, mount) else version_2(call, mount, rest)
    if not rest and call.request.method == "PUT":
        return errors(400, "missing path")
    return _version_1(call, mount, DATA + call.request.path)


def _is_upgrading(call: Call, mount: Mount) -> bool:
    return call.node.active is not None and call.now_s < call.node.active.upgrades_until_s.get(mount.path, 0.0)


def _list_path(call: Call) -> str:
    """A folder is allowed with its slash or without."""
    path = call.request.path
    if call.request.method != "LIST":
        return path
    token = call.find_token(call.request.token_text)
    with_slash = token is not None and tokens.allowed(call.store, token, path + "/") & {"list", "root"}
    return path + "/" if with_slash else path


def _to_write(call: Call, mount: Mount, rest: str) -> frozenset[str]:
    key = DATA + call.request.path
    if mount.type == "kv" and mount.version == "2":
        part, _, name = rest.partition("/")
        if part not in ("data", "metadata"):
            return _UPDATE
        key = DATA + mount.path + name
    return _CREATE if call.store.get(key) is None else _UPDATE


def _suffer_brown_out(call: Call) -> None:
    if call.request.method not in ("PUT", "PATCH", "DELETE"):
        return
    path = call.world.network.path(call.request.place, call.node.target)
    if path.first(FaultKind.WRITES_HANG) is not None:
        raise Hangs
    if path.first(FaultKind.WRITES_FAIL) is not None:
        raise Rejected(errors(500, "failed to persist entry: context deadline exceeded"))


def _version_1(call: Call, mount: Mount, key: str) -> Reply:
    match call.request.method:
        case "PUT":
            if not call.body():
                return errors(400, "missing data fields")
            call.write(key, dict(call.body()))
            return empty()
        case "DELETE":
            call.store.delete(key, now_s=call.now_s)
            return empty()
        case "LIST":
            return listed(call, key.rstrip("/") + "/")
        case "GET":
            entry = call.store.get(key)
            if entry is None:
                return errors(404)
            lease_s = 0 if mount.type == "cubbyhole" else _lease_s(mount, entry.value)
            return call.logical(dict(entry.value), lease_duration=lease_s)
        case _:
            return unsupported_operation()


def _lease_s(mount: Mount, value: Mapping[str, object]) -> int:
    """What a client is told to refresh after: the secret's own `ttl`, else the mount's."""
    asked = value.get("ttl", value.get("lease"))
    try:
        own_s = int(duration_s(str(asked))) if isinstance(asked, str | int) else 0
    except Rejected:  # a `ttl` that is no duration is a secret like any
        own_s = 0
    return own_s or mount.default_ttl_s or _LEASE_S
