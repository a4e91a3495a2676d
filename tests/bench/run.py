"""`make bench`: measures, and writes docs/benchmarks.md.

`--quick` takes four minutes and writes nothing but what it is told to: `make bench BENCH="--quick --page FILE"`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.detection import detections
from tests.bench.overhead import Cost, cost_of_bare_loop, cost_of_daemon
from tests.bench.page import Measured, page
from tests.bench.procedure import Took, of_daemon, of_five_calls
from tests.bench.worlds import Beside, Worlds, beside, played, up

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    pairs: tuple[int, ...]
    seconds: float  # of each measurement of overhead
    rounds: int
    seeds: int
    stories: int  # of a whole failover in virtual time
    ups: int
    beside: tuple[int, ...]  # pairs of which one is lost


WHOLE = Plan(pairs=(1, 10, 100), seconds=45.0, rounds=3, seeds=300, stories=20, ups=7, beside=(1, 10))
QUICK = Plan(pairs=(1, 5), seconds=6.0, rounds=1, seeds=10, stories=2, ups=2, beside=(1, 3))


def folder(root: Path, name: str) -> Path:
    """A new one."""
    made = root / name
    made.mkdir()
    return made


def say(what: str) -> None:
    """Progress, for whoever waits."""
    sys.stderr.write(f"bench: {what}\n")


async def measured_overhead(root: Path, plan: Plan) -> list[tuple[Cost, Cost]]:
    """The daemon beside the bare loop, for each number of pairs."""
    costs = []
    for pairs in plan.pairs:
        say(f"overhead with {pairs} pair(s)")
        daemon = await cost_of_daemon(folder(root, f"daemon-{pairs}"), pairs, plan.seconds)
        bare = await cost_of_bare_loop(folder(root, f"bare-{pairs}"), pairs, plan.seconds)
        costs.append((daemon, bare))
    return costs


async def measured_procedure(root: Path, plan: Plan) -> list[tuple[Took, Took]]:
    """The daemon beside five calls, some times."""
    took = []
    for number in range(plan.rounds):
        say(f"procedure, run {number + 1}")
        daemon = await of_daemon(folder(root, f"acts-{number}"))
        took.append((daemon, await of_five_calls(folder(root, f"calls-{number}"))))
    return took


async def measured_beside(root: Path, plan: Plan) -> list[Beside]:
    """One pair lost, alone and among others."""
    found = []
    for pairs in plan.beside:
        say(f"one of {pairs} pair(s) is lost")
        found.append(await beside(folder(root, f"beside-{pairs}"), pairs))
    return found


def measured_worlds(root: Path, plan: Plan) -> Worlds:
    """What the lab itself takes."""
    say("the lab: a failover in virtual time, its start")
    story = played(plan.stories)
    return Worlds(
        story=story,
        up=asyncio.run(up(folder(root, "up"), plan.ups)),
        ups=plan.ups,
        beside=asyncio.run(measured_beside(root, plan)),
    )


def load() -> str:
    return ", ".join(f"{one:.1f}" for one in os.getloadavg())


def measure(plan: Plan, *, is_quick: bool) -> Measured:
    """Everything in a row."""
    begun = load()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        costs = asyncio.run(measured_overhead(root, plan))
        procedure = asyncio.run(measured_procedure(root, plan))
        worlds = measured_worlds(root, plan)
    say("detection")
    found, speed = detections(plan.seeds)
    return Measured(
        found=found,
        speed=speed,
        worlds=worlds,
        seeds=plan.seeds,
        procedure=procedure,
        costs=costs,
        seconds=plan.seconds,
        loads=(begun, load()),
        is_quick=is_quick,
    )


def main(argv: Sequence[str]) -> int:
    """The page is written at the end."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run that leaves docs/benchmarks.md as it is")
    parser.add_argument("--page", type=Path, help="write the page to this file instead")
    given = parser.parse_args(argv)
    text = page(measure(QUICK if given.quick else WHOLE, is_quick=given.quick))
    if (file := given.page or (None if given.quick else PAGE)) is not None:
        file.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
