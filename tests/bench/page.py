"""The page of `make bench`: what was measured, beside what is asked for. No number in it is typed by hand."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from tests.bench.detection import Detected, Speed
from tests.bench.overhead import SETTLE_S, START_S_MAX, Cost
from tests.bench.procedure import PROPAGATION_S, Took
from tests.bench.worlds import FAILOVER, Beside, Worlds
from watchdogd.adapters.clock import SystemClock

CPU_MAX, MEMORY_MB_MAX, PROCEDURE_S_MAX = 0.01, 100.0, 5.0
PAIRS_ASKED_FOR = 100  # DESIGN section 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything of one run."""

    found: Mapping[float, Detected]
    speed: Speed
    worlds: Worlds
    seeds: int
    procedure: Sequence[tuple[Took, Took]]
    costs: Sequence[tuple[Cost, Cost]]  # the daemon's and the bare loop's, by the number of pairs
    seconds: float  # of each measurement of overhead
    loads: tuple[str, str]  # at the begin and at the end
    is_quick: bool = False


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def load() -> str:
    return ", ".join(f"{one:.1f}" for one in os.getloadavg())


def verdict(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


def page(got: Measured) -> str:
    """The whole document."""
    day = SystemClock().wall_utc().astimezone(UTC).date().isoformat()
    quick = ["**A quick run, to see that everything works: too short to be compared with anything.**", ""]
    parts = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. Ratios are of one run on one machine.",
        "",
        *(quick if got.is_quick else ()),
        f"{day}, {cpu_model()}, {os.cpu_count()} cores, Python {platform.python_version()}; load (1, 5, 15 min) at the "
        f"begin {got.loads[0]}, at the end {got.loads[1]}. A load above the number of cores means that the machine was "
        "doing other work: times in real seconds and the CPU of idle waiting are then worse than they need be.",
        "",
        *bar(got),
        *detection_part(got.found, got.seeds),
        *procedure_part(got.procedure),
        *overhead_part(got.costs, got.seconds),
        "## Simulation",
        "",
        f"The decision core in virtual time: {got.speed.ticks} ticks of one second in {got.speed.seconds:.1f} s, "
        f"{got.speed.ticks / got.speed.seconds:.0f} times faster than real time on one core, every tick played.",
        "",
        *worlds_part(got.worlds),
    ]
    return "\n".join(parts)


def bar(got: Measured) -> list[str]:
    """What is asked for, and whether it was met. What was not measured is not met."""
    one, most = got.costs[0][0], got.costs[-1][0]
    slowest_s = max(daemon.published_s for daemon, _ in got.procedure) - PROPAGATION_S
    is_met = most.pairs >= PAIRS_ASKED_FOR and most.used.process < 1.0 and most.is_watching
    return [
        "| asked for | measured | |",
        "|---|---|---|",
        f"| one pair at defaults: at most 1 % of a core | {one.used.process:.2%} with {one.pairs} | "
        f"{verdict(one.pairs == 1 and one.is_watching and one.used.process <= CPU_MAX)} |",
        f"| and at most 100 MB | {one.memory_mb:.0f} MB | "
        f"{verdict(one.pairs == 1 and one.memory_mb <= MEMORY_MB_MAX)} |",
        f"| {PAIRS_ASKED_FOR} pairs at defaults on one core | with {most.pairs}: {most.used.process:.0%} of a core, "
        f"{most.memory_mb:.0f} MB, {steadiness(most)} | {verdict(is_met)} |",
        f"| decision to name, Vault and DNS aside: under 5 s | {slowest_s:.1f} s | "
        f"{verdict(slowest_s < PROCEDURE_S_MAX)} |",
        "",
    ]


def steadiness(cost: Cost) -> str:
    """Whether all pairs were read, in words."""
    if cost.start is None or cost.start.seconds is None:
        begin = f"not all steady {START_S_MAX:.0f} s after the start"
    else:
        begin = f"all steady {cost.start.seconds:.0f} s after the start"
    end = ", ".join(f"{count} at {situation}" for situation, count in cost.at_end) or "no answer"
    return f"{begin}, at the end {end}"


def detection_part(found: Mapping[float, Detected], seeds: int) -> list[str]:
    rows = [
        f"| {loss:.0%} | {seen.printed.expected_s:.1f} | "
        f"{'none' if seen.printed.worst_s is None else format(seen.printed.worst_s, '.1f')} | "
        f"{seen.printed.one_in_100_s:.1f} | {seen.printed.one_in_1000_s:.1f} | "
        f"{seen.at(0.5):.1f} | {seen.at(0.99):.1f} | {seen.measured_s[-1]:.1f} |"
        for loss, seen in found.items()
    ]
    return [
        "## Detection",
        "",
        "From the death of a region to the decision, in seconds: what `watchdogd timing` prints, and the decision core "
        f"in virtual time over {seeds} seeds each. A lost round is a whole round of one address that reads as silence.",
        "",
        "| rounds lost | printed: expected | worst | 1 in 100 | 1 in 1000 | measured: p50 | p99 | max |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def procedure_part(procedure: Sequence[tuple[Took, Took]]) -> list[str]:
    rows = [
        f"| {number} | {daemon.fenced_s:.2f} | {daemon.promoted_s:.2f} | {daemon.changed_s:.2f} | "
        f"{daemon.published_s:.2f} | {calls.promoted_s:.2f} | {calls.published_s:.2f} | "
        f"{daemon.published_s / calls.published_s:.1f} |"
        for number, (daemon, calls) in enumerate(procedure, start=1)
    ]
    return [
        "## Procedure",
        "",
        "On real sockets with TLS, a Vault that promotes at once, a region whose connections are refused, the fence as "
        f"a command of its own (a new Python each time), and {PROPAGATION_S:.0f} s of DNS propagation in both. Seconds "
        "from the decision, as its log line was read; five calls with nothing else: look, promote, look, change the "
        "record, ask a server of the zone. What the daemon does more: section 4 again, the fence, last looks, a "
        "journal that is synced before each effect, the publish check, compare-and-swap.",
        "",
        "| run | fenced | promote sent | change accepted | name published | five calls: promoted | published | ratio |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def overhead_part(costs: Sequence[tuple[Cost, Cost]], seconds: float) -> list[str]:
    rows = [row for daemon, bare in costs for row in (_row("daemon", daemon), _row("bare loop", bare))]
    ratios = ", ".join(
        f"{daemon.used.process / max(bare.used.process, 1e-9):.1f} with {daemon.pairs}" for daemon, bare in costs
    )
    return [
        "## Overhead",
        "",
        f"Over {seconds:.0f} s at default timing, each pair with six nodes, two anchors and a Route 53 record. Every "
        "process is counted apart: the daemon or the bare loop, the lab that serves all nodes of all pairs from one "
        "process, and whatever else ran on the machine. The start is not in it: the daemon is measured from "
        f"{SETTLE_S:.0f} s after all its pairs were steady (S-10), or from {START_S_MAX:.0f} s on where they never "
        "were. The bare loop sends the same three requests to each node every 3 s by aiohttp, and does nothing else. "
        "A round that was not read in its 2 s is unread: where the bare loop has some, the machine or the lab could "
        "not keep up, whoever asks.",
        "",
        "| pairs | who | steady after | CPU of start | CPU of a core | MB | rounds | unread | lab's CPU | the rest's |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"CPU of the daemon to that of the bare loop: {ratios}.",
        "",
    ]


def worlds_part(worlds: Worlds) -> list[str]:
    story, up = worlds.story, worlds.up
    return [
        f"A whole failover in virtual time (`{FAILOVER}`: the lab's world, DNS, fence, and the daemon's own App with "
        f"its journal in memory; {story.rounds} times): {story.world_s:.0f} s of the world in {story.real_s:.1f} s, "
        f"{story.world_s / story.real_s:.0f} world seconds for each real one, on one core.",
        "",
        "## The lab",
        "",
        f"`watchdogd-lab up` answers at every address {up.lab_s:.2f} s after its start (median of {worlds.ups}): "
        f"{up.lab_s / up.bare_s:.2f} times what a Python takes that only reads the same libraries and makes a "
        f"certificate ({up.bare_s:.2f} s).",
        "",
        "One of several pairs is lost: worlds of their own on real sockets, served by one process, watched by one "
        "daemon at the short timing of the tests (9 s of silence; three missed heartbeats take 15 s). Seconds from "
        "the loss; the name needs the promotion of 2 s, the fence and 1 s of propagation. A disturbed pair is one "
        "beside it that was not steady (S-10) when it was looked at, every 2 s.",
        "",
        "| pairs | all steady after | decided | name published | daemon | labs | disturbed |",
        "|---|---|---|---|---|---|---|",
        *(_beside_row(one) for one in worlds.beside),
        "",
    ]


def _beside_row(one: Beside) -> str:
    steady = "**never**" if one.steady_s is None else f"{one.steady_s:.0f} s"
    disturbed = f"**{one.disturbed}**" if one.disturbed else "0"
    return (
        f"| {one.pairs} | {steady} | {one.decided_s:.1f} | {one.published_s:.1f} | {one.daemon_cpu:.1%} of a core | "
        f"{one.lab_cpu:.1%} | {disturbed} |"
    )


def _row(who: str, cost: Cost) -> str:
    start = cost.start
    begun = "" if start is None else f"{start.seconds:.0f} s" if start.seconds is not None else "**never**"
    spent = "" if start is None else f"{start.cpu_s:.1f} s"
    return (
        f"| {cost.pairs} | {who} | {begun} | {spent} | {cost.used.process:.2%} | {cost.memory_mb:.0f} | "
        f"{cost.rounds} | {cost.unread} | {cost.used.lab:.1%} | {cost.used.rest:.1%} |"
    )
