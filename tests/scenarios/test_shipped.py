"""Every shipped scenario, every variant of it: played by the daemon's own App against the lab's world."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchdogd.lab.scenario import Scenario
from watchdogd.lab.scenario_file import load_scenarios
from watchdogd.rehearsal.play import play

FILES = sorted((Path(__file__).parents[2] / "watchdogd" / "lab" / "scenarios").glob("*.toml"))
SHIPPED = [scenario for file in FILES for scenario in load_scenarios(file)]


@pytest.mark.parametrize("scenario", SHIPPED, ids=lambda scenario: scenario.name)
async def test_the_scenario_goes_as_its_file_says_and_breaks_no_invariant(scenario: Scenario) -> None:
    played = await play(scenario)
    assert not played.wrong, str(played)
    assert not played.broken, str(played)
    assert played.asked == scenario.asks, "`asks` names the endpoints that are asked"
