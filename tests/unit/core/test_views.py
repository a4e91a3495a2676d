"""The nodes of a cluster put together: one sign of life is UP, DOWN is unanimous, the rest could not be looked at."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tests.support.pair import EAST, FENCE, WEST, active, follows, names_of, peer_of, policy_of, seen, silent, status_of
from watchdogd.core.model import ClusterView, Mode, NodeSeen, Reach, Reading, Replication
from watchdogd.core.policy import FencePolicy, OnFenceFailure
from watchdogd.core.views import checked_against, sealed_counts_as_down, view_of

LIFE = {Reading.ACTIVE, Reading.FOLLOWS}
GONE = {Reading.SILENT, Reading.LEADERLESS}
SEALED = {Reading.SEALED, Reading.UNINIT}


def view(*nodes: NodeSeen, expected: int | None = None, sealed_is_down: bool = False) -> ClusterView:
    cluster = nodes[0].cluster if nodes else EAST
    return view_of(
        cluster, nodes, kind=Replication.DR, expected_nodes=len(nodes) if expected is None else expected,
        sealed_is_down=sealed_is_down, at_s=10.0,
    )  # fmt: skip


@pytest.mark.parametrize("sealed_is_down", [False, True])
def test_every_combination_of_three_readings(sealed_is_down: bool) -> None:
    counts = GONE | SEALED if sealed_is_down else GONE
    for readings in itertools.product(Reading, repeat=3):
        reach = view(*(seen(EAST, n, 9.0, r) for n, r in enumerate(readings, 1)), sealed_is_down=sealed_is_down).reach
        expected = Reach.UP if LIFE & set(readings) else Reach.DOWN if set(readings) <= counts else Reach.UNKNOWN
        assert reach is expected, readings


def test_a_node_that_was_not_looked_at_is_unknown_not_down() -> None:
    assert view(silent(EAST, 1, 9.0), silent(EAST, 2, 9.0), expected=3).reach is Reach.UNKNOWN
    assert view(expected=0).reach is Reach.UNKNOWN


def test_of_several_active_nodes_the_latest_counts_whatever_its_offset() -> None:
    times = ["2026-01-01T10:00:00.5Z", "2026-01-01T10:00:00Z", "2026-01-01T05:00:01-05:00", "2026-01-01T11:59:59+02:00"]
    nodes = [
        active(EAST, n, 9.0, None, names=names_of(EAST, is_self=True, active=n, active_time=text))
        for n, text in enumerate(times, 1)
    ]
    for order in itertools.permutations(nodes):
        latest = view(*order).active
        assert latest is not None
        assert latest.node == nodes[2].node


def test_a_different_id_is_wrong_only_while_nobody_shows_life() -> None:
    stranger = replace(seen(EAST, 1, 9.0, Reading.STRANGE), wrong_id="cluster_id x is not the pinned y")
    assert view(stranger, silent(EAST, 2, 9.0)).wrong == "cluster_id x is not the pinned y"
    assert view(stranger, follows(EAST, 2, 9.0)).wrong == ""
    assert view(seen(EAST, 1, 9.0, Reading.STRANGE)).wrong == ""


@pytest.mark.parametrize("mode", [Mode.DISABLED, Mode.UNSUPPORTED])
def test_replication_that_is_off_is_wrong(mode: Mode) -> None:
    assert "replication" in view(active(EAST, 1, 9.0, status_of(mode))).wrong


def test_a_community_server_is_wrong_even_where_it_shows_no_status() -> None:
    node = active(EAST, 1, 9.0, None)
    assert node.health is not None
    assert "Community" in view(replace(node, health=replace(node.health, enterprise=False))).wrong


@pytest.mark.parametrize(
    ("policy", "fence", "counts"),
    [
        (True, FENCE, True),
        (False, FENCE, False),
        (True, FencePolicy(waived="none yet"), False),
        (True, FencePolicy(command=("fence",), on_failure=OnFenceFailure.PAGE_AND_GO_ON), False),
    ],
)
def test_sealed_counts_as_down_by_the_policy_and_behind_a_fence_that_blocks(
    policy: bool, fence: FencePolicy, counts: bool
) -> None:
    # S-24: "with the sealed policy and a fence whose on_failure is block, on to S-30"
    pair = policy_of(sealed_is_down=policy)
    east = replace(pair.cluster(EAST), fence=fence)
    assert sealed_counts_as_down(replace(pair, clusters={**pair.clusters, EAST: east}), EAST) is counts


def test_a_secondary_that_hears_a_primary_elsewhere_is_not_the_pair_we_guard() -> None:
    primary = view(active(EAST, 1, 9.0, status_of(Mode.PRIMARY)))
    right = view(active(WEST, 1, 9.0, status_of(Mode.SECONDARY, peers=(peer_of(EAST, 8.0),))))
    third = peer_of(EAST, 8.0)
    wrong = view(
        active(WEST, 1, 9.0, status_of(Mode.SECONDARY, peers=(replace(third, cluster_address="https://south:8201"),)))
    )
    silent_about_it = view(active(WEST, 1, 9.0, status_of(Mode.SECONDARY)))
    assert checked_against(right, primary, hears=True).wrong == ""
    assert "south" in checked_against(wrong, primary, hears=True).wrong
    assert checked_against(wrong, primary, hears=False).wrong == ""
    assert checked_against(silent_about_it, primary, hears=True).wrong == ""
    assert checked_against(wrong, None, hears=True).wrong == ""


def test_a_secondary_that_shows_the_active_node_of_before_hears_the_primary_that_it_should() -> None:
    primary = view(active(EAST, 1, 9.0, status_of(Mode.PRIMARY)))
    before = replace(peer_of(EAST, 8.0), cluster_address="https://EAST-2.example.test:8201")
    behind = view(active(WEST, 1, 9.0, status_of(Mode.SECONDARY, peers=(before,))))
    assert "east-2" in checked_against(behind, primary, hears=True).wrong
    assert checked_against(behind, primary, hears=True, named_lately=["east-2.example.test:8201"]).wrong == ""
