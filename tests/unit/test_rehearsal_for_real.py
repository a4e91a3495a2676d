"""What `watchdogd-lab run --live` can be asked: the limits, and the config that it writes for the daemon."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.lab_file import lab_file
from watchdogd.adapters.config import load_config
from watchdogd.core.policy import Timing
from watchdogd.lab.scenario import ActLine, Do, FaultLine, Scenario, When
from watchdogd.rehearsal.files import scenarios_of, shipped
from watchdogd.rehearsal.limits import OUT_OF_REACH, reasons
from watchdogd.rehearsal.pair_asked import TIMINGS
from watchdogd.rehearsal.place import Place
from watchdogd.rehearsal.settings_file import write_settings
from watchdogd.rehearsal.site import PAIR

REGION_LOST = scenarios_of("region-lost")[0]


def place(folder: Path) -> Place:
    return Place(directory=folder, fence=("/bin/true",), anchors=["127.0.0.1:9"], status_page="127.0.0.1:9756")


def playable() -> list[Scenario]:
    """The first case of each file that has one that can be played."""
    found = ([one for one in scenarios_of(name) if not reasons(one)] for name in shipped())
    return [cases[0] for cases in found if cases]


def test_most_of_the_shipped_files_can_be_played_with_real_processes() -> None:
    assert len(playable()) > len(shipped()) / 2


@pytest.mark.parametrize("scenario", playable(), ids=lambda scenario: scenario.name)
def test_the_daemon_takes_the_config_of_every_scenario_that_can_be_played(scenario: Scenario, tmp_path: Path) -> None:
    write_settings(scenario, lab_file(tmp_path), place(tmp_path))
    policy = load_config(str(tmp_path / "watchdogd.toml")).pairs[PAIR].policy
    given = scenario.pair
    assert policy.levels.failover.value == given.get("failover", "auto")
    assert policy.timing.down_after_s == given.get(
        "down_after_s", TIMINGS[str(given.get("timing", "demo"))].down_after_s
    )
    assert policy.sealed_is_down is (given.get("sealed_is_down") is True)


@pytest.mark.parametrize("do", OUT_OF_REACH)
def test_an_act_that_reaches_into_a_real_machine_is_refused_by_its_name(do: Do) -> None:
    acts = (ActLine(when=When(at_s=1.0), do=do),)
    assert reasons(replace(REGION_LOST, acts=acts)) == (f"act {do}: {OUT_OF_REACH[do]}",)


@pytest.mark.parametrize(
    ("when", "is_refused"),
    [
        (When(seen="sent promote west"), True),
        (When(seen="step failover.fence done"), True),
        (When(seen="step failover.fence done", plus_s=1.0), False),
        (When(seen="run failover succeeded"), False),
        (When(seen="world fault: crash region:east"), False),
        (When(seen="world east/1 active", plus_s=5.0), True),
    ],
)
def test_a_moment_that_is_over_before_anybody_can_act_on_it_is_refused(when: When, is_refused: bool) -> None:
    faults = (FaultLine(when=when, fault=REGION_LOST.faults[0].fault),)
    assert bool(reasons(replace(REGION_LOST, faults=faults))) is is_refused


def test_a_setting_or_an_expectation_that_nothing_shows_is_refused() -> None:
    world = {**REGION_LOST.world, "vault_version_of_west": "1.10.0"}
    pair = {**REGION_LOST.pair, "names": True}
    standing = (replace(REGION_LOST.standing[0], state={"operation_tokens": ()}),)
    said = " ".join(reasons(replace(REGION_LOST, world=world, pair=pair, standing=standing)))
    assert all(what in said for what in ("vault_version_of_west", "[pair] names", "operation_tokens"))


def test_only_what_differs_from_the_usual_timing_is_written(tmp_path: Path) -> None:
    scenario = replace(REGION_LOST, pair={"timing": "default"})
    write_settings(scenario, lab_file(tmp_path), place(tmp_path))
    assert load_config(str(tmp_path / "watchdogd.toml")).pairs[PAIR].policy.timing == Timing()
