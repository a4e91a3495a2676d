"""Looking at the nodes: one loop per address, and complete looks on demand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable

from watchdogd.core.facts import Facts
from watchdogd.core.model import ClusterId, NodeAddress, NodeSeen
from watchdogd.core.readings import read
from watchdogd.daemon.gear import PairGear
from watchdogd.daemon.watching import PairDesk
from watchdogd.ports import Clock, Look


class Probing:
    """Every node of both clusters. A hung node never delays the probe of another."""

    def __init__(self, gear: PairGear, desk: PairDesk, clock: Clock) -> None:
        self._gear = gear
        self._policy = gear.policy
        self._desk = desk
        self._clock = clock

    @property
    def places(self) -> tuple[tuple[ClusterId, NodeAddress], ...]:
        """Every node that is probed, with its cluster."""
        return tuple((cluster, node) for cluster in self._policy.cluster_ids for node in self._gear.probes[cluster])

    async def probe_forever(self, cluster: ClusterId, node: NodeAddress, *, turn: float = 0.0) -> None:
        """One round every interval, from start to start, the first one `turn` of an interval from now.

        After a stall of our own the loop goes on at its turn: were all of them to begin anew at once, the handshakes of
        a hundred pairs would make each other late, and so on for ever.
        """
        loop, interval_s = asyncio.get_running_loop(), self._policy.timing.interval_s
        due = loop.time() + turn * interval_s
        while True:
            await asyncio.sleep(due - loop.time())
            self._desk.take(await self._probe(cluster, node))
            due += interval_s * max(1, math.ceil((loop.time() - due) / interval_s))

    async def probe_all(self, clusters: Iterable[ClusterId]) -> tuple[NodeSeen, ...]:
        """One new round of every node of `clusters`, all at the same time."""
        wanted = set(clusters)
        async with asyncio.TaskGroup() as tasks:
            rounds = [
                tasks.create_task(self._probe(cluster, node)) for cluster, node in self.places if cluster in wanted
            ]
        return tuple(task.result() for task in rounds)

    async def _probe(self, cluster: ClusterId, node: NodeAddress) -> NodeSeen:
        raw = await self._gear.probes[cluster][node](self._policy.timing.probe_timeout_s)
        return read(raw, self._policy.pins(cluster))


class PairEyes:
    """The `Eyes` port of one pair."""

    def __init__(self, gear: PairGear, desk: PairDesk, probing: Probing, clock: Clock) -> None:
        self._gear = gear
        self._desk = desk
        self._probing = probing
        self._clock = clock

    async def look(self, *, only: ClusterId | None = None) -> Look:
        """As the port says: the rounds are fed into the watch, and the facts are those after them."""
        started_s = self._clock.now_s()
        seen = await self._probing.probe_all([only] if only is not None else self._gear.policy.cluster_ids)
        ended_s = max((node.ended_s for node in seen), default=started_s)
        self._desk.take(*seen)
        facts: Facts = self._desk.assess()
        return Look(started_s=started_s, ended_s=ended_s, facts=facts)

    async def through_published_address(self, cluster: ClusterId) -> bool:
        """As the port says."""
        return await self._gear.publish_check(cluster)
