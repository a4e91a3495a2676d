"""sys/metrics: what Vault measures of replication, leadership and its licence, as JSON or for Prometheus.

Sources: KEY and TEL (the names, section 4 of the failure modes), a real OpenBao for the shape. Each node answers for
itself. Only gauges that this world has a truth for are told; timings of storage, WAL and RPC are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from watchdogd.lab.call import Call
from watchdogd.lab.fields import PATH_DISABLED
from watchdogd.lab.node import Mode
from watchdogd.lab.reply import HEADERS, Rejected, Reply, bare, errors
from watchdogd.lab.roles import Kind
from watchdogd.lab.route import LOCAL, Route
from watchdogd.lab.routes_health import is_sealed, licence_ends
from watchdogd.lab.status import remote_wal, wal_of

_EVERY_S = 10


def metrics(call: Call) -> Reply:
    """GET sys/metrics: a DR secondary has no token for it, so there only `unauthenticated_metrics_access` opens it."""
    if is_sealed(call):
        return errors(503, "Vault is sealed")
    if not call.knobs.unauthenticated_metrics:
        if call.cluster.is_dr_secondary:
            raise Rejected(errors(400, PATH_DISABLED))
        call.authorise()
    form = call.request.query.get("format", "")
    if form == "prometheus":
        return _for_prometheus(call)
    if form:
        return _text(400, f'metric response format "{form}" unknown')
    at = datetime.fromtimestamp(call.utc_s // _EVERY_S * _EVERY_S, tz=UTC)
    named = {"cluster": call.cluster.name}
    gauges = [{"Name": name, "Value": value, "Labels": named} for name, value in sorted(_gauges(call))]
    return bare(
        200,
        {
            "Timestamp": f"{at:%Y-%m-%d %H:%M:%S} +0000 UTC",
            "Gauges": gauges,
            "Points": [],
            "Counters": [],
            "Samples": [],
        },
    )


def _for_prometheus(call: Call) -> Reply:
    lines = []
    for name, value in sorted(_gauges(call)):
        flat = name.replace(".", "_")
        lines += [f"# HELP {flat} {flat}", f"# TYPE {flat} gauge", f'{flat}{{cluster="{call.cluster.name}"}} {value}']
    return _text(200, "\n".join(lines) + "\n")


def _text(status: int, text: str) -> Reply:
    return Reply(status=status, body=text.encode(), headers={**HEADERS, "Content-Type": "text/plain; version=0.0.4"})


def _gauges(call: Call) -> Iterator[tuple[str, int]]:
    cluster, node, store = call.cluster, call.asked, call.store
    is_active = cluster.serving() is node
    yield "vault.core.active", int(is_active)
    yield "vault.core.unsealed", int(not node.sealed)
    yield "vault.core.license.expiration_time_epoch", int(datetime.fromisoformat(licence_ends(call)).timestamp())
    if not is_active:
        return
    for kind, role in cluster.roles.items():
        yield f"vault.core.replication.{kind}.primary", int(role.mode is Mode.PRIMARY)
        yield f"vault.core.replication.{kind}.secondary", int(role.mode is Mode.SECONDARY)
        if role.mode is Mode.SECONDARY and role.link is not None:
            yield "vault.replication.fsm.last_remote_wal", remote_wal(role.link, node.active, call.knobs)
    yield "vault.replication.wal.last_wal", store.last_wal
    for kind in Kind:
        yield f"vault.replication.wal.last_{kind}_wal", wal_of(store, kind)
    healthy = len([n for n in cluster.nodes if n.can_vote])
    yield "vault.autopilot.healthy", int(healthy == len(cluster.nodes))
    yield "vault.autopilot.failure_tolerance", max(0, healthy - cluster.quorum)


ROUTES: tuple[Route, ...] = (Route("GET", "sys/metrics", metrics, "KEY TEL OBS", LOCAL),)
