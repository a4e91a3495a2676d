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
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.support.doubting import doubt_of, held_back, judged_by_invariants, play_with, told_shortly, wrong_in
from tests.support.soak_days import DayResult, play_day, story_of_day
from tests.support.soak_losses import LossResult, loss_of, play_loss
from watchdogd.rehearsal.stack_soak import Soaked, soak_day, soak_loss
from watchdogd.rehearsal.virtual_time import virtual_loop

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


Play = Callable[[Tally, int, int, str], None]
"""Plays one by seed and number; what fails is told with the line that repeats it."""


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def day(tally: Tally, seed: int, number: int, again: str) -> None:
    """One day."""
    result: DayResult = play_day(story_of_day(seed, number), number)
    tally.ticks += result.ticks
    tally.count("stretches suspected", result.suspected)
    tally.count("withdrawn by the last look", result.withdrawn)
    tally.count("partitions that no evidence can tell", len(result.partitions_s))
    tally.count("false failovers", len(result.false_s))
    for at_s in result.false_s:
        tally.failed.append(f"{again}  # false at {at_s:.0f} s")
    if result.partitions_s:
        say(f"partition: {again}  # at {result.partitions_s[0]:.0f} s")


def loss(tally: Tally, seed: int, number: int, again: str) -> None:
    """One loss."""
    result: LossResult = play_loss(loss_of(seed, number), number)
    tally.ticks += result.ticks
    if result.missed:
        tally.count("missed")
        tally.failed.append(f"{again}  # {result.missed}")
    elif result.paged:
        tally.count(f"held back by the truth and paged ({result.paged})")
        tally.count("of these paged late", int(result.paged_late))
    else:
        tally.count("failed over within the bound")
        tally.slowest_s = max(tally.slowest_s, result.over_s or 0.0)


def of_stack(soak: Callable[[int, int], Soaked]) -> Play:
    """One of what is played of the whole stack."""

    def play(tally: Tally, seed: int, number: int, again: str) -> None:
        one = soak(seed, number)
        tally.ticks += int(one.played_s)
        for what, by in one.counts.items():
            tally.count(what, by)
        tally.failed += [f"{again}  # {wrong}" for wrong in one.wrong]
        tally.slowest_s = max(tally.slowest_s, one.slowest_s)

    return play


def doubt(tally: Tally, seed: int, number: int, again: str) -> None:
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
        tally.failed.append(f"{again}  # {scenario.name} {told_shortly(chosen)}: {wrong[0]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is soaked by number. A line of where it stands is said, and kept, after so many of them."""

    one: str  # how one of them is called
    play: Play
    say_every: int
    keep_every: int
    counted: str = "seconds"  # what of each is added up

    def again(self, seed: int, number: int) -> str:
        """The line that repeats one."""
        return f"make soak SEED={seed} {self.key.upper()}={number}"

    @property
    def key(self) -> str:
        """The name of its option, as argparse keeps it."""
        return self.one.replace("-", "_")


KINDS: Mapping[str, Kind] = {
    "losses": Kind(one="loss", play=loss, say_every=250, keep_every=10, counted="ticks"),
    "days": Kind(one="day", play=day, say_every=250, keep_every=10, counted="ticks"),
    "stack-losses": Kind(one="stack-loss", play=of_stack(soak_loss), say_every=50, keep_every=1),
    "stack-days": Kind(one="stack-day", play=of_stack(soak_day), say_every=10, keep_every=1),
    "doubts": Kind(one="doubt", play=doubt, say_every=250, keep_every=10),
}


def go_on(name: str, seed: int, until: int) -> Tally:
    """Everything of one kind up to `until`, from where the last call stopped."""
    kind, path = KINDS[name], FOLDER / f"{name}-{seed}.json"
    tally = Tally(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Tally()
    FOLDER.mkdir(exist_ok=True)
    while tally.next < until:
        begun_s, known = time.perf_counter(), len(tally.failed)
        kind.play(tally, seed, tally.next, kind.again(seed, tally.next))
        tally.next += 1
        tally.seconds += time.perf_counter() - begun_s
        for line in tally.failed[known:]:
            say(f"FAILED {line}")
        if tally.next % kind.say_every == 0 or tally.next == until:
            say(told(name, seed, tally))
        if tally.next % kind.keep_every == 0 or tally.next == until:
            path.write_text(json.dumps(asdict(tally)), encoding="utf-8")
    return tally


def told(name: str, seed: int, tally: Tally) -> str:
    """One line of where it stands."""
    counts = ", ".join(f"{count} {what}" for what, count in sorted(tally.counts.items()))
    each_s = tally.seconds / max(1, tally.next)
    slowest = f", slowest {tally.slowest_s:.1f} s after its evidence began" if tally.slowest_s else ""
    ticks = f"{tally.ticks} {KINDS[name].counted} played"
    return f"seed {seed}: {tally.next} {name}: {counts}{slowest}; {ticks}, {each_s:.3f} s each"


def main() -> int:
    """0 when nothing was false and nothing missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    for name, kind in KINDS.items():
        parser.add_argument(f"--{name}", type=int, default=0, help="so many of them")
        parser.add_argument(f"--{kind.one}", type=int, help=f"this one of the {name} only")
    given = vars(parser.parse_args())
    seed = given["seed"]
    alone = [(kind, number) for kind in KINDS.values() if (number := given[kind.key]) is not None]
    if alone:
        tally = Tally()
        for kind, number in alone:
            kind.play(tally, seed, number, kind.again(seed, number))
        say("\n".join(tally.failed) or f"nothing wrong: {tally.counts}")
        return 1 if tally.failed else 0
    wanted = {name: given[name.replace("-", "_")] for name in KINDS}
    tallies = [go_on(name, seed, until) for name, until in wanted.items() if until]
    failed = [line for tally in tallies for line in tally.failed]
    say("\n".join(failed) or f"seed {seed}: nothing false, nothing missed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
