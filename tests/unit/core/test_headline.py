"""What `systemctl status` shows: one line that a person can read at night."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.pair import Rounds, policy_of
from watchdogd.core.headline import Headline, headline, one_line
from watchdogd.core.policy import Level

DIES_S = 100.0
DOWN = (
    "prod: acting, S-30 the primary is down, the secondary hears nothing and is able; east down, west not streaming; "
)


def said_at(at_s: float, failover: Level = Level.AUTO) -> Headline:
    rounds = Rounds(policy=policy_of(failover=failover), dies_s=DIES_S)
    *_, (_, facts, decision) = rounds.run(at_s)
    return headline(facts, decision, rounds.policy)


def test_a_healthy_pair_reads_like_a_sentence() -> None:
    assert said_at(90.0) == Headline(text="prod: steady, east primary, west streaming; failover auto", is_steady=True)


@pytest.mark.parametrize(
    ("at_s", "failover", "text"),
    [
        (3.0, Level.AUTO, "prod: steady, east primary, west streaming; failover auto, held by cold-start"),
        (90.0, Level.OBSERVE, "prod: steady, east primary, west streaming; failover observe"),
        (
            130.0,
            Level.AUTO,
            "prod: suspect, S-26 a window is running; east suspect, west not streaming; "
            "failover auto, window full in 24 s",
        ),
        (160.0, Level.OBSERVE, DOWN.replace("acting", "suspect") + "would failover to west (level observe)"),
        (160.0, Level.AUTO, f"{DOWN}failover to west: goes"),
    ],
)
def test_it_says_what_is_seen_and_what_would_be_done(at_s: float, failover: Level, text: str) -> None:
    assert said_at(at_s, failover).text == text


def test_a_failover_that_would_be_held_says_by_what() -> None:
    rounds = Rounds()
    *_, (_, facts, decision) = rounds.run(90.0)
    gate = replace(facts.gates[0], gate="paused", is_open=False, why="paused: maintenance")
    told = headline(replace(facts, gates=(*facts.gates, gate)), decision, rounds.policy)
    assert told.text.endswith("; failover auto, held by paused")


def test_of_many_pairs_what_is_not_steady_comes_first_and_the_steady_ones_are_counted() -> None:
    steady = [Headline(text=f"p{n}: steady", is_steady=True) for n in range(9)]
    frozen = Headline(text="p9: frozen", is_steady=False)
    assert one_line([*steady, frozen]) == "p9: frozen; 9 pairs steady"
    assert one_line([*steady[:2], frozen]) == "p9: frozen; p0: steady; p1: steady"
    assert one_line([]) == ""
