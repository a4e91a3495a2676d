"""What people are told of what is beside every row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.pair import (
    EAST,
    WEST,
    Rounds,
    active,
    around,
    elected,
    follows,
    policy_of,
    seen,
    stamp,
    status_of,
)
from watchdogd.cli.ctl_text import explain_lines
from watchdogd.core.decision import decide
from watchdogd.core.explain import explain, sentence
from watchdogd.core.facts import Facts
from watchdogd.core.ledger import Debt, DebtState, FenceState, HeldFence
from watchdogd.core.model import Mode, Reading, RunId
from watchdogd.core.policy import Timing
from watchdogd.core.watch import PairWatch
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


# -- a debtor that nobody can read -------------------------------------------------------------------------------------


def back(*, is_fenced: bool = False, active_one_reads: bool = True) -> Iterator[Question]:
    """West was elected while east was primary; east is back, and what its active node is cannot be read."""
    policy, timers = policy_of(), Timers()
    held = HeldFence(cluster=EAST, epoch=1, run_id=RunId("r"), state=FenceState.HELD)
    debt = Debt(epoch=1, debtor=EAST, creditor=WEST, state=DebtState.OWED, since=stamp(0.0))
    ledger = replace(elected(WEST), debts=(debt,), fences={EAST: held} if is_fenced else {})
    watch = PairWatch(policy=policy)
    for at_s in range(1, 40):
        watch = watch.observe_all(
            [
                active(WEST, 1, at_s, status_of(Mode.PRIMARY)),
                active(EAST, 1, at_s, None) if active_one_reads else seen(EAST, 1, at_s, Reading.STRANGE),
                *(follows(cluster, n, at_s) for cluster in (EAST, WEST) for n in (2, 3)),
            ]
        )
        at = around(float(at_s))
        watch, facts = watch.assess(ledger, at)
        yield Question(facts=facts, decision=decide(facts, policy), around=at, policy=policy, resets=(), timers=timers)


@pytest.mark.parametrize("active_one_reads", [True, False])
@pytest.mark.parametrize("is_fenced", [True, False])
def test_a_debtor_that_is_back_and_cannot_be_read_is_paged_with_the_demote(
    *, is_fenced: bool, active_one_reads: bool
) -> None:
    told = [(asked, conditions(asked)) for asked in back(is_fenced=is_fenced, active_one_reads=active_one_reads)]
    asked, notices = told[-1]
    (page,) = (notice for notice in notices if notice.key == "S-44")
    assert page.severity is Severity.PAGE
    assert page.command == "VAULT_ADDR=https://east-1:8200 vault write -f sys/replication/dr/primary/demote"
    assert any("no fence of ours holds on east" in detail for detail in page.details) is not is_fenced
    assert sentence(asked.decision, asked.facts) == "a demote of east by hand: waits for its command"
    assert not any(todo.goes for todo in asked.decision.todo)


def test_one_round_that_fails_at_a_debtor_pages_nobody() -> None:
    told = [(asked.facts.now.at_s, {notice.key for notice in conditions(asked)}) for asked in back()]
    assert [at_s for at_s, keys in told if "S-44" in keys] == [at_s for at_s, _ in told if at_s >= 1 + Timing().fresh_s]
