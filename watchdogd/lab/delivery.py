"""How one request gets from a place to a process and back: faults on the way, load balancer, node, answer."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from watchdogd.lab import index, routes, routes_quota
from watchdogd.lab.call import Call, Request
from watchdogd.lab.counts import SentRequest
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.network import BALANCER, Path
from watchdogd.lab.node import Node
from watchdogd.lab.reply import Reply, errors
from watchdogd.lab.roles import Kind
from watchdogd.lab.routes_kv2 import DATA
from watchdogd.lab.seeded import Seeded
from watchdogd.lab.wire import Exchange, Outcome, Place, Wire

if TYPE_CHECKING:
    from watchdogd.lab.cluster import Cluster
    from watchdogd.lab.world import World

_HTML = {"Content-Type": "text/html", "Cache-Control": "no-cache"}
UNKNOWN_AUTHORITY = "unknown-authority"
NOT_COMMITTED = "leadership lost while committing log"  # OBS: of a write that was committed
_MUTATIONS = ("PUT", "PATCH", "DELETE")


def deliver(world: World, wire: Wire, chance: Seeded) -> Exchange:
    """One request at the world's present moment."""
    cluster = world.clusters.get(wire.target.partition("/")[0])
    if cluster is None or wire.target not in world.targets:
        return Exchange(outcome=Outcome.REFUSE)
    path = world.network.path(wire.place, wire.target)
    delay_s = cluster.knobs.latency_s + path.delay_s
    flaw = "" if wire.shook_hands else path.flaw or ("" if wire.is_trusting else UNKNOWN_AUTHORITY)
    on_the_way = _on_the_way(path, delay_s, chance, flaw=flaw)
    if on_the_way is not None:
        return on_the_way
    if wire.target.endswith("/lb"):
        return _balance(world, cluster, wire, path, delay_s)
    node = cluster.node(int(wire.target.partition("/")[2]))
    return at_node(world, cluster, node, wire, path, delay_s=delay_s)


def at_node(world: World, cluster: Cluster, node: Node, wire: Wire, path: Path, *, delay_s: float) -> Exchange:
    """A request at a process, with the faults that act on answers."""
    if not node.up:
        return Exchange(outcome=Outcome.REFUSE, delay_s=delay_s)
    if node.stopped:
        return Exchange(outcome=Outcome.HANG, delay_s=delay_s)
    request = Request.of(wire)
    delay_s += _storage_s(cluster, node, request)
    late = _matching(world, path, FaultKind.APPLIED_LATE, request)
    if late is not None:
        world.land_later(wire, node.target, world.now_s + late.number("seconds"))
        return _sent(world, wire, request, Exchange(outcome=Outcome.HANG, delay_s=delay_s))
    call = Call(world=world, cluster=cluster, node=node, asked=node, request=request, now_s=world.now_s)
    reply = _instead(path, request) or routes.answer(call)
    exchange = _exchange(call, reply, delay_s)
    told = _matching(world, path, FaultKind.ERROR_APPLIED, request) if 200 <= exchange.status < 300 else None
    if told is not None:
        exchange = _exchange(call, errors(int(told.number("status", 400)), NOT_COMMITTED), delay_s)
    lost = _matching(world, path, FaultKind.REPLY_LOST, request) if exchange.outcome is Outcome.ANSWER else None
    if lost is not None:
        exchange = Exchange(outcome=Outcome(lost.text("outcome", "reset")), delay_s=delay_s, status=exchange.status)
    _acknowledge(world, call, exchange)
    return _sent(world, wire, request, exchange)


def _storage_s(cluster: Cluster, node: Node, request: Request) -> float:
    """What slow storage adds: health reads the cluster's name from it (BAO-HA), the two others only memory."""
    if request.path in ("sys/seal-status", "sys/leader"):
        return 0.0
    answering = node if request.path == "sys/health" else cluster.serving() or node
    return answering.slow_s


def _on_the_way(path: Path, delay_s: float, chance: Seeded, *, flaw: str) -> Exchange | None:
    if path.at_connect is not None:
        return Exchange(outcome=path.at_connect, delay_s=delay_s)
    if path.loss and chance.happens(path.loss):
        return Exchange(outcome=Outcome.DROP, delay_s=delay_s)
    if flaw:
        return Exchange(outcome=Outcome.UNTRUSTED, delay_s=delay_s, body=flaw.encode())
    if path.accepted is not None:
        return Exchange(outcome=path.accepted, delay_s=delay_s, body=path.raw)
    return None


def _exchange(call: Call, reply: Reply | Outcome, delay_s: float) -> Exchange:
    if isinstance(reply, Outcome):
        return Exchange(outcome=reply, delay_s=delay_s)
    headers = reply.headers
    if call.written is not None and reply.status < 300 and not call.cluster.spec.is_community:
        headers = {**headers, index.INDEX: index.of(call.writer or call.cluster)}
    return Exchange(outcome=Outcome.ANSWER, delay_s=delay_s, status=reply.status, headers=headers, body=reply.body)


def _instead(path: Path, request: Request) -> Reply | None:
    """What a fault answers in the node's place."""
    strange = path.first(FaultKind.STRANGE)
    if strange is not None and "text" in strange.params:
        return Reply(status=int(strange.number("status", 200)), body=strange.text("text").encode(), headers=_HTML)
    if path.first(FaultKind.STALE_INDEX) is not None and not routes.is_local(request.path) and _has_index(request):
        return errors(412, index.NOT_THERE)
    if path.first(FaultKind.RATE_LIMITED) is not None and request.path not in routes_quota.EXEMPT:
        return errors(429, f'request path "{request.path}": rate limit quota exceeded')
    return None


def _has_index(request: Request) -> bool:
    """Whether a request asks for an index: by the header, or by its service token, which carries one (CONSIST)."""
    headers = request.headers
    goes_on = headers.get(index.FORWARD.lower()) == "active-node" or index.INCONSISTENT.lower() in headers
    return not goes_on and (index.INDEX.lower() in headers or request.token_text.startswith(("hvs.", "s.")))


def _matching(world: World, path: Path, kind: FaultKind, request: Request) -> Fault | None:
    """The first fault of a kind that means this request; one use of it is taken."""
    for fault in path.application:
        if fault.kind is kind and _means(fault, request) and world.faults.use(fault):
            return fault
    return None


def _means(fault: Fault, request: Request) -> bool:
    method = fault.text("method", "PUT").upper()
    return ("PUT" if method == "POST" else method) == request.method and fault.text("path", "") in request.path


def _acknowledge(world: World, call: Call, exchange: Exchange) -> None:
    if call.written is None or exchange.outcome is not Outcome.ANSWER or exchange.status >= 300:
        return
    key, entry = call.written
    is_local_only = entry.is_local and world.kind is Kind.PERFORMANCE  # promised to be on this cluster alone
    if call.request.place == Place.CLIENTS and key.startswith(DATA) and not is_local_only:
        world.acknowledge(call.writer or call.cluster, key, entry)


def _sent(world: World, wire: Wire, request: Request, exchange: Exchange) -> Exchange:
    if request.method in _MUTATIONS and not request.path.startswith("/") and wire.place != Place.CLIENTS:
        world.sent.append(
            SentRequest(
                at_s=world.now_s,
                place=wire.place,
                target=wire.target,
                method=request.method,
                path=request.path,
                outcome=exchange.outcome.value,
                status=exchange.status,
            )
        )
    return exchange


# ---------------------------------------------------------------------------------------------------- load balancer


def _balance(world: World, cluster: Cluster, wire: Wire, path: Path, delay_s: float) -> Exchange:
    failing = path.first(FaultKind.LB_5XX)
    if failing is not None:
        return _page(int(failing.number("status", 502)), delay_s)
    pool = () if path.first(FaultKind.LB_EMPTY) is not None else balancer_pool(world, cluster)
    if not pool:
        return _page(503, delay_s)
    node = cluster.node(pool[world.next_turn() % len(pool)])
    inside = world.network.path(BALANCER, node.target)
    if inside.at_connect is not None or not node.answers:
        return _page(502, delay_s)
    if inside.accepted is not None:
        return Exchange(outcome=Outcome.HANG, delay_s=delay_s)
    both = replace(inside, application=path.application + inside.application)
    return at_node(world, cluster, node, wire, both, delay_s=delay_s + inside.delay_s)


def balancer_pool(world: World, cluster: Cluster) -> tuple[int, ...]:
    """The nodes that pass the health check, as the load balancer last saw them (every `lb_check_s`).

    The check is `sys/health?perfstandbyok=true` for 200: all nodes of a DR secondary fail it, so its pool is empty by
    design (HEALTHDOC, APOC).
    """
    if world.now_s - cluster.balancer.checked_s >= cluster.knobs.lb_check_s and not cluster.balancer.is_stale:
        cluster.balancer.checked_s = world.now_s
        wrong = world.network.fault_on(FaultKind.LB_RULE, f"{cluster.name}/lb")
        rule = "" if wrong is None else wrong.text("rule")
        cluster.balancer.pool = tuple(n.number for n in cluster.nodes if _passes(world, cluster, n, rule))
    return cluster.balancer.pool


def heed_balancer(world: World, cluster: Cluster) -> None:
    """The faults have changed: a load balancer that goes stale looks once more at the nodes that it will keep."""
    is_stale = world.network.holds(FaultKind.LB_STALE, f"{cluster.name}/lb")
    if is_stale and not cluster.balancer.is_stale:
        cluster.balancer.checked_s = -inf
        balancer_pool(world, cluster)
    cluster.balancer.is_stale = is_stale


def _passes(world: World, cluster: Cluster, node: Node, rule: str) -> bool:
    if not node.answers or not world.network.path(BALANCER, node.target).is_open:
        return False
    if rule == "tcp":
        return True
    check = replace(_CHECK, query={**_CHECK.query, **_RULES.get(rule, {})})
    call = Call(world=world, cluster=cluster, node=node, asked=node, request=check, now_s=world.now_s)
    reply = routes.answer(call)
    return isinstance(reply, Reply) and reply.status == 200


_CHECK = Request(
    method="HEAD", path="sys/health", query={"perfstandbyok": "true"}, headers={}, body=b"", place=BALANCER
)
_RULES = {"standbyok": {"standbyok": "true"}, "drsecondarycode": {"drsecondarycode": "200"}}


def _page(status: int, delay_s: float) -> Exchange:
    reason = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}.get(status, "Error")
    body = f"<html><body><h1>{status} {reason}</h1>\nNo server is available to handle this request.\n</body></html>\n"
    return Exchange(outcome=Outcome.ANSWER, delay_s=delay_s, status=status, headers=_HTML, body=body.encode())
