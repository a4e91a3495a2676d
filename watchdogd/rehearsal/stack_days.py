"""Days without a loss, on the whole stack: any promotion is false, unless nothing at all passed for a whole window.

Only stretches are played in which east could be dark to us for `DARK_S`: with all else that happens around them, from
`LEAD_S` before to `AFTER_S` after, each with a founded pair and a daemon of its own. What is left out changes nothing:
promote is sent by a failover alone, a failover asks for a window of DOWN (50 s), and each round of any node of east
that shows life begins that window anew. Shorter darkness than `DARK_S` is not even a third of one. The lead is longer
than a cold start and the windows of UP; what follows is longer than a whole window and a run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from watchdogd.core.policy import Timing
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.knobs import DeadLinkState, RoleWindow, StandbyStatus
from watchdogd.lab.scenario import ActLine, Do, FaultLine, Scenario, Tag
from watchdogd.rehearsal.moments import DAY_S, joined, moments
from watchdogd.rehearsal.site import EAST, WEST
from watchdogd.rehearsal.stack_play import StackPlay, act, fault, play_through, scenario

TIMING = Timing()
DARK_S, GAP_S = 15.0, 12.0  # darkness is joined over gaps: a round may fall on neither side of one
LEAD_S, CALM_S, AFTER_S = 90.0, 55.0, 80.0  # the first CALM_S of a lead are quiet: the pair is founded there
CUT_S = TIMING.down_after_s - TIMING.interval_s - TIMING.probe_timeout_s  # nothing passed for as long as a window sees
STEADY_AGAIN_S = 30.0  # a stretch ends with quiet: what is left standing then waits for a human
BLIP_S_MAX = 40.0  # of a whole region's uplink: shorter than a window
ELECTION_S_MAX = 20.0
OUR_WAYS = ("link:bastion>east", "link:bastion>west")
REPLICATION_WAYS = ("repl:east>west", "repl:west>east")
LOSING = (FaultKind.LOSS,) * 4 + (
    FaultKind.DROP, FaultKind.DROP, FaultKind.HANG, FaultKind.RESET, FaultKind.REFUSE, FaultKind.GARBAGE,
)  # fmt: skip
# Of these nothing passes, and to us they are silence: what a loss looks like.
SILENT = frozenset({FaultKind.DROP, FaultKind.HANG, FaultKind.RESET, FaultKind.REFUSE, FaultKind.BLACKOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that is wrong for a while. `is_dark`: east may show us no life meanwhile."""

    from_s: float
    to_s: float
    fault: Fault
    is_dark: bool = False

    def cuts(self, targets: tuple[str, ...]) -> bool:
        """Whether nothing at all passes on one of these ways."""
        is_certain = self.fault.kind is FaultKind.LOSS and self.fault.params["probability"] == 1.0
        return self.fault.target in targets and (self.fault.kind in SILENT or is_certain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interlude:
    """The daemon is gone for a while, or somebody pauses the pair."""

    at_s: float
    for_s: float
    do: Do


@dataclass(slots=True)
class StackDay:
    """Everything that happens on one day."""

    troubles: list[Trouble] = field(default_factory=list)
    interludes: list[Interlude] = field(default_factory=list)
    odd: list[Fault] = field(default_factory=list)
    is_first_expired: bool = False
    drizzle: dict[str, float] = field(default_factory=dict)
    has_beats: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StackDayResult:
    """What one day came to."""

    wrong: tuple[str, ...] = ()  # false failovers and broken invariants, each with its moment
    partitions: int = 0
    stretches: int = 0
    suspected: int = 0  # stretches in which a window ran
    played_s: float = 0.0


# -- weather ---------------------------------------------------------------------------------------------------------


def stack_day(seed: int, number: int, length_s: float = DAY_S, density: float = 1.0) -> StackDay:
    """The day `number` of a seed. `density` makes a day busier than any is."""
    chance = random.Random(f"stack-day-{seed}-{number}")
    day = StackDay(is_first_expired=chance.random() < 0.2, has_beats=chance.random() < 0.8)
    for target in (*OUR_WAYS, *REPLICATION_WAYS):
        day.troubles += _bursts(chance, target, length_s, density)
    day.troubles += _blips(chance, length_s, density)
    day.troubles += _clusters(chance, length_s, density)
    for at_s in moments(chance, 2.0 * density, length_s):
        dead = Fault(kind=FaultKind.DNS_DEAD, target="dns:resolver", place="bastion")
        day.troubles.append(Trouble(from_s=at_s, to_s=at_s + chance.uniform(10.0, 1800.0), fault=dead))
    day.interludes += _interludes(chance, length_s, density)
    for cluster in (EAST, WEST):
        if chance.random() < 0.2:
            kind = chance.choice((FaultKind.CRASH, FaultKind.SEAL, FaultKind.GARBAGE))
            place = "bastion" if kind is FaultKind.GARBAGE else None
            day.odd.append(Fault(kind=kind, target=f"node:{cluster}/3", place=place))
    day.drizzle = {target: chance.choice((0.0, 0.0, 0.005, 0.02)) for target in OUR_WAYS}
    return day


def _bursts(chance: random.Random, target: str, length_s: float, density: float) -> Iterator[Trouble]:
    """One way's day: how often it goes bad, for how long, and how."""
    is_dark = target == OUR_WAYS[0]
    per_day, mean_s = chance.choice((2.0, 20.0, 100.0)) * density, chance.choice((2.0, 6.0, 15.0))
    for at_s in moments(chance, per_day, length_s):
        kind = chance.choice(LOSING) if target in OUR_WAYS else chance.choice((FaultKind.DROP, FaultKind.REFUSE))
        params = {"probability": chance.choice((0.3, 0.6, 0.9, 0.97, 1.0))} if kind is FaultKind.LOSS else {}
        to_s = at_s + chance.expovariate(1 / mean_s)
        yield Trouble(from_s=at_s, to_s=to_s, fault=Fault(kind=kind, target=target, params=params), is_dark=is_dark)
    for at_s in moments(chance, 0.1 * density, length_s):  # somebody with an excavator
        to_s = at_s + chance.uniform(60.0, 1800.0)
        yield Trouble(from_s=at_s, to_s=to_s, fault=Fault(kind=FaultKind.DROP, target=target), is_dark=is_dark)


def _blips(chance: random.Random, length_s: float, density: float) -> Iterator[Trouble]:
    """Of the uplink of a whole region, and of our own."""
    per_day, mean_s = chance.choice((0.5, 5.0)) * density, chance.choice((4.0, 12.0))
    for at_s in moments(chance, 2 * per_day, length_s):
        to_s = at_s + min(BLIP_S_MAX, chance.expovariate(1 / mean_s))
        if chance.random() < 0.5:
            blackout = Fault(kind=FaultKind.BLACKOUT, target="region:east")
            yield Trouble(from_s=at_s, to_s=to_s, fault=blackout, is_dark=True)
            continue
        for target in OUR_WAYS:
            yield Trouble(from_s=at_s, to_s=to_s, fault=Fault(kind=FaultKind.DROP, target=target), is_dark=True)


def _clusters(chance: random.Random, length_s: float, density: float) -> Iterator[Trouble]:
    """Nodes that restart, active nodes that step down, elections that take long."""
    for cluster in (EAST, WEST):
        for at_s in moments(chance, chance.choice((0.5, 4.0)) * density, length_s):
            match chance.choice(("restart", "step down", "elects")):
                case "restart":
                    crash = Fault(kind=FaultKind.CRASH, target=f"node:{cluster}/{chance.choice((1, 2))}")
                    yield Trouble(from_s=at_s, to_s=at_s + chance.uniform(2.0, 15.0), fault=crash, is_dark=True)
                case "step down":
                    flap = Fault(kind=FaultKind.FLAP, target=f"cluster:{cluster}", params={"every_s": 1000.0})
                    yield Trouble(from_s=at_s, to_s=at_s + 0.5, fault=flap, is_dark=True)
                case _:
                    loss = Fault(kind=FaultKind.QUORUM_LOSS, target=f"cluster:{cluster}")
                    to_s = at_s + chance.uniform(2.0, ELECTION_S_MAX)
                    yield Trouble(from_s=at_s, to_s=to_s, fault=loss, is_dark=cluster == EAST)


def _interludes(chance: random.Random, length_s: float, density: float) -> Iterator[Interlude]:
    for at_s in moments(chance, chance.choice((1.0, 20.0)) * density, length_s):
        yield Interlude(at_s=at_s, for_s=chance.uniform(0.5, 60.0), do=chance.choice((Do.KILL, Do.KILL, Do.TERM)))
    for at_s in moments(chance, 4.0 * density, length_s):
        yield Interlude(at_s=at_s, for_s=chance.uniform(5.0, 300.0), do=Do.PAUSE)


# -- what is played --------------------------------------------------------------------------------------------------


def dark_stretches(day: StackDay, length_s: float = DAY_S) -> list[tuple[float, float]]:
    """Where east could be dark for `DARK_S`; one stretch where their leads and ends overlap."""
    dark = joined([(t.from_s, t.to_s) for t in day.troubles if t.is_dark], GAP_S)
    found = [(a - LEAD_S, b + AFTER_S) for a, b in dark if b - a >= DARK_S and b <= length_s]
    return joined(found, 0.0)


def _certain(day: StackDay, targets: tuple[str, ...]) -> list[tuple[float, float]]:
    return joined([(t.from_s, t.to_s) for t in day.troubles if t.cuts(targets)], 0.0)


def partitions(day: StackDay) -> list[tuple[float, float]]:
    """Where nothing passed for a whole window, neither from east to us nor between the two: no evidence tells that."""
    ours = _certain(day, (OUR_WAYS[0], "region:east"))
    theirs = _certain(day, (*REPLICATION_WAYS, "region:east"))
    both = [(max(a, c), min(b, d)) for a, b in ours for c, d in theirs]
    return [(a, b) for a, b in both if b - a >= CUT_S]


def stretch(day: StackDay, seed: int, number: int, from_s: float, to_s: float) -> Scenario:
    """One stretch of a day as a scenario of its own, whose second 0 is `from_s`."""
    chance = random.Random(f"stack-stretch-{seed}-{number}-{from_s:.3f}")
    faults = [FaultLine(when=fault(20.0, odd.kind, odd.target).when, fault=odd) for odd in day.odd]
    for trouble in day.troubles:
        at_s, end_s = max(trouble.from_s - from_s, CALM_S), min(trouble.to_s, to_s) - from_s
        if end_s > at_s:
            faults.append(FaultLine(when=fault(at_s, FaultKind.DROP, "").when, fault=trouble.fault, for_s=end_s - at_s))
    for target, probability in day.drizzle.items():
        if probability:
            faults.append(fault(CALM_S, FaultKind.LOSS, target, to_s - from_s - CALM_S, probability=probability))
    acts = list(_acts(day, from_s, to_s))
    if day.is_first_expired:
        acts.append(act(CALM_S, Do.SPOIL_TOKEN, token="a"))
    has_fence = chance.random() < 0.5
    given: dict[str, str | bool] = {} if has_fence else {"fence": "SEC-123: no fence yet", "accept_partition": True}
    is_cut = any(a < to_s and b > from_s for a, b in partitions(day))
    return scenario(
        f"day-{seed}-{number}",
        to_s - from_s + STEADY_AGAIN_S,
        chance.getrandbits(32),
        faults,
        acts,
        world={
            "writers": 1,
            "election_s": chance.uniform(1.0, 5.0),
            "promote_s": chance.uniform(2.0, 15.0),
            "blackhole_ready_s": chance.choice((20.0, 1e6)),
            "role_window": chance.choice(list(RoleWindow)),
            "dead_link_state": chance.choice(list(DeadLinkState)),
            "standby_status": chance.choice(list(StandbyStatus)),
            "reports_heartbeats": day.has_beats,
            "reports_canary": day.has_beats,
        },
        pair={"names": chance.random() < 0.5, **given},
        fence={"takes_s": chance.uniform(0.1, 5.0)},
        tags=frozenset({Tag.INDISTINGUISHABLE_PARTITION}) if is_cut else frozenset(),
    )


def _acts(day: StackDay, from_s: float, to_s: float) -> Iterator[ActLine]:
    for one in day.interludes:
        at_s = one.at_s - from_s
        if not CALM_S <= at_s < to_s - from_s:
            continue
        if one.do is Do.PAUSE:
            yield act(at_s, Do.PAUSE)
            yield act(at_s + one.for_s, Do.RESUME)
        else:
            yield act(at_s, one.do, for_=one.for_s)


class DayPlay(StackPlay):
    """A stretch of a day; what is false is seen the moment that Vault applies it."""

    def __init__(self, told: Scenario, folder: Path) -> None:
        super().__init__(told, folder)
        self.promoted: list[tuple[float, bool]] = []  # when, and whether clients could write to east then
        self._effects = 0

    def is_over(self) -> bool:
        """Asked at every step."""
        for effect in self.world.applied[self._effects :]:
            if effect.verb == "promote":
                is_served = EAST in self.world.active_primaries() and self.is_reached_by_clients(EAST)
                self.promoted.append((effect.at_s, is_served))
        self._effects = len(self.world.applied)
        return False


def play_stack_day(seed: int, number: int, day: StackDay, length_s: float = DAY_S) -> StackDayResult:
    """Play what could matter of one day."""
    result = StackDayResult()
    for from_s, to_s in dark_stretches(day, length_s):
        told = stretch(day, seed, number, from_s, to_s)
        play = play_through(lambda folder, told=told: DayPlay(told, folder))  # type: ignore[misc]
        result = replace(
            result,
            wrong=(*result.wrong, *_wrong(day, play, from_s)),
            partitions=result.partitions + sum(_is_partition(day, from_s + at_s) for at_s, _ in play.promoted),
            stretches=result.stretches + 1,
            suspected=result.suspected + (play.line_s("situation S-26", CALM_S) is not None),
            played_s=result.played_s + to_s - from_s,
        )
    return result


def _wrong(day: StackDay, play: DayPlay, from_s: float) -> Iterator[str]:
    """What is false, and what is broken, each in one sentence."""
    yield from (f"from {from_s:.0f} s: {broken}" for broken in play.invariants.broken)
    for at_s, is_served in play.promoted:
        if not _is_partition(day, from_s + at_s):
            could = "could" if is_served else "could not"
            yield f"{WEST} promoted at {from_s + at_s:.0f} s, and clients {could} write to {EAST}"


def _is_partition(day: StackDay, promoted_s: float) -> bool:
    return any(a + CUT_S <= promoted_s <= b + AFTER_S for a, b in partitions(day))
