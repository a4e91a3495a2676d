"""The lab's control endpoint: HTTP + JSON on loopback, with the bearer token of `lab.json`. For people and tests only.

GET /status · GET|POST|DELETE /faults · DELETE /faults/ID · GET|PUT /fence/CLUSTER · GET /events?after=SEQ&wait_s=S
"""

from __future__ import annotations

import hmac
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from aiohttp import web

from watchdogd.lab.fault_text import BadFault, parse_fault
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.node import Node
from watchdogd.lab.serve import CONTROL_HOST, ServedLab, address
from watchdogd.lab.serve_socket import bound
from watchdogd.lab.wire import Place

WAIT_S_MAX = 60.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def open_control(lab: ServedLab, token: str, stack: AsyncExitStack) -> str:
    """Listen until `stack` unwinds; returns the URL. Raises AddressInUse."""
    port = lab.settings.spec.port
    sock = bound(host := address(Place.BASTION, CONTROL_HOST), port, socket.SOCK_STREAM)
    runner = web.AppRunner(_application(Control(lab), token), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, sock).start()
    return f"http://{host}:{port}"


def _application(control: Control, token: str) -> web.Application:
    @web.middleware
    async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return web.json_response({"error": "the token of lab.json is missing"}, status=401)
        return await handler(request)

    app = web.Application(middlewares=[authenticated])
    app.add_routes(
        [
            web.get("/status", control.status),
            web.get("/faults", control.faults),
            web.post("/faults", control.add_fault),
            web.delete("/faults", control.clear_faults),
            web.delete("/faults/{id:\\d+}", control.clear_faults),
            web.get("/fence/{cluster}", control.fence),
            web.put("/fence/{cluster}", control.fence),
            web.get("/events", control.events),
        ]
    )
    return app


class Control:
    """One handler per verb."""

    def __init__(self, lab: ServedLab) -> None:
        self._lab = lab

    async def status(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(describe(self._lab))

    async def faults(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(_faults(self._lab))

    async def add_fault(self, request: web.Request) -> web.StreamResponse:
        lab = self._lab
        try:
            given = await request.json()
            fault = parse_fault(
                str(given["kind"]),
                str(given["target"]),
                spec=lab.settings.spec,
                now_s=lab.now_s(),
                place=given.get("place"),
                for_s=given.get("for_s"),
                words=[str(word) for word in given.get("words", ())],
            )
        except (BadFault, json.JSONDecodeError, KeyError, TypeError, AttributeError) as exc:
            return web.json_response({"error": str(exc)}, status=400)
        return web.json_response({"id": lab.add_fault(fault)}, status=201)

    async def clear_faults(self, request: web.Request) -> web.StreamResponse:
        given = request.match_info.get("id")
        gone = self._lab.clear_faults(None if given is None else int(given))
        if given is not None and not gone:
            return web.json_response({"error": f"no fault {given}"}, status=404)
        return web.json_response({"cleared": gone})

    async def fence(self, request: web.Request) -> web.StreamResponse:
        """Says whether the client network is closed; PUT closes or opens it first."""
        lab, cluster = self._lab, request.match_info["cluster"]
        if cluster not in lab.world.clusters:
            return web.json_response({"error": f"no cluster {cluster!r}"}, status=404)
        if request.method == "PUT":
            try:
                on = (await request.json())["on"]
            except (json.JSONDecodeError, KeyError, TypeError):
                on = None
            if not isinstance(on, bool):
                return web.json_response({"error": 'wants {"on": true} or {"on": false}'}, status=400)
            lab.fence(cluster, on=on)
        return web.json_response({"cluster": cluster, "closed": lab.world.is_fenced(cluster)})

    async def events(self, request: web.Request) -> web.StreamResponse:
        try:
            after, wait_s = int(request.query.get("after", 0)), float(request.query.get("wait_s", 0))
        except ValueError as exc:
            return web.json_response({"error": str(exc)}, status=400)
        found = await self._lab.events.wait_after(after, timeout_s=min(wait_s, WAIT_S_MAX))
        return web.json_response({"events": [event.as_json() for event in found]})


def describe(lab: ServedLab) -> Mapping[str, object]:
    """Everything that `watchdogd-lab status` shows; the lab's own truth, not what anybody believes."""
    world, counts = lab.world, lab.world.counts
    return {
        "simulator": True,
        "now_s": round(lab.now_s(), 3),
        "seed": lab.settings.seed,
        "primary": world.primary(),
        "primaries": list(world.active_primaries()),
        "clusters": {name: _cluster(lab, name) for name in world.clusters},
        "name": {
            "service": lab.names.service_name,
            "published": lab.names.published_cluster(lab.now_s()),
            "changes": len(lab.names.route53.accepted),
        },
        "faults": _faults(lab),
        "counts": {
            "two_writable_primaries_s": round(counts.two_writable_primaries_s, 3),
            "no_primary_s": round(counts.no_primary_s, 3),
            "name_at_non_primary_s": round(counts.name_at_non_primary_s, 3),
            "acknowledged_writes": counts.acknowledged_writes,
            "acknowledged_writes_lost": counts.acknowledged_writes_lost,
            "writes_discarded": counts.writes_discarded,
        },
    }


def _cluster(lab: ServedLab, name: str) -> Mapping[str, object]:
    cluster = lab.world.clusters[name]
    dr, performance = cluster.modes
    serving = cluster.serving()
    return {
        "dr": dr.value,
        "performance": performance.value,
        "active": None if serving is None else serving.target,
        "nodes": {n.target: _node(n) for n in cluster.nodes},
        "client_network_closed": lab.world.is_fenced(name),
    }


def _node(node: Node) -> str:
    if not node.up:
        return "down"
    if node.stopped:
        return "asleep"
    if node.removed:
        return "removed"
    if not node.initialized:
        return "empty"
    return "sealed" if node.sealed else "up"


def _faults(lab: ServedLab) -> list[Mapping[str, object]]:
    now_s = lab.now_s()
    return [_fault(fault_id, fault, now_s) for fault_id, fault in lab.world.faults.items()]


def _fault(fault_id: int, fault: Fault, now_s: float) -> Mapping[str, object]:
    left_s = None if fault.until_s is None else round(fault.until_s - now_s, 1)
    return {
        "id": fault_id,
        "kind": FaultKind(fault.kind).value,
        "target": fault.target,
        "place": fault.place,
        "left_s": left_s,
        "params": dict(fault.params),
    }
