"""When a loss is believed: never too early, never later than `watchdogd timing` prints, never for lost probes."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from tests.support.pair import EAST, WEST, Rounds, active, around, elected, nodes_of, policy_of, silent, status_of
from watchdogd.core.budget import longer_cases
from watchdogd.core.facts import Side
from watchdogd.core.model import Mode, StreamState
from watchdogd.core.policy import Policy, Timing
from watchdogd.core.rules import violations
from watchdogd.core.situations import Act

DIES_S = 100.0
WORST_S = 56.0  # interval 3 + probe_timeout 2 + down_after 50 + one tick
DEMO = Timing(
    interval_s=1.0, probe_timeout_s=0.8, down_after_s=10.0, down_rounds=8, up_after_s=3.0, up_rounds=3, gap_max_s=3.0,
    cold_start_s=10.0, stale_link_hold_s=10.0,
)  # fmt: skip
DEMO_WORST_S = 1.0 + 0.8 + 15.0 + 1.0  # heartbeat_stale_after is the longest there
NODES = (*nodes_of(EAST), *nodes_of(WEST))

# A run of the small world takes milliseconds: what fails is printed as it is, not made smaller for minutes.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)

phases = st.fixed_dictionaries({node: st.floats(0.0, 2.99) for node in NODES})


@settings(max_examples=60, phases=UNSHRUNK)
@given(phases_s=phases, tick_phase_s=st.floats(0.0, 0.99), beat_phase_s=st.floats(0.0, 4.99),
       silence_s=st.sampled_from([0.01, 2.0]), wal_per_s=st.sampled_from([0.0, 100.0]))  # fmt: skip
def test_a_loss_is_believed_after_the_window_and_within_the_printed_bound(
    phases_s: dict[str, float], tick_phase_s: float, beat_phase_s: float, silence_s: float, wal_per_s: float
) -> None:
    # DESIGN 1: "at most 56 s of detection"
    rounds = Rounds(
        dies_s=DIES_S, phases_s=phases_s, tick_phase_s=tick_phase_s, beat_phase_s=beat_phase_s,
        silence_s=silence_s, wal_per_s=wal_per_s,
    )  # fmt: skip
    at_s = rounds.first("S-30", DIES_S + 80.0)
    assert at_s is not None
    assert DIES_S + 50.0 <= at_s <= DIES_S + WORST_S


@pytest.mark.parametrize("interval_s", [5.0, 10.0, 16.0])
def test_the_slowest_looks_that_the_rules_allow_still_fill_the_windows(interval_s: float) -> None:
    timing = Timing(interval_s=interval_s, down_rounds=4, gap_max_s=interval_s, stall_after_s=2 * interval_s)
    policy = policy_of(timing=timing)
    assert not [one for one in violations(Policy(pairs={policy.pair: policy})) if ".timing." in one.path]
    at_s = Rounds(policy=policy, dies_s=DIES_S).first("S-30", DIES_S + 120.0)
    assert at_s is not None
    assert at_s <= DIES_S + interval_s + 2.0 + 50.0 + 1.0


@settings(max_examples=25, phases=UNSHRUNK)
@given(phases_s=st.fixed_dictionaries({node: st.floats(0.0, 0.99) for node in NODES}), tick=st.floats(0.0, 0.99),
       beat=st.floats(0.0, 4.99))  # fmt: skip
def test_the_bound_holds_where_the_heartbeats_are_what_takes_longest(
    phases_s: dict[str, float], tick: float, beat: float
) -> None:
    policy = policy_of(timing=DEMO)
    rounds = Rounds(policy=policy, dies_s=40.0, phases_s=phases_s, tick_phase_s=tick, beat_phase_s=beat, silence_s=0.8)
    at_s = rounds.first("S-30", 80.0)
    assert at_s is not None
    assert 50.0 <= at_s <= 40.0 + DEMO_WORST_S


# A round that ends with the tick, in thirds of a second: sums that are off by the last bit must not cost a tick.
ON_THE_TICK = dict(zip(NODES, (2.99, 1 / 3, 0.86, 2.08, 0.0, 0.4), strict=True))


@settings(max_examples=25, phases=UNSHRUNK)
@given(started_s=st.floats(DIES_S, DIES_S + 50.0), tick_phase_s=st.floats(0.0, 0.99), phases_s=phases)
@example(started_s=120.0, tick_phase_s=1 / 3, phases_s=ON_THE_TICK)
def test_a_restart_during_the_outage_costs_at_most_one_window(
    started_s: float, tick_phase_s: float, phases_s: dict[str, float]
) -> None:
    # DESIGN 4: "a restart at any second of the outage costs at most one window": only `known` survives it.
    before = Rounds(dies_s=DIES_S)
    for _ in before.run(DIES_S + 10.0):
        pass
    assert before.watch is not None
    known = replace(before.watch.known, wal_samples=(), shown=StreamState.ABSENT, shown_at=None)
    after = Rounds(
        dies_s=DIES_S, started_s=started_s, tick_phase_s=tick_phase_s, phases_s=phases_s, known=known,
        state_after_loss=StreamState.IDLE,
    )  # fmt: skip
    at_s = after.first("S-30", started_s + 80.0)
    assert at_s is not None
    assert at_s <= started_s + WORST_S


@pytest.mark.parametrize("changes_s", [-1.0, 0.0, 1.0, 20.0, 49.0])
def test_a_new_active_node_of_the_secondary_costs_one_window_from_its_first_look(changes_s: float) -> None:
    at_s = Rounds(dies_s=DIES_S, west_changes_s=DIES_S + changes_s).first("S-30", DIES_S + 200.0)
    assert at_s is not None
    assert DIES_S + 50.0 <= at_s <= DIES_S + max(0.0, changes_s) + WORST_S


@pytest.mark.parametrize("ready_s", [0.0, 20.0, 40.0, 300.0])
def test_a_new_active_node_that_no_heartbeat_reached_costs_as_long_as_its_channel_says_ready(ready_s: float) -> None:
    rounds = Rounds(dies_s=DIES_S, west_changes_s=DIES_S - 2.0, beat_phase_s=2.5, ready_s=ready_s)
    at_s = rounds.first("S-30", DIES_S + 200.0)
    assert at_s is not None
    added_s = min(ready_s, Timing().stale_link_hold_s)
    assert DIES_S + 50.0 + added_s - Timing().interval_s <= at_s <= DIES_S + WORST_S + added_s
    named = next(case for case in longer_cases(Timing()) if "no heartbeat reached it" in case.name)
    assert at_s <= DIES_S + named.detection_s


def test_a_new_active_node_of_the_secondary_long_after_the_loss_holds_what_was_decided_for_one_window() -> None:
    decided = [
        (at_s, d.row.id) for at_s, _, d in Rounds(dies_s=DIES_S, west_changes_s=DIES_S + 60.0).run(DIES_S + 130.0)
    ]
    assert (DIES_S + 56.0, "S-30") in decided
    assert (DIES_S + 65.0, "S-26") in decided
    assert (DIES_S + 60.0 + WORST_S, "S-30") in decided


@pytest.mark.parametrize("state", list(StreamState))
def test_a_secondary_whose_state_flips_with_the_loss_stays_able(state: StreamState) -> None:
    # DESIGN 4.5: "last known state stream-wals (not now)". A secondary that begins to synchronise has no primary.
    at_s = Rounds(dies_s=DIES_S, state_after_loss=state).first("S-30", DIES_S + 80.0)
    assert (at_s is None) is (state in (StreamState.MERKLE_DIFF, StreamState.MERKLE_SYNC))


@pytest.mark.parametrize("has_peers", [True, False])
@pytest.mark.parametrize("phase_s", [0.0, 1.0, 2.0, 2.9])
def test_wal_that_came_just_before_the_loss_does_not_make_the_state_after_it_the_last_known(
    has_peers: bool, phase_s: float
) -> None:
    # DESIGN 2: last known X is "not newer than the last sign of life". The first look after the loss still shows WAL
    # that grew before it, and a state that has flipped already.
    rounds = Rounds(
        dies_s=DIES_S, wal_per_s=100.0, has_peers=has_peers, state_after_loss=StreamState.IDLE,
        phases_s=dict.fromkeys(nodes_of(WEST), phase_s),
    )  # fmt: skip
    at_s = rounds.first("S-30", DIES_S + 80.0)
    assert at_s is not None
    assert at_s <= DIES_S + WORST_S


def test_a_version_without_arrays_says_that_it_hears_nothing_by_its_broken_channel() -> None:
    at_s = Rounds(dies_s=DIES_S, has_peers=False, wal_per_s=100.0).first("S-30", DIES_S + 80.0)
    assert at_s is not None
    assert at_s <= DIES_S + WORST_S


def test_a_version_without_arrays_whose_channel_says_ready_for_ever_takes_the_longer_hold() -> None:
    rounds = Rounds(dies_s=DIES_S, has_peers=False, is_ready_for_ever=True, wal_per_s=100.0)
    at_s = rounds.first("S-30", DIES_S + 200.0)
    assert at_s is not None
    assert DIES_S + 110.0 - 3.0 <= at_s <= DIES_S + WORST_S + 60.0


def test_a_ready_channel_with_heartbeats_that_stopped_lengthens_nothing() -> None:
    at_s = Rounds(dies_s=DIES_S, is_ready_for_ever=True).first("S-30", DIES_S + 80.0)
    assert at_s is not None


def test_a_version_that_reports_nothing_about_its_link_is_blind_for_ever() -> None:
    rounds = Rounds(dies_s=DIES_S, has_peers=False, has_connection_state=False)
    ids = {decision.row.id for at_s, _, decision in rounds.run(DIES_S + 300.0) if at_s > DIES_S + 60.0}
    assert ids == {"S-32"}


@pytest.mark.parametrize(("nodes", "loss"), [(1, 0.02), (1, 0.05), (3, 0.05), (1, 0.3)])
def test_lost_probes_of_a_quiet_pair_never_lead_to_a_failover(nodes: int, loss: float) -> None:
    rounds = Rounds(policy=policy_of(nodes=nodes), loss=loss, chance=random.Random(7))
    acts = {decision.row.act for _, _, decision in rounds.run(9000.0, tick_s=3.0)}
    assert Act.FAILOVER not in acts


@pytest.mark.parametrize("loss", [0.02, 0.05])
def test_lost_probes_delay_a_failover_by_a_few_rounds_only(loss: float) -> None:
    found = [
        Rounds(dies_s=DIES_S, loss=loss, chance=random.Random(seed)).first("S-30", DIES_S + 200.0) for seed in range(20)
    ]
    assert all(at_s is not None and at_s <= DIES_S + 2 * WORST_S for at_s in found)
    # Three probes of the secondary's active node lost in a row are longer than gap_max: then one window more.
    assert sum(at_s is not None and at_s > DIES_S + WORST_S + 12.0 for at_s in found) <= 1


def test_once_believed_down_one_answer_begins_the_window_anew() -> None:
    # DESIGN 4: "a contrary reading resets it".
    rounds = Rounds(dies_s=DIES_S, policy=policy_of(nodes=1))
    down = [facts for at_s, facts, _ in rounds.run(DIES_S + 60.0) if at_s > DIES_S + 58.0]
    assert {facts.elected_side for facts in down} == {Side.DOWN}
    assert rounds.watch is not None
    watch, _ = rounds.watch.observe(active(EAST, 1, 161.0, status_of(Mode.PRIMARY))).assess(elected(), around(161.0))
    _, facts = watch.observe(silent(EAST, 1, 162.0)).assess(elected(), around(162.0))
    assert facts.elected_side is Side.SUSPECT
    assert not next(gate for gate in facts.gates if gate.gate == "window").is_open
