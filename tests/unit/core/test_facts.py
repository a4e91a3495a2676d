"""What people are shown of both clusters, also while the table asks about one of them only."""

from __future__ import annotations

from tests.support.pair import EAST, WEST, Rounds, around
from watchdogd.core.facts import Side
from watchdogd.core.ledger import Ledger


def test_with_nobody_elected_each_cluster_is_shown_as_itself() -> None:
    world = Rounds()
    list(world.run(10.0))
    assert world.watch is not None
    _, facts = world.watch.assess(Ledger(), around(10.0))
    assert facts.elected is None
    assert {cluster: facts.side(cluster) for cluster in (EAST, WEST)} == {EAST: Side.PRIMARY, WEST: Side.SECONDARY}
    assert [facts.view(cluster).cluster for cluster in (EAST, WEST)] == [EAST, WEST]
