"""What the faults that hold mean for a cluster: which processes run, sleep or are sealed, and whether it has a quorum.

Faults on the way to an address are not here, see `network.py`; nor those that an answer asks about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchdogd.lab.faults import Fault, FaultBoard, FaultKind

if TYPE_CHECKING:
    from watchdogd.lab.cluster import Cluster
    from watchdogd.lab.node import Node


@dataclass(slots=True)
class Suffered:
    """What a cluster has taken over of the faults that hold."""

    has_quorum_loss: bool = False
    flap_every_s: float | None = None
    sealed: set[str] = field(default_factory=set)  # nodes that a fault seals, and that open again by themselves


def heed(cluster: Cluster, faults: FaultBoard, now_s: float) -> None:
    """Take over what holds now; what has ended is over."""
    for node in cluster.nodes:
        _heed_node(cluster, node, faults, now_s)
    suffered = cluster.suffered
    suffered.has_quorum_loss = any(_is_meant(cluster, f.target) for f in faults.of(FaultKind.QUORUM_LOSS))
    every = [f.number("every_s", 5.0) for f in faults.of(FaultKind.FLAP) if _is_meant(cluster, f.target)]
    if not every:
        suffered.flap_every_s = cluster.flap_at_s = None
    elif suffered.flap_every_s != every[0]:
        suffered.flap_every_s, cluster.flap_at_s = every[0], now_s
    cluster.store.is_overloaded = any(_is_meant(cluster, f.target) for f in faults.of(FaultKind.WRITE_OVERLOAD))
    cluster.changes += 1


def _heed_node(cluster: Cluster, node: Node, faults: FaultBoard, now_s: float) -> None:
    node.removed = any(_meant(FaultKind.REMOVED, faults, cluster, node))
    node.slow_s = sum(f.number("seconds") for f in _meant(FaultKind.SLOW_STORAGE, faults, cluster, node))
    ended = {f.text("edition", "production") for f in _meant(FaultKind.LICENCE_EXPIRED, faults, cluster, node)}
    does_not_start = "production" in ended and not node.up  # a binary does not start with it (LICFAQ)
    crashed = does_not_start or any(_meant(FaultKind.CRASH, faults, cluster, node))
    sealed = "evaluation" in ended or any(_meant(FaultKind.SEAL, faults, cluster, node))
    _heed_stop(cluster, node, faults, now_s)
    if crashed and node.up:
        node.stop()
        cluster.note(now_s, f"{node.target} crashed")
    elif not crashed and not node.up:
        node.start(unseal_at_s=None if sealed else cluster.unseals_by_itself_at(now_s))
        cluster.note(now_s, f"{node.target} started")
    if node.up:
        _heed_seal(cluster, node, sealed=sealed, now_s=now_s)


def _heed_stop(cluster: Cluster, node: Node, faults: FaultBoard, now_s: float) -> None:
    stopped = any(_meant(FaultKind.STOPPED, faults, cluster, node))
    if stopped is node.stopped:
        return
    node.stopped = stopped
    cluster.note(now_s, f"{node.target} {'sleeps' if stopped else 'awake'}")
    if not stopped:
        cluster.tell_standbys_soon(now_s)


def _heed_seal(cluster: Cluster, node: Node, *, sealed: bool, now_s: float) -> None:
    held = cluster.suffered.sealed
    if sealed and (not node.sealed or node.unseal_at_s is not None):
        cluster.seal_node(node, now_s)
    elif not sealed and node.sealed and node.unseal_at_s is None and node.target in held:
        node.unseal_at_s = cluster.unseals_by_itself_at(now_s)
    held.discard(node.target)
    if sealed:
        held.add(node.target)


def _meant(kind: FaultKind, faults: FaultBoard, cluster: Cluster, node: Node) -> Iterator[Fault]:
    return (fault for fault in faults.of(kind) if _is_meant(cluster, fault.target, node))


def _is_meant(cluster: Cluster, target: str, node: Node | None = None) -> bool:
    if target in (f"cluster:{cluster.name}", f"region:{cluster.region}"):
        return True
    return node is not None and target == f"node:{node.target}"
