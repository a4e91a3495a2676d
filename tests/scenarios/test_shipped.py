"""Every shipped scenario, every variant of it: played by the daemon's own App against the lab's world."""

from __future__ import annotations

import pytest

from watchdogd.lab.scenario import Scenario
from watchdogd.rehearsal.files import scenarios_of, shipped
from watchdogd.rehearsal.play import play

SHIPPED = [scenario for name in shipped() for scenario in scenarios_of(name)]


@pytest.mark.parametrize("scenario", SHIPPED, ids=lambda scenario: scenario.name)
async def test_the_scenario_goes_as_its_file_says_and_breaks_no_invariant(scenario: Scenario) -> None:
    played = await play(scenario)
    assert not played.wrong, str(played)
    assert not played.broken, str(played)
    assert played.asked == scenario.asks, "`asks` names the endpoints that are asked"
