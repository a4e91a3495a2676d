"""Stories played with other choices for what nobody could confirm: one doubt alone, or a seeded mix of all.

Shipped scenarios, and one life of a pair by hand for the endpoints that the daemon never asks.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from watchdogd.lab.doubts import ATTEMPT, DOUBTS, NEEDS, PROMOTE, STATUS, VERSIONS, Choice, shown
from watchdogd.lab.scenario import Do, Scenario
from watchdogd.rehearsal import files
from watchdogd.rehearsal.play import Played, play

VERSION = "vault_version"
Chosen = Mapping[str, Choice]


@cache
def shipped() -> tuple[Scenario, ...]:
    """Every variant of every file, those first that take the least."""
    found = [scenario for name in files.shipped() for scenario in files.scenarios_of(name)]
    return tuple(sorted(found, key=lambda one: (_rounds(one), one.name)))


def is_asked(scenario: Scenario) -> bool:
    """Whether a person asks Vault in it. What they must be answered is true of the defaults."""
    return any(act.do is Do.ASK for act in scenario.acts)


def _rounds(scenario: Scenario) -> float:
    return scenario.until_s / (2.0 if scenario.pair.get("timing", "demo") != "demo" else 1.0)


def dimensions() -> dict[str, tuple[Choice, ...]]:
    """Every doubt, and the version of Vault."""
    return {VERSION: VERSIONS, **{doubt.knob: doubt.choices for doubt in DOUBTS.values()}}


def choices() -> Iterator[tuple[str, Chosen]]:
    """One doubt otherwise than by default, each in turn, with what must be set for it to show."""
    for knob, values in dimensions().items():
        for value in values:
            if knob == VERSION or value != values[0] or knob in NEEDS:
                yield knob, {**NEEDS.get(knob, {}), knob: value}


def told(chosen: Chosen) -> str:
    """In words, as the command line takes them."""
    return " ".join(f"{knob}={shown(value)}" for knob, value in chosen.items())


def told_shortly(chosen: Chosen) -> str:
    """The same, but of a mix of all doubts nothing: its number says it."""
    return told(chosen) if len(chosen) < len(DOUBTS) else "a mix"


def choosing(scenario: Scenario, chosen: Chosen) -> Scenario:
    """The scenario in a world of these choices; what its file sets stays."""
    world: Any = {**chosen, **scenario.world}
    return replace(scenario, world=world)


async def play_with(scenario: Scenario, chosen: Chosen) -> Played:
    """The scenario in a world of these choices, played."""
    return await play(choosing(scenario, chosen))


def wrong_in(played: Played) -> tuple[str, ...]:
    """What went wrong.

    Only the invariants count where the choices hide from every daemon what it would act on, and where a person was
    answered otherwise than in the world of the file: whatever they do then, the daemon must not break one.
    """
    return played.broken if judged_by_invariants(played) else (*played.broken, *played.wrong)


def judged_by_invariants(played: Played) -> bool:
    """Whether nothing else can be asked of this play."""
    return is_blind(played.scenario) or played.is_otherwise


def held_back(played: Played) -> str:
    """The gates that a page names, where nothing was promoted and nothing broken: no choice may ask for more."""
    pages = [line for row in ("S-32", "S-34") for line in played.story.of(f"page {row}")]
    if not pages or played.broken or any(played.story.of("sent promote")):
        return ""
    return " ".join(dict.fromkeys(re.findall(r"gate (\S+) is closed:", pages[-1].more)))


def is_blind(scenario: Scenario) -> bool:
    """Whether its world tells nobody how far the secondary is, or whom it hears."""
    world = scenario.world
    version = tuple(int(part) for part in str(world.get(VERSION, "1.19.0")).split("."))
    has_positions = version >= tuple(world.get("last_kind_wal_since", (1, 9)))  # type: ignore[arg-type]
    has_canary = version >= (1, 16)
    return world.get("status_endpoints") == "disabled" or version < (1, 5) or not (has_positions or has_canary)


def endpoints_of(knob: str) -> frozenset[str]:
    """Where a choice shows; that of a version everywhere, hence where an operator's own token is made, too."""
    return frozenset((STATUS, PROMOTE, ATTEMPT) if knob == VERSION else DOUBTS[knob].endpoints)


def scenario_for(knob: str) -> Scenario | None:
    """The cheapest scenario in which the daemon asks most of a doubt's endpoints; None if it asks none in any."""
    alone = [scenario for scenario in shipped() if not is_asked(scenario)]
    counts = {scenario.name: len(scenario.asks & endpoints_of(knob)) for scenario in alone}
    best = max(counts.values())
    return next((scenario for scenario in alone if counts[scenario.name] == best), None) if best else None


@cache
def _all_by_all(seed: int) -> tuple[tuple[Scenario, Chosen], ...]:
    pairs = [(scenario, chosen) for _, chosen in choices() for scenario in shipped() if chosen.keys() - scenario.world]
    random.Random(seed).shuffle(pairs)
    return tuple(pairs)


def doubt_of(seed: int, number: int) -> tuple[Scenario, Chosen]:
    """Every choice with every scenario, in an order of the seed; then scenarios with any choice of every doubt."""
    pairs = _all_by_all(seed)
    if number < len(pairs):
        return pairs[number]
    chance = random.Random(f"{seed}:{number}")
    return chance.choice(shipped()), {knob: chance.choice(values) for knob, values in dimensions().items()}


def pairwise(choices_of: Mapping[str, Sequence[Choice]], seed: int) -> list[dict[str, Choice]]:
    """Rows in which every two choices of two dimensions meet at least once; greedy, and the same for a seed."""
    chance = random.Random(seed)
    sizes = {name: range(len(values)) for name, values in choices_of.items()}
    missing = {
        ((a, i), (b, j)) for a, b in itertools.combinations(sizes, 2) for i in sizes[a] for j in sizes[b]
    }  # as places in the dimensions: choices need not be hashable
    order = {name: place for place, name in enumerate(sizes)}
    rows = list[dict[str, Choice]]()
    while missing:
        row = dict(chance.choice(sorted(missing)))
        for name in chance.sample(sorted(sizes), len(sizes)):
            if name not in row:
                gains = {i: _new(missing, row, name, i, order) for i in sizes[name]}
                row[name] = chance.choice([i for i in gains if gains[i] == max(gains.values())])
        missing -= set(itertools.combinations(((name, row[name]) for name in sizes), 2))
        rows.append({name: choices_of[name][row[name]] for name in sizes})
    return rows


def _new(missing: set[Any], row: Mapping[str, int], name: str, i: int, order: Mapping[str, int]) -> int:
    pairs: Iterable[Any] = (
        ((a, j), (name, i)) if order[a] < order[name] else ((name, i), (a, j)) for a, j in row.items()
    )
    return sum(pair in missing for pair in pairs)
