"""The heartbeats of a stream, and what each side learns by them.

Sources: INTERNALS, README-DR. They live in the memory of the two active nodes that exchanged them; a new active node
starts with none.
"""

from __future__ import annotations

from dataclasses import replace

from watchdogd.lab import resolving
from watchdogd.lab.node import Node, Peer
from watchdogd.lab.roles import Kind, Role
from watchdogd.lab.stream import Stream


def beat(stream: Stream, now_s: float) -> None:
    """The active node of the primary answers one: both sides heard each other, unless only one way is open."""
    near, far, kind = stream.near, stream.far, stream.kind
    if near is None or near.active is None or far is None or far.active is None:
        return
    spec, network, primary, link = stream.ground.spec, stream.ground.network, stream.primary, stream.link
    near.active.peers[f"{kind}/{primary.name}"] = _heard(stream, far, now_s, by=near, node_id="")
    if not network.is_one_way(stream.cluster.name, primary.name):
        reach_primary(stream, now_s)
    if stream.cluster.knobs.resolver_discover_servers:
        link.known_addrs = [spec.cluster_addr(n.target) for n in primary.voters]
    if stream.is_of_performance:
        link.failover_addrs = resolving.failover_addrs(stream)
    else:
        stream.cluster.roles[kind].inherited = _copied(primary.roles[Kind.PERFORMANCE])


def reach_primary(stream: Stream, now_s: float) -> None:
    """A secondary's heartbeat reaches the active node of its primary, whether or not an answer comes back."""
    near, far, secondary_id = stream.near, stream.far, stream.link.secondary_id
    if near is not None and far is not None and far.active is not None:
        far.active.peers[f"{stream.kind}/{secondary_id}"] = _heard(stream, near, now_s, by=far, node_id=secondary_id)


def _heard(stream: Stream, node: Node, now_s: float, *, by: Node, node_id: str) -> Peer:
    """What is known of a node by its heartbeat, on the clock of the one that it reached."""
    clock, spec, network = stream.ground.clock, stream.ground.spec, stream.ground.network
    here_utc_s, there_utc_s = clock(by.target, now_s), clock(node.target, now_s)
    one_way_s = network.replication_delay_s(stream.cluster.name, stream.link.primary)
    return Peer(
        node_id=node_id,
        api_address=spec.api_addr(node.target),
        cluster_address=spec.cluster_addr(node.target),
        at_utc_s=here_utc_s,
        at_s=now_s,
        clock_skew_ms=round((there_utc_s - here_utc_s) * 1000),
        duration_ms=round(2000 * one_way_s),  # there and back
    )


def _copied(role: Role) -> Role:
    """A role as it is now, to be had later."""
    link = role.link
    own = None if link is None else replace(link, known_addrs=[*link.known_addrs], sync=None)
    return replace(role, known_secondaries=dict(role.known_secondaries), link=own)
