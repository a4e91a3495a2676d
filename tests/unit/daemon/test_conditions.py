"""What people are told of what is beside every row."""

from __future__ import annotations

from dataclasses import replace

from tests.support.pair import WEST, Rounds, around, policy_of
from watchdogd.cli.ctl_text import explain_lines
from watchdogd.core.decision import decide
from watchdogd.core.explain import explain
from watchdogd.core.facts import Facts
from watchdogd.daemon.conditions import Question, Timers, conditions
from watchdogd.ports import Severity


def corrupted() -> Facts:
    """A healthy pair whose secondary says that its merkle tree is corrupted."""
    *_, (_, facts, _) = Rounds().run(100.0)
    node = facts.partner.active
    assert node is not None
    assert node.status is not None
    west = replace(facts.partner, active=replace(node, status=replace(node.status, corrupted_merkle_tree=True)))
    return replace(facts, partner=west, views={**facts.views, WEST: west})


def question(facts: Facts) -> Question:
    policy, at = policy_of(), around(facts.now.at_s)
    return Question(facts=facts, decision=decide(facts, policy), around=at, policy=policy, resets=(), timers=Timers())


def test_a_corrupted_merkle_tree_is_warned_of_and_shown() -> None:
    facts = corrupted()
    told = {notice.key: notice.severity for notice in conditions(question(facts))}
    assert told["corrupted_merkle_tree:west"] is Severity.WARN
    shape = explain(facts, decide(facts, policy_of()), around(facts.now.at_s), since_s=1.0)
    (line,) = (line for line in explain_lines(shape) if line.startswith("west"))
    assert line.endswith("merkle tree CORRUPTED")


def test_a_sound_pair_is_not_warned_of() -> None:
    *_, (_, facts, _) = Rounds().run(100.0)
    assert not any("merkle" in notice.key for notice in conditions(question(facts)))
