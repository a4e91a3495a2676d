"""GET sys/replication/status, /dr/status and /performance/status [REPDOC, SYSPATHS]: unauthenticated, on every role."""

from __future__ import annotations

from watchdogd.lab.call import Call
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knobs import StandbyStatus, StatusEndpoints
from watchdogd.lab.reply import Reply, errors
from watchdogd.lab.roles import Kind
from watchdogd.lab.route import ON_DR, Route
from watchdogd.lab.status import Status, replication_status


def both(call: Call) -> Reply:
    """GET sys/replication/status: `data.dr` and `data.performance`."""
    return _answer(call, {"dr": _shown(call, Kind.DR), "performance": _shown(call, Kind.PERFORMANCE)})


def one(call: Call) -> Reply:
    """GET sys/replication/{dr,performance}/status: the same object directly in `data`."""
    return _answer(call, _shown(call, Kind(call.params["kind"])))


def community(call: Call) -> Reply:
    """Community Edition: one flat object, and nothing else of what Enterprise has [ENTPATHS, BLACKBOX].

    Whether the status of one kind is there too, no source says: a knob.
    """
    of_one = tuple(f"sys/replication/{kind}/status" for kind in Kind) if call.knobs.community_shows_each_kind else ()
    if call.request.path in ("sys/replication/status", *of_one) and call.request.method == "GET":
        return call.logical({"mode": "disabled"})
    return errors(404, "enterprise-only feature")


def is_own_answer(call: Call) -> bool:
    """Whether a standby answers by itself here. UNCONFIRMED, hence a knob."""
    return call.knobs.standby_status is StandbyStatus.OWN


def _answer(call: Call, data: Status) -> Reply:
    if call.knobs.status_endpoints is StatusEndpoints.DISABLED:
        return errors(call.knobs.disabled_path_status, "disabled path")  # UIAD, CFG
    return call.logical(data)


def _shown(call: Call, kind: Kind) -> Status:
    shown = replication_status(call, kind)
    strange = call.world.network.path(call.request.place, call.asked.target).first(FaultKind.STRANGE)
    if strange is not None and "cluster_id" in shown:
        shown["cluster_id"] = strange.text("set_id", str(shown["cluster_id"]))
    return shown


ROUTES: tuple[Route, ...] = (
    Route("GET", "sys/replication/status", both, "REPDOC SYSPATHS LAB2", ON_DR),
    Route("GET", "sys/replication/<kind>/status", one, "REPDOC DRDOC2 SYSPATHS", ON_DR),
)
