"""What a region loss costs at most, by name and number, and what probe loss adds to it.

The model of probe loss: every probe round of one address is lost as a whole with the same probability, independently of
the others, and a lost round reads as whatever a lost probe reads as: SILENT. Of a dead primary that is what its rounds
read as anyway, so loss there costs nothing. It costs where something has to be *read*: the round of the secondary's
active node that the decision is made on (one more interval for each that is lost), and its comparison with itself,
which begins anew with a whole window when nothing of that node was read for longer than `gap_max`. That is all the
model holds. It leaves out loss before the death (which can only begin a window early), followers of the secondary
(their quorum has a node to spare), and that TCP repeats lost packets: 5 % of packets are far less than 5 % of rounds.
With loss there is no worst case, only one that is rare enough: hence one in 100 and one in 1000.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from watchdogd.core.policy import Timing

BUDGET_S = 77.76  # five nines of a quarter: 90 days × 86 400 s × 0.000 01
TICK_S = 1.0  # of the decision loop
POLL_S = 1.0  # of a step that waits for the target
READY_WAITED_S = 5.0  # for its quorum, and for the address about to be published; then it goes on without
LOSSES = (0.0, 0.02, 0.05)
TAIL = 1e-9  # how much probability the loss model may leave undecided
NEGLIGIBLE = 1e-13
LATE_ROUNDS_MAX = 200  # beyond a second whole window; what is undecided then is shown as if it were decided there


class Whose(StrEnum):
    """Who spends the time."""

    DETECTION = "detection"
    OURS = "our procedure"
    FENCE = "the fence"
    VAULT = "Vault"
    DNS = "the DNS provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One named piece of the worst case."""

    name: str
    seconds: float
    whose: Whose


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What is not ours to bound: measure it in your own environment. `exchange_s` is one answer of a living cluster."""

    promotion_s: float = 10.0
    propagation_s: float = 5.0
    exchange_s: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRow:
    """Detection at one probability of losing a whole probe round."""

    loss: float
    expected_s: float
    worst_s: float | None  # the hard bound; None where loss leaves none
    one_in_100_s: float
    one_in_1000_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """The death of a region to the name at the authoritative servers, unattended, everything at its slowest."""

    parts: tuple[Part, ...]
    losses: tuple[LossRow, ...]
    assumed: Assumed

    def spent_s(self, *whose: Whose) -> float:
        """The seconds of everybody named, or of all."""
        return sum(part.seconds for part in self.parts if not whose or part.whose in whose)

    @property
    def detection_s(self) -> float:
        """From the death to the decision."""
        return self.spent_s(Whose.DETECTION)

    @property
    def total_s(self) -> float:
        """From the death to the name."""
        return self.spent_s()

    @property
    def spare_s(self) -> float:
        """What is left of the budget; negative when it is overspent."""
        return BUDGET_S - self.total_s


def worst_case(
    timing: Timing,
    *,
    fence_timeout_s: float | None,
    reports_heartbeats: bool = True,
    assumed: Assumed | None = None,
) -> WorstCase:
    """The table of `watchdogd timing`.

    `fence_timeout_s` is None where the fence is waived. Without `reports_heartbeats` (a secondary that shows neither
    heartbeats nor a canary) `stale_link_hold` comes on top.
    """
    given = assumed or Assumed()
    detection = tuple(_detection(timing, reports_heartbeats=reports_heartbeats))
    procedure = tuple(_procedure(timing, fence_timeout_s, given))
    worst_s = sum(part.seconds for part in detection)
    return WorstCase(
        parts=(*detection, *procedure),
        losses=tuple(_loss_row(timing, loss, worst_s, reports_heartbeats) for loss in LOSSES),
        assumed=given,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Longer:
    """A case in which the secondary lets a loss be believed later; `detection_s` is counted from `since`."""

    name: str
    since: str
    detection_s: float


def longer_cases(timing: Timing) -> tuple[Longer, ...]:
    """Each with its whole detection at most.

    Where no heartbeat tells, the channel does: each second after the loss for which it goes on saying ready comes on
    top, up to `stale_link_hold`.
    """
    told, untold = (
        worst_case(timing, fence_timeout_s=None, reports_heartbeats=reports).detection_s for reports in (True, False)
    )
    loss = "the loss"
    return (
        Longer(name="it reports neither heartbeats nor a canary", since=loss, detection_s=untold),
        Longer(name="its active node is new: no heartbeat reached it before the loss", since=loss, detection_s=untold),
        Longer(
            name="its active node changes during the outage",
            since="the first look at the new one",
            detection_s=told,
        ),
    )


def window_s(timing: Timing) -> float:
    """How long the evidence has to hold when nothing is lost."""
    return max(timing.down_after_s, (timing.down_rounds - 1) * timing.interval_s, timing.heartbeat_stale_after_s)


def _detection(timing: Timing, *, reports_heartbeats: bool) -> Iterator[Part]:
    def part(name: str, seconds: float) -> Part:
        return Part(name=name, seconds=seconds, whose=Whose.DETECTION)

    yield part("interval: it died right after a probe", timing.interval_s)
    yield part("probe_timeout: the first probe that finds it silent", timing.probe_timeout_s)
    yield part(
        "window: the longest of down_after, (down_rounds − 1) × interval, heartbeat_stale_after", window_s(timing)
    )
    if not reports_heartbeats:
        yield part("stale_link_hold: the secondary reports neither heartbeats nor a canary", timing.stale_link_hold_s)
    yield part("one tick of the decision loop", TICK_S)


def _procedure(timing: Timing, fence_timeout_s: float | None, assumed: Assumed) -> Iterator[Part]:
    look_s = timing.probe_timeout_s
    yield Part(name="last look: one probe_timeout at the dead primary", seconds=look_s, whose=Whose.OURS)
    yield Part(name="credential: its durable proof, and one exchange", seconds=assumed.exchange_s, whose=Whose.OURS)
    if fence_timeout_s is not None:
        yield Part(name="fence: its whole timeout", seconds=fence_timeout_s, whose=Whose.FENCE)
        if fence_timeout_s > timing.last_look_max_age_s:
            yield Part(name="last look again: the fence outlives last_look_max_age", seconds=look_s, whose=Whose.FENCE)
    yield Part(name="promotion (assumed)", seconds=assumed.promotion_s, whose=Whose.VAULT)
    yield Part(name="promotion seen: one poll", seconds=POLL_S, whose=Whose.OURS)
    yield Part(name="one tick to cutover-dns", seconds=TICK_S, whose=Whose.OURS)
    yield Part(
        name=f"publish check: one exchange (a slow load balancer adds up to {READY_WAITED_S:g} s)",
        seconds=assumed.exchange_s,
        whose=Whose.OURS,
    )
    yield Part(name="DNS write: look and swap", seconds=2 * assumed.exchange_s, whose=Whose.OURS)
    yield Part(
        name="propagation to the authoritative servers (assumed)", seconds=assumed.propagation_s, whose=Whose.DNS
    )


def _loss_row(timing: Timing, loss: float, worst_s: float, reports_heartbeats: bool) -> LossRow:
    whole_s = window_s(timing) + (0.0 if reports_heartbeats else timing.stale_link_hold_s)
    extra = _extra_rounds(
        loss,
        window_rounds=max(1, math.ceil(whole_s / timing.interval_s)),
        losses_to_begin_anew=max(1, math.floor(timing.gap_max_s / timing.interval_s)),
    )
    extra_s = [rounds * timing.interval_s for rounds in range(len(extra))]
    # Half an interval and half a tick less than the worst: where in them the death falls is nobody's choice.
    expected_s = worst_s - timing.interval_s / 2 - TICK_S / 2
    expected_s += sum(chance * seconds for chance, seconds in zip(extra, extra_s, strict=True))
    return LossRow(
        loss=loss,
        expected_s=expected_s,
        worst_s=worst_s if loss == 0 else None,
        one_in_100_s=worst_s + extra_s[_quantile(extra, 0.99)],
        one_in_1000_s=worst_s + extra_s[_quantile(extra, 0.999)],
    )


def _extra_rounds(loss: float, *, window_rounds: int, losses_to_begin_anew: int) -> Sequence[float]:
    """The probability of deciding 0, 1, 2 … rounds later than without loss.

    A state is (rounds since the comparison began, losses in a row); a round that is read after `losses_to_begin_anew`
    or more losses begins anew, and one that is read with the window full decides.
    """
    states: dict[tuple[int, int], float] = {(0, 0): 1.0}
    late: list[float] = []
    for rounds in range(1, 2 * window_rounds + LATE_ROUNDS_MAX):
        decided = 0.0
        following: dict[tuple[int, int], float] = {}
        for (held, row), chance in states.items():
            lost = (min(held + 1, window_rounds), min(row + 1, losses_to_begin_anew))
            following[lost] = following.get(lost, 0.0) + chance * loss
            if row < losses_to_begin_anew and held + 1 >= window_rounds:
                decided += chance * (1 - loss)
                continue
            read = (0, 0) if row >= losses_to_begin_anew else (held + 1, 0)
            following[read] = following.get(read, 0.0) + chance * (1 - loss)
        if rounds >= window_rounds:
            late.append(decided)
        states = {state: chance for state, chance in following.items() if chance > NEGLIGIBLE}
        if sum(states.values()) < TAIL:
            break
    late[-1] += sum(states.values())
    return late


def _quantile(chances: Sequence[float], share: float) -> int:
    total = 0.0
    for index, chance in enumerate(chances):
        total += chance
        if total >= share - 1e-12:
            return index
    return len(chances) - 1
