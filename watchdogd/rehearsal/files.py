"""Which scenarios somebody means: a shipped one by its name, or a file of their own; all its cases, or one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import watchdogd.lab
from watchdogd.lab.near_names import did_you_mean
from watchdogd.lab.scenario import Scenario
from watchdogd.lab.scenario_cases import BadScenario
from watchdogd.lab.scenario_file import load_scenarios
from watchdogd.lab.story import Line
from watchdogd.rehearsal.settings_check import check_settings

__all__ = ["Line", "NoScenario", "Scenario", "described", "scenarios_of", "shipped"]
LISTED = "`watchdogd-lab scenarios` lists them"
SENTENCE = re.compile(r"(.+?[.!?])(?: .*)?", re.DOTALL)
SHIPPED = Path(watchdogd.lab.__file__).with_name("scenarios")


class NoScenario(ValueError):
    """There is no such scenario, or its file is none; the message is for a person."""


def shipped() -> tuple[str, ...]:
    """The names of the scenarios that come with the lab."""
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.toml")))


def described() -> Iterator[tuple[str, int, str]]:
    """Of each of them the name, how many cases it has, and in a sentence what it stands for."""
    for name in shipped():
        cases = _loaded(_path(name))
        yield name, len(cases), SENTENCE.sub(r"\1", cases[0].stands_for)


def scenarios_of(wanted: str, *, seed: int | None = None) -> tuple[Scenario, ...]:
    """Every case of the file, or the one of `NAME[CASE]`. Raises: NoScenario."""
    name, bracket, case = wanted.removesuffix("]").rpartition("[") if wanted.endswith("]") else (wanted, "", "")
    path = _path(name)
    found = _loaded(path)
    if bracket:
        found = tuple(one for one in found if one.case == case) or _no_case(name, case, found)
    for scenario in found:
        _has_known_settings(path, scenario)
    return found if seed is None else tuple(replace(one, seed=seed) for one in found)


def _path(name: str) -> Path:
    own = Path(name)
    if own.suffix == ".toml" or own.is_file():
        return own
    if name in shipped():
        return SHIPPED / f"{name}.toml"
    near = did_you_mean(name, shipped())
    raise NoScenario(f"no scenario {name!r}: {near}{LISTED}" + ("" if near else "; or give the path of a file"))


def _loaded(path: Path) -> tuple[Scenario, ...]:
    try:
        return load_scenarios(path)
    except OSError as exc:
        raise NoScenario(f"{path}: {exc.strerror}") from exc
    except BadScenario as exc:
        raise NoScenario(str(exc)) from exc


def _no_case(name: str, case: str, found: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
    cases = [one.case for one in found if one.case]
    raise NoScenario(f"{name}: no case {case!r}: " + (f"one of {', '.join(cases)}" if cases else "it has no cases"))


def _has_known_settings(path: Path, scenario: Scenario) -> None:
    try:
        check_settings(scenario)
    except ValueError as exc:
        raise NoScenario(f"{path}{f'[{scenario.case}]' if scenario.case else ''}: {exc}") from exc
