"""Where a secondary looks for its primary: the addresses that it knows, and what answers there.

Sources: INTERNALS (`RemoteResolve` is answered by standbys too, the stream comes from the active node alone), README-DR
(addresses come with heartbeats and are frozen without them), STANZA (`resolver_discover_servers`), DRDOC2 3.9 and
TRACE12 (performance secondaries find the promoted DR secondary of their primary by themselves).
"""

from __future__ import annotations

from watchdogd.lab.node import Mode
from watchdogd.lab.roles import Kind
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.stream import Stream


def is_found(stream: Stream) -> bool:
    """Whether something at an address that the secondary knows tells it where the active node of its primary is."""
    return any(_leads_to_primary(stream, address) for address in stream.link.known_addrs)


def elsewhere(stream: Stream) -> str | None:
    """The cluster that has become performance primary of the secondary's set, at an address told for this case."""
    clusters, follower = stream.ground.clusters, stream.cluster
    for address in stream.link.failover_addrs:
        target = _target(stream.ground.spec, address)
        name = "" if target is None else target.partition("/")[0]
        role = clusters[name].roles[Kind.PERFORMANCE] if name in clusters else None
        if role is None or role.mode is not Mode.PRIMARY or clusters[name].serving() is None:
            continue
        is_ours = role.set_id == follower.roles[Kind.PERFORMANCE].set_id
        if is_ours and role.known_secondaries.get(stream.link.secondary_id) == follower.name:
            return name
    return None


def failover_addrs(stream: Stream) -> list[str]:
    """The cluster addresses of the DR secondaries that follow its primary."""
    links = ((cluster, cluster.roles[Kind.DR].link) for cluster in stream.ground.clusters.values())
    followers = [cluster for cluster, link in links if link is not None and link.primary == stream.link.primary]
    return [stream.ground.spec.cluster_addr(node.target) for follower in followers for node in follower.voters]


def _leads_to_primary(stream: Stream, address: str) -> bool:
    primary = stream.primary
    name, _, host = (_target(stream.ground.spec, address) or "").partition("/")
    if name != primary.name:
        return False
    if host == "lb":
        return primary.serving() is not None
    node = primary.node(int(host))
    return node.can_vote if stream.cluster.knobs.resolver_discover_servers else node is primary.serving()


def _target(spec: WorldSpec, address: str) -> str | None:
    found = spec.target_of(address)
    return None if found is None else found[1]
