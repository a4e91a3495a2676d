"""`watchdogd timing`: the budget of every pair as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from watchdogd.core.budget import BUDGET_S, Assumed, Whose, WorstCase, longer_cases, worst_case
from watchdogd.core.model import ClusterId
from watchdogd.core.policy import PairPolicy

WIDTH = 100


def timing_lines(pair: PairPolicy, assumed: Assumed) -> Iterator[str]:
    """The table of one pair, per cluster that may die where their fences differ."""
    timeouts = {cluster: _fence_timeout_s(pair, cluster) for cluster in pair.cluster_ids}
    for timeout_s in dict.fromkeys(timeouts.values()):
        dying = [cluster for cluster, its_timeout_s in timeouts.items() if its_timeout_s == timeout_s]
        worst = worst_case(pair.timing, fence_timeout_s=timeout_s, assumed=assumed)
        fence = "no fence" if timeout_s is None else f"fence of at most {timeout_s:g} s"
        yield f"pair {pair.pair}, {' or '.join(dying)} lost ({fence})"
        yield from _parts(worst)
        yield from _verdict(worst, timeout_s)
        yield ""
    yield from _losses(worst_case(pair.timing, fence_timeout_s=None, assumed=assumed))
    yield ""
    yield from _longer(pair)
    yield ""


def _fence_timeout_s(pair: PairPolicy, cluster: ClusterId) -> float | None:
    fence = pair.cluster(cluster).fence
    return fence.timeout_s if fence.command else None


def _row(name: str, seconds: float, note: str = "") -> str:
    return f"  {name:<{WIDTH - 12}}{seconds:>7.1f} s{note}"


def _parts(worst: WorstCase) -> Iterator[str]:
    for part in worst.parts:
        yield _row(part.name, part.seconds)
    yield "  " + "-" * (WIDTH - 3)
    for whose in Whose:
        if worst.spent_s(whose):
            yield _row(f"of it {whose}", worst.spent_s(whose))


def _verdict(worst: WorstCase, fence_timeout_s: float | None) -> Iterator[str]:
    yield _row(f"worst case, of {BUDGET_S} s that five nines leave a quarter", worst.total_s)
    if worst.spare_s >= 0:
        yield _row("spare", worst.spare_s)
        return
    yield _row("over the budget by", -worst.spare_s)
    without_fence_s = worst.total_s - worst.spent_s(Whose.FENCE)
    if fence_timeout_s is not None and without_fence_s < BUDGET_S:
        left_s = BUDGET_S - without_fence_s
        yield f"  It stays inside when the fence and the look after it take less than {left_s:.1f} s."


def _longer(pair: PairPolicy) -> Iterator[str]:
    yield "detection at most where the secondary says less than that"
    for case in longer_cases(pair.timing):
        yield _row(f"{case.name}, from {case.since}", case.detection_s)
    most = f"{pair.timing.stale_link_hold_s:g} s (stale_link_hold)"
    yield f"  Without a heartbeat, each second that its channel still says ready comes on top, {most} at most."


def _losses(worst: WorstCase) -> Iterator[str]:
    yield "detection when probe rounds are lost (each round of one address with this probability, on its own)"
    yield f"  {'lost':>6}{'expected':>12}{'worst':>12}{'1 in 100 over':>16}{'1 in 1000 over':>17}"
    for row in worst.losses:
        bound = "unbounded" if row.worst_s is None else f"{row.worst_s:.1f} s"
        columns = f"{row.expected_s:>10.1f} s{bound:>12}{row.one_in_100_s:>14.1f} s{row.one_in_1000_s:>15.1f} s"
        yield f"  {row.loss:>6.0%}{columns}"
