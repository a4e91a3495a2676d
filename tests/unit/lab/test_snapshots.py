"""A world can be kept as it is and taken up again: crash tests begin many times from one."""

import pickle
from collections.abc import Callable

import pytest

from tests.unit.lab.asking import Asker, asker, empty_world
from watchdogd.lab.world import World


@pytest.mark.parametrize("found", [asker, empty_world])
def test_a_world_taken_up_again_goes_on_as_the_one_that_was_kept(found: Callable[[], Asker]) -> None:
    a = found()
    again: World = pickle.loads(pickle.dumps(a.world))  # noqa: S301  our own bytes
    for world in (a.world, again):
        world.tick(world.now_s + 60.0)
    for name, cluster in a.world.clusters.items():
        assert again.clusters[name].nodes == cluster.nodes
        assert again.clusters[name].store.last_wal == cluster.store.last_wal
    assert again.counts == a.world.counts
