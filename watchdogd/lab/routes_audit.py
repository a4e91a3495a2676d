"""sys/audit, sys/audit-hash: audit devices that are listed and write nothing.

Sources: the API documents of Vault and its sources for the texts (knobs where OpenBao has none: its 2.x takes
audit devices from its configuration only). A device is an entry of the store and replicates, unless it is local.
"""

from __future__ import annotations

import hashlib
import hmac

from watchdogd.lab.call import Call
from watchdogd.lab.fields import boolean, object_of
from watchdogd.lab.reply import Reply, empty, envelope, errors
from watchdogd.lab.route import Route

DEVICES = "sys/audit/"
_NEEDS = {"file": "file_path", "socket": "address", "syslog": ""}


def devices(call: Call) -> Reply:
    """GET sys/audit [OBS]: the map both in `data` and at the top."""
    call.authorise(sudo=True)
    shown = {}
    for key in call.store.keys(DEVICES):
        entry = call.store.get(key)
        if entry is not None:
            shown[key.removeprefix(DEVICES)] = {name: v for name, v in entry.value.items() if name != "salt"}
    return envelope(call.cluster.chance.uuid(), data=shown, top=shown)


def enable(call: Call) -> Reply:
    """PUT sys/audit/:path: the device of item 35 of the failure modes is a fault, not a device here."""
    call.authorise(sudo=True)
    path, type_ = call.params["name"] + "/", call.text("type")
    options = {name: str(value) for name, value in (object_of(call.body(), "options") or {}).items()}
    if not type_:
        return errors(400, "backend type must be specified as a string")
    if type_ not in _NEEDS:
        return errors(400, f'{call.knobs.audit_type_text}: "{type_}"')
    if _NEEDS[type_] and not options.get(_NEEDS[type_]):
        return errors(400, f"{_NEEDS[type_]} is required")
    if any(k.startswith(DEVICES + path) or (DEVICES + path).startswith(k) for k in call.store.keys(DEVICES)):
        return errors(400, call.knobs.audit_in_use_text)
    device = {
        "type": type_,
        "description": call.text("description"),
        "options": options,
        "local": boolean(call, "local", default=False),
        "path": path,
        "salt": call.cluster.chance.uuid(),
    }
    call.write(DEVICES + path, device)
    return empty()


def disable(call: Call) -> Reply:
    """DELETE sys/audit/:path [OBS]: 204 also where there is none."""
    call.authorise(sudo=True)
    call.store.delete(f"{DEVICES}{call.params['name']}/", now_s=call.now_s)
    return empty()


def hashed(call: Call) -> Reply:
    """PUT sys/audit-hash/:path [OBS]: a text as the device would write it."""
    call.authorise()
    text, path = call.text("input"), call.params["name"] + "/"
    if not text:
        return errors(400, 'the "input" parameter is empty')
    device = call.store.get(DEVICES + path)
    if device is None:
        return errors(400, f'unknown audit backend "{path}"')
    digest = hmac.new(str(device.value["salt"]).encode(), text.encode(), hashlib.sha256).hexdigest()
    return call.logical({"hash": f"hmac-sha256:{digest}"})


def is_logged(call: Call) -> bool:
    """Whether a request passes the audit devices, before it is looked at.

    What Vault's HTTP layer answers itself does not: health and its like (they never get here), and the generation of
    tokens. Replication status is a path of the system backend (ENTPATHS), hence logged, unless a knob says otherwise.
    """
    path = call.request.path
    if path.startswith("sys/replication") and path.endswith("/status"):
        return call.knobs.status_is_audited
    return not path.startswith(_UNLOGGED) and "/generate-operation-token/" not in path


_UNLOGGED = ("sys/generate-root", "sys/init", "sys/unseal", "sys/rekey")

ROUTES: tuple[Route, ...] = (
    Route("GET", "sys/audit", devices, "OBS"),
    Route("PUT", "sys/audit/<name>", enable, "APIDOC"),
    Route("DELETE", "sys/audit/<name>", disable, "OBS"),
    Route("PUT", "sys/audit-hash/<name>", hashed, "OBS"),
)
