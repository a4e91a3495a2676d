"""Where a secondary looks for its primary: the addresses that it knows, and what answers there.

Sources: INTERNALS (`RemoteResolve` is answered by standbys too, the stream comes from the active node alone), README-DR
(addresses come with heartbeats and are frozen without them), STANZA (`resolver_discover_servers`), DRDOC2 3.9 and
TRACE12 (performance secondaries find the promoted DR secondary of their primary by themselves).
"""

from __future__ import annotations

from collections.abc import Mapping

from watchdogd.lab.cluster import Cluster
from watchdogd.lab.node import Mode
from watchdogd.lab.roles import Kind, Link
from watchdogd.lab.spec import WorldSpec


def is_found(spec: WorldSpec, primary: Cluster, link: Link, *, discovers: bool) -> bool:
    """Whether something at an address that the secondary knows tells it where the active node of its primary is."""
    return any(_leads_to(spec, primary, address, discovers=discovers) for address in link.known_addrs)


def elsewhere(spec: WorldSpec, clusters: Mapping[str, Cluster], follower: Cluster, link: Link) -> str | None:
    """The cluster that has become performance primary of the follower's set, at an address told for this case."""
    for address in link.failover_addrs:
        target = _target(spec, address)
        name = "" if target is None else target.partition("/")[0]
        role = clusters[name].roles[Kind.PERFORMANCE] if name in clusters else None
        if role is None or role.mode is not Mode.PRIMARY or clusters[name].serving() is None:
            continue
        is_ours = role.set_id == follower.roles[Kind.PERFORMANCE].set_id
        if is_ours and role.known_secondaries.get(link.secondary_id) == follower.name:
            return name
    return None


def failover_addrs(spec: WorldSpec, clusters: Mapping[str, Cluster], primary: Cluster) -> list[str]:
    """The cluster addresses of the DR secondaries that follow a cluster."""
    followers = (c for c in clusters.values() if (link := c.roles[Kind.DR].link) and link.primary == primary.name)
    return [spec.cluster_addr(node.target) for follower in followers for node in follower.voters]


def _leads_to(spec: WorldSpec, primary: Cluster, address: str, *, discovers: bool) -> bool:
    name, _, host = (_target(spec, address) or "").partition("/")
    if name != primary.name:
        return False
    if host == "lb":
        return primary.serving() is not None
    node = primary.node(int(host))
    return node.can_vote if discovers else node is primary.serving()


def _target(spec: WorldSpec, address: str) -> str | None:
    found = spec.target_of(address)
    return None if found is None else found[1]
