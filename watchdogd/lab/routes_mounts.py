"""sys/mounts: what secrets engines are mounted where. Source: OBS obs3, a real OpenBao; section 8 of the reference."""

from __future__ import annotations

from watchdogd.lab.call import Call
from watchdogd.lab.mounts import MOUNTS, SECRETS
from watchdogd.lab.reply import Reply, empty, envelope, errors
from watchdogd.lab.route import Route


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
    if SECRETS.get(call.store, path) is not None:
        return errors(400, f"path is already in use at {path}")
    options = call.body().get("options")
    version = str(options.get("version", "1")) if isinstance(options, dict) else "1"
    call.write(MOUNTS + path, {"version": version})
    return empty()


ROUTES: tuple[Route, ...] = (
    Route("GET", "sys/mounts", list_mounts, "OBS"),
    Route("PUT", "sys/mounts/<name>", mount, "OBS"),
)
