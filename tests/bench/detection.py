"""Worst-case detection as `watchdogd timing` prints it, against what the decision core needs in virtual time."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.pair import EAST, WEST
from tests.support.soak_bodies import NODES
from tests.support.soak_play import Player
from tests.support.soak_rounds import BEAT_S, INTERVAL_S, Pair, Path, Story
from watchdogd.core.budget import LossRow, worst_case
from watchdogd.core.policy import Timing
from watchdogd.core.situations import Act

DIES_S, GIVE_UP_S = 80.0, 400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """Printed and measured at one probability of losing a whole probe round."""

    printed: LossRow
    measured_s: tuple[float, ...]  # sorted

    def at(self, share: float) -> float:
        """The quantile."""
        return self.measured_s[min(len(self.measured_s) - 1, int(share * len(self.measured_s)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast the core is played."""

    ticks: int
    seconds: float


def detections(seeds: int) -> tuple[Mapping[float, Detected], Speed]:
    """Every loss probability that `watchdogd timing` prints, over so many seeds each."""
    begun_s, ticks = time.perf_counter(), 0
    found: dict[float, Detected] = {}
    for row in worst_case(Timing(), fence_timeout_s=None).losses:
        players = [Player(Pair(story_of(row.loss, seed))) for seed in range(seeds)]
        measured = [decided_s(player) for player in players]
        ticks += sum(player.ticks for player in players)
        found[row.loss] = Detected(printed=row, measured_s=tuple(sorted(measured)))
    return found, Speed(ticks=ticks, seconds=time.perf_counter() - begun_s)


def decided_s(player: Player) -> float:
    """From the loss to the decision; raises StopIteration where there is none in time."""
    return next(
        tick.at_s - DIES_S
        for tick in player.play(0.0, DIES_S + GIVE_UP_S)
        if tick.decision is not None and tick.decision.row.act is Act.FAILOVER
    )


def story_of(loss: float, seed: int) -> Story:
    """East dies; before and after it every whole round is lost with the same probability."""
    chance = random.Random(f"detection-{loss}-{seed}")
    return Story(
        key=chance.getrandbits(64),
        phases_s={(cluster, n): chance.uniform(0, INTERVAL_S) for cluster in (EAST, WEST) for n in range(1, NODES + 1)},
        beat_phase_s=chance.uniform(0, BEAT_S),
        tick_phase_s=chance.uniform(0, 1.0),
        drizzle={Path.BASTION_EAST: loss, Path.BASTION_WEST: loss},
        dies_s=DIES_S,
    )
