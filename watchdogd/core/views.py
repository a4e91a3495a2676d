"""The nodes of one cluster put together: UP, DOWN, or could not look (DESIGN section 4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from watchdogd.core.model import ClusterId, ClusterView, Mode, NodeSeen, Reach, Reading, Replication
from watchdogd.core.policy import OnFenceFailure, PairPolicy

NOT_SERVING = frozenset({Reading.SILENT, Reading.LEADERLESS})
SEALED = frozenset({Reading.SEALED, Reading.UNINIT})
CANNOT_LOOK = frozenset({Reading.OURS, Reading.STRANGE})
NEVER = datetime.min.replace(tzinfo=UTC)


def view_of(
    cluster: ClusterId,
    nodes: Iterable[NodeSeen],
    *,
    kind: Replication,
    expected_nodes: int,
    sealed_is_down: bool,
    at_s: float,
) -> ClusterView:
    """One cluster as its `nodes` (not ignored, fresh ones only) show it at `at_s`.

    `expected_nodes` counts the nodes that are not ignored: one that has no fresh observation is unknown, not down.
    """
    seen = tuple(sorted(nodes, key=lambda node: node.node))
    counts_as_down = NOT_SERVING | SEALED if sealed_is_down else NOT_SERVING
    unsure = tuple(node for node in seen if not node.is_life and node.reading not in counts_as_down)
    return ClusterView(
        cluster=cluster,
        reach=_reach(seen, unsure, expected_nodes=expected_nodes),
        at_s=min((node.ended_s for node in seen), default=at_s),
        nodes=seen,
        active=_active(seen),
        wrong=_wrong(seen, kind),
        unsure=unsure,
    )


def sealed_counts_as_down(policy: PairPolicy, cluster: ClusterId) -> bool:
    """True when a sealed node of `cluster` counts towards DOWN: by the policy, and only behind a fence that blocks.

    Whoever unseals it later unseals a primary (row S-24).
    """
    fence = policy.cluster(cluster).fence
    return policy.sealed_is_down and bool(fence.command) and fence.on_failure is OnFenceFailure.BLOCK


def sealed_not_dead(view: ClusterView) -> str:
    """Which node of the cluster is sealed and does not count as down, as a sentence; empty when none is.

    Whatever is waived: a sealed cluster is one unseal away from being a primary (DESIGN 4: never on "sealed" alone).
    """
    node = next((node for node in view.unsure if node.reading in SEALED), None)
    if node is None:
        return ""
    return f"{node.node} of {view.cluster} is {node.reading}, and sealed does not count as down (`sealed_is_down`)"


def named_as_active(view: ClusterView) -> frozenset[str]:
    """The cluster addresses that the nodes of a cluster name as those of its active node."""
    return frozenset(
        _bare(node.names.cluster_address) for node in view.nodes if node.names and node.names.cluster_address
    )


def checked_against(
    partner: ClusterView, elected: ClusterView | None, *, hears: bool, named_lately: Iterable[str] = ()
) -> ClusterView:
    """`partner`, said to be wrong when it `hears` a primary that is not the elected one.

    Only what both clusters show is compared: the cluster addresses that the nodes of an active primary name as
    active, and the primary's addresses that the secondary refreshes from its heartbeats. Source: README-DR. Of a
    primary whose active node has changed the secondary shows the one before until it hears the next: `named_lately`.
    """
    if elected is None or not hears or not elected.is_active_primary or not partner.is_active_secondary:
        return partner
    own = {*named_as_active(elected), *named_lately}
    heard = {_bare(address) for address in _heard_addresses(partner)}
    if not own or not heard or own & heard:
        return partner
    return replace(partner, wrong=f"{partner.cluster} hears a primary at {min(heard)}, not {elected.cluster}")


def _heard_addresses(partner: ClusterView) -> list[str]:
    status = partner.active.status if partner.active is not None else None
    if status is None:
        return []
    addresses = (*(status.known_primary_cluster_addrs or ()), *(peer.cluster_address for peer in status.peers or ()))
    return [address for address in addresses if address]


def _bare(address: str) -> str:
    return address.lower().removeprefix("https://").rstrip("/")


def _reach(nodes: tuple[NodeSeen, ...], unsure: tuple[NodeSeen, ...], *, expected_nodes: int) -> Reach:
    if any(node.is_life for node in nodes):
        return Reach.UP
    if expected_nodes and len(nodes) == expected_nodes and not unsure:
        return Reach.DOWN
    return Reach.UNKNOWN


def _active(nodes: tuple[NodeSeen, ...]) -> NodeSeen | None:
    # During split leadership several nodes may claim is_self: the latest active_time counts. Source: TCU.
    claims = [node for node in nodes if node.reading is Reading.ACTIVE]
    return max(claims, key=_active_since, default=None)


def _active_since(node: NodeSeen) -> datetime:
    # RFC 3339 with any offset and up to nine digits: as text 10:00:00.5Z would sort before 10:00:00Z.
    try:
        since = datetime.fromisoformat(node.names.active_time if node.names and node.names.active_time else "")
    except ValueError:
        return NEVER
    return since if since.tzinfo is not None else since.replace(tzinfo=UTC)


def _wrong(nodes: tuple[NodeSeen, ...], kind: Replication) -> str:
    strange = next((node for node in nodes if node.wrong_id), None)
    if strange is not None and not any(node.is_life for node in nodes):
        return strange.wrong_id
    active = _active(nodes)
    if active is None:
        return ""
    if active.health is not None and active.health.enterprise is False:
        return "a Community Edition server: it has no replication"
    if active.status is not None and active.status.mode in (Mode.DISABLED, Mode.UNSUPPORTED):
        return f"{kind} replication is {active.status.mode}"
    return ""
