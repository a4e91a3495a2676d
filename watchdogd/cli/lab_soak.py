"""`watchdogd-lab soak --days N [--losses N] --seed N`: days and losses by chance, in virtual time, each judged.

Exit status: 0 nothing false, missed or broken; 1 otherwise; 2 usage; 128 + signal when interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from watchdogd.rehearsal.stack_soak import Soaked, soak_day, soak_loss

OK, BROKEN = 0, 1
PLAYED_BY = {"day": soak_day, "loss": soak_loss}
SAY_EVERY = {"day": 1, "loss": 10}  # either is about ten seconds


@dataclass(slots=True)
class Soaking:
    """What was played so far of one kind, `day` or `loss`."""

    kind: str
    seed: int
    wanted: int
    played: int = 0
    played_s: float = 0.0
    slowest_s: float = 0.0
    failed: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, number: int, one: Soaked) -> None:
        """One more; what is wrong with it is said at once, and where all of them stand now and then."""
        self.played += 1
        self.played_s += one.played_s
        self.slowest_s = max(self.slowest_s, one.slowest_s)
        self.counts.update(one.counts)
        if one.wrong:
            self.failed += 1
            for wrong in one.wrong:
                say(f"FAILED  {self.kind} {number}: {wrong}")
            say(f"again: watchdogd-lab soak --{self.kind} {number} --seed {self.seed}")
        if self.played % SAY_EVERY[self.kind] == 0 or self.played == self.wanted:
            say(self.told())

    def told(self) -> str:
        """Where they stand, in one line."""
        counts = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()) if count)
        slowest = f"; slowest {self.slowest_s:.1f} s after its evidence began" if self.slowest_s else ""
        return f"{self.kind} {self.played} of {self.wanted}: {counts or 'calm'}{slowest}; {self.played_s:.0f} s played"


def soak(seed: int, *, days: Iterable[int], losses: Iterable[int]) -> int:
    """Play the days and the losses of these numbers; the exit status."""
    numbers = {"day": tuple(days), "loss": tuple(losses)}
    kinds = [Soaking(kind=kind, seed=seed, wanted=len(wanted)) for kind, wanted in numbers.items() if wanted]
    interrupted: list[int] = []
    try:
        with _interrupting(interrupted):
            return _soak(seed, kinds, numbers)
    except KeyboardInterrupt:
        played = ", ".join(f"{soaking.kind} {soaking.played} of {soaking.wanted}" for soaking in kinds)
        print(f"interrupted after {played}", file=sys.stderr)
        return 128 + (interrupted or [signal.SIGINT])[0]
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads; it is flushed at the end
        return 128 + signal.SIGPIPE


def _soak(seed: int, kinds: Sequence[Soaking], numbers: Mapping[str, Sequence[int]]) -> int:
    wanted = ", ".join(f"{soaking.wanted} x {soaking.kind}" for soaking in kinds)
    say(f"SIMULATOR  {wanted} of seed {seed}, in virtual time")
    for soaking in kinds:
        for number in numbers[soaking.kind]:
            soaking.add(number, PLAYED_BY[soaking.kind](seed, number))
    failed = sum(soaking.failed for soaking in kinds)
    say(f"seed {seed}: {f'{failed} failed' if failed else 'nothing false, nothing missed'}")
    return BROKEN if failed else OK


@contextmanager
def _interrupting(interrupted: list[int]) -> Iterator[None]:
    """SIGTERM as SIGINT: what is played cleans up after itself, its directory is removed."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        interrupted.append(signum)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)
