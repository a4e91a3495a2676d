"""Whatever Vault really does where nobody could confirm it, the daemon does right (section 11 of the reference).

Each choice of each doubt is played with a story that declares its endpoint, then all doubts at once, every two choices
met. Every choice with every scenario: `make soak DOUBTS=...`.
"""

from __future__ import annotations

import itertools

import pytest

from tests.support.doubting import (
    Chosen,
    choices,
    dimensions,
    endpoints_of,
    held_back,
    is_asked,
    judged_by_invariants,
    pairwise,
    play_with,
    scenario_for,
    shipped,
    told,
    wrong_in,
)
from tests.unit.lab.living import ASKS, whole_life
from watchdogd.lab.scenario import Scenario

BY_DAEMON = [(scenario, chosen) for knob, chosen in choices() if (scenario := scenario_for(knob))]
BY_HAND = [chosen for knob, chosen in choices() if not scenario_for(knob)]
MIXED = [*enumerate(pairwise(dimensions(), seed=1))]
# Over a promotion, and with a token that is generated on the way: of each mix one of them here, both in the soak.
STORIES = ("region-lost", "token-refused[all-expired-in-the-middle-and-shares-generate]")


@pytest.mark.parametrize(("scenario", "chosen"), BY_DAEMON, ids=[told(chosen) for _, chosen in BY_DAEMON])
async def test_the_daemon_does_right_whatever_vault_does_here(scenario: Scenario, chosen: Chosen) -> None:
    played = await play_with(scenario, chosen)
    assert wrong_in(played) == (), str(played)


@pytest.mark.parametrize(("number", "chosen"), MIXED, ids=[f"mix-{number}" for number, _ in MIXED])
async def test_the_daemon_does_right_whatever_vault_does_everywhere(number: int, chosen: Chosen) -> None:
    (scenario,) = [one for one in shipped() if one.name == STORIES[number % 2]]
    played = await play_with(scenario, chosen)
    assert wrong_in(played) == (), str(played)


@pytest.mark.parametrize("name", ["a-bad-share-starts-over", "activation-token-is-used-up", "secondary-ids-collide"])
async def test_what_a_person_asks_meanwhile_breaks_nothing_whatever_vault_does_everywhere(name: str) -> None:
    (scenario,) = [one for one in shipped() if one.name == name]
    played = await play_with(scenario, MIXED[0][1])
    assert wrong_in(played) == (), str(played)


async def test_a_person_who_is_answered_otherwise_than_the_file_says_is_judged_by_the_invariants() -> None:
    (scenario,) = [one for one in shipped() if one.name == "secondary-ids-collide"]
    assert is_asked(scenario)
    played = await play_with(scenario, {"duplicate_secondary_id_status": 409})
    assert "400 wanted" in "".join(played.wrong)
    assert (judged_by_invariants(played), wrong_in(played)) == (True, ())
    played = await play_with(scenario, {"revoke_secondary_status": 204})
    assert (judged_by_invariants(played), wrong_in(played)) == (False, ())


async def test_a_run_that_ends_in_the_last_second_is_no_pair_that_waits_for_nobody() -> None:
    (scenario,) = [one for one in shipped() if one.name == "one-gate-closed[licence]"]
    played = await play_with(scenario, {"vault_version": "1.2.3"})  # it shows no licence: the gate is open
    assert wrong_in(played) == (), str(played)


@pytest.mark.parametrize(("chosen", "gates"), [({"connection_state_since": (1, 20)}, "secondary-blind"), ({}, "")])
async def test_what_a_choice_takes_the_evidence_from_is_paged_and_told_from_what_goes_wrong(
    chosen: Chosen, gates: str
) -> None:
    (scenario,) = [one for one in shipped() if one.name == "secondarys-active-node-changes[together]"]
    played = await play_with(scenario, chosen)
    assert (held_back(played), bool(played.wrong)) == (gates, bool(gates)), str(played)


@pytest.mark.parametrize("chosen", BY_HAND, ids=told)
def test_a_pair_can_be_set_up_failed_over_and_ended_by_hand_whatever_vault_does_here(chosen: Chosen) -> None:
    assert whole_life(**chosen) == ASKS


def test_every_doubt_has_a_story_that_asks_its_endpoint() -> None:
    assert [knob for knob in dimensions() if scenario_for(knob) is None and not endpoints_of(knob) & ASKS] == []


def test_a_mix_lets_every_two_choices_meet_and_is_the_same_for_a_seed() -> None:
    small = {"a": (1, 2, 3), "b": (1, 2), "c": (None, (1, 2)), "d": ("x", "y")}
    rows = pairwise(small, seed=1)
    for left, right in itertools.combinations(small, 2):
        assert {(repr(row[left]), repr(row[right])) for row in rows} == {
            (repr(a), repr(b)) for a in small[left] for b in small[right]
        }
    assert len(rows) < 3 * 2 * 2
    assert pairwise(small, seed=1) == rows != pairwise(small, seed=2)
