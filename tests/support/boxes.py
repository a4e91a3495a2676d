"""The whole product of a decision table, walked as boxes: each is a set of combinations that one row decides.

A box fixes only the fields that were asked about on the way to its row, so millions of combinations are a few hundred
boxes, and still every one of them is in exactly one box.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from watchdogd.core.facts import AbortedRun, Debt, Ours, Side, Sight, Signature, Stream, Third
from watchdogd.core.situations import Row

BOTH = (False, True)
DOMAIN: Mapping[str, tuple[object, ...]] = {
    "elected": (None, *(side for side in Side if side is not Side.LEADERLESS)),
    "partner": tuple(side for side in Side if side is not Side.SUSPECT),
    "sight": tuple(Sight),
    "stream": tuple(Stream),
    "debt": tuple(Debt),
    "is_foreign": BOTH,
    "is_run_open": BOTH,
    "ours": tuple(Ours),
    "aborted": tuple(AbortedRun),
    "is_fence_on_elected": BOTH,
    "is_able": BOTH,
    "are_gates_open": BOTH,
    "third": tuple(Third),
}
COMBINATIONS = math.prod(len(values) for values in DOMAIN.values())


@dataclass(frozen=True, slots=True)
class Box:
    """Every combination that has the `fixed` values; `row` decides all of them."""

    row: Row
    fixed: Mapping[str, object]

    @property
    def size(self) -> int:
        return math.prod(len(values) for name, values in DOMAIN.items() if name not in self.fixed)

    def can(self, **values: object) -> bool:
        """True when some combination in the box has `values`."""
        return all(self.fixed.get(name, value) == value for name, value in values.items())

    def example(self, chance: random.Random) -> Signature:
        """One combination of the box."""
        chosen = {name: self.fixed.get(name, chance.choice(values)) for name, values in DOMAIN.items()}
        return Signature(**chosen)  # type: ignore[arg-type]


def boxes(rows: Sequence[Row], fixed: Mapping[str, object] | None = None) -> Iterator[Box]:
    """The boxes of the table `rows`, whose last row takes everything."""
    fixed = fixed or {}
    row = rows[0]
    if any(name in fixed and fixed[name] not in values for name, values in row.when.items()):
        yield from boxes(rows[1:], fixed)
        return
    asked = next((name for name in row.when if name not in fixed), None)
    if asked is None:
        yield Box(row, fixed)
        return
    for value in DOMAIN[asked]:
        yield from boxes(rows, {**fixed, asked: value})
