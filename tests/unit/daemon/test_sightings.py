"""What was seen beside the probes speaks of now for a while only: after it, it is as if nobody had looked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from tests.support.pair import EAST, WEST, policy_of
from watchdogd.core.facts import AnchorSeen, FenceSeen, WitnessSeen
from watchdogd.core.naming import NameFact, NameSeen
from watchdogd.daemon.gear import PairGear
from watchdogd.daemon.proofs import ProofBook
from watchdogd.daemon.sightings import Sightings
from watchdogd.ports import Answers
from watchdogd.rehearsal.memory import DictMemory, LoopClock

SEEN_S = 1000.0
NOBODY = cast(Any, None)  # nothing here is asked, only what was seen is read


@pytest.fixture
def sightings() -> Sightings:
    policy = replace(
        policy_of(), record="vault.example.net", dns_targets={EAST: "e.example.net", WEST: "w.example.net"}
    )
    gear = PairGear(
        policy=policy,
        probes={},
        publish_check=NOBODY,
        hands=NOBODY,
        fence=NOBODY,
        dns=NOBODY,
        dns_watch=NOBODY,
        reach=NOBODY,
    )
    sightings = Sightings(gear, hands=NOBODY, book=ProofBook(policy.pair, DictMemory()), clock=LoopClock())
    seen = sightings.seen
    seen.anchors["sts:443"] = AnchorSeen(address="sts:443", place="neutral", is_reachable=True, seen_s=SEEN_S)
    seen.witnesses["third"] = WitnessSeen(name="third", sees=True, seen_s=SEEN_S)
    seen.fences[EAST], seen.fence_at_s[EAST] = FenceSeen(is_configured=True, answers=True), SEEN_S
    seen.answers, seen.answers_at_s = Answers(by_server={"ns1": "e.example.net"}), SEEN_S
    return sightings


@pytest.mark.parametrize(("age_s", "is_reachable"), [(30.0, True), (30.1, None)])
def test_an_anchor_that_was_not_asked_for_too_long_is_not_reached(
    sightings: Sightings, age_s: float, *, is_reachable: bool | None
) -> None:
    (anchor,) = sightings.anchors(SEEN_S + age_s)
    assert anchor.is_reachable is is_reachable


@pytest.mark.parametrize(("age_s", "sees"), [(14.0, True), (14.1, False)])
def test_a_witness_that_did_not_answer_for_too_long_says_nothing(
    sightings: Sightings, age_s: float, *, sees: bool
) -> None:
    (witness,) = sightings.witnesses(SEEN_S + age_s)
    assert witness.sees is sees


@pytest.mark.parametrize(("age_s", "answers"), [(180.0, True), (180.1, None)])
def test_a_fence_that_was_not_asked_for_too_long_does_not_answer(
    sightings: Sightings, age_s: float, *, answers: bool | None
) -> None:
    assert sightings.fences(SEEN_S + age_s)[EAST].answers is answers


@pytest.mark.parametrize(
    ("age_s", "seen"), [(60.0, NameSeen.PUBLISHES_ELECTED), (60.1, NameSeen.CANNOT_ASK)], ids=["young", "too old"]
)
def test_a_name_that_was_not_asked_for_too_long_could_not_be_asked(
    sightings: Sightings, age_s: float, seen: NameSeen
) -> None:
    fact = sightings.name(SEEN_S + age_s, EAST)
    assert isinstance(fact, NameFact)
    assert fact.seen is seen
