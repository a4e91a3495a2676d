"""`make bench`: measures, and writes docs/benchmarks.md. No number in it is typed by hand."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path

from tests.bench.detection import Detected, Speed, detections
from tests.bench.overhead import MEASURED_S, Cost, cost_of_bare_loop, cost_of_daemon
from tests.bench.procedure import PROPAGATION_S, Took, of_daemon, of_five_calls
from watchdogd.adapters.clock import SystemClock

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
PAIRS = (1, 10, 100)
SEEDS = int(os.environ.get("WATCHDOGD_BENCH_SEEDS", "300"))
ROUNDS = int(os.environ.get("WATCHDOGD_BENCH_ROUNDS", "3"))
CPU_MAX, MEMORY_MB_MAX, PROCEDURE_S_MAX = 0.01, 100.0, 5.0


def folder(root: Path, name: str) -> Path:
    """A new one."""
    made = root / name
    made.mkdir()
    return made


async def measured_overhead(root: Path) -> list[tuple[Cost, Cost]]:
    """The daemon beside the bare loop, for each number of pairs."""
    return [
        (
            await cost_of_daemon(folder(root, f"daemon-{pairs}"), pairs),
            await cost_of_bare_loop(folder(root, f"bare-{pairs}"), pairs),
        )
        for pairs in PAIRS
    ]


async def measured_procedure(root: Path) -> list[tuple[Took, Took]]:
    """The daemon beside five calls, some times."""
    return [
        (await of_daemon(folder(root, f"acts-{number}")), await of_five_calls(folder(root, f"calls-{number}")))
        for number in range(ROUNDS)
    ]


# -- the page --------------------------------------------------------------------------------------------------------


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def load() -> str:
    return ", ".join(f"{one:.1f}" for one in os.getloadavg())


def verdict(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


def page(
    found: Mapping[float, Detected],
    speed: Speed,
    procedure: Sequence[tuple[Took, Took]],
    costs: Sequence[tuple[Cost, Cost]],
    loads: tuple[str, str],
) -> str:
    """The whole document."""
    day = SystemClock().wall_utc().astimezone(UTC).date().isoformat()
    parts = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. Ratios are of one run on one machine.",
        "",
        f"{day}, {cpu_model()}, {os.cpu_count()} cores, Python {platform.python_version()}; load (1, 5, 15 min) at the "
        f"begin {loads[0]}, at the end {loads[1]}. A load above the number of cores means that the machine was doing "
        "other work: times in real seconds and the CPU of idle waiting are then worse than they need be.",
        "",
        *bar(procedure, costs),
        *detection_part(found),
        *procedure_part(procedure),
        *overhead_part(costs),
        "## Simulation",
        "",
        f"The decision core in virtual time: {speed.ticks} ticks of one second in {speed.seconds:.1f} s, "
        f"{speed.ticks / speed.seconds:.0f} times faster than real time on one core, every tick played.",
        "",
    ]
    return "\n".join(parts)


def bar(procedure: Sequence[tuple[Took, Took]], costs: Sequence[tuple[Cost, Cost]]) -> list[str]:
    one, most = costs[0][0], costs[-1][0]
    slowest_s = max(daemon.published_s for daemon, _ in procedure) - PROPAGATION_S
    is_watching = most.situations == "S-10"
    return [
        "| asked for | measured | |",
        "|---|---|---|",
        f"| one pair at defaults: at most 1 % of a core | {one.cpu_share:.2%} | {verdict(one.cpu_share <= CPU_MAX)} |",
        f"| and at most 100 MB | {one.memory_mb:.0f} MB | {verdict(one.memory_mb <= MEMORY_MB_MAX)} |",
        f"| {most.pairs} pairs at defaults on one core | {most.cpu_share:.0%} of a core, {most.memory_mb:.0f} MB, "
        f"the last pair at {most.situations} | {verdict(most.cpu_share < 1.0 and is_watching)} |",
        f"| decision to name, Vault and DNS aside: under 5 s | {slowest_s:.1f} s | "
        f"{verdict(slowest_s < PROCEDURE_S_MAX)} |",
        "",
    ]


def detection_part(found: Mapping[float, Detected]) -> list[str]:
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
        f"in virtual time over {SEEDS} seeds each. A lost round is a whole round of one address that reads as silence.",
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


def overhead_part(costs: Sequence[tuple[Cost, Cost]]) -> list[str]:
    rows = [
        f"| {daemon.pairs} | {daemon.cpu_share:.2%} | {daemon.memory_mb:.0f} | {daemon.situations} | "
        f"{bare.cpu_share:.2%} | {bare.memory_mb:.0f} | {daemon.cpu_share / max(bare.cpu_share, 1e-9):.1f} | "
        f"{daemon.lab_share:.1%} |"
        for daemon, bare in costs
    ]
    return [
        "## Overhead",
        "",
        f"The daemon's own process over {MEASURED_S:.0f} s at default timing, each pair with six nodes, two anchors "
        "and a Route 53 record; the lab in a process of its own. The bare loop sends the same three requests to each "
        "node every 3 s by aiohttp, and does nothing else. Where the last pair is not at S-10, not everything was read "
        "in time: the numbers then are of a machine, or of a lab, that could not keep up.",
        "",
        "| pairs | CPU of a core | MB | last pair | bare loop: CPU | MB | ratio of CPU | the lab's CPU |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def main() -> int:
    """Everything in a row; the page is written at the end."""
    begun = load()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        costs = asyncio.run(measured_overhead(root))
        procedure = asyncio.run(measured_procedure(root))
    found, speed = detections(SEEDS)
    PAGE.write_text(page(found, speed, procedure, costs, (begun, load())), encoding="utf-8")
    sys.stdout.write(PAGE.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
