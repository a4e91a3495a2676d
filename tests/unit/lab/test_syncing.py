"""A secondary that cannot stream: how long it syncs, what it shows meanwhile, why it may have to begin again."""

import pickle
from itertools import pairwise
from typing import Any

import pytest

from tests.unit.lab.asking import DR_STATUS, Asker, asker
from watchdogd.lab.faults import FaultKind


def dr(a: Asker, target: str) -> Any:
    return a.ask(target, DR_STATUS).data


def behind(writes: int, **knobs: object) -> Asker:
    """West has lost the thread: its primary's log does not reach back any more, and the link is up again."""
    a = asker(**{"shipper_entries": 16, **knobs})
    cut = a.fault(FaultKind.DROP, "repl:west>east")
    for n in range(writes):
        a.write("east/lb", f"x/{n}")
    a.wait(5)
    a.world.faults.clear(cut)
    return a


def states(a: Asker, seconds: float, every_s: float = 0.25) -> list[str]:
    """The states of west, each as often as it begins."""
    seen = []
    for _ in range(int(seconds / every_s)):
        a.wait(every_s)
        seen.append(dr(a, "west/1")["state"])
    return seen[:1] + [after for before, after in pairwise(seen) if before != after]


def time_until_even(a: Asker) -> float:
    begun_s = a.world.now_s
    while dr(a, "west/1")["state"] == "stream-wals":
        a.wait(0.25)
    while dr(a, "west/1")["state"] != "stream-wals":
        a.wait(0.25)
    return a.world.now_s - begun_s


def test_a_sync_takes_longer_the_more_differs() -> None:
    few, many = (time_until_even(behind(n, merkle_sync_keys_per_s=10.0)) for n in (20, 120))
    assert many - few == pytest.approx(10.0, abs=0.5)


def test_a_sync_shows_how_far_it_is() -> None:
    a = behind(100, merkle_sync_keys_per_s=10.0, merkle_sync_s=0.0, merkle_diff_s=0.5)
    a.wait(2)
    first = dr(a, "west/1")
    a.wait(3)
    second = dr(a, "west/1")
    assert first["state"] == second["state"] == "merkle-sync"
    assert first["sync_total_keys"] == second["sync_total_keys"] == 100
    assert 0 <= first["sync_progress"] < second["sync_progress"] < 100
    a.wait(20)
    assert not {"sync_progress", "sync_total_keys"} & set(dr(a, "west/1"))


def test_what_is_written_during_a_sync_comes_by_the_stream_afterwards() -> None:
    a = behind(60, shipper_entries=50, merkle_sync_keys_per_s=10.0)
    a.wait(4)
    assert dr(a, "west/1")["state"] == "merkle-sync"
    a.write("east/lb", "y")
    time_until_even(a)
    a.wait(1)
    shown = dr(a, "west/1")
    assert shown["last_remote_wal"] == dr(a, "east/1")["last_dr_wal"] > 0
    assert shown["merkle_root"] == dr(a, "east/1")["merkle_root"]


def test_a_log_that_is_too_short_for_the_rate_of_writes_ends_in_a_loop_of_syncs() -> None:
    a = behind(40, merkle_sync_keys_per_s=10.0)
    seen = []
    for n in range(120):
        a.write("east/lb", f"z/{n}")
        a.write("east/lb", f"z/again/{n}")
        a.wait(0.25)
        seen.append(dr(a, "west/1")["state"])
    changes = [after for before, after in pairwise(seen) if before != after]
    assert changes.count("merkle-diff") >= 3
    assert "stream-wals" not in changes[1:]
    assert states(a, 60)[-1] == "stream-wals"  # nobody writes any more
    assert dr(a, "west/1")["merkle_root"] == dr(a, "east/1")["merkle_root"]


def test_a_stream_whose_guard_goes_missing_cycles() -> None:
    a = asker(guard_missing_every_s=10.0, merkle_diff_s=1.0, merkle_sync_s=2.0)
    assert states(a, 40)[:6] == ["stream-wals", "merkle-diff", "merkle-sync"] * 2


def test_a_stream_that_is_overtaken_by_writes_syncs() -> None:
    a = asker(shipper_entries=16, stream_wal_per_s=1, stream_delay_s=5.0)
    for n in range(40):
        a.write("east/lb", f"x/{n}")
    assert "merkle-sync" in states(a, 10)


def test_a_sync_that_is_interrupted_compares_again() -> None:
    a = behind(60, merkle_sync_keys_per_s=10.0)
    a.wait(4)
    assert dr(a, "west/1")["state"] == "merkle-sync"
    a.fault(FaultKind.DROP, "repl:west>east", for_s=30)
    a.wait(31)
    assert states(a, 20) == ["merkle-diff", "merkle-sync", "stream-wals"]


def test_a_world_in_the_middle_of_a_sync_can_be_kept_and_goes_on_as_the_one_it_was_copied_from() -> None:
    a = behind(60, merkle_sync_keys_per_s=10.0)
    a.wait(4)
    kept = Asker(pickle.loads(pickle.dumps(a.world)))  # noqa: S301  our own bytes
    for each in (a, kept):
        each.wait(10)
    assert dr(kept, "west/1") == dr(a, "west/1")


# ------------------------------------------------------------------------------------------- what a rejoin throws away


def test_what_the_old_primary_had_written_by_itself_is_thrown_away_when_it_rejoins_and_counted() -> None:
    a = asker()
    a.write("east/lb", "before")
    a.wait(1)
    a.fault(FaultKind.DROP, "repl:west>east", for_s=20)
    a.promote("west")
    for n in range(3):
        assert a.write("east/lb", f"lost/{n}").status == 200
    a.wait(30)
    assert a.world.counts.writes_discarded == 0
    a.rejoin("east", "west")
    assert dr(a, "east/1")["merkle_root"] == dr(a, "west/1")["merkle_root"]
    assert a.world.counts.writes_discarded == 3


def test_a_planned_change_there_and_back_throws_nothing_away() -> None:
    a = asker()
    for before, after in (("east", "west"), ("west", "east")):
        a.write(f"{before}/lb", f"of/{before}")
        a.wait(1)
        a.demote(before)
        a.wait(5)
        a.promote(after)
        a.wait(12)
        a.write(f"{after}/lb", f"of/{after}")
        a.world.tick(a.world.now_s + 1)
        assert a.update_primary(before, a.activation(after, f"{before}-again")).status == 200
        a.wait(10)
    assert a.ask("east/1", "secret/data/of/west", token=a.has["root_token"]).status == 200
    assert a.world.counts.writes_discarded == 0


@pytest.mark.parametrize(("drains", "arrived"), [(True, 200), (False, 404)])
def test_a_demotion_waits_for_its_secondaries_or_does_not(drains: bool, arrived: int) -> None:
    a = asker(demote_drains=drains, stream_delay_s=5.0)
    assert a.write("east/lb", "last").status == 200
    a.demote("east")
    a.wait(5)
    a.promote("west")
    a.wait(12)
    assert a.ask("west/1", "secret/data/last", token=a.has["root_token"]).status == arrived


@pytest.mark.parametrize("shown", [True, False])
def test_a_cluster_that_follows_nobody_shows_its_merkle_root_or_does_not(shown: bool) -> None:
    a = asker(merkle_root_when_demoted=shown)
    a.demote("east")
    a.wait(5)
    assert ("merkle_root" in dr(a, "east/1")) is shown
