"""What people are told of what is beside every row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    names_of,
    policy_of,
    seen,
    stamp,
    status_of,
)
from watchdogd.cli.ctl_text import explain_lines
from watchdogd.core.decision import decide
from watchdogd.core.explain import explain, sentence, would_act_when
from watchdogd.core.facts import CredentialSeen, Facts, WitnessSeen
from watchdogd.core.ledger import Debt, DebtState, FenceState, HeldFence
from watchdogd.core.model import Mode, NodeSeen, Reading, RunId
from watchdogd.core.policy import Timing, WitnessPolicy
from watchdogd.core.situations import Act, Told, situation_of
from watchdogd.core.telling import Loudness, loudness
from watchdogd.core.watch import PairWatch
from watchdogd.daemon.conditions import conditions
from watchdogd.daemon.question import Question, Timers
from watchdogd.ports import Notice, Severity


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


@pytest.mark.parametrize(
    ("said", "is_told"),
    [
        ((WitnessSeen(name="third", sees=True, seen_s=100.0),), False),
        ((WitnessSeen(name="third", sees=False, why="blind", seen_s=100.0),), True),
        ((), True),
    ],
    ids=["sees", "blind", "never answered"],
)
def test_a_witness_that_sees_nothing_of_a_primary_that_is_up_is_warned_of(
    said: tuple[WitnessSeen, ...], *, is_told: bool
) -> None:
    *_, (_, facts, _) = Rounds().run(100.0)
    asked = question(facts)
    third = replace(policy_of(), witnesses=(WitnessPolicy(name="third", is_independent=True),))
    asked = replace(asked, policy=third, around=replace(asked.around, witnesses=said))
    assert "witness_sees_nothing:third" not in {notice.key for notice in conditions(asked)}
    later = replace(facts, now=stamp(facts.now.at_s + 300.0))
    assert (
        "witness_sees_nothing:third" in {notice.key for notice in conditions(replace(asked, facts=later))}
    ) is is_told


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


@pytest.mark.parametrize(
    ("version", "is_told"),
    [("1.18.4+ent", True), ("1.19.0+ent", False), ("1.9.0", True), ("1.20.0+ent", False), ("", False), ("new", False)],
)
def test_a_secondary_older_than_its_primary_is_warned_of(version: str, is_told: bool) -> None:
    *_, (_, facts, _) = Rounds().run(100.0)
    node = facts.partner.active
    assert node is not None
    assert node.health is not None
    west = replace(facts.partner, active=replace(node, health=replace(node.health, version=version)))
    told = {n.key: n for n in conditions(question(replace(facts, partner=west, views={**facts.views, WEST: west})))}
    assert ("older_version:west" in told) is is_told
    if is_told:
        assert told["older_version:west"].severity is Severity.WARN
        assert "1.19.0" in told["older_version:west"].summary


@pytest.mark.parametrize(
    ("left_s", "said"),
    [
        (90_000.0, "expires in 25 h"),
        (6_000.0, "expires in 100 min"),
        (90.0, "expires in 2 min"),
        (-1.0, "has expired"),
        (9e9, None),
    ],
)
def test_the_end_of_a_credential_is_told_in_the_unit_that_still_says_something(left_s: float, said: str | None) -> None:
    *_, (_, facts, _) = Rounds().run(100.0)
    token = CredentialSeen(
        name="dr-token-1", is_present=True, is_proven=True, expires_utc_s=facts.now.at_utc_s + left_s
    )
    asked = question(facts)
    asked = replace(asked, around=replace(asked.around, credentials=(token,)))
    told = {notice.key: notice.summary for notice in conditions(asked)}
    assert told.get("credential_expiring:dr-token-1") == (said and f"dr-token-1 {said}")


# -- how loud ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", Act)
def test_a_row_is_as_loud_as_it_counts_while_another_one_is_told(act: Act) -> None:
    *_, (_, facts, decision) = Rounds().run(100.0)
    row = replace(situation_of(facts.signature), id="S-0", act=act, told=Told.AT_ONCE)
    asked = replace(question(facts), decision=replace(decision, row=row, beneath=row, todo=()))
    severity = next((notice.severity for notice in conditions(asked) if notice.key == "S-0"), None)
    said = {None: Loudness.QUIET, Severity.WARN: Loudness.WARNS, Severity.PAGE: Loudness.PAGES}[severity]
    assert said is loudness(row)


# -- a debtor that nobody can read -------------------------------------------------------------------------------------


def back(*, is_fenced: bool = False, active_one_reads: bool = True, named: str = "") -> Iterator[Question]:
    """West was elected while east was primary; east is back, and what its active node is cannot be read.

    `named` is what its followers call their active node, instead of its own address.
    """
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
                *(named_as(follows(EAST, n, at_s), named) for n in (2, 3)),
                *(follows(WEST, n, at_s) for n in (2, 3)),
            ]
        )
        at = around(float(at_s))
        watch, facts = watch.assess(ledger, at)
        yield Question(facts=facts, decision=decide(facts, policy), around=at, policy=policy, resets=(), timers=timers)


def named_as(node: NodeSeen, address: str) -> NodeSeen:
    names = names_of(EAST, is_self=False)
    return replace(node, names=replace(names, address=address)) if address else node


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


def test_the_demote_by_hand_names_no_address_that_the_config_does_not_know() -> None:
    """`api_addr` may be the service name: it publishes the elected cluster by now, and that would be demoted."""
    notices = [conditions(asked) for asked in back(active_one_reads=False, named="https://vault.example.com:8200")]
    (page,) = (notice for notice in notices[-1] if notice.key == "S-44")
    assert page.command == "VAULT_ADDR=ACTIVE_NODE vault write -f sys/replication/dr/primary/demote"


@pytest.mark.parametrize(
    ("mode", "until"), [(Mode.PRIMARY, "one of the two primaries is demoted"), (Mode.SECONDARY, "a human says")]
)
def test_of_two_foreign_primaries_one_is_demoted_before_it_helps_to_adopt_the_rest(mode: Mode, until: str) -> None:
    watch, ledger = (
        PairWatch(policy=policy_of()),
        replace(elected(EAST), foreign="west was made primary, and not by us"),
    )
    for at_s in range(1, 30):
        east, west = active(EAST, 1, at_s, status_of(Mode.PRIMARY)), active(WEST, 1, at_s, status_of(mode))
        watch = watch.observe_all([east, west, *(follows(one, n, at_s) for one in (EAST, WEST) for n in (2, 3))])
        watch, facts = watch.assess(ledger, around(float(at_s)))
    (page,) = (notice for notice in conditions(question(facts)) if notice.key == "foreign")
    assert f"nothing is automated until {until}" in page.summary
    assert page.command.startswith("watchdogctl adopt CLUSTER")


def test_a_debt_orders_no_demote_by_hand_after_something_foreign() -> None:
    """Somebody failed back by hand; then the replication status of both clusters cannot be read for a while."""
    policy, watch = policy_of(), PairWatch(policy=policy_of())
    debt = Debt(epoch=1, debtor=EAST, creditor=WEST, state=DebtState.OWED, since=stamp(0.0))
    ledger = replace(elected(WEST), debts=(debt,), foreign="west was made secondary, and not by us")
    commands = set[str]()
    for at_s in range(1, 60):
        is_read = at_s < 20
        watch = watch.observe_all(
            [
                active(WEST, 1, at_s, status_of(Mode.SECONDARY) if is_read else None),
                active(EAST, 1, at_s, status_of(Mode.PRIMARY) if is_read else None),
                *(follows(cluster, n, at_s) for cluster in (EAST, WEST) for n in (2, 3)),
            ]
        )
        watch, facts = watch.assess(ledger, around(float(at_s)))
        commands |= {todo.command for todo in decide(facts, policy).todo}
    assert not any("primary/demote" in command for command in commands)


def test_a_debtor_that_cannot_be_read_is_demoted_by_nobody_while_the_elected_cluster_cannot_be_read_either() -> None:
    policy, watch = policy_of(), PairWatch(policy=policy_of())
    debt = Debt(epoch=1, debtor=EAST, creditor=WEST, state=DebtState.OWED, since=stamp(0.0))
    ledger = replace(elected(WEST), debts=(debt,))
    for at_s in range(1, 60):
        both = [active(cluster, 1, at_s, None) for cluster in (EAST, WEST)]
        watch = watch.observe_all([*both, *(follows(c, n, at_s) for c in (EAST, WEST) for n in (2, 3))])
        watch, facts = watch.assess(ledger, around(float(at_s)))
        decision = decide(facts, policy)
    assert decision.row.id == "S-44"
    assert decision.todo == ()


def test_one_round_that_fails_at_a_debtor_pages_nobody() -> None:
    told = [(asked.facts.now.at_s, {notice.key for notice in conditions(asked)}) for asked in back()]
    assert [at_s for at_s, keys in told if "S-44" in keys] == [at_s for at_s, _ in told if at_s >= 1 + Timing().fresh_s]


@pytest.mark.parametrize("is_sealed", [True, False])
def test_the_alert_of_a_dead_debtor_does_not_hide_its_page_when_it_is_back_on_a_lossy_link(*, is_sealed: bool) -> None:
    """S-16 is told while east is dead, and matches again in each third round that is lost once east is back."""
    policy, timers, watch = policy_of(nodes=1), Timers(), PairWatch(policy=policy_of(nodes=1))
    debt = Debt(epoch=1, debtor=EAST, creditor=WEST, state=DebtState.OWED, since=stamp(0.0))
    ledger, told = replace(elected(WEST), debts=(debt,)), dict[int, set[str]]()
    for at_s in range(3, 300, 3):
        back = seen(EAST, 1, at_s, Reading.SEALED) if is_sealed else active(EAST, 1, at_s, None)
        is_seen = at_s > 100 and at_s % 9
        east = back if is_seen else seen(EAST, 1, at_s, Reading.SILENT)
        watch = watch.observe_all([active(WEST, 1, at_s, status_of(Mode.PRIMARY)), east])
        for now_s in (at_s, at_s + 1, at_s + 2):
            at = around(float(now_s))
            watch, facts = watch.assess(ledger, at)
            asked = Question(
                facts=facts, decision=decide(facts, policy), around=at, policy=policy, resets=(), timers=timers
            )
            told[now_s] = {notice.key for notice in conditions(asked)}
    assert "S-16" in told[99]
    paged = [now_s for now_s, keys in told.items() if "S-44" in keys]
    assert paged[0] <= 102 + Timing().fresh_s + 3  # the round that is lost then says nothing
    assert paged == [*range(paged[0], 300)]


# -- what could not be looked at ---------------------------------------------------------------------------------------


def test_the_page_of_a_primary_that_is_not_down_names_its_sealed_node_and_no_node_of_the_readable_secondary() -> None:
    policy, timers, watch = policy_of(), Timers(), PairWatch(policy=policy_of())
    for at_s in range(1, 120):
        watch = watch.observe_all(
            [
                *(seen(EAST, n, at_s, Reading.LEADERLESS) for n in (1, 2)),
                seen(EAST, 3, at_s, Reading.SEALED),
                active(WEST, 1, at_s, status_of(Mode.SECONDARY)),
                follows(WEST, 2, at_s),
                seen(WEST, 3, at_s, Reading.STRANGE),
            ]
        )
        at = around(float(at_s))
        watch, facts = watch.assess(elected(EAST), at)
        asked = Question(
            facts=facts, decision=decide(facts, policy), around=at, policy=policy, resets=(), timers=timers
        )
        notices = conditions(asked)
    (page,) = (notice for notice in notices if notice.key == "S-22")
    said = "https://east-3:8200 does not count as down: sealed; unseal it, or stop it"
    assert any(said in detail for detail in page.details)
    assert not any("west-3" in detail for detail in page.details)
    assert page.command == ""  # it would be refused: one unseal away from a primary is not dead


# -- a node that nobody can read ---------------------------------------------------------------------------------------


def blocked(readings: Iterable[Reading]) -> list[bool]:
    """Whether `node_blocks_failover` is told of the third node of east, tick by tick."""
    policy, timers, told = policy_of(), Timers(), []
    *_, (_, facts, decision) = Rounds().run(100.0)
    view = facts.views[EAST]
    for at_s, reading in enumerate(readings):
        nodes = (*view.nodes[:2], replace(view.nodes[2], reading=reading))
        now = replace(facts, now=stamp(float(at_s)), views={**facts.views, EAST: replace(view, nodes=nodes)})
        asked = Question(
            facts=now, decision=decision, around=around(float(at_s)), policy=policy, resets=(), timers=timers
        )
        told.append(any(notice.key.startswith("node_blocks_failover") for notice in conditions(asked)))
    return told


def test_a_lost_round_does_not_put_off_the_page_of_a_node_that_cannot_be_read() -> None:
    lossy = [Reading.SILENT if at_s % 100 < 6 else Reading.STRANGE for at_s in range(6, 800)]
    told = blocked(lossy)
    assert told.index(True) == 600
    assert all(told[600:])


@pytest.mark.parametrize("between", [[Reading.FOLLOWS], [Reading.SEALED], [Reading.SILENT] * 12])
def test_a_node_that_was_read_or_is_gone_begins_anew(between: list[Reading]) -> None:
    assert not any(blocked([*[Reading.STRANGE] * 590, *between, *[Reading.STRANGE] * 590]))


# -- an overload of our own --------------------------------------------------------------------------------------------


def overload(late: Iterable[bool]) -> list[dict[str, Notice]]:
    """What is told, tick by tick, while the third node of east reads OURS because we were late, or follows."""
    policy, timers, told = policy_of(), Timers(), []
    *_, (_, facts, decision) = Rounds().run(100.0)
    view = facts.views[EAST]
    ours = replace(view.nodes[2], reading=Reading.OURS, why="we were late", we_were_late=True)
    for at_s, is_late in enumerate(late):
        nodes = (*view.nodes[:2], ours if is_late else view.nodes[2])
        now = replace(facts, now=stamp(float(at_s)), views={**facts.views, EAST: replace(view, nodes=nodes)})
        asked = Question(
            facts=now, decision=decision, around=around(float(at_s)), policy=policy, resets=(), timers=timers
        )
        told.append({notice.key: notice for notice in conditions(asked)})
    return told


def test_an_overload_of_our_own_is_paged_after_a_window_by_its_name() -> None:
    told = ["overloaded" in keys for keys in overload([True] * 200)]
    assert told.index(True) == Timing().down_after_s
    assert all(told[told.index(True) :])


def test_rounds_between_that_were_in_time_do_not_put_the_page_of_an_overload_off() -> None:
    told = ["overloaded" in keys for keys in overload(at_s % 9 == 0 for at_s in range(200))]
    assert told.index(True) == Timing().down_after_s


def test_a_stall_now_and_then_is_no_overload() -> None:
    assert not any("overloaded" in keys for keys in overload(at_s % 12 == 0 for at_s in range(600)))


def test_nobody_is_sent_to_a_node_that_we_were_too_late_to_hear() -> None:
    (page,) = (notice for key, notice in overload([True] * 700)[-1].items() if key.startswith("node_blocks_failover"))
    assert any("it is not that node" in detail for detail in page.details)
    assert not any("repair" in detail for detail in page.details)


def test_the_page_of_a_primary_that_could_not_be_looked_at_says_that_it_is_we_who_were_late() -> None:
    watch, timers, policy = PairWatch(policy=policy_of()), Timers(), policy_of()
    for at_s in range(1, 120):
        late = [seen(EAST, n, at_s, Reading.OURS, we_were_late=True) for n in (1, 2, 3)]
        watch = watch.observe_all([*late, active(WEST, 1, at_s, status_of(Mode.SECONDARY)), follows(WEST, 2, at_s)])
        at = around(float(at_s))
        watch, facts = watch.assess(elected(EAST), at)
        decision = decide(facts, policy)
        told = conditions(Question(facts=facts, decision=decision, around=at, policy=policy, resets=(), timers=timers))
    (page,) = (notice for notice in told if notice.key == "S-22")
    assert any("it is not that node" in detail for detail in page.details)
    assert not any("certificate" in detail for detail in page.details)


# -- a primary that is sealed ------------------------------------------------------------------------------------------


def test_a_sealed_primary_is_paged_with_what_is_true_and_with_no_command_that_would_be_refused() -> None:
    policy, watch = policy_of(), PairWatch(policy=policy_of())
    for at_s in range(1, 120):
        sealed = [seen(EAST, n, at_s, Reading.SEALED) for n in (1, 2, 3)]
        west = [active(WEST, 1, at_s, status_of(Mode.SECONDARY)), follows(WEST, 2, at_s), follows(WEST, 3, at_s)]
        watch = watch.observe_all([*sealed, *west])
        watch, facts = watch.assess(elected(EAST), around(float(at_s)))
    (page,) = (notice for notice in conditions(question(facts)) if notice.key == "S-24")
    assert page.command == ""
    assert any("unseal east" in detail for detail in page.details)
    assert any("stop its nodes" in detail for detail in page.details)
    decision = decide(facts, policy)
    assert decision.todo == ()
    would = list(would_act_when(facts, decision))
    assert not any("whole window" in line for line in would)
    assert any("unseal it" in line for line in would)


def test_of_a_sealed_secondary_nobody_is_told_to_fail_over_past_it() -> None:
    watch, timers, told = PairWatch(policy=policy_of()), Timers(), []
    for at_s in range(1, 120):
        watch = watch.observe_all(
            [
                *(seen(EAST, n, at_s, Reading.SILENT) for n in (1, 2, 3)),
                *(seen(WEST, n, at_s, Reading.SEALED) for n in (1, 2, 3)),
            ]
        )
        watch, facts = watch.assess(elected(EAST), around(float(at_s)))
        told = [detail for notice in conditions(replace(question(facts), timers=timers)) for detail in notice.details]
    assert [detail for detail in told if "https://west-1:8200" in detail and detail.endswith("unseal it")]
    assert not [detail for detail in told if "west" in detail and "waiver" in detail]
