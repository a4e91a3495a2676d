"""The nodes of one cluster put together: UP, DOWN, or could not look (DESIGN section 4)."""

from __future__ import annotations

from collections.abc import Iterable

from watchdogd.core.model import ClusterId, ClusterView, Mode, NodeSeen, Reach, Reading, Replication

NOT_SERVING = frozenset({Reading.SILENT, Reading.LEADERLESS})
SEALED = frozenset({Reading.SEALED, Reading.UNINIT})


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
    return ClusterView(
        cluster=cluster,
        reach=_reach(seen, expected_nodes=expected_nodes, sealed_is_down=sealed_is_down),
        at_s=min((node.ended_s for node in seen), default=at_s),
        nodes=seen,
        active=_active(seen),
        wrong=_wrong(seen, kind),
    )


def _reach(nodes: tuple[NodeSeen, ...], *, expected_nodes: int, sealed_is_down: bool) -> Reach:
    if any(node.is_life for node in nodes):
        return Reach.UP
    counts_as_down = NOT_SERVING | SEALED if sealed_is_down else NOT_SERVING
    if expected_nodes and len(nodes) == expected_nodes and all(node.reading in counts_as_down for node in nodes):
        return Reach.DOWN
    return Reach.UNKNOWN


def _active(nodes: tuple[NodeSeen, ...]) -> NodeSeen | None:
    # During split leadership several nodes may claim is_self: the latest active_time counts. Source: TCU.
    claims = [node for node in nodes if node.reading is Reading.ACTIVE]
    return max(claims, key=lambda node: (node.names.active_time or "") if node.names else "", default=None)


def _wrong(nodes: tuple[NodeSeen, ...], kind: Replication) -> str:
    strange = [node for node in nodes if "is not the pinned" in node.why]
    if strange and not any(node.is_life for node in nodes):
        return strange[0].why
    active = _active(nodes)
    if active is None or active.status is None:
        return ""
    if active.health is not None and active.health.enterprise is False:
        return "a Community Edition server: it has no replication"
    if active.status.mode in (Mode.DISABLED, Mode.UNSUPPORTED):
        return f"{kind} replication is {active.status.mode}"
    return ""
