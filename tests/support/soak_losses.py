"""True losses after random histories: each must lead to a failover within its bound, or, where the truth holds one
back, to a page that names the row and the gates (DESIGN I13).

What is expected is told by the story alone, never by the core.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from tests.support.pair import EAST, WEST
from tests.support.soak_bodies import NODES, bodies
from tests.support.soak_play import Player, Tick
from tests.support.soak_rounds import (
    BEAT_S,
    FOREVER_S,
    INTERVAL_S,
    NOBODY,
    Active,
    Burst,
    Outage,
    Pair,
    Path,
    Story,
    Style,
)
from watchdogd.core.budget import worst_case
from watchdogd.core.facts import CredentialSeen
from watchdogd.core.model import ClusterId, Reading, StreamState
from watchdogd.core.policy import Timing
from watchdogd.core.situations import Act
from watchdogd.daemon.conditions import conditions
from watchdogd.daemon.question import Question, Timers
from watchdogd.ports import Notice, Severity

TIMING = Timing()
GAP_S = TIMING.gap_max_s
ROOM_S = TIMING.interval_s + TIMING.probe_timeout_s
LATEST_CHANGE_S = 100.0  # after the loss; by then every change of west's active node is over
# A page for what holds a failover back may come this much after the bound: what west heard before the loss counts as
# seeing for three beats, and only then does its own window begin. A drizzle may begin it anew.
PAGE_AFTER_S = 20.0
GIVE_UP_S = 900.0  # after the bound: lossy links are over long before


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One true loss, and what the story alone says must follow."""

    story: Story
    credentials: tuple[CredentialSeen, ...]
    held_by: frozenset[str]  # gates that the truth closes; empty: west is able, and only a failover counts


@dataclass(frozen=True, slots=True, kw_only=True)
class LossResult:
    """What one loss came to. `missed` is the sentence, empty when all is well."""

    number: int
    missed: str = ""
    detection_s: float | None = None  # from the loss to the decision
    over_s: float | None = None  # after the latest moment at which its evidence had to begin anew
    paged: str = ""  # the row that was paged instead, where the truth held the failover back
    paged_late: bool = False  # later than the bound and PAGE_AFTER_S, because what was seen changed all the time
    ticks: int = 0


# -- histories -------------------------------------------------------------------------------------------------------


def loss_of(seed: int, number: int) -> Loss:
    """The loss `number` of a seed."""
    chance = random.Random(f"loss-{seed}-{number}")
    dies_s = chance.uniform(180.0, 420.0)
    held_by: set[str] = set()
    outages, actives = _history(chance, dies_s)
    outages += _odd(chance, held_by)
    style = _style(chance)
    syncs_from_s = FOREVER_S
    if chance.random() < 0.04:
        syncs_from_s = chance.uniform(10.0, dies_s - 20.0)
        held_by.add("sync-state")
    dies_of = chance.choices((Reading.SILENT, Reading.LEADERLESS, Reading.SEALED), (80, 13, 7))[0]
    if dies_of is Reading.SEALED:
        held_by.add("sealed")
    story = Story(
        key=chance.getrandbits(64),
        phases_s={(cluster, n): chance.uniform(0, INTERVAL_S) for cluster in (EAST, WEST) for n in range(1, NODES + 1)},
        beat_phase_s=chance.uniform(0, BEAT_S),
        tick_phase_s=chance.uniform(0, 1.0),
        bursts={path: tuple(_bursts(chance, path, dies_s)) for path in Path},
        drizzle={path: chance.choice((0.0, 0.0, 0.02, 0.05)) for path in Path},
        outages=tuple(outages),
        actives={cluster: tuple(found) for cluster, found in actives.items()},
        restarts=tuple(_restarts(chance, dies_s)),
        dies_s=dies_s,
        dies_of=dies_of,
        style=style,
        syncs_from_s=syncs_from_s,
    )
    return Loss(story=story, credentials=_credentials(chance, held_by), held_by=frozenset(held_by))


def _bursts(chance: random.Random, path: Path, dies_s: float) -> Iterator[Burst]:
    """Bad times before the loss on every path, and a few after it on the two that are ours."""
    is_ours = path in (Path.BASTION_EAST, Path.BASTION_WEST)
    for _ in range(chance.choice((0, 0, 1, 3))):
        from_s = chance.uniform(60.0, dies_s + (60.0 if is_ours and chance.random() < 0.3 else 0.0))
        yield Burst(
            from_s=from_s,
            to_s=from_s + min(40.0, chance.expovariate(1 / 8.0)),
            loss=chance.choice((0.3, 0.6, 0.9, 1.0)),
            reading=chance.choice((Reading.SILENT, Reading.SILENT, Reading.SILENT, Reading.OURS, Reading.STRANGE)),
        )


def _history(chance: random.Random, dies_s: float) -> tuple[list[Outage], dict[ClusterId, list[Active]]]:
    """Flaps of east before the loss; leader changes of west before it, or while it lasts."""
    outages: list[Outage] = []
    actives: dict[ClusterId, list[Active]] = {EAST: [], WEST: []}
    at_s = chance.uniform(60.0, 120.0)
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        for_s = chance.uniform(3.0, 35.0)
        if at_s + for_s > dies_s - 5.0:
            break
        actives[EAST] += [Active(from_s=at_s, n=NOBODY), Active(from_s=at_s + for_s, n=chance.choice((1, 2)))]
        outages += [
            Outage(cluster=EAST, n=n, from_s=at_s, to_s=at_s + for_s, reading=Reading.SILENT)
            for n in range(1, NODES + 1)
        ]
        at_s += for_s + chance.uniform(20.0, 120.0)
    n, at_s = 1, chance.uniform(60.0, dies_s)
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        elects_s = chance.uniform(1.0, 15.0)
        actives[WEST] += [Active(from_s=at_s, n=NOBODY), Active(from_s=at_s + elects_s, n=3 - n)]
        outages.append(
            Outage(cluster=WEST, n=n, from_s=at_s, to_s=at_s + elects_s + chance.uniform(0, 30), reading=Reading.SILENT)
        )
        n, at_s = 3 - n, at_s + elects_s + chance.uniform(40.0, dies_s)
        if at_s > dies_s + 80.0:
            break
    return outages, actives


def _odd(chance: random.Random, held_by: set[str]) -> list[Outage]:
    """Nodes that were odd long before: in east, where two kinds of them block; in west, where one does no harm."""
    odd: list[Outage] = []
    if chance.random() < 0.2:
        reading = chance.choice((Reading.SILENT, Reading.SEALED, Reading.STRANGE, Reading.OURS))
        blocks = reading in (Reading.STRANGE, Reading.OURS)
        odd.append(Outage(cluster=EAST, n=3, from_s=0.0, to_s=FOREVER_S, reading=reading, outlives_loss=blocks))
        if blocks:
            held_by.add("node")
    if chance.random() < 0.15:
        reading = chance.choice((Reading.SILENT, Reading.SEALED, Reading.STRANGE))
        odd.append(Outage(cluster=WEST, n=3, from_s=0.0, to_s=FOREVER_S, reading=reading))
    return odd


def _style(chance: random.Random) -> Style:
    has_peers = chance.random() < 0.85
    return Style(
        has_peers=has_peers,
        is_ready_for_ever=chance.random() < 0.25,
        state_after=chance.choice((StreamState.STREAM_WALS, StreamState.IDLE, StreamState.OTHER)),
        wal_per_s=chance.choice((0.0, 5.0, 100.0) if has_peers else (5.0, 100.0)),
    )


def _restarts(chance: random.Random, dies_s: float) -> Iterator[tuple[float, float]]:
    moments = sorted(
        [chance.uniform(30.0, dies_s) for _ in range(chance.choice((0, 0, 1, 2)))]
        + [dies_s + chance.uniform(-2.0, 60.0) for _ in range(chance.choice((0, 0, 0, 1)))]
    )
    for at_s, next_s in pairwise([*moments, FOREVER_S]):
        yield at_s, min(at_s + chance.uniform(0.5, 45.0), next_s - 0.25)


def _credentials(chance: random.Random, held_by: set[str]) -> tuple[CredentialSeen, ...]:
    second = CredentialSeen(name="b", is_present=True, is_proven=True)
    match chance.choices(("both", "first expired", "first gone", "none proven"), (60, 18, 18, 4))[0]:
        case "both":
            return (replace(second, name="a"), second)
        case "first expired":
            return (CredentialSeen(name="a", is_present=True, is_proven=False, why="expired"), second)
        case "first gone":
            return (CredentialSeen(name="a", is_present=False, is_proven=False, why="no such file"), second)
        case _:
            held_by.add("proof")
            return tuple(CredentialSeen(name=name, is_present=True, is_proven=False) for name in ("a", "b"))


# -- the bound -------------------------------------------------------------------------------------------------------


def begins_anew_s(pair: Pair) -> float:
    """The latest moment at which the evidence had to begin: the loss, a restart, a new active node, a gap."""
    story = pair.story
    moments = [story.dies_s, *(again_s for _, again_s in story.restarts)]
    moments += [active.from_s for active in story.actives.get(WEST, ()) if active.from_s > story.dies_s]
    moments += [at_s for at_s in _gaps(pair)]
    return max(moments)


def _gaps(pair: Pair) -> Iterator[float]:
    """Where a stretch ends in which east was no evidence, or the active node of west was not read for `gap_max`.

    WAL that came before the loss is dated by the first look after it, and a new daemon knows nothing of west before its
    first look. Where looks were lost, that is when west's window begins; the printed bound has room for one interval
    and one time-out of it.
    """
    dies_s, end_s = pair.story.dies_s, pair.story.dies_s + 200.0
    for burst in pair.losses[Path.BASTION_EAST].bursts:
        is_evidence = burst.reading is Reading.SILENT or burst.to_s < dies_s
        if not is_evidence:
            yield burst.to_s + INTERVAL_S
    reads_s = sorted(_read(pair, dies_s - GAP_S, end_s))
    for before_s, at_s in pairwise([dies_s - GAP_S, *reads_s]):
        if at_s > dies_s and at_s - before_s > GAP_S:
            yield at_s
    for begin_s in (dies_s, *(again_s for _, again_s in pair.story.restarts if again_s > dies_s)):
        yield from (at_s - ROOM_S for at_s in [s for s in reads_s if s > begin_s][:1])


def _read(pair: Pair, from_s: float, to_s: float) -> Iterator[float]:
    for n in range(1, NODES + 1):
        k = max(0, int((from_s - pair.started_s(WEST, n, 0)) // INTERVAL_S))
        while (at_s := pair.started_s(WEST, n, k)) <= to_s:
            if pair.reading(WEST, n, k) is Reading.ACTIVE:
                yield at_s
            k += 1


def bound_s(pair: Pair) -> float:
    """What `watchdogd timing` prints, counted from where the evidence had to begin."""
    # A node of west that became active too late to be given a heartbeat shows none: it is judged by its channel alone.
    shows = pair.story.style.has_peers and pair.beat_s(pair.story.dies_s + LATEST_CHANGE_S) is not None
    return begins_anew_s(pair) + worst_case(TIMING, fence_timeout_s=None, reports_heartbeats=shows).detection_s


def is_clear(pair: Pair, at_s: float) -> bool:
    """True when the newest two rounds of every node of west came through: what is there to be read was read."""
    return all(_came_through(pair, n, at_s) for n in range(1, NODES + 1))


def _came_through(pair: Pair, n: int, at_s: float) -> bool:
    k = int((at_s - pair.started_s(WEST, n, 0)) // INTERVAL_S)
    numbers = [number for number in (k - 1, k) if number >= 0]
    return all(
        pair.is_lost(Path.BASTION_WEST, NODES * number + n, pair.started_s(WEST, n, number)) is None
        for number in numbers
    )


# -- one loss --------------------------------------------------------------------------------------------------------


class Watcher:
    """What is decided and paged after the loss."""

    def __init__(self, loss: Loss, player: Player) -> None:
        self.loss = loss
        self.player = player
        self.timers = Timers()
        self.pages: list[Notice] = []

    def told(self, tick: Tick) -> None:
        """What the daemon would say at this tick."""
        assert tick.decision is not None
        question = Question(
            facts=tick.facts,
            decision=tick.decision,
            around=self.player.around_at(tick.at_s),
            policy=self.player.watch.policy,
            resets=self.player.watch.resets,
            timers=self.timers,
        )
        self.pages = [notice for notice in conditions(question) if notice.severity is Severity.PAGE]


def play_loss(loss: Loss, number: int) -> LossResult:
    """Play one loss until it is failed over, paged or missed."""
    pair = Pair(loss.story)
    player = Player(pair, loss.credentials)
    due_s = bound_s(pair)
    watcher, dies_s = Watcher(loss, player), loss.story.dies_s
    for tick in player.play(0.0, due_s + GIVE_UP_S, decides_always=True):
        result = _judged(watcher, tick, due_s, number)
        if result is not None:
            return replace(result, ticks=player.ticks)
    return LossResult(number=number, missed=f"nothing until {due_s + GIVE_UP_S - dies_s:.0f} s after the loss")


def _judged(watcher: Watcher, tick: Tick, due_s: float, number: int) -> LossResult | None:
    loss, decision = watcher.loss, tick.decision
    assert decision is not None
    dies_s = loss.story.dies_s
    goes = decision.row.act is Act.FAILOVER and any(todo.goes for todo in decision.todo)
    if goes and tick.at_s < dies_s:
        return LossResult(number=number, missed=f"failed over {dies_s - tick.at_s:.0f} s before the loss")
    if goes and loss.held_by:
        return LossResult(number=number, missed=f"failed over although {', '.join(sorted(loss.held_by))} holds it back")
    if goes:
        begun_s = begins_anew_s(watcher.player.pair)
        return LossResult(number=number, detection_s=tick.at_s - dies_s, over_s=tick.at_s - begun_s)
    if tick.at_s < dies_s:
        return None
    watcher.told(tick)
    if tick.at_s < due_s or not is_clear(watcher.player.pair, tick.at_s):
        return None
    return _late(watcher, tick, due_s, number)


def _late(watcher: Watcher, tick: Tick, due_s: float, number: int) -> LossResult | None:
    """The bound is over and nothing goes: right only where the truth holds it back, and only with a page."""
    assert tick.decision is not None
    closed = {gate.gate.partition(":")[0] for gate in tick.facts.closed_gates()}
    row = tick.decision.row.id
    saying = f"{row}, closed: {', '.join(sorted(closed)) or 'none'}"
    if not watcher.loss.held_by and not is_loss_too_much(watcher.player.pair, closed):
        return LossResult(number=number, missed=f"able, but {saying}, {tick.at_s - watcher.loss.story.dies_s:.0f} s on")
    if not any(row in page.summary for page in watcher.pages):
        return None
    if not closed:
        return LossResult(number=number, missed=f"paged without a gate: {saying}")
    return LossResult(number=number, paged=row, paged_late=tick.at_s > due_s + PAGE_AFTER_S)


def is_loss_too_much(pair: Pair, closed: set[str]) -> bool:
    """True when WAL that never reached west holds the failover back, by the positions of the story."""
    story, policy = pair.story, bodies().policy
    lost_s = story.dies_s - pair.heard_s(story.dies_s)
    return closed == {"loss"} and (lost_s > policy.max_loss_s or story.style.wal_per_s * lost_s > policy.max_loss_wal)
