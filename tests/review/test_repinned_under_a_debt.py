"""A debt speaks of the clusters that were pinned when it was made: pinned otherwise, it orders nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.stage import Stage
from watchdogd.core.policy import Level, PairPolicy
from watchdogd.rehearsal.site import EAST, WEST


def with_names_exchanged(policy: PairPolicy) -> PairPolicy:
    """As a config in which somebody gave each cluster the other's name, its fence and its target included."""
    east, west = policy.clusters[EAST], policy.clusters[WEST]
    targets = policy.dns_targets
    return replace(
        policy,
        clusters={EAST: replace(west, cluster=EAST), WEST: replace(east, cluster=WEST)},
        dns_targets={EAST: targets[WEST], WEST: targets[EAST]},
    )


@pytest.mark.parametrize("is_full", [False, True], ids=["writable", "a full disk"])
async def test_clusters_that_exchanged_their_names_do_not_exchange_their_debt(is_full: bool) -> None:
    """DESIGN section 2: an id that changed, and not by an entry of our journal, is foreign."""
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        lost = stage.lose("east")
        await stage.run_for(45)
        assert stage.ledger.open_debt is not None
        await stage.leave()
        stage.policy = with_names_exchanged(stage.policy)
        stage.journal.refusal = "the disk is full" if is_full else ""
        await stage.start()
        await stage.run_for(20)
        stage.world.faults.clear(lost)
        await stage.run_for(10)
        stage.journal.refusal = ""
        await stage.run_for(20)
        assert stage.ledger.foreign.startswith("the config pins other ids than before: east=")
        assert [(effect.verb, effect.cluster) for effect in stage.world.applied] == [("promote", "west")]
        assert not (await stage.ask("adopt", cluster="east")).is_error  # the one that was promoted
        assert stage.ledger.open_debt is None
