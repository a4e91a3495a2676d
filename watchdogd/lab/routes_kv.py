"""Secrets: KV version 1 and 2 under whatever is mounted. Source: OBS obs3; section 8 of the reference."""

from __future__ import annotations

from watchdogd.lab.call import Call, rfc3339
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.reply import Rejected, Reply, empty, envelope, errors
from watchdogd.lab.route import Route

MOUNTS, DATA = "sys/mounts/", "logical/"
_LEASE_S = 2764800


class Hangs(Exception):
    """Raised where a brown-out leaves a write without an answer."""


def secrets(call: Call) -> Reply:
    """Everything that is no system or login path: routed by its mount. Raises Hangs."""
    mount = _mount(call)
    if mount is None:
        call.authenticate()
        return errors(404, f'no handler for route "{call.request.path}". route entry not found.')
    prefix, version = mount
    call.authorise()
    _suffer_brown_out(call)
    rest = call.request.path[len(prefix) :]
    if version == "2":
        return _version_2(call, prefix, rest)
    return _version_1(call, prefix + rest)


def list_mounts(call: Call) -> Reply:
    """GET sys/mounts [OBS]: the map both in `data` and at the top."""
    call.authorise()
    data = {
        key.removeprefix(MOUNTS): {"type": "kv", "options": {"version": entry.value["version"]}, "local": False}
        for key in call.store.keys(MOUNTS)
        if (entry := call.store.get(key)) is not None
    }
    return envelope(call.cluster.chance.uuid(), data=data, top=data)


def mount(call: Call) -> Reply:
    """POST sys/mounts/:path [OBS obs3]."""
    call.authorise()
    path = call.params["name"].strip("/") + "/"
    if call.store.get(MOUNTS + path) is not None:
        return errors(400, f"path is already in use at {path}")
    options = call.body().get("options")
    version = str(options.get("version", "1")) if isinstance(options, dict) else "1"
    call.write(MOUNTS + path, {"version": version})
    return empty()


def _mount(call: Call) -> tuple[str, str] | None:
    head = call.request.path.partition("/")[0] + "/"
    entry = call.store.get(MOUNTS + head)
    return None if entry is None else (head, str(entry.value["version"]))


def _suffer_brown_out(call: Call) -> None:
    if call.request.method not in ("PUT", "DELETE"):
        return
    path = call.world.network.path(call.request.place, call.node.target)
    if path.first(FaultKind.WRITES_HANG) is not None:
        raise Hangs
    if path.first(FaultKind.WRITES_FAIL) is not None:
        raise Rejected(errors(500, "failed to persist entry: context deadline exceeded"))


def _version_1(call: Call, path: str) -> Reply:
    key = DATA + path
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
            return _listed(call, key.rstrip("/") + "/")
        case _:
            entry = call.store.get(key)
            return errors(404) if entry is None else call.logical(dict(entry.value), lease_duration=_LEASE_S)


def _version_2(call: Call, prefix: str, rest: str) -> Reply:
    part, _, name = rest.partition("/")
    key = f"{DATA}{prefix}{name}"
    match part, call.request.method:
        case "data", "PUT":
            return _put_version(call, key)
        case "data", "GET":
            return _get_version(call, key)
        case "data", "DELETE":
            return _delete_version(call, key)
        case "metadata", "LIST":
            return _listed(call, key.rstrip("/") + "/")
        case _:
            return errors(404, "unsupported path")


def _put_version(call: Call, key: str) -> Reply:
    data, options = call.body().get("data"), call.body().get("options")
    if not isinstance(data, dict):
        return errors(400, "no data provided")
    known = call.store.get(key)
    version = known.value["version"] if known is not None else 0
    if not isinstance(version, int):
        raise TypeError(f"stored version {version!r}")
    if isinstance(options, dict) and "cas" in options and options["cas"] != version:
        return errors(400, "check-and-set parameter did not match the current version")
    call.write(key, {"data": data, "version": version + 1, "deleted": False})
    return call.logical(_metadata(call.utc_s, version + 1, deleted_utc_s=None))


def _get_version(call: Call, key: str) -> Reply:
    entry = call.store.get(key)
    if entry is None:
        return errors(404)
    deleted = entry.value["deleted"] is True
    metadata = _metadata(entry.at_utc_s, entry.value["version"], deleted_utc_s=entry.at_utc_s if deleted else None)
    data = {"data": None if deleted else entry.value["data"], "metadata": metadata}
    return envelope(call.cluster.chance.uuid(), data=data, status=404 if deleted else 200)


def _delete_version(call: Call, key: str) -> Reply:
    entry = call.store.get(key)
    if entry is not None:
        call.write(key, {**entry.value, "deleted": True})
    return empty()


def _metadata(utc_s: float, version: object, *, deleted_utc_s: float | None) -> dict[str, object]:
    return {
        "created_time": rfc3339(utc_s, nanos=True),
        "custom_metadata": None,
        "deletion_time": "" if deleted_utc_s is None else rfc3339(deleted_utc_s, nanos=True),
        "destroyed": False,
        "version": version,
    }


def _listed(call: Call, prefix: str) -> Reply:
    rests = [k.removeprefix(prefix) for k in call.store.keys(prefix)]
    names = {head + slash for rest in rests for head, slash, _ in [rest.partition("/")]}
    return call.logical({"keys": sorted(names)}) if names else errors(404)


ROUTES: tuple[Route, ...] = (
    Route("GET", "sys/mounts", list_mounts, "OBS"),
    Route("PUT", "sys/mounts/<name>", mount, "OBS"),
)
