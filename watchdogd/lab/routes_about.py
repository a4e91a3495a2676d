"""What a cluster says of its versions, and of its licence where it has no token for it: on a DR secondary.

Sources: ENTPATHS and SYSPATHS (the paths, and that they ask for no Vault token), a real OpenBao for the history of
versions. No sample of the licence's body, nor of the answer to a reload, is at hand (UNCONFIRMED, both are knobs).
"""

from __future__ import annotations

from watchdogd.lab.call import Call, rfc3339
from watchdogd.lab.fields import UNSUPPORTED_PATH
from watchdogd.lab.reply import Reply, empty, errors
from watchdogd.lab.roles import Kind
from watchdogd.lab.route import ON_DR, Route
from watchdogd.lab.routes_health import BUILD_DATE
from watchdogd.lab.routes_roles import UPDATE, authorise_operation, secondary_role
from watchdogd.lab.routes_sys import licence_told

_RELOADED = frozenset({"license"})


def version_history(call: Call) -> Reply:
    """LIST sys/version-history [a real OpenBao]: this world was never upgraded."""
    call.authorise()
    version = call.cluster.spec.shown_version
    since = rfc3339(call.world.epoch_utc_s)
    told = {"build_date": BUILD_DATE, "previous_version": None, "timestamp_installed": since}
    return call.logical({"key_info": {version: told}, "keys": [version]})


def secondary_licence(call: Call) -> Reply:
    """GET sys/replication/dr/secondary/license/status: for everybody, on a DR secondary."""
    secondary_role(call, Kind.DR)
    return call.logical(licence_told(call))


def reload_on_secondary(call: Call) -> Reply:
    """PUT sys/replication/dr/secondary/config/reload/license [DRDOC2], by the operation token of the body."""
    secondary_role(call, Kind.DR)
    authorise_operation(call, Kind.DR)
    return _reloaded(call)


def reload(call: Call) -> Reply:
    """PUT sys/config/reload/license: a Vault token with `update`, and sudo."""
    call.authorise(sudo=True, wanted=UPDATE)
    return _reloaded(call)


def _reloaded(call: Call) -> Reply:
    if call.params["name"] not in _RELOADED:
        return errors(404, UNSUPPORTED_PATH)
    return empty() if call.knobs.reload_licence_status == 204 else call.logical()


_DR = "sys/replication/dr/secondary"
ROUTES: tuple[Route, ...] = (
    Route("LIST", "sys/version-history", version_history, "OBS"),
    Route("GET", f"{_DR}/license/status", secondary_licence, "ENTPATHS SYSPATHS", ON_DR),
    Route("PUT", f"{_DR}/config/reload/<name>", reload_on_secondary, "ENTPATHS DRDOC2", ON_DR),
    Route("PUT", f"{_DR}/sys/config/reload/<name>", reload_on_secondary, "SYSPATHS", ON_DR),
    Route("PUT", "sys/config/reload/<name>", reload, "SYSPATHS"),
)
