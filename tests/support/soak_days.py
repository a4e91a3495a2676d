"""Days without a true loss: paths that lose in bursts and each direction by itself, nodes and daemons that restart.

East stays primary, or elects for less than a window, and its clients reach it all day. A decision to fail over that
still stands when the last look of the run is over is false, unless nothing at all passed on either way for the whole
window: that partition no evidence can tell from a loss (DESIGN section 4), and it is counted for itself: there the
fence decides.

Only stretches are played in which no round of east showed life for `DARK_S`. The rest is left out exactly: S-30 asks
for a window of DOWN, and every round that shows life begins that window anew.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from tests.support.pair import EAST, WEST
from tests.support.soak_bodies import NODES
from tests.support.soak_play import LOOK_S, Player
from tests.support.soak_rounds import (
    ANSWER_S,
    BEAT_S,
    INTERVAL_S,
    NOBODY,
    Active,
    Burst,
    Outage,
    Pair,
    Path,
    Story,
    Style,
    draw,
)
from watchdogd.core.model import ClusterId, Reading
from watchdogd.core.situations import Act
from watchdogd.rehearsal.moments import DAY_S, joined, moments

DARK_S = 20.0  # far less than down_after: what could become a window is played from its begin
WARM_S = 70.0  # longer than every memory of the core that a decision asks about; see the test
AFTER_S = 15.0
WINDOW_S = 50.0
IN_A_ROW = int(DARK_S // INTERVAL_S) - 1  # so many lost rounds of one node there are in every dark stretch
BLIP_S_MAX = 40.0  # of a whole region's uplink: shorter than a window, or it is the partition that nobody can tell
LOST_AS = (Reading.SILENT,) * 6 + (Reading.OURS, Reading.STRANGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayResult:
    """What one day came to."""

    number: int
    false_s: tuple[float, ...] = ()
    partitions_s: tuple[float, ...] = ()
    withdrawn: int = 0  # decided, and taken back by the last look
    suspected: int = 0  # windows that ran, and never filled
    ticks: int = 0


# -- weather ---------------------------------------------------------------------------------------------------------


def story_of_day(seed: int, number: int, length_s: float = DAY_S, density: float = 1.0) -> Story:
    """The day `number` of a seed. `density` makes a day busier than any is."""
    chance = random.Random(f"day-{seed}-{number}")
    bursts: dict[Path, list[Burst]] = {path: list(_bursts(chance, length_s, density)) for path in Path}
    for blip in _blips(chance, length_s, density):
        for path in (Path.BASTION_EAST, Path.EAST_WEST, Path.WEST_EAST):
            bursts[path].append(blip)
    for blip in _blips(chance, length_s, density):  # our own uplink
        for path in (Path.BASTION_EAST, Path.BASTION_WEST):
            bursts[path].append(blip)
    outages, actives = _outages(chance, length_s, density)
    return Story(
        key=chance.getrandbits(64),
        phases_s={(cluster, n): chance.uniform(0, INTERVAL_S) for cluster in (EAST, WEST) for n in range(1, NODES + 1)},
        beat_phase_s=chance.uniform(0, BEAT_S),
        tick_phase_s=chance.uniform(0, 1.0),
        bursts={path: tuple(found) for path, found in bursts.items()},
        drizzle={path: chance.choice((0.0, 0.0, 0.02, 0.05)) for path in Path},
        outages=tuple(outages),
        actives={cluster: tuple(found) for cluster, found in actives.items()},
        restarts=tuple(_restarts(chance, length_s, density)),
        style=_style(chance),
    )


def _style(chance: random.Random) -> Style:
    """A version that shows neither heartbeats nor a canary is watched by its WAL, which then has to move."""
    has_peers = chance.random() < 0.8
    return Style(has_peers=has_peers, wal_per_s=chance.choice((0.0, 5.0, 100.0) if has_peers else (5.0, 100.0)))


def _bursts(chance: random.Random, length_s: float, density: float) -> Iterator[Burst]:
    """One path's day: how often it goes bad, for how long, and how much is lost then."""
    per_day, mean_s = chance.choice((2.0, 20.0, 100.0)) * density, chance.choice((2.0, 6.0, 15.0))
    for at_s in moments(chance, per_day, length_s):
        loss = chance.choice((0.2, 0.5, 0.8, 0.95, 1.0))
        for_s = chance.expovariate(1 / mean_s)
        yield Burst(from_s=at_s, to_s=at_s + for_s, loss=loss, reading=chance.choice(LOST_AS))
    for at_s in moments(chance, 0.1 * density, length_s):  # somebody with an excavator
        yield Burst(from_s=at_s, to_s=at_s + chance.uniform(60.0, 3600.0), loss=1.0)


def _blips(chance: random.Random, length_s: float, density: float) -> Iterator[Burst]:
    per_day, mean_s = chance.choice((0.5, 5.0)) * density, chance.choice((4.0, 12.0))
    for at_s in moments(chance, per_day, length_s):
        for_s = min(BLIP_S_MAX, chance.expovariate(1 / mean_s))
        yield Burst(from_s=at_s, to_s=at_s + for_s, loss=chance.choice((0.5, 0.9, 1.0, 1.0)))


def _outages(
    chance: random.Random, length_s: float, density: float
) -> tuple[list[Outage], dict[ClusterId, list[Active]]]:
    """Nodes that restart, an odd one that is away all day, and leader changes with an election in between."""
    outages: list[Outage] = []
    actives: dict[ClusterId, list[Active]] = {EAST: [], WEST: []}
    for cluster in (EAST, WEST):
        if chance.random() < 0.2:
            reading = chance.choice((Reading.SILENT, Reading.SEALED, Reading.STRANGE, Reading.OURS))
            outages.append(Outage(cluster=cluster, n=3, from_s=0.0, to_s=length_s, reading=reading))
        for at_s in moments(chance, chance.choice((0.2, 3.0)) * density, length_s):
            elects_s, stays_s = chance.uniform(1.0, 25.0), chance.uniform(5.0, 120.0)
            n = 2 if (actives[cluster][-1].n if actives[cluster] else 1) == 1 else 1
            if actives[cluster] and at_s < actives[cluster][-1].from_s + 120.0:
                continue
            actives[cluster] += [Active(from_s=at_s, n=NOBODY), Active(from_s=at_s + elects_s, n=n)]
            outages.append(Outage(cluster=cluster, n=3 - n, from_s=at_s, to_s=at_s + stays_s, reading=Reading.SILENT))
    return outages, actives


def _restarts(chance: random.Random, length_s: float, density: float) -> Iterator[tuple[float, float]]:
    end_s = 0.0
    for at_s in moments(chance, chance.choice((0.1, 4.0)) * density, length_s):
        if at_s > end_s:
            end_s = at_s + chance.uniform(0.5, 60.0)
            yield at_s, end_s


# -- what is left out ------------------------------------------------------------------------------------------------


def dark_stretches(pair: Pair, length_s: float) -> list[tuple[float, float]]:
    """Where no round of east showed life for `DARK_S`, with what is played before and after."""
    dark: list[tuple[float, float]] = []
    for from_s, to_s in joined(_troubles(pair, length_s), DARK_S):
        life_s = sorted(_life(pair, from_s - 2 * DARK_S, to_s + 2 * DARK_S))
        edges = [from_s - 2 * DARK_S, *life_s, to_s + 2 * DARK_S]
        dark += [(a, b) for a, b in pairwise(edges) if b - a >= DARK_S]
    return joined([(max(0.0, a - WARM_S), min(length_s, b + AFTER_S)) for a, b in dark], 1.0)


def _life(pair: Pair, from_s: float, to_s: float) -> Iterator[float]:
    for n in range(1, NODES + 1):
        k = max(0, int((from_s - pair.started_s(EAST, n, 0)) // INTERVAL_S))
        while (at_s := pair.started_s(EAST, n, k)) <= to_s:
            if pair.reading(EAST, n, k) in (Reading.ACTIVE, Reading.FOLLOWS):
                yield at_s + ANSWER_S
            k += 1


def _troubles(pair: Pair, length_s: float) -> list[tuple[float, float]]:
    """Everywhere that not every round of east shows life for a certain reason, and where a drizzle hits in a row."""
    found = [(burst.from_s, burst.to_s) for burst in pair.losses[Path.BASTION_EAST].bursts]
    starts = pair.story.actives.get(EAST, ())
    found += [(a.from_s, b.from_s) for a, b in pairwise(starts) if a.n == NOBODY]
    return sorted([*found, *_rows(pair, length_s)])


def _rows(pair: Pair, length_s: float) -> Iterator[tuple[float, float]]:
    """Where so many rounds in a row of one node of east are lost that a dark stretch is possible at all."""
    loss = pair.losses[Path.BASTION_EAST].drizzle
    if loss <= 0.0:
        return
    key, row, n = pair.key_of(Path.BASTION_EAST), 0, 1
    for k in range(int(length_s // INTERVAL_S)):
        row = row + 1 if draw(key, NODES * k + n) < loss else 0
        if row >= IN_A_ROW:
            at_s = pair.started_s(EAST, n, k)
            yield at_s - DARK_S, at_s


# -- a day -----------------------------------------------------------------------------------------------------------


def play_day(story: Story, number: int, length_s: float = DAY_S) -> DayResult:
    """Play what could matter of one day."""
    pair = Pair(story)
    player, result = Player(pair), DayResult(number=number)
    for from_s, to_s in dark_stretches(pair, length_s):
        result = _stretch(player, from_s, to_s, result)
    return replace(result, ticks=player.ticks)


def _stretch(player: Player, from_s: float, to_s: float, result: DayResult) -> DayResult:
    decided_s: float | None = None
    for tick in player.play(from_s, to_s):
        goes = tick.decision is not None and tick.decision.row.act is Act.FAILOVER
        if not goes:
            result = replace(result, withdrawn=result.withdrawn + (decided_s is not None))
            decided_s = None
            continue
        decided_s = tick.at_s if decided_s is None else decided_s
        if tick.at_s < decided_s + INTERVAL_S + LOOK_S:
            continue
        if is_partition(player.pair, decided_s):
            return replace(result, partitions_s=(*result.partitions_s, decided_s))
        return replace(result, false_s=(*result.false_s, decided_s))
    return replace(result, suspected=result.suspected + 1)


def is_partition(pair: Pair, decided_s: float) -> bool:
    """True when nothing passed for the whole window: neither from east to us, nor a heartbeat or WAL to west."""
    from_s = decided_s - WINDOW_S + INTERVAL_S
    is_dark = pair.losses[Path.BASTION_EAST].is_cut(from_s, decided_s)
    beats = pair.losses[Path.EAST_WEST].is_cut(from_s, decided_s) or pair.losses[Path.WEST_EAST].is_cut(
        from_s, decided_s
    )
    return is_dark and beats
