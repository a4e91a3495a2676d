"""True losses after random histories, on the whole stack: each must end with the name at west within what is printed
and the story's own delays, or, where the truth holds a failover back, with a page of its row and gates (DESIGN I13).

What is expected is told by the story alone. What came of it: `stack_outcomes.py`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from watchdogd.core.budget import Assumed, worst_case
from watchdogd.core.policy import Timing
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knobs import DeadLinkState, PeersWhenDemoted, RoleWindow, StandbyStatus, WindowModes
from watchdogd.lab.scenario import ActLine, Do, FaultLine, Scenario, Tag, When
from watchdogd.rehearsal.stack_play import act, fault, scenario

TIMING = Timing()
STEADY_S = 75.0  # a pair that was just founded is watched for so long before anything happens to it
ODD_S = 20.0  # an address that never worked is no evidence of anything: every node has answered once
FENCE_S = 10.0  # the timeout of the fence, as the play has it
BALANCER_S = 5.0  # `watchdogd timing`: a slow load balancer adds up to so much
SETTLE_S = 60.0  # a promote that nobody knows of is sent again only after a NO that has held for so long
REQUEST_S = 30.0  # a promote that nobody answers is waited for so long
UNSURE_S = 600.0  # a look that is lost puts off the settling, a longer gap begins it anew; by then the step is parked
AFTER_GAP_S = 5.0  # the first whole round after a gap
DENIED_S = 2 * TIMING.interval_s + 1.0  # the next credential waits for a look, and not one that the denied one split
GIVE_UP_S = 300.0  # after the bound
# Where a restart, or the old primary's return, is put in the middle of it all.
MOMENTS = (
    "run failover opened", "step failover.fence done", "sent promote west", "answered promote west",
    "step failover.promote done", "run failover succeeded", "step cutover-dns.publish sent", "published west",
)  # fmt: skip
RETURNS = ("applied promote west", *MOMENTS[4:])  # earlier it is no loss: what is seen of it forbids to promote


@dataclass(slots=True)
class Telling:
    """A loss while it is told: what happens, and what the story itself says must come of it."""

    chance: random.Random
    dies_s: float
    world: dict[str, Any] = field(default_factory=dict)
    pair: dict[str, Any] = field(default_factory=dict)
    fence: dict[str, Any] = field(default_factory=dict)
    faults: list[FaultLine] = field(default_factory=list)
    acts: list[ActLine] = field(default_factory=list)
    held_by: set[str] = field(default_factory=set)
    begins_s: float = 0.0  # the latest moment at which the evidence had to begin anew
    delays_s: float = 0.0  # what comes on top of the printed bound
    late_by_links_s: float = 0.0  # and what a lossy link may cost more, if it hits what matters
    shows_beats: bool = True
    is_first_denied: bool = False  # the first promote is refused, and a second one sent with the other credential
    is_lone_voter: bool = False  # a node of west is away: another one must not go
    has_stranger: bool = False  # a node of west that we cannot read: it must not become active
    is_east_strange: bool = False  # a node of east that we cannot read: it may be the active one that comes back
    tags: set[Tag] = field(default_factory=set)

    def anew(self, at_s: float) -> None:
        """The evidence begins anew here."""
        self.begins_s = max(self.begins_s, at_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackLoss:
    """One true loss, and what must follow."""

    scenario: Scenario
    dies_s: float
    held_by: frozenset[str]
    begins_s: float
    detected_s: float  # the evidence is whole by then
    due_s: float  # and the name published
    spare_s: float  # more, where links lose
    delays_s: float
    is_back: bool
    may_have_two: bool


# -- the story -------------------------------------------------------------------------------------------------------


def stack_loss(seed: int, number: int) -> StackLoss:
    """The loss `number` of a seed."""
    chance = random.Random(f"stack-loss-{seed}-{number}")
    told = Telling(chance=chance, dies_s=chance.uniform(150.0, 300.0))
    told.begins_s = told.dies_s
    _installation(told)
    cause = _cause(told)
    _fence(told)
    _credentials(told)
    _odd_nodes(told, cause)
    _history(told)
    _step_downs(told)
    _links_after(told)
    is_paused = _pause(told)
    _restarts(told)
    _provider(told)
    if not told.held_by:
        _promote(told)
    is_back = not told.held_by and _return(told, cause)
    if is_paused:
        told.held_by.add("paused")
    has_fence = "fence" not in told.pair
    bound = worst_case(
        TIMING,
        fence_timeout_s=FENCE_S if has_fence else None,
        reports_heartbeats=told.shows_beats,
        assumed=Assumed(promotion_s=told.world["promote_s"], propagation_s=told.world["propagation_s"]),
    )
    due_s = told.begins_s + bound.total_s + BALANCER_S + told.delays_s
    return StackLoss(
        scenario=scenario(
            f"loss-{seed}-{number}",
            due_s + told.late_by_links_s + GIVE_UP_S,
            chance.getrandbits(32),
            told.faults,
            told.acts,
            world=told.world,
            pair=told.pair,
            fence=told.fence,
            tags=frozenset(told.tags),
        ),
        dies_s=told.dies_s,
        held_by=frozenset(told.held_by),
        begins_s=told.begins_s,
        detected_s=told.begins_s + bound.detection_s,
        due_s=due_s,
        spare_s=told.late_by_links_s,
        delays_s=told.delays_s,
        is_back=is_back,
        may_have_two=not has_fence,
    )


def _installation(told: Telling) -> None:
    chance = told.chance
    told.shows_beats = chance.random() < 0.85
    told.world |= {
        "vault_version": chance.choice(("1.15.0", "1.17.0", "1.19.0")),
        "promote_s": chance.uniform(2.0, 20.0),
        "propagation_s": chance.uniform(1.0, 15.0),
        "election_s": chance.uniform(1.0, 8.0),
        "role_window": chance.choice(list(RoleWindow)),
        "window_modes": chance.choice(list(WindowModes)),
        "dead_link_state": chance.choice(list(DeadLinkState)),
        "standby_status": chance.choice(list(StandbyStatus)),
        "peers_when_demoted": chance.choice(list(PeersWhenDemoted)),
        "performance_standbys": chance.random() < 0.7,
        "blackhole_ready_s": chance.choice((20.0, 20.0, 20.0, 1e6)),  # a channel that goes on saying ready
        "reports_heartbeats": told.shows_beats,
        "reports_canary": told.shows_beats,
        "writers": 1,
    }
    if chance.random() < 0.3:
        told.pair["names"] = True
        at_s = chance.choice((told.dies_s, chance.uniform(STEADY_S, told.dies_s)))
        told.faults.append(fault(at_s, FaultKind.DNS_DEAD, "dns:resolver", place="bastion"))


def _cause(told: Telling) -> tuple[FaultKind, str]:
    kinds = {"crash": 50, "blackout": 28, "quorum_loss": 15, "seal": 7}
    kind = FaultKind(told.chance.choices(list(kinds), list(kinds.values()))[0])
    target = "region:east" if kind in (FaultKind.CRASH, FaultKind.BLACKOUT) else "cluster:east"
    if kind is FaultKind.SEAL:
        told.held_by.add("sealed")
    told.faults.append(fault(told.dies_s, kind, target))
    return kind, target


def _fence(told: Telling) -> None:
    chance = told.chance
    told.fence["takes_s"] = chance.uniform(0.1, 8.0)
    match chance.choices(("sure", "again", "hangs once", "waived"), (55, 12, 8, 25))[0]:
        case "again":
            told.fence["on"] = ("exit 75", "exit 75", "exit 0")
            told.delays_s += 2 * told.fence["takes_s"] + 10.0
        case "hangs once":
            told.fence["on"] = ("hangs but acted", "exit 0")
            told.delays_s += FENCE_S + 15.0
        case "waived":
            told.pair |= {"fence": "SEC-123: no fence yet", "accept_partition": True}
            told.tags.add(Tag.UNFENCED_RETURN)
        case _:
            pass


def _credentials(told: Telling) -> None:
    match told.chance.choices(("both", "never", "expired", "none"), (55, 20, 20, 5))[0]:
        case "never":
            _first_denied(told)
            told.acts.append(act(0.0, Do.SPOIL_TOKEN, token="a"))
        case "expired":  # once it was proven: only promote itself finds out
            _first_denied(told)
            told.acts.append(act(told.chance.uniform(STEADY_S, told.dies_s), Do.SPOIL_TOKEN, token="a"))
        case "none":
            told.acts += [act(0.0, Do.SPOIL_TOKEN, token=name) for name in ("a", "b")]
            told.held_by.add("proof")
        case _:
            pass


def _first_denied(told: Telling) -> None:
    told.is_first_denied = True
    told.delays_s += DENIED_S


def _odd_nodes(told: Telling, cause: tuple[FaultKind, str]) -> None:
    """Odd long before: in east, where somebody else who answers blocks; in west, where one does no harm."""
    chance = told.chance
    kinds = (FaultKind.CRASH, FaultKind.SEAL, FaultKind.GARBAGE)
    if chance.random() < 0.2:
        kind = chance.choice(kinds)
        told.faults.append(_odd(kind, "node:east/3"))
        if kind is FaultKind.GARBAGE and cause[0] is not FaultKind.BLACKOUT:
            told.held_by.add("node")
        if kind is FaultKind.SEAL and cause[0] is FaultKind.QUORUM_LOSS:
            told.held_by.add("sealed")  # one sealed node beside leaderless ones is no cluster that is down (DESIGN 4)
        told.is_east_strange = kind is FaultKind.GARBAGE
    if chance.random() < 0.15:
        kind = chance.choice(kinds)
        told.faults.append(_odd(kind, "node:west/3"))
        told.is_lone_voter, told.has_stranger = True, kind is FaultKind.GARBAGE
    if chance.random() < 0.04:
        told.faults.append(fault(chance.uniform(20.0, told.dies_s - 20.0), FaultKind.SYNCING, "cluster:west"))
        told.held_by.add("sync-state")


def _odd(kind: FaultKind, target: str) -> FaultLine:
    """Somebody else answers us at its address; the clusters know the node as it is."""
    return fault(ODD_S, kind, target, place="bastion" if kind is FaultKind.GARBAGE else None)


LOSING = (FaultKind.LOSS, FaultKind.LOSS, FaultKind.DROP, FaultKind.HANG, FaultKind.RESET, FaultKind.GARBAGE)


def _burst(chance: random.Random, at_s: float, target: str, for_s: float) -> FaultLine:
    """A bad time of one way."""
    kind = chance.choice(LOSING)
    given = {"probability": chance.choice((0.3, 0.6, 0.9, 1.0))} if kind is FaultKind.LOSS else {}
    return fault(at_s, kind, target, for_s, **given)


def _history(told: Telling) -> None:
    """Bad times of every way; or flaps of east, or short blips of its uplink, with bad times of our way to it.

    What west said last while east lived is what counts: nothing here keeps it from being read once it streams again.
    """
    chance, middle_s = told.chance, (STEADY_S + told.dies_s) / 2
    mood = chance.choices(("ways", "flaps", "blips"), (60, 20, 20))[0]
    for from_s, to_s in ((STEADY_S, middle_s - 25.0), (middle_s + 25.0, told.dies_s)):
        if to_s > from_s:
            _bad_times(told, from_s, to_s, mood)
    if mood == "flaps":
        told.faults += list(_apart(told, FaultKind.CRASH, "cluster:east", 30.0))
    elif mood == "blips":
        told.faults += list(_apart(told, FaultKind.BLACKOUT, "region:east", 40.0))


def _bad_times(told: Telling, from_s: float, to_s: float, mood: str) -> None:
    """Of our ways, each by itself, and of replication."""
    chance = told.chance
    for target in ("link:bastion>east", "link:bastion>west")[: 2 if mood == "ways" else 1]:
        if chance.random() < 0.4:
            at_s, for_s = chance.uniform(from_s, to_s), min(40.0, 1.0 + chance.expovariate(1 / 8.0))
            told.faults.append(_burst(chance, at_s, target, for_s))
            if at_s + for_s > told.dies_s - TIMING.gap_max_s:
                told.anew(at_s + for_s + AFTER_GAP_S)
    if mood == "ways" and chance.random() < 0.4:
        at_s, for_s = chance.uniform(from_s, to_s), min(25.0, 1.0 + chance.expovariate(1 / 8.0))
        told.faults.append(fault(at_s, chance.choice((FaultKind.DROP, FaultKind.REFUSE)), "repl:east>west", for_s))


def _apart(told: Telling, kind: FaultKind, target: str, longest_s: float) -> Iterator[FaultLine]:
    chance, at_s = told.chance, told.chance.uniform(STEADY_S, STEADY_S + 40.0)
    for _ in range(chance.choice((1, 2, 3))):
        for_s = chance.uniform(3.0, longest_s)
        if at_s + for_s > told.dies_s - 20.0:
            return
        yield fault(at_s, kind, target, for_s)
        at_s += for_s + chance.uniform(20.0, 80.0)


def _step_downs(told: Telling) -> None:
    """Of west, before the loss or while it lasts: its new active node compares with itself, and knows no beat."""
    chance, at_s = told.chance, told.chance.uniform(STEADY_S, told.dies_s + 40.0)
    for _ in range(min(chance.choice((0, 0, 1, 1, 2)), 1 if told.has_stranger else 2)):
        if told.is_lone_voter or chance.random() < 0.5:
            told.faults.append(fault(at_s, FaultKind.FLAP, "cluster:west", 0.5, every_s=1000.0))
        else:
            told.faults.append(fault(at_s, FaultKind.CRASH, "node:west/1", chance.uniform(0.5, 30.0)))
        over_s = at_s + told.world["election_s"] + AFTER_GAP_S
        if over_s > told.dies_s - TIMING.gap_max_s:
            told.anew(over_s)
            told.shows_beats = False
        at_s += chance.uniform(60.0, 150.0)
        if at_s > told.dies_s + 60.0:
            return


def _links_after(told: Telling) -> None:
    """Bad times of our way to west while the loss lasts, and a drizzle that never ends."""
    chance = told.chance
    if chance.random() < 0.3:
        at_s, for_s = told.dies_s + chance.uniform(-5.0, 60.0), min(40.0, 1.0 + chance.expovariate(1 / 8.0))
        told.faults.append(_burst(chance, at_s, "link:bastion>west", for_s))
        told.anew(at_s + for_s + AFTER_GAP_S)
        told.late_by_links_s += REQUEST_S + SETTLE_S
    if (probability := chance.choice((0.0, 0.0, 0.0, 0.005, 0.02))) > 0.0:
        told.faults.append(fault(STEADY_S, FaultKind.LOSS, "link:bastion>west", probability=probability))
        told.late_by_links_s += UNSURE_S


def _pause(told: Telling) -> bool:
    """Somebody pauses and resumes long before; or the loss finds the pair paused. True when that holds it back."""
    chance = told.chance
    if chance.random() >= 0.12:
        return False
    if chance.random() < 0.5 and told.dies_s > STEADY_S + 130.0:
        told.acts += [act(STEADY_S - 5.0, Do.PAUSE), act(told.dies_s - 100.0, Do.RESUME)]
        told.faults = [line for line in told.faults if not _is_of_east_between(line, told.dies_s)]
        return False
    told.acts.append(act(told.dies_s + chance.uniform(-40.0, 20.0), Do.PAUSE))
    if chance.random() < 0.5:
        told.acts.append(act(told.dies_s + 40.0, Do.RESUME))  # the outage already exists: it waits for `ack`
    return True


def _is_of_east_between(line: FaultLine, dies_s: float) -> bool:
    """Whether east would not be up when the pause ends, or never again until the loss."""
    at_s = line.when.at_s or 0.0
    return line.fault.target.endswith("east") and line.for_s is not None and at_s < dies_s


def _restarts(told: Telling) -> None:
    """Of the daemon: before the loss, around it, and at a moment of the run."""
    chance, dies_s = told.chance, told.dies_s
    if any(line.do is Do.PAUSE for line in told.acts):
        return
    moments = [chance.uniform(STEADY_S, dies_s - 60.0) for _ in range(chance.choice((0, 0, 1)))]
    moments += [dies_s + chance.uniform(-2.0, 50.0) for _ in range(chance.choice((0, 0, 0, 1)))]
    for at_s in moments:
        gone_s = chance.uniform(0.5, 45.0)
        told.acts.append(act(at_s, chance.choice((Do.KILL, Do.KILL, Do.TERM)), for_=gone_s))
        told.anew(at_s + gone_s + 1.0)
    if chance.random() < 0.25:
        gone_s = chance.uniform(0.5, 40.0)
        moment = When(seen=chance.choice(MOMENTS), plus_s=chance.choice((0.0, 0.0, chance.uniform(0.0, 10.0))))
        told.acts.append(act(moment, chance.choice((Do.KILL, Do.KILL, Do.TERM)), for_=gone_s))
        # Its windows are empty: what had no effect yet begins anew, and what nobody knows of has to settle.
        told.delays_s += gone_s + TIMING.down_after_s + SETTLE_S + 10.0 + (0.0 if told.shows_beats else 60.0)


def _provider(told: Telling) -> None:
    chance = told.chance
    match chance.choices(("well", "throttled", "busy", "dead"), (70, 12, 10, 8))[0]:
        case "throttled":
            times = chance.randrange(1, 6)
            told.faults.append(fault(told.dies_s, FaultKind.AWS_THROTTLE, "aws", times=times))
            told.delays_s += min(30.0, 2.0**times) * 1.5
        case "busy":
            times = chance.randrange(1, 4)
            told.faults.append(fault(told.dies_s, FaultKind.AWS_PRIOR_REQUEST, "aws", times=times))
            told.delays_s += 2.0**times * 1.5
        case "dead":
            for_s = chance.uniform(60.0, 150.0)
            told.faults.append(fault(told.dies_s, FaultKind.AWS_DEAD, "aws", for_s))
            told.delays_s += for_s + 45.0
        case _:
            pass


def _promote(told: Telling) -> None:
    """What becomes of the one request that matters."""
    chance = told.chance
    path: dict[str, Any] = {"method": "POST", "path": "sys/replication/dr/secondary/promote", "times": 1}
    fate = chance.choices(("answered", "reset", "hangs", "late", "not yet"), (70, 8, 6, 6, 10))[0]
    if told.is_first_denied and fate in ("reset", "hangs", "late"):
        told.delays_s += SETTLE_S  # it was the refusal that nobody heard: nothing was applied, and nobody knows
    match fate:
        case "reset":
            told.faults.append(fault(told.dies_s, FaultKind.REPLY_LOST, "cluster:west", outcome="reset", **path))
            told.delays_s += 5.0
        case "hangs":
            told.faults.append(fault(told.dies_s, FaultKind.REPLY_LOST, "cluster:west", outcome="hang", **path))
            told.delays_s += REQUEST_S
        case "late":
            late_s = chance.uniform(5.0, 45.0)
            told.faults.append(fault(told.dies_s, FaultKind.APPLIED_LATE, "cluster:west", seconds=late_s, **path))
            told.delays_s += REQUEST_S + late_s
        case "not yet":
            told.world["catching_up_s"] = chance.uniform(1.0, 20.0)
            told.delays_s += told.world["catching_up_s"] + 10.0
        case _:
            pass


def _return(told: Telling, cause: tuple[FaultKind, str]) -> bool:
    """The old primary comes back, as primary, after the first byte of promote. False: it stays away."""
    chance = told.chance
    if chance.random() < 0.3 or told.is_east_strange:
        return False  # where its active node is one that we cannot read, nobody settles its debt
    moment = When(seen=chance.choice(RETURNS), plus_s=chance.choice((0.0, chance.uniform(0.0, 60.0))))
    told.acts.append(act(moment, Do.CLEAR, kind=cause[0].value, target=cause[1]))
    return True
