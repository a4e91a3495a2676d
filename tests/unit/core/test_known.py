"""Last known: what was seen while the primary lived, and the loss that a promotion now would cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.pair import EAST, WEST, active, peer_of, silent, stamp, status_of
from watchdogd.core.entries import Stamp
from watchdogd.core.known import Known, Loss, Sighting, estimate, is_within_age, learn, loss_told
from watchdogd.core.model import ClusterView, ConnectionState, Mode, NodeSeen, Reach, Replication, StreamState
from watchdogd.core.views import view_of

STREAMS, SYNCS, IDLE = StreamState.STREAM_WALS, StreamState.MERKLE_SYNC, StreamState.IDLE


def view(node: NodeSeen) -> ClusterView:
    return view_of(node.cluster, [node], kind=Replication.DR, expected_nodes=1, sealed_is_down=False, at_s=node.ended_s)


def alive(at_s: float) -> ClusterView:
    return view(active(EAST, 1, at_s, status_of(Mode.PRIMARY, last_kind_wal=100)))


def dead(at_s: float) -> ClusterView:
    return view(silent(EAST, 1, at_s))


def west(at_s: float, state: StreamState) -> ClusterView:
    return view(active(WEST, 1, at_s, status_of(Mode.SECONDARY, state=state, last_remote_wal=100)))


def learnt(*looks: tuple[ClusterView, ClusterView], heard_s: float | None = None, known: Known | None = None) -> Known:
    known = known or Known()
    for elected, partner in looks:
        now = stamp(max(elected.nodes[0].ended_s, partner.nodes[0].ended_s))
        known = learn(known, elected=elected, partner=partner, heard_s=heard_s, witnessed=None, skew_s=120.0, now=now)
    return known


@pytest.mark.parametrize(
    ("looks", "state"),
    [
        ([(alive(10), west(11, STREAMS)), (alive(13), west(14, STREAMS))], STREAMS),
        ([(alive(10), west(11, STREAMS)), (alive(13), west(14, STREAMS)), (dead(16), west(17, IDLE))], STREAMS),
        ([(alive(10), west(11, STREAMS)), (alive(13), west(14, IDLE)), (alive(16), west(17, IDLE))], IDLE),
        ([(alive(10), west(9, SYNCS)), (dead(13), west(14, STREAMS))], SYNCS),
        ([(alive(10), west(9, STREAMS)), (dead(13), west(11, SYNCS))], SYNCS),
        ([(alive(10), west(9, STREAMS)), (dead(200), west(200, SYNCS))], STREAMS),
        ([(alive(10), west(11, STREAMS)), (dead(13), west(14, STREAMS))], STREAMS),
        ([(alive(10), silent_west) for silent_west in [view(silent(WEST, 1, 9))]], StreamState.ABSENT),
    ],
)
def test_the_last_known_state_is_the_one_of_the_life_before(
    looks: list[tuple[ClusterView, ClusterView]], state: StreamState
) -> None:
    assert learnt(*looks).state is state


def test_when_it_was_primary_last_is_told_by_itself_alone() -> None:
    looks = ((alive(10), west(10, STREAMS)), (dead(13), west(14, STREAMS)))
    assert learnt(*looks, heard_s=13.0).primary_at == stamp(10.0)
    demoted = view(active(EAST, 1, 16.0, status_of(Mode.SECONDARY)))
    assert learnt(*looks, (demoted, west(16, STREAMS))).primary_at == stamp(10.0)


def test_a_sign_of_life_never_goes_back() -> None:
    known = learnt((alive(20), west(20, STREAMS)), (alive(10), west(21, STREAMS)), heard_s=15.0)
    assert known.life is not None
    assert known.life.at_s == 20.0


def test_what_the_secondary_heard_is_life_and_shows_that_it_follows() -> None:
    known = learnt((dead(20), west(20, STREAMS)), heard_s=18.5)
    assert known.life == stamp(18.5)
    assert known.follows_at == stamp(18.5)


def test_a_witness_that_sees_is_life_and_shows_nothing_of_the_secondary() -> None:
    known = learn(
        Known(), elected=dead(20), partner=west(20, STREAMS), heard_s=None,
        witnessed=Sighting(at_s=19.0, seen_by="witness third"), skew_s=120.0, now=stamp(20.0),
    )  # fmt: skip
    assert (known.life, known.life_seen_by, known.follows_at) == (stamp(19.0), "witness third", None)


def test_an_election_that_was_not_seen_to_take_effect_forgets_nothing() -> None:
    # A promote that is certainly refused makes the epoch void, and the cluster before it counts again.
    before = learnt((alive(10), west(9, STREAMS)))
    during = learn(
        before, elected=west(12, STREAMS), partner=dead(12), heard_s=None, witnessed=None, skew_s=120.0, now=stamp(12.0)
    )
    assert (during.about, during.life, during.state) == (EAST, before.life, STREAMS)
    promoted = view(active(WEST, 1, 15.0, status_of(Mode.PRIMARY)))
    after = learn(
        during, elected=promoted, partner=dead(15), heard_s=None, witnessed=None, skew_s=120.0, now=stamp(15.0)
    )
    assert (after.about, after.state_at) == (WEST, None)
    assert after.seen_primary == {EAST, WEST}


def test_a_primary_that_shows_no_ids_was_not_seen_with_its_pins() -> None:
    node = active(EAST, 1, 10.0, status_of(Mode.PRIMARY, cluster_id=None))
    known = learnt((view(node), west(10, STREAMS)))
    assert known.seen_primary == frozenset()
    assert known.confirmed == {WEST}


SOURCE = status_of(Mode.PRIMARY, last_kind_wal=1000, merkle_root="r1")


@pytest.mark.parametrize(
    ("samples", "secondary", "loss"),
    [
        ((), status_of(Mode.SECONDARY, merkle_root="r1"), Loss(seconds=0.0, wal=0, told_by="equal merkle roots")),
        ((), status_of(Mode.SECONDARY, last_remote_wal=1000), Loss(seconds=0.0, wal=0, told_by="WAL positions")),
        (
            ((70.0, 800), (80.0, 900), (90.0, 1000)), status_of(Mode.SECONDARY, last_remote_wal=850),
            Loss(seconds=20.0, wal=150, told_by="WAL positions"),
        ),
        # The samples begin later than what the secondary has: how long it lags is not known (a restart).
        (((99.0, 1000),), status_of(Mode.SECONDARY, last_remote_wal=10), Loss(wal=990, told_by="WAL positions")),
        (
            ((99.0, 1000),),
            status_of(Mode.SECONDARY, last_remote_wal=10, peers=(peer_of(EAST, 90.0, canary_age_ms=7000),)),
            Loss(seconds=7.0, wal=990, told_by="WAL positions"),
        ),
        # 0 is unknown, not everything.
        ((), status_of(Mode.SECONDARY, last_remote_wal=0), Loss()),
        (
            (), status_of(Mode.SECONDARY, peers=(peer_of(EAST, 90.0, canary_age_ms=696),)),
            Loss(seconds=0.696, told_by="canary age"),
        ),
        ((), status_of(Mode.SECONDARY, peers=(peer_of(EAST, 90.0, canary_age_ms=-1),)), Loss()),
        ((), status_of(Mode.SECONDARY), Loss()),
    ],
)  # fmt: skip
def test_the_loss_is_told_by_positions_then_by_the_canary_else_unknown(
    samples: tuple[tuple[float, int], ...], secondary: object, loss: Loss
) -> None:
    assert estimate(samples, SOURCE, secondary, now_s=100.0) == loss  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at", "is_within"),
    [(stamp(100.0), True), (stamp(-800.0), True), (stamp(-800.1), False), (stamp(220.0), True), (stamp(220.1), False)],
)
def test_known_is_15_minutes_before_and_2_after_the_last_sign_of_life(at: Stamp, is_within: bool) -> None:
    assert is_within_age(at, stamp(100.0), max_age_s=900.0, skew_s=120.0) is is_within
    in_another_boot = Stamp(at_s=5.0, at_utc_s=at.at_utc_s, boot_id="boot-2")
    assert is_within_age(in_another_boot, stamp(100.0), max_age_s=900.0, skew_s=120.0) is is_within
    assert not is_within_age(None, stamp(1.0), max_age_s=900.0, skew_s=120.0)


def test_a_ready_listed_streaming_secondary_follows_without_any_heartbeat() -> None:
    source = view(active(EAST, 1, 10.0, status_of(Mode.PRIMARY, known_secondaries=("w",))))
    partner = view(
        active(WEST, 1, 10.0, status_of(Mode.SECONDARY, secondary_id="w", connection_state=ConnectionState.READY))
    )
    assert source.reach is Reach.UP
    assert learnt((source, partner)).follows_at == stamp(10.0)
    assert learnt((alive(10), partner)).follows_at is None


@pytest.mark.parametrize(
    "changes",
    [{"connection_state": ConnectionState.IDLE}, {"state": IDLE}, {"secondary_id": "another"}],
    ids=["not ready", "not streaming", "not listed"],
)
def test_a_listed_secondary_that_does_not_stream_is_not_seen_to_follow(changes: dict[str, object]) -> None:
    source = view(active(EAST, 1, 10.0, status_of(Mode.PRIMARY, known_secondaries=("w",))))
    shown = {"secondary_id": "w", "connection_state": ConnectionState.READY, **changes}
    assert learnt((source, view(active(WEST, 1, 10.0, status_of(Mode.SECONDARY, **shown))))).follows_at is None


def test_nothing_that_a_partner_of_somebody_else_shows_is_last_known() -> None:
    known = learnt((alive(10), replace(west(10, STREAMS), wrong="west hears a primary elsewhere")), heard_s=10.0)
    assert (known.state_at, known.follows_at, known.loss_at) == (None, None, None)


def test_a_primary_that_is_not_what_was_pinned_was_not_seen_as_one() -> None:
    assert (
        learnt((replace(alive(10), wrong="a Community Edition server"), west(10, STREAMS))).seen_primary == frozenset()
    )


def test_a_counter_that_began_anew_dates_no_loss_by_the_numbers_before() -> None:
    wals = ((10.0, 1000), (13.0, 10), (16.0, 12), (19.0, 14))
    looks = [(view(active(EAST, 1, at_s, status_of(Mode.PRIMARY, last_kind_wal=wal))), at_s) for at_s, wal in wals]
    has_12 = [view(active(WEST, 1, at_s, status_of(Mode.SECONDARY, last_remote_wal=12))) for _, at_s in looks]
    known = learnt(*((source, partner) for (source, _), partner in zip(looks, has_12, strict=True)))
    assert known.loss == Loss(seconds=0.0, wal=2, told_by="WAL positions")


# -- a reboot, and a wall clock that was ahead before it -------------------------------------------------------------


def after_reboot(known: Known, at_s: float, elected: ClusterView, state: StreamState) -> Known:
    """`known` after one more look at `at_s` of the second boot, whose wall clock is ten minutes behind the first's."""
    behind = replace(stamp(at_s, boot_id="boot-2"), at_utc_s=stamp(at_s).at_utc_s - 600.0)
    heard_s = at_s if elected.is_active_primary else None
    return learn(
        known, elected=elected, partner=west(at_s, state), heard_s=heard_s, witnessed=None, skew_s=120.0, now=behind
    )


def test_what_is_seen_in_this_boot_is_later_than_what_an_earlier_one_left_behind() -> None:
    before = learnt((alive(90), west(90, STREAMS)), heard_s=90.0)
    known = after_reboot(before, 5.0, alive(5.0), SYNCS)
    assert known.life is not None
    assert known.follows_at is not None
    assert (known.life.boot_id, known.follows_at.boot_id, known.state) == ("boot-2", "boot-2", SYNCS)


def test_what_is_seen_after_the_reboot_of_a_primary_that_died_before_it_is_no_last_known() -> None:
    before = learnt((alive(90), west(90, STREAMS)), heard_s=90.0)
    known = after_reboot(before, 5.0, dead(5.0), IDLE)
    assert (known.life, known.state, known.state_at) == (before.life, STREAMS, before.state_at)


# -- the loss, for people ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "begins"),
    [
        (Loss(seconds=0.0, wal=0, told_by="WAL positions"), "at least 0 s by WAL positions, read 16 s before"),
        (Loss(wal=7, told_by="WAL positions"), "at least 7 WAL entries by WAL positions, read 16 s before"),
        (Loss(), "unknown"),
    ],
)
def test_a_loss_is_told_as_a_bound_with_the_age_of_its_reading(loss: Loss, begins: str) -> None:
    told = loss_told(Known(loss=loss, loss_at=stamp(100.0)), stamp(116.0))
    assert told.startswith(begins)
    assert told == "unknown" or told.endswith("what was written later is not in it")


def test_a_loss_whose_reading_no_clock_can_date_is_told_without_an_age() -> None:
    set_back = Stamp(at_s=3.0, at_utc_s=5.0, boot_id="boot-2")  # a reboot, and the wall clock went back
    told = loss_told(Known(loss=Loss(seconds=2.0, told_by="positions"), loss_at=stamp(900.0)), set_back)
    assert told == "at least 2 s by positions"
