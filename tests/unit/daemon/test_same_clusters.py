"""What the journal holds and the config no longer has stops the start, or the reload, and says what would be right."""

from __future__ import annotations

import pytest

from tests.support.configs import good
from tests.support.memory import HandClock, ListNotifier
from watchdogd.adapters.config import parse_config
from watchdogd.core.entries import FenceIntended, FenceReleased, FirstElected, Paused, Resumed
from watchdogd.core.model import ClusterId, PairId, RunId
from watchdogd.daemon.app import ensure_reloadable, ensure_same_clusters, tell_of_pairs_left
from watchdogd.errors import ConfigError
from watchdogd.ports import Severity
from watchdogd.rehearsal.memory import MemoryJournal


async def test_a_renamed_cluster_is_a_config_error_and_not_a_crash_at_every_tick() -> None:
    settings, journal = parse_config(good()), MemoryJournal(clock=HandClock())
    pair = next(iter(settings.policy.pairs))
    await journal.append(pair, FirstElected(cluster=ClusterId("atlantis")))
    with pytest.raises(ConfigError, match=r"speaks of atlantis: keep that name in the config"):
        ensure_same_clusters(settings, journal)


async def test_the_clusters_of_the_config_are_accepted() -> None:
    settings, journal = parse_config(good()), MemoryJournal(clock=HandClock())
    pair, policy = next(iter(settings.policy.pairs.items()))
    await journal.append(pair, FirstElected(cluster=policy.home))
    ensure_same_clusters(settings, journal)


async def test_no_reload_takes_the_command_of_a_fence_that_may_be_held() -> None:
    settings, journal = parse_config(good()), MemoryJournal(clock=HandClock())
    pair, policy = next(iter(settings.policy.pairs.items()))
    waived = next(cluster for cluster in policy.cluster_ids if policy.cluster(cluster).fence.waived)
    ensure_reloadable(settings, journal)
    await journal.append(pair, FenceIntended(cluster=waived, epoch=1, run_id=RunId("run-1")))
    ensure_same_clusters(settings, journal)  # a start goes on: whoever is not there guards nothing
    with pytest.raises(ConfigError, match=r"fence\.command: a fence of ours may hold on"):
        ensure_reloadable(settings, journal)
    await journal.append(pair, FenceReleased(cluster=waived))
    ensure_reloadable(settings, journal)


async def test_a_pair_that_the_config_lost_is_paged_while_something_of_it_is_left_to_settle() -> None:
    settings, journal, gone = parse_config(good()), MemoryJournal(clock=HandClock()), PairId("gone")
    await journal.append(next(iter(settings.pairs)), Paused(reason="still here"))
    await journal.append(gone, FirstElected(cluster=ClusterId("atlantis")))
    told = ListNotifier()
    tell_of_pairs_left(settings, journal, told)
    assert told.told == []
    await journal.append(gone, Paused(reason="a change"))
    await journal.append(gone, FenceIntended(cluster=ClusterId("atlantis"), epoch=1, run_id=RunId("run-1")))
    tell_of_pairs_left(settings, journal, told)
    (page,) = told.told
    assert (page.pair, page.severity) == (gone, Severity.PAGE)
    assert "a fence on atlantis, a pause (a change)" in page.summary
    await journal.append(gone, Resumed())
    await journal.append(gone, FenceReleased(cluster=ClusterId("atlantis")))
    tell_of_pairs_left(settings, journal, told)
    assert len(told.told) == 1
