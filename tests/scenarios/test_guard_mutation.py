"""Delete any one gate, veto, last look or release, and a named scenario fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.guards import GATES, NAMED_GATES, VETOES
from tests.scenarios.removals import GUARDS, Guard, removed
from watchdogd.lab.scenario import Scenario
from watchdogd.rehearsal.files import scenarios_of, shipped
from watchdogd.rehearsal.play import play

BY_NAME = {scenario.name: scenario for name in shipped() for scenario in scenarios_of(name)}


def test_every_gate_is_among_the_guards() -> None:
    assert {f"gate {name}" for name in GATES} <= {guard.name for guard in GUARDS}


def test_every_named_gate_and_every_veto_is_among_the_guards() -> None:
    names = {guard.name for guard in GUARDS}
    assert {f"veto: {veto}" for veto in VETOES} <= names
    assert all(any(name.startswith(f"gate {gate}:") for name in names) for gate in NAMED_GATES)


def test_every_catcher_is_a_shipped_scenario() -> None:
    assert {name for guard in GUARDS for name in guard.caught_by} <= BY_NAME.keys()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
async def test_without_the_guard_a_named_scenario_fails(
    guard: Guard, record_property: Callable[[str, object], None]
) -> None:
    with removed(guard):
        for name in guard.caught_by:
            if await _fails(BY_NAME[name]):
                record_property("guard", f"{guard.name} -> {name}")
                return
    pytest.fail(f"{guard.name} can be deleted, and {', '.join(guard.caught_by)} still goes as its file says")


async def _fails(scenario: Scenario) -> bool:
    played = await play(scenario)
    assert "a loop died" not in "".join(played.broken), f"that is no removal, that is damage: {played}"
    return bool(played.wrong or played.broken)
