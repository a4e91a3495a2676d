"""The beginning and the end of replication: primary/enable, secondary/enable, and disable on either side.

Sources: DRDOC2, DRDOC120, PERFDOC, GUIDE18, TC, VGUIDES, ISS19603; sections 3.2, 3.4, 3.8 and 3.11 of the reference. An
answer means accepted: the window of the change follows it.
"""

from __future__ import annotations

from watchdogd.lab import activation
from watchdogd.lab.call import Call
from watchdogd.lab.node import Mode
from watchdogd.lab.reply import Rejected, Reply, errors
from watchdogd.lab.roles import Kind
from watchdogd.lab.route import ON_DR, Route
from watchdogd.lab.routes_roles import BRIEF, UPDATE, authorise_operation, secondary_role, use_up, with_legacy_paths

ENABLING = f"This cluster is being enabled as a primary for replication. {BRIEF}"
DISABLING = f"This cluster is having replication disabled. {BRIEF}"
FOUND = (
    "Vault has successfully found secondary information; it may take a while to perform setup tasks. "
    "Vault will be unavailable until these tasks and initial sync complete."
)


def enable_primary(call: Call) -> Reply:
    """POST sys/replication/{kind}/primary/enable [DRDOC2 3.2, GUIDE18]: Vault token with `update`."""
    kind = _disabled_kind(call)
    call.world.enable_primary(call.cluster, kind, call.text("primary_cluster_addr"))
    return call.logical(warnings=[ENABLING])


def disable_primary(call: Call) -> Reply:
    """POST sys/replication/{kind}/primary/disable [DRDOC2 3.4, GUIDE18]: Vault token with `update`."""
    kind = Kind(call.params["kind"])
    call.authorise(wanted=UPDATE)
    if call.cluster.roles[kind].mode is not Mode.PRIMARY:
        return errors(400, call.knobs.not_primary_text)
    call.world.replication.disable(call.cluster, kind, call.now_s)
    return call.logical(warnings=[DISABLING])


def enable_secondary(call: Call) -> Reply:
    """POST sys/replication/{kind}/secondary/enable [DRDOC2 3.8, TC]: its own Vault token, for the last time."""
    kind = _disabled_kind(call)
    if not call.text("token"):
        return errors(400, call.knobs.missing_activation_text)
    found = activation.activate(call, kind, call.text("token"), call.text("primary_api_addr"))
    call.world.enable_secondary(call.cluster, kind, found)
    return call.logical(warnings=[FOUND])


def disable_secondary(call: Call) -> Reply:
    """POST sys/replication/{kind}/secondary/disable [DRDOC120, ISS19603]: DR by an operation token; its data stays."""
    kind = Kind(call.params["kind"])
    secondary_role(call, kind)
    authorise_operation(call, kind)
    use_up(call)
    call.world.replication.disable(call.cluster, kind, call.now_s)
    return call.logical(warnings=[call.knobs.disable_secondary_text])


def _disabled_kind(call: Call) -> Kind:
    """The kind of replication, once the caller may change it. Raises Rejected where it is enabled already."""
    kind = Kind(call.params["kind"])
    call.authorise(wanted=UPDATE)
    if call.cluster.roles[kind].mode is not Mode.DISABLED:
        raise Rejected(errors(call.knobs.already_enabled_status, call.knobs.already_enabled_text))
    return kind


_ROUTES: tuple[Route, ...] = (
    Route("PUT", "sys/replication/<kind>/primary/enable", enable_primary, "DRDOC2 GUIDE18"),
    Route("PUT", "sys/replication/<kind>/primary/disable", disable_primary, "DRDOC2 GUIDE18"),
    Route("PUT", "sys/replication/<kind>/secondary/enable", enable_secondary, "DRDOC2 TC GUIDE18"),
    Route("PUT", "sys/replication/<kind>/secondary/disable", disable_secondary, "DRDOC120 ISS19603", ON_DR),
)
ROUTES = tuple(with_legacy_paths(_ROUTES))
