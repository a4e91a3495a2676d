"""Whatever is observed, in whatever order: nobody is promoted past a sign of life, and nothing crashes the watch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.pair import (
    EAST,
    WEST,
    Rounds,
    active,
    around,
    elected,
    follows,
    names_of,
    nodes_of,
    peer_of,
    policy_of,
    seen,
    silent,
    stamp,
    status_of,
)
from watchdogd.core.decision import decide
from watchdogd.core.entries import (
    DebtClosed,
    ElectionConfirmed,
    FenceHeld,
    FenceIntended,
    PromoteIntended,
    Runbook,
    RunEnded,
    RunOpened,
    RunOutcome,
    StepIntended,
)  # fmt: skip
from watchdogd.core.facts import Debt, Facts, Side, Sight, Third
from watchdogd.core.fold import apply
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import ClusterId, Mode, NodeSeen, Reading, RunId
from watchdogd.core.signature import lacks_of
from watchdogd.core.situations import Act
from watchdogd.core.watch import PairWatch, ResetCause

NOT_SERVING = {Reading.SILENT, Reading.LEADERLESS}
DOWN_AFTER_S = 50.0
FRESH_S = 10.0


class Anything(RuleBasedStateMachine):
    """Rounds of any node, with any reading, new and old, between stretches in which the loss goes on."""

    def __init__(self) -> None:
        super().__init__()
        rounds = Rounds(dies_s=80.0)
        for _ in rounds.run(85.0):
            pass
        assert rounds.watch is not None
        self.watch: PairWatch = rounds.watch
        self.now_s = 85.0
        self.beat_s = 80.0
        self.life_assessed_s = 80.0  # latest tick at which a node of east showed life
        self.moved_s = 80.0  # latest round of west that showed a later heartbeat
        self.is_witnessed = False
        self.facts: Facts | None = None

    def feed(self, node: NodeSeen) -> None:
        self.watch = self.watch.observe(node)

    def west_says(self, at_s: float) -> None:
        self.feed(active(WEST, 1, at_s, status_of(Mode.SECONDARY, peers=(peer_of(EAST, self.beat_s),))))
        self.feed(follows(WEST, 2, at_s))
        self.feed(follows(WEST, 3, at_s))

    def tick(self) -> None:
        witnesses = replace(around(self.now_s), witnesses=())
        self.watch, self.facts = self.watch.assess(elected(), witnesses)
        east = [self.watch.newest[node] for node in nodes_of(EAST) if node in self.watch.newest]
        if any(node.is_life and self.now_s - node.ended_s <= FRESH_S for node in east):
            self.life_assessed_s = self.now_s

    @rule(seconds=st.integers(1, 70))
    def the_loss_goes_on(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now_s += 1.0
            for n in (1, 2, 3):
                self.feed(silent(EAST, n, self.now_s))
            self.west_says(self.now_s)
            self.tick()

    @rule(n=st.integers(1, 3), reading=st.sampled_from(Reading), age_s=st.sampled_from([0.0, 0.5, 4.0, 30.0]))
    def a_node_of_east_reads(self, n: int, reading: Reading, age_s: float) -> None:
        self.feed(seen(EAST, n, self.now_s - age_s, reading))
        self.tick()

    @rule(n=st.integers(1, 3))
    def a_node_of_east_lives_between_two_ticks(self, n: int) -> None:
        self.feed(follows(EAST, n, self.now_s + 1.0))
        self.now_s += 3.0
        for each in (1, 2, 3):
            self.feed(silent(EAST, each, self.now_s))
        self.west_says(self.now_s)
        self.tick()
        self.life_assessed_s = self.now_s

    @rule(n=st.integers(1, 3), reading=st.sampled_from(Reading))
    def a_node_of_west_reads(self, n: int, reading: Reading) -> None:
        self.feed(seen(WEST, n, self.now_s, reading))
        self.tick()

    @rule()
    def the_secondary_hears_a_beat(self) -> None:
        self.now_s += 1.0
        self.beat_s += 5.0
        self.west_says(self.now_s)
        self.moved_s = self.now_s
        self.tick()

    @rule(mode=st.sampled_from(Mode))
    def the_secondary_shows_another_mode(self, mode: Mode) -> None:
        self.feed(active(WEST, 1, self.now_s, status_of(mode)))
        self.tick()

    @rule(seconds=st.integers(1, 60))
    def nobody_looks(self, seconds: int) -> None:
        self.now_s += seconds

    @rule(seconds=st.integers(1, 60))
    def the_tick_goes_on_without_rounds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now_s += 1.0
            self.tick()

    @rule()
    def somebody_else_is_observed(self) -> None:
        self.feed(seen(ClusterId("south"), 1, self.now_s, Reading.ACTIVE))

    @invariant()
    def a_failover_has_its_whole_proof(self) -> None:
        if self.facts is None or decide(self.facts, self.watch.policy).row.act is not Act.FAILOVER:
            return
        now_s = self.facts.now.at_s
        east = [self.watch.newest[node] for node in nodes_of(EAST)]
        assert all(node.reading in NOT_SERVING and now_s - node.ended_s <= FRESH_S for node in east)
        assert now_s - self.life_assessed_s >= DOWN_AFTER_S
        assert now_s - self.moved_s >= DOWN_AFTER_S - 1e-6
        assert self.facts.partner.is_active_secondary
        assert self.facts.sight is Sight.FULL

    @invariant()
    def only_the_elected_is_suspect_and_only_the_partner_leaderless(self) -> None:
        if self.facts is not None:
            assert self.facts.elected_side is not Side.LEADERLESS
            assert self.facts.partner_side is not Side.SUSPECT


Anything.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
test_anything_observed = Anything.TestCase


def dead_for(seconds: int, *, nodes: int = 3, reading: Reading = Reading.SILENT, **policy: object) -> PairWatch:
    """A watch after `seconds` in which every node of east read as `reading`."""
    watch = PairWatch(policy=policy_of(nodes=nodes, **policy))
    for at_s in range(seconds + 1):
        for n in range(1, nodes + 1):
            watch = watch.observe(seen(EAST, n, float(at_s), reading))
        watch, _ = watch.assess(elected(), around(float(at_s)))
    return watch


def side_after(watch: PairWatch, at_s: float, ledger: Ledger | None = None) -> Side | None:
    return watch.assess(ledger or elected(), around(at_s))[1].elected_side


def test_unknown_for_the_whole_time_is_never_down() -> None:
    for reading in (Reading.OURS, Reading.STRANGE, Reading.SEALED, Reading.UNINIT):
        assert side_after(dead_for(120, reading=reading), 120.0) in (Side.UNKNOWN, Side.SEALED)


def test_sealed_is_down_after_the_window_with_the_policy_and_sealed_without() -> None:
    assert side_after(dead_for(60, reading=Reading.SEALED, sealed_is_down=True), 60.0) is Side.DOWN
    assert side_after(dead_for(60, reading=Reading.SEALED), 60.0) is Side.SEALED


def test_a_node_that_was_not_looked_at_for_too_long_makes_the_cluster_unknown() -> None:
    watch = dead_for(60)
    for at_s in range(61, 73):
        watch = watch.observe_all(silent(EAST, n, float(at_s)) for n in (1, 2))
        watch, facts = watch.assess(elected(), around(float(at_s)))
    assert facts.elected_side in (Side.SUSPECT, Side.UNKNOWN)
    assert any(gate.gate == "stale" and not gate.is_open for gate in facts.gates)


def test_an_older_round_never_hides_a_newer_one() -> None:
    watch = PairWatch(policy=policy_of()).observe_all([follows(EAST, 1, 10.0), silent(EAST, 1, 9.0)])
    assert watch.newest[nodes_of(EAST)[0]].reading is Reading.FOLLOWS


def run_waiving(*waivers: str) -> Ledger:
    opened = RunOpened(
        run_id=RunId("r"), incident_id="i", runbook=Runbook.FAILOVER, source=EAST, target=WEST, situation="S-32",
        why="asked", waivers=waivers,
    )  # fmt: skip
    return apply(elected(), opened, stamp(1.0))


def test_rounds_are_complete_rounds_of_all_nodes_also_when_a_slow_node_is_waived() -> None:
    # 20 rounds of two nodes, one of the third: the third one's leaving hands nobody its rounds.
    watch = PairWatch(policy=policy_of())
    watch = watch.observe(silent(EAST, 3, 0.0))
    for at_s in range(0, 60, 3):
        watch = watch.observe_all(silent(EAST, n, float(at_s)) for n in (1, 2))
        watch = watch.observe(replace(silent(EAST, 3, float(at_s)), reading=Reading.STRANGE))
        watch, _ = watch.assess(elected(), around(float(at_s)))
    watch, _ = watch.assess(run_waiving(f"node:{nodes_of(EAST)[2]}"), around(60.0))
    assert watch.streaks[EAST].rounds == 1


def test_a_slow_node_that_leaves_hands_nobody_the_rounds_they_were_ahead() -> None:
    watch = PairWatch(policy=policy_of())
    for at_s in range(55):
        probed = (1, 2) if at_s % 9 else (1, 2, 3)
        watch = watch.observe_all(silent(EAST, n, float(at_s)) for n in probed)
        watch, _ = watch.assess(elected(), around(float(at_s)))
    rounds = watch.streaks[EAST].rounds
    assert rounds == 7
    for tenth in range(1, 9):  # no further round of anybody
        watch, _ = watch.assess(run_waiving(f"node:{nodes_of(EAST)[2]}"), around(54.0 + tenth / 10))
    assert watch.streaks[EAST].rounds <= rounds + 1


def test_a_waived_node_is_neither_missing_nor_stale() -> None:
    watch = PairWatch(policy=policy_of()).observe_all(silent(EAST, n, 1.0) for n in (1, 2))
    watch = watch.observe_all(follows(WEST, n, 1.0) for n in (1, 2, 3))
    _, facts = watch.assess(run_waiving(f"node:{nodes_of(EAST)[2]}"), around(1.0))
    assert facts.elected_side is Side.SUSPECT
    assert next(gate for gate in facts.gates if gate.gate == "stale").is_open


@pytest.mark.parametrize(
    "changes", [{"reading": Reading.ACTIVE}, {"reading": Reading.FOLLOWS}, {"wrong_id": "another id"}]
)
def test_a_waived_node_that_can_be_read_counts(changes: dict[str, Any]) -> None:
    watch = dead_for(60).observe(replace(silent(EAST, 3, 61.0), reading=Reading.STRANGE))
    waiving = run_waiving(f"node:{nodes_of(EAST)[2]}")
    assert side_after(watch, 61.0, waiving) is Side.DOWN
    spoken = watch.observe(replace(silent(EAST, 3, 61.5), **{"reading": Reading.STRANGE, **changes}))
    assert side_after(spoken, 61.5, waiving) in (Side.UP, Side.WRONG)


def test_a_waived_node_that_is_active_by_health_alone_is_looked_at_again() -> None:
    last, waiving = nodes_of(EAST)[2], run_waiving(f"node:{nodes_of(EAST)[2]}")
    watch = dead_for(60).observe(replace(silent(EAST, 3, 61.0), reading=Reading.STRANGE))
    _, facts = watch.assess(waiving, around(61.0))
    assert last not in {node.node for node in facts.views[EAST].nodes}
    by_health = replace(silent(EAST, 3, 61.5), reading=Reading.LEADERLESS, active_by_health_alone=True)
    _, facts = watch.observe(by_health).assess(waiving, around(61.5))
    assert last in {node.node for node in facts.views[EAST].nodes}


def test_a_window_that_life_ended_is_a_flap_and_a_reset_with_its_cause() -> None:
    watch = dead_for(20).observe(follows(EAST, 1, 21.0))
    _, facts = watch.assess(elected(), around(21.0))
    assert (facts.flaps, dict(facts.resets)) == (1, {ResetCause.UP: 1})


@pytest.mark.parametrize(("we_were_late", "cause"), [(True, ResetCause.WE_WERE_LATE), (False, ResetCause.GAP)])
def test_a_window_that_a_gap_ended_is_a_reset_that_says_whether_we_were_late(
    *, we_were_late: bool, cause: ResetCause
) -> None:
    watch = dead_for(20)
    for at_s in range(21, 35):
        ours = [seen(EAST, n, float(at_s), Reading.OURS, we_were_late=we_were_late) for n in (1, 2, 3)]
        watch, facts = watch.observe_all(ours).assess(elected(), around(float(at_s)))
    assert (facts.flaps, dict(facts.resets)) == (0, {cause: 1})


@pytest.mark.parametrize("is_late", [False, True], ids=["silence after it", "silence that was told before it"])
def test_life_that_no_tick_looked_at_begins_the_window_anew(*, is_late: bool) -> None:
    # A tick waits for the disk, and rounds of a look come in together: meanwhile the node may be silent again.
    rounds = [follows(EAST, 1, 61.0), *(silent(EAST, n, 63.5) for n in (1, 2, 3))]
    watch = dead_for(60).observe_all(reversed(rounds) if is_late else rounds)
    watch, facts = watch.assess(elected(), around(64.0))
    assert facts.elected_side is Side.SUSPECT
    assert dict(facts.resets) == {ResetCause.UP: 1}
    assert facts.known.life == stamp(61.0)
    assert side_after(watch.observe_all(silent(EAST, n, 65.0) for n in (1, 2, 3)), 65.0) is Side.SUSPECT


def test_of_two_signs_of_life_between_two_ticks_the_later_one_is_the_last_whichever_came_in_last() -> None:
    rounds = [follows(EAST, 1, 62.0), follows(EAST, 2, 61.0), *(silent(EAST, n, 64.5) for n in (1, 2, 3))]
    _, facts = dead_for(60).observe_all(rounds).assess(elected(), around(65.0))
    assert facts.known.life == stamp(62.0)


def test_a_full_window_that_life_ended_is_no_flap() -> None:
    _, facts = dead_for(60).observe(follows(EAST, 1, 61.0)).assess(elected(), around(61.0))
    assert (facts.flaps, dict(facts.resets)) == (0, {ResetCause.UP: 1})


def test_one_lost_round_of_a_single_node_is_neither() -> None:
    watch = PairWatch(policy=policy_of(nodes=1)).observe(silent(EAST, 1, 1.0))
    watch, _ = watch.assess(elected(), around(1.0))
    _, facts = watch.observe(follows(EAST, 1, 4.0)).assess(elected(), around(4.0))
    assert (facts.flaps, dict(facts.resets)) == (0, {})


def both_secondary(seconds: int, *, beats: bool) -> Facts:
    watch = PairWatch(policy=policy_of())
    for at_s in range(seconds + 1):
        peer = peer_of(EAST, at_s - 1.0 if beats else -1.0)
        watch = watch.observe_all([
            active(EAST, 1, float(at_s), status_of(Mode.SECONDARY)),
            active(WEST, 1, float(at_s), status_of(Mode.SECONDARY, peers=(peer,))),
        ])  # fmt: skip
        watch, facts = watch.assess(elected(), around(float(at_s)))
    return facts


def test_of_two_secondaries_nobody_hears_a_primary_only_after_three_beats_of_silence() -> None:
    assert both_secondary(20, beats=False).signature.third is Third.UNSURE
    assert both_secondary(21, beats=False).signature.third is Third.NOBODY
    assert both_secondary(21, beats=True).signature.third is Third.HEARD


def test_what_was_heard_before_both_were_secondary_is_no_third_cluster() -> None:
    watch = PairWatch(policy=policy_of())
    thirds = {}
    for at_s in range(40):
        mode = Mode.PRIMARY if at_s <= 10 else Mode.SECONDARY
        watch = watch.observe_all([
            active(EAST, 1, float(at_s), status_of(mode)),
            active(WEST, 1, float(at_s), status_of(Mode.SECONDARY, peers=(peer_of(EAST, min(at_s, 12.0)),))),
        ])  # fmt: skip
        watch, facts = watch.assess(elected(), around(float(at_s)))
        thirds[at_s] = facts.signature.third
    assert Third.HEARD not in thirds.values()
    assert (thirds[31], thirds[32]) == (Third.UNSURE, Third.NOBODY)


def promoting() -> Ledger:
    ledger = run_waiving()
    run_id = RunId("r")
    for entry in (
        FenceIntended(cluster=EAST, epoch=1, run_id=run_id), FenceHeld(cluster=EAST),
        StepIntended(run_id=run_id, step="promote"),
        PromoteIntended(run_id=run_id, epoch=1, elected=WEST, debtor=EAST),
    ):  # fmt: skip
        ledger = apply(ledger, entry, stamp(2.0))
    return ledger


def test_the_evidence_speaks_of_the_source_until_the_promote_was_seen_to_take_effect() -> None:
    # "before promote through all of section 4, again", at every attempt
    rounds = Rounds(dies_s=80.0)
    for _ in rounds.run(140.0):
        pass
    assert rounds.watch is not None
    _, facts = rounds.watch.assess(promoting(), around(140.0))
    assert facts.elected is not None
    assert facts.elected.cluster == EAST
    assert {gate.gate for gate in facts.closed_gates()} == {"slot"}
    assert facts.signature.debt is Debt.NONE  # the source owes, and it is not the partner


def test_a_debtor_is_not_able_and_neither_is_a_cluster_that_a_fence_of_ours_may_hold() -> None:
    # I15: "we never publish a cluster that owes a debt"
    ledger = promoting()
    for entry in (ElectionConfirmed(epoch=1), RunEnded(run_id=RunId("r"), outcome=RunOutcome.SUCCEEDED)):
        ledger = apply(ledger, entry, stamp(3.0))
    lacks = " ".join(PairWatch(policy=policy_of()).assess(ledger, around(1.0))[1].lacks)
    assert "owes its demotion" in lacks
    assert "fence" in lacks
    closed = apply(ledger, DebtClosed(epoch=1), stamp(4.0))
    assert "owes" not in " ".join(PairWatch(policy=policy_of()).assess(closed, around(1.0))[1].lacks)


def test_what_is_known_of_another_cluster_makes_nobody_able() -> None:
    *_, (_, facts, _) = Rounds().run(30.0)
    assert lacks_of(facts.partner, facts.known, elected(), policy_of()) == ()
    of_west = replace(facts.known, about=WEST)
    assert "not seen to follow" in " ".join(lacks_of(facts.partner, of_west, elected(), policy_of()))


def test_split_leadership_at_the_secondary_is_read_from_the_later_one() -> None:
    nodes = [
        active(WEST, n, 5.0, status_of(mode), names=names_of(WEST, is_self=True, active_time=f"2026-01-01T00:00:0{n}Z"))
        for n, mode in enumerate((Mode.SECONDARY, Mode.PRIMARY), start=1)
    ]
    _, facts = PairWatch(policy=policy_of()).observe_all(nodes).assess(elected(), around(5.0))
    assert facts.partner_side is Side.PRIMARY


def test_the_machine_above_does_reach_the_failover_that_it_guards() -> None:
    machine = Anything()
    machine.the_loss_goes_on(60)
    assert machine.facts is not None
    assert decide(machine.facts, machine.watch.policy).row.act is Act.FAILOVER
    machine.a_failover_has_its_whole_proof()
