"""When the nodes are probed: every pair at its own turn of the interval, and again at that turn after a stall."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat

import pytest

from tests.support.pair import EAST, policy_of
from watchdogd.adapters.clock import SystemClock
from watchdogd.core.model import Attempt, ClusterId, NodeAddress, NodeSeen, Raw, RawRound
from watchdogd.core.policy import PairPolicy
from watchdogd.daemon.probing import Probing

POLICY = policy_of()
NODE = POLICY.cluster(EAST).nodes[0]
INTERVAL_S = POLICY.timing.interval_s
NOTHING = Raw(attempt=Attempt.SILENT)


@dataclass(slots=True, kw_only=True)
class Nodes:
    """Gear and desk in one: a node whose rounds take as long as they are told to."""

    took_s: Iterator[float]
    policy: PairPolicy = POLICY
    started_s: list[float] = field(default_factory=list)

    @property
    def probes(self) -> dict[ClusterId, dict[NodeAddress, object]]:
        return {EAST: {NODE: self.probe}}

    async def probe(self, timeout_s: float) -> RawRound:
        now_s = asyncio.get_running_loop().time()
        self.started_s.append(now_s)
        await asyncio.sleep(next(self.took_s))
        return RawRound(
            cluster=EAST,
            node=NODE,
            started_s=now_s,
            ended_s=now_s,
            health_raw=NOTHING,
            names_raw=NOTHING,
            status_raw=NOTHING,
            ever_answered=True,
        )

    def take(self, *seen: NodeSeen) -> None:
        """Kept by nobody."""


async def rounds_of(took_s: Iterator[float], turn: float, until_s: float) -> list[float]:
    """When each round began, in intervals since the start."""
    nodes = Nodes(took_s=took_s)
    begun_s = asyncio.get_running_loop().time()
    probing = Probing(nodes, nodes, SystemClock())  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(probing.probe_forever(EAST, NODE, turn=turn), name="probe")
        await asyncio.sleep(until_s)
        loop.cancel()
    return [round((at_s - begun_s) / INTERVAL_S, 3) for at_s in nodes.started_s]


@pytest.mark.looptime
@pytest.mark.parametrize("turn", [0.0, 0.25])
async def test_the_rounds_of_a_node_begin_at_its_turn_of_every_interval(turn: float) -> None:
    assert await rounds_of(repeat(0.1), turn, 3.5 * INTERVAL_S) == [turn, 1 + turn, 2 + turn, 3 + turn]


@pytest.mark.looptime
async def test_after_a_stall_a_node_is_probed_at_its_turn_again_and_not_with_all_the_others() -> None:
    # DESIGN 12: 100 pairs on one core. Beginning anew at once, 600 handshakes would make each other late for ever.
    took_s = iter([0.1, 1.6 * INTERVAL_S, *[0.1] * 9])
    assert await rounds_of(took_s, 0.25, 5 * INTERVAL_S) == [0.25, 1.25, 3.25, 4.25]


@pytest.mark.looptime
async def test_a_round_that_took_exactly_the_interval_is_followed_at_once() -> None:
    took_s = iter([INTERVAL_S, *[0.1] * 9])
    assert await rounds_of(took_s, 0.0, 2.5 * INTERVAL_S) == [0.0, 1.0, 2.0]
