"""`make soak`: seeded days and losses, for the decision core and the whole stack, and every doubt with every scenario.

It is stopped at will, and gone on with. Everything has a number, and depends on the seed and that number alone. What
was done is kept in `.soak/`; a second call goes on from there. What fails prints the line that repeats it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.support.doubting import doubt_of, held_back, judged_by_invariants, play_with, told_shortly, wrong_in
from tests.support.soak_days import DayResult, play_day, story_of_day
from tests.support.soak_losses import LossResult, loss_of, play_loss
from watchdogd.rehearsal.stack_soak import Soaked, soak_day, soak_loss
from watchdogd.rehearsal.virtual_time import virtual_loop

SAY_EVERY = {"days": 250, "losses": 250, "stack-days": 10, "stack-losses": 50, "doubts": 250}
KEEP_EVERY = {"days": 10, "losses": 10, "stack-days": 1, "stack-losses": 1, "doubts": 10}
FOLDER = Path(__file__).parents[2] / ".soak"


@dataclass(slots=True)
class Tally:
    """What was done of one kind, by number: the next one, the counts, and every line that repeats a failure."""

    next: int = 0
    seconds: float = 0.0
    ticks: int = 0  # of the whole stack: seconds played
    counts: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def count(self, what: str, by: int = 1) -> None:
        """One more."""
        self.counts[what] = self.counts.get(what, 0) + by


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def day(tally: Tally, seed: int, number: int) -> None:
    """One day."""
    result: DayResult = play_day(story_of_day(seed, number), number)
    tally.ticks += result.ticks
    tally.count("stretches suspected", result.suspected)
    tally.count("withdrawn by the last look", result.withdrawn)
    tally.count("partitions that no evidence can tell", len(result.partitions_s))
    tally.count("false failovers", len(result.false_s))
    for at_s in result.false_s:
        tally.failed.append(f"make soak SEED={seed} DAY={number}  # false at {at_s:.0f} s")
    if result.partitions_s:
        say(f"partition: make soak SEED={seed} DAY={number}  # at {result.partitions_s[0]:.0f} s")


def loss(tally: Tally, seed: int, number: int) -> None:
    """One loss."""
    result: LossResult = play_loss(loss_of(seed, number), number)
    tally.ticks += result.ticks
    if result.missed:
        tally.count("missed")
        tally.failed.append(f"make soak SEED={seed} LOSS={number}  # {result.missed}")
    elif result.paged:
        tally.count(f"held back by the truth and paged ({result.paged})")
        tally.count("of these paged late", int(result.paged_late))
    else:
        tally.count("failed over within the bound")
        tally.slowest_s = max(tally.slowest_s, result.over_s or 0.0)


def whole_day(tally: Tally, seed: int, number: int) -> None:
    """One day of the whole stack."""
    add(tally, soak_day(seed, number), f"make soak SEED={seed} STACK_DAY={number}")


def whole_loss(tally: Tally, seed: int, number: int) -> None:
    """One loss of the whole stack."""
    add(tally, soak_loss(seed, number), f"make soak SEED={seed} STACK_LOSS={number}")


def add(tally: Tally, one: Soaked, again: str) -> None:
    """What was played of the whole stack."""
    tally.ticks += int(one.played_s)
    for what, by in one.counts.items():
        tally.count(what, by)
    tally.failed += [f"{again}  # {wrong}" for wrong in one.wrong]
    tally.slowest_s = max(tally.slowest_s, one.slowest_s)


def doubt(tally: Tally, seed: int, number: int) -> None:
    """One scenario in a world in which one thing that nobody could confirm, or all of them, is another way."""
    scenario, chosen = doubt_of(seed, number)
    with asyncio.Runner(loop_factory=virtual_loop) as loop:
        played = loop.run(play_with(scenario, chosen))
    wrong, gates = wrong_in(played), held_back(played)
    tally.ticks += int(scenario.until_s)
    tally.count("judged by the invariants alone", int(judged_by_invariants(played)))
    if wrong and gates:
        tally.count(f"held back by the choice and paged ({gates})")
    elif wrong:
        tally.count("not as expected, or broken")
        what = told_shortly(chosen)
        tally.failed.append(f"make soak SEED={seed} DOUBT={number}  # {scenario.name} {what}: {wrong[0]}")


KINDS: dict[str, Callable[[Tally, int, int], None]] = {
    "losses": loss,
    "days": day,
    "stack-losses": whole_loss,
    "stack-days": whole_day,
    "doubts": doubt,
}


ONE = {"losses": "loss", "days": "day", "stack-losses": "stack-loss", "stack-days": "stack-day", "doubts": "doubt"}


def go_on(kind: str, seed: int, until: int) -> Tally:
    """Everything of one kind up to `until`, from where the last call stopped."""
    path = FOLDER / f"{kind}-{seed}.json"
    tally = Tally(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Tally()
    FOLDER.mkdir(exist_ok=True)
    while tally.next < until:
        begun_s, known = time.perf_counter(), len(tally.failed)
        KINDS[kind](tally, seed, tally.next)
        tally.next += 1
        tally.seconds += time.perf_counter() - begun_s
        for line in tally.failed[known:]:
            say(f"FAILED {line}")
        if tally.next % SAY_EVERY[kind] == 0 or tally.next == until:
            say(told(kind, seed, tally))
        if tally.next % KEEP_EVERY[kind] == 0 or tally.next == until:
            path.write_text(json.dumps(asdict(tally)), encoding="utf-8")
    return tally


def told(kind: str, seed: int, tally: Tally) -> str:
    """One line of where it stands."""
    counts = ", ".join(f"{count} {what}" for what, count in sorted(tally.counts.items()))
    each_s = tally.seconds / max(1, tally.next)
    slowest = f", slowest {tally.slowest_s:.1f} s after its evidence began" if tally.slowest_s else ""
    ticks = f"{tally.ticks} {'ticks' if kind in ('days', 'losses') else 'seconds'} played"
    return f"seed {seed}: {tally.next} {kind}: {counts}{slowest}; {ticks}, {each_s:.3f} s each"


def main() -> int:
    """0 when nothing was false and nothing missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, default=0, help="so many of them")
    for kind, one in ONE.items():
        parser.add_argument(f"--{one}", type=int, help=f"this one of the {kind} only")
    given = vars(parser.parse_args())
    seed = given["seed"]
    alone = [(kind, given[one.replace("-", "_")]) for kind, one in ONE.items()]
    if any(number is not None for _, number in alone):
        tally = Tally()
        for kind, number in alone:
            if number is not None:
                KINDS[kind](tally, seed, number)
        say("\n".join(tally.failed) or f"nothing wrong: {tally.counts}")
        return 1 if tally.failed else 0
    wanted = {kind: given[kind.replace("-", "_")] for kind in KINDS}
    tallies = [go_on(kind, seed, until) for kind, until in wanted.items() if until]
    failed = [line for tally in tallies for line in tally.failed]
    say("\n".join(failed) or f"seed {seed}: nothing false, nothing missed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
