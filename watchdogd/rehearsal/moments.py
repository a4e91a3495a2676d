"""When things happen on a day that is told by chance: moments, and stretches of it."""

from __future__ import annotations

import random
from collections.abc import Iterator

DAY_S = 86_400.0


def moments(chance: random.Random, per_day: float, length_s: float) -> Iterator[float]:
    """Moments of a day that know nothing of each other."""
    at_s = chance.expovariate(max(per_day, 1e-9) / DAY_S)
    while at_s < length_s:
        yield at_s
        at_s += chance.expovariate(per_day / DAY_S)


def joined(stretches: list[tuple[float, float]], gap_s: float) -> list[tuple[float, float]]:
    """Stretches that overlap, or are at most `gap_s` apart, as one."""
    found: list[tuple[float, float]] = []
    for from_s, to_s in sorted(stretches):
        if found and from_s <= found[-1][1] + gap_s:
            found[-1] = (found[-1][0], max(found[-1][1], to_s))
        else:
            found.append((from_s, to_s))
    return found
