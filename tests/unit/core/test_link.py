"""What the secondary says about the primary: only what moves is life, and what cannot move says nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.pair import UTC_AHEAD_S, WEST, active, health_of, names_of, peer_of, status_of
from watchdogd.core.link import Hears, LinkWatch
from watchdogd.core.model import ClusterId, ConnectionState, Mode, NodeSeen, Peer, Reach, Replication
from watchdogd.core.views import view_of

EAST = ClusterId("east")
STALE_AFTER_S, FRESH_S, DOWN_AFTER_S, HOLD_S = 15.0, 10.0, 50.0, 60.0


def said(
    at_s: float, *peers: Peer, node: int = 1, has_peers: bool = True, clock_s: float | None = None, **status: object
) -> NodeSeen:
    shown = status_of(Mode.SECONDARY, peers=peers if has_peers else None, **status)
    health = health_of(WEST, at_s=at_s if clock_s is None else clock_s)
    return active(WEST, node, at_s, shown, health=health)


def watched(*nodes: NodeSeen) -> LinkWatch:
    link = LinkWatch()
    for node in nodes:
        view = view_of(WEST, [node], kind=Replication.DR, expected_nodes=1, sealed_is_down=False, at_s=node.ended_s)
        assert view.reach is Reach.UP
        link = link.observe(view, gap_max_s=9.0)
    return link


def hears(link: LinkWatch, now_s: float) -> Hears:
    return link.verdict(now_s=now_s, stale_after_s=STALE_AFTER_S, fresh_s=FRESH_S)


def full_at_s(link: LinkWatch) -> float:
    return link.full_at_s(down_after_s=DOWN_AFTER_S, stale_link_hold_s=HOLD_S)


def every_3_s(start_s: float, end_s: float, *peers: Peer, **more: object) -> list[NodeSeen]:
    count = int((end_s - start_s) / 3.0) + 1
    return [said(start_s + 3.0 * n, *peers, **more) for n in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (said(10.0, peer_of(EAST, 5.0)), said(13.0, peer_of(EAST, 10.0))),
        (said(10.0), said(13.0, peer_of(EAST, 10.0))),
        (said(10.0, last_remote_wal=7), said(13.0, last_remote_wal=8)),
        (said(10.0, peer_of(EAST, None, canary_age_ms=900)), said(13.0, peer_of(EAST, None, canary_age_ms=100))),
        (said(10.0, peer_of(EAST, 5.0)), said(13.0, peer_of(EAST, 5.0), peer_of(EAST, 6.0, n=2))),
    ],
)
def test_what_moves_is_life_for_three_beats(before: NodeSeen, after: NodeSeen) -> None:
    link = watched(before, after)
    assert hears(link, 13.0) is Hears.SEES
    assert hears(watched(before, after, *every_3_s(16.0, 25.0)), 28.0) is Hears.SEES
    assert hears(watched(before, after, *every_3_s(16.0, 25.0)), 28.1) is not Hears.SEES


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (said(10.0, peer_of(EAST, 5.0)), said(13.0, peer_of(EAST, 5.0))),
        (said(10.0, peer_of(EAST, 5.0)), said(13.0)),
        (said(10.0, last_remote_wal=0), said(13.0, last_remote_wal=8)),
        (said(10.0, peer_of(EAST, None, canary_age_ms=100)), said(13.0, peer_of(EAST, None, canary_age_ms=3100))),
        (said(10.0, peer_of(EAST, 5.0)), said(13.0, peer_of(EAST, 5.0), peer_of(EAST, 4.0, n=2))),
        (said(10.0, connection_state=ConnectionState.READY), said(13.0, connection_state=ConnectionState.READY)),
    ],
)
def test_what_does_not_move_is_no_life(before: NodeSeen, after: NodeSeen) -> None:
    assert hears(watched(before, after), 13.0) is Hears.QUIET


def test_a_canary_that_is_not_told_is_not_younger() -> None:
    told, untold = peer_of(EAST, None, canary_age_ms=900), peer_of(EAST, None, canary_age_ms=0)
    link = watched(said(10.0, told), said(13.0, untold))
    assert link.last_advance_s is None
    assert not watched(said(10.0, untold)).ever_reported


def test_the_heartbeats_of_a_primarys_own_secondaries_are_none_that_it_hears() -> None:
    beats = [active(WEST, 1, at_s, status_of(Mode.PRIMARY, peers=(peer_of(EAST, at_s),))) for at_s in (10.0, 13.0)]
    assert watched(*beats) == LinkWatch()
    demoted = watched(*beats, said(16.0, peer_of(EAST, 13.0)))
    assert (demoted.begun_s, demoted.last_advance_s) == (16.0, None)


def test_a_peer_that_vanishes_and_comes_back_unchanged_has_not_moved() -> None:
    one, two = peer_of(EAST, 5.0), peer_of(EAST, 3.0, n=2)
    link = watched(said(10.0, one, two), said(13.0, two), said(16.0, one, two))
    assert link.last_advance_s is None


@pytest.mark.parametrize("shows", [True, False], ids=["one address for all", "no address"])
def test_of_peers_with_one_address_the_one_that_moves_is_seen(shows: bool) -> None:
    # A former active node stays in the list with its last heartbeat. A cluster address may be that of a load balancer.
    def of_one(peer: Peer) -> Peer:
        address = "https://lb.east.example.net:8201" if shows else ""
        return replace(peer, cluster_address=address, api_address=address)

    former = of_one(peer_of(EAST, 1.0, n=2, canary_age_ms=60_000))
    looks = [(at_s, of_one(peer_of(EAST, at_s - 4.0))) for at_s in (10.0, 13.0, 16.0, 19.0, 22.0, 25.0, 28.0)]
    assert hears(watched(*(said(at_s, peer, former) for at_s, peer in looks)), 28.0) is Hears.SEES
    aged = [(at_s, of_one(peer_of(EAST, None, canary_age_ms=age))) for at_s, age in ((10.0, 9000), (13.0, 2000))]
    assert hears(watched(*(said(at_s, peer, former) for at_s, peer in aged)), 13.0) is Hears.SEES


def test_of_peers_behind_one_cluster_address_each_is_compared_with_itself() -> None:
    # The clock of the node that a heartbeat is from may be behind: the one that moves need not be the newest.
    def behind_one(heartbeat_s: float, n: int) -> Peer:
        return replace(peer_of(EAST, heartbeat_s, n=n), cluster_address="https://lb.east.example.net:8201")

    looks = ((10.0, 1.0), (13.0, 6.0))
    link = watched(*(said(at_s, behind_one(9.0, 1), behind_one(beat_s, 2)) for at_s, beat_s in looks))
    assert hears(link, 13.0) is Hears.SEES


def test_the_window_is_counted_from_the_last_advance_that_was_seen() -> None:
    link = watched(said(10.0, peer_of(EAST, 5.0)), said(13.0, peer_of(EAST, 10.0)), *every_3_s(16.0, 61.0))
    assert full_at_s(link) == 63.0
    assert hears(link, 61.0) is Hears.HEARS_NOTHING


def test_a_new_active_node_begins_the_comparison_and_its_window_anew() -> None:
    link = watched(said(10.0, peer_of(EAST, 5.0)), said(13.0, peer_of(EAST, 10.0)), said(16.0, node=2))
    assert (hears(link, 16.0), link.counted_from_s) == (Hears.QUIET, 16.0)
    assert link.begun_by == "new active node"


def test_the_same_node_that_was_elected_again_is_a_new_active_node() -> None:
    again = replace(said(13.0, peer_of(EAST, 10.0)), names=names_of(WEST, is_self=True, active_time="later"))
    assert watched(said(10.0, peer_of(EAST, 5.0)), again).last_advance_s is None


def test_an_older_look_changes_nothing() -> None:
    link = watched(said(10.0, peer_of(EAST, 5.0)), said(13.0, peer_of(EAST, 10.0)))
    assert watched(said(10.0, peer_of(EAST, 5.0)), said(13.0, peer_of(EAST, 10.0)), said(12.0)) == link


def test_a_gap_longer_than_allowed_begins_anew_and_a_shorter_one_does_not() -> None:
    first = said(10.0, peer_of(EAST, 5.0))
    assert watched(first, said(19.0, peer_of(EAST, 5.0))).begun_s == 10.0
    assert watched(first, said(19.3, peer_of(EAST, 5.0))).begun_s == 19.3


def test_a_frozen_answer_is_no_answer() -> None:
    # "while that node's own server_time_utc did": nothing moves, not even its clock.
    frozen = [said(10.0 + 3.0 * n, peer_of(EAST, 5.0), clock_s=10.0) for n in range(30)]
    assert hears(watched(*frozen), frozen[-1].ended_s) is Hears.BLIND


def test_a_clock_that_freezes_in_the_middle_blinds_and_begins_anew() -> None:
    link = watched(
        *every_3_s(10.0, 40.0, peer_of(EAST, 5.0)),
        *(said(43.0 + 3.0 * n, peer_of(EAST, 5.0), clock_s=40.0) for n in range(5)),
    )
    assert hears(link, 55.0) is Hears.BLIND
    assert (
        watched(*every_3_s(10.0, 40.0, peer_of(EAST, 5.0)), *every_3_s(58.0, 61.0, peer_of(EAST, 5.0))).counted_from_s
        == 58.0
    )


def test_a_clock_that_was_set_back_still_runs() -> None:
    link = watched(*(said(10.0 + 3.0 * n, peer_of(EAST, 5.0), clock_s=10.0 - n) for n in range(12)))
    assert hears(link, 43.0) is Hears.HEARS_NOTHING


def test_a_heartbeat_that_moves_counts_although_the_clock_stands() -> None:
    link = watched(said(10.0, peer_of(EAST, 5.0), clock_s=10.0), said(13.0, peer_of(EAST, 10.0), clock_s=10.0))
    assert hears(link, 13.0) is Hears.SEES


BROKEN = [
    ConnectionState.CONNECTING, ConnectionState.IDLE, ConnectionState.TRANSIENT_FAILURE, ConnectionState.SHUTDOWN,
]  # fmt: skip


@pytest.mark.parametrize("state", BROKEN)
@pytest.mark.parametrize("has_peers", [True, False])
def test_a_channel_that_says_broken_throughout_hears_nothing(state: ConnectionState, has_peers: bool) -> None:
    link = watched(*every_3_s(10.0, 61.0, connection_state=state, has_peers=has_peers))
    assert hears(link, 61.0) is Hears.HEARS_NOTHING
    assert full_at_s(link) == 60.0


def test_a_ready_channel_without_heartbeats_takes_the_longer_hold() -> None:
    link = watched(*every_3_s(10.0, 61.0, connection_state=ConnectionState.READY))
    assert link.is_ready
    assert full_at_s(link) == 120.0


def test_a_ready_channel_with_heartbeats_takes_none() -> None:
    link = watched(*every_3_s(10.0, 61.0, peer_of(EAST, 5.0), connection_state=ConnectionState.READY))
    assert not link.is_ready
    assert full_at_s(link) == 60.0


def test_one_odd_word_begins_the_window_of_a_broken_channel_anew_and_does_not_blind_it_for_ever() -> None:
    link = watched(
        said(10.0, connection_state=ConnectionState.ABSENT),
        *every_3_s(13.0, 40.0, connection_state=ConnectionState.CONNECTING),
    )
    assert hears(link, 40.0) is Hears.HEARS_NOTHING
    assert full_at_s(link) == 63.0


def test_a_ready_channel_that_breaks_is_counted_from_where_it_broke() -> None:
    link = watched(
        *every_3_s(10.0, 31.0, connection_state=ConnectionState.READY),
        *every_3_s(34.0, 52.0, connection_state=ConnectionState.TRANSIENT_FAILURE),
    )
    assert full_at_s(link) == 84.0


@pytest.mark.parametrize("state", [ConnectionState.ABSENT, ConnectionState.OTHER])
def test_where_nothing_is_reported_it_is_blind(state: ConnectionState) -> None:
    assert hears(watched(*every_3_s(10.0, 100.0, connection_state=state, has_peers=False)), 100.0) is Hears.BLIND


def test_an_old_look_is_blind() -> None:
    link = watched(said(10.0, peer_of(EAST, 5.0)), said(13.0, peer_of(EAST, 10.0)))
    assert hears(link, 23.1) is Hears.BLIND


def test_the_sign_of_life_is_aged_by_the_clock_of_the_secondary() -> None:
    # DESIGN 2: "an advance seen by the secondary (aged by its own server_time_utc)"; cut to whole seconds.
    link = watched(said(10.0, peer_of(EAST, 5.0)), said(16.0, peer_of(EAST, 12.0)))
    assert link.life_s == pytest.approx(16.0 - (int(UTC_AHEAD_S + 16.0) + 1 - (UTC_AHEAD_S + 12.0)))
    assert watched(said(10.0, peer_of(EAST, 5.0)), said(16.0, peer_of(EAST, 5.5))).life_s == 10.0
