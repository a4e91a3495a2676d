"""The page of `make bench` says missed where something was missed, or was not measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.detection import Speed
from tests.bench.overhead import Cost, Start, Used
from tests.bench.page import Measured, page
from tests.bench.procedure import Took
from tests.bench.worlds import Beside, Played, Up, Worlds

STEADY = Start(seconds=9.0, cpu_s=7.0)
ONE = Cost(
    pairs=1,
    used=Used(process=0.005, lab=0.01, rest=0.1),
    memory_mb=80.0,
    rounds=90,
    unread=0,
    start=STEADY,
    at_end=(("S-10", 1),),
)
MANY = replace(ONE, pairs=100, used=Used(process=0.5, lab=0.3, rest=0.1), memory_mb=250.0, at_end=(("S-10", 100),))
BARE = replace(ONE, start=None, at_end=())
TOOK = Took(fenced_s=0.5, promoted_s=1.0, changed_s=1.5, published_s=2.5)

TEN = Beside(pairs=10, steady_s=12.0, decided_s=16.0, published_s=22.0, daemon_cpu=0.1, lab_cpu=0.2, disturbed=0)
WORLDS = Worlds(
    story=Played(world_s=2100.0, real_s=15.0, rounds=10),
    up=Up(lab_s=1.5, bare_s=1.0),
    ups=7,
    beside=[replace(TEN, pairs=1), TEN],
)


def whole(one: Cost = ONE, many: Cost = MANY, took: Took = TOOK, worlds: Worlds = WORLDS) -> str:
    return page(
        Measured(
            found={},
            speed=Speed(ticks=1, seconds=1.0),
            worlds=worlds,
            seeds=1,
            procedure=[(took, TOOK)],
            costs=[(one, BARE), (many, BARE)],
            seconds=45.0,
            loads=("0.1", "0.2"),
        )
    )


def rows(one: Cost = ONE, many: Cost = MANY, took: Took = TOOK) -> list[str]:
    """The rows of what is asked for."""
    text = whole(one, many, took)
    return [line for line in text.splitlines() if line.endswith(("| met |", "| **missed** |"))]


def missed(found: list[str]) -> list[bool]:
    return [row.endswith("**missed** |") for row in found]


def test_what_was_met_is_met() -> None:
    assert missed(rows()) == [False] * 4


@pytest.mark.parametrize(
    "many",
    [
        replace(MANY, used=replace(MANY.used, process=1.0)),
        replace(MANY, start=Start(seconds=None, cpu_s=20.0)),
        replace(MANY, at_end=(("S-10", 99), ("S-36", 1))),
        replace(MANY, at_end=()),
        replace(MANY, pairs=10, at_end=(("S-10", 10),)),
    ],
    ids=["too much CPU", "never steady", "one pair not read", "no answer", "not as many as asked for"],
)
def test_a_hundred_pairs_are_met_only_when_every_one_of_them_was_read(many: Cost) -> None:
    assert missed(rows(many=many)) == [False, False, True, False]


def test_what_one_pair_and_the_procedure_missed_stays_missed() -> None:
    hungry = replace(ONE, used=replace(ONE.used, process=0.011), memory_mb=101.0)
    assert missed(rows(one=hungry, took=replace(TOOK, published_s=6.1))) == [True, True, False, True]


def test_a_pair_that_was_never_steady_is_said_so_with_what_was_seen() -> None:
    many = replace(MANY, start=Start(seconds=None, cpu_s=20.0), at_end=(("S-36", 60), ("S-10", 40)))
    assert "at the end 60 at S-36, 40 at S-10" in rows(many=many)[2]


def test_the_lab_is_told_as_ratios() -> None:
    text = whole()
    assert "2100 s of the world in 15.0 s, 140 world seconds for each real one" in text
    assert "1.50 times what a Python takes" in text
    assert "| 10 | 12 s | 16.0 | 22.0 | 10.0% of a core | 20.0% | 0 |" in text


def test_pairs_that_were_disturbed_or_never_steady_are_told_loudly() -> None:
    worse = replace(TEN, steady_s=None, disturbed=2)
    assert "| 10 | **never** | 16.0 | 22.0 | 10.0% of a core | 20.0% | **2** |" in whole(
        worlds=replace(WORLDS, beside=[worse])
    )
