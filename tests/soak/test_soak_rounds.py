"""The soak's own rounds say what the lab's world says, and what it leaves out decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tests.support.pair import EAST, WEST
from tests.support.soak_bodies import CALM_S, NODES, SPEC, faulty, probe
from tests.support.soak_days import dark_stretches, play_day, story_of_day
from tests.support.soak_play import Player
from tests.support.soak_rounds import INTERVAL_S, NOBODY, Active, Burst, Outage, Pair, Path, Story
from watchdogd.core.model import ClusterId, NodeSeen, Reading
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.world import World

FAULT_S, FOR_EVER_S = 30.5, 1e9  # right after the beat at 30 s
PHASES_S = {(cluster, n): 0.0 for cluster in (EAST, WEST) for n in range(1, NODES + 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The same trouble, once as a fault of the lab and once as a story."""

    kind: FaultKind
    target: str
    story: Story
    text: str = ""


CALM = Story(key=1, phases_s=PHASES_S)
CUT = (Burst(from_s=FAULT_S, to_s=FOR_EVER_S, loss=1.0),)


def away(cluster: ClusterId, n: int, reading: Reading) -> tuple[Outage, ...]:
    return (Outage(cluster=cluster, n=n, from_s=FAULT_S, to_s=FOR_EVER_S, reading=reading),)


def handed_over(cluster: ClusterId) -> Story:
    """The active node ends, and the second one is elected 3 s later."""
    return replace(
        CALM,
        beat_phase_s=4.0,
        actives={cluster: (Active(from_s=FAULT_S, n=NOBODY), Active(from_s=33.0, n=2))},
        outages=away(cluster, 1, Reading.SILENT),
    )


CASES = {
    "the region is cut off": Case(
        kind=FaultKind.BLACKOUT, target="region:east", story=replace(CALM, dies_s=FAULT_S)
    ),
    "replication is cut": Case(
        kind=FaultKind.DROP,
        target="repl:east>west",
        story=replace(CALM, bursts={Path.EAST_WEST: CUT, Path.WEST_EAST: CUT}),
    ),
    "the secondary's active node ends": Case(
        kind=FaultKind.CRASH, target="node:west/1", story=handed_over(WEST)
    ),
    "the primary's active node ends": Case(kind=FaultKind.CRASH, target="node:east/1", story=handed_over(EAST)),
    "the secondary has no quorum": Case(
        kind=FaultKind.QUORUM_LOSS,
        target="cluster:west",
        story=replace(CALM, actives={WEST: (Active(from_s=FAULT_S, n=NOBODY),)}),
    ),
    "somebody else answers": Case(
        kind=FaultKind.GARBAGE,
        target="node:west/3",
        text="SSH-2.0-OpenSSH_9.2",
        story=replace(CALM, outages=away(WEST, 3, Reading.STRANGE)),
    ),
    "a node is sealed": Case(
        kind=FaultKind.SEAL, target="node:west/2", story=replace(CALM, outages=away(WEST, 2, Reading.SEALED))
    ),
}  # fmt: skip


# Of a reading that is compared itself, or read by nobody.
UNREAD: dict[str, None] = {"last_wal": None, "primary_canary_age_ms": None, "ha_connection_healthy": None}


def read_of(node: NodeSeen) -> dict[str, object]:
    """Everything of a round that the core asks about; positions by whether they are shown, for they differ."""
    status = node.status if node.reading is Reading.ACTIVE else None  # the core reads no other node's
    is_secondary = node.cluster == WEST
    peers = None if status is None or status.peers is None or not is_secondary else status.peers
    return {
        "reading": node.reading,
        "health": node.health and replace(node.health, **UNREAD),
        "names": node.names and replace(node.names, active_time=None),
        "mode": status and status.mode,
        "ids": status and (status.cluster_id, status.known_secondaries, status.secondary_id),
        "link": status and (status.state, status.connection_state),
        "peers": peers and [(p.cluster_address, p.last_heartbeat_utc_s, p.canary_age_ms) for p in peers],
        "wal": status and (status.last_kind_wal is None, status.last_remote_wal is None),
    }


@pytest.mark.parametrize("name", CASES)
def test_a_story_is_told_in_the_words_of_the_lab(name: str) -> None:
    case = CASES[name]
    world, pair = World(SPEC, seed=1), Pair(case.story)
    world.tick(CALM_S)
    params = {"text": case.text} if case.text else {}
    world.faults.add(Fault(kind=case.kind, target=case.target, place=None, params=params))
    for at_s in (48.0, 60.0, 90.0):
        world.tick(at_s)
        said = probe(world, at_s)
        told = {place: pair.round(*place, int(at_s // INTERVAL_S)) for place in said}
        for place, node in said.items():
            assert read_of(told[place]) == read_of(node), f"{place} at {at_s}"


def test_a_lost_region_is_silent_in_both() -> None:
    said = faulty(FaultKind.CRASH, "region:east")
    assert {said[EAST, n].reading for n in range(1, NODES + 1)} == {Reading.SILENT}


# -- what is left out ------------------------------------------------------------------------------------------------

BUSY_S = 2400.0
BUSY = 12.0  # as many faults in 40 minutes as half a bad day has
WARM_BY_S = 45.0  # after the begin of a stretch: the windows of UP and of the link are full again


@pytest.mark.parametrize("number", [21, 33])
def test_what_is_left_out_of_a_day_decides_nothing_and_changes_nothing(number: int) -> None:
    story = story_of_day(1, number, BUSY_S, BUSY)
    whole = {
        tick.at_s: (tick.decision.row.id, tick.facts.sight)
        for tick in Player(Pair(story)).play(0.0, BUSY_S, decides_always=True)
        if tick.decision is not None
    }
    player = Player(Pair(story))
    stretches = dark_stretches(player.pair, BUSY_S)
    played = {
        tick.at_s: (tick.decision.row.id, tick.facts.sight)
        for from_s, to_s in stretches
        for tick in player.play(from_s, to_s, decides_always=True)
        if tick.decision is not None and (from_s == 0.0 or tick.at_s >= from_s + WARM_BY_S)
    }
    assert played
    assert {at_s: whole[at_s] for at_s in played} == played
    left_out = {row for at_s, (row, _) in whole.items() if not any(a <= at_s <= b for a, b in stretches)}
    assert left_out
    assert "S-30" not in left_out


def test_a_cut_on_both_ways_is_called_a_partition_and_one_that_lets_a_little_pass_is_false() -> None:
    # The referee itself: it must be able to call a decision false.
    paths = (Path.BASTION_EAST, Path.EAST_WEST, Path.WEST_EAST)
    cut = Burst(from_s=200.0, to_s=400.0, loss=1.0)
    for burst, wanted in ((cut, (0, 1)), (replace(cut, loss=0.9999), (1, 0))):
        result = play_day(replace(CALM, key=7, bursts=dict.fromkeys(paths, (burst,))), 0, 600.0)
        assert (len(result.false_s), len(result.partitions_s)) == wanted


def test_a_day_is_the_same_whenever_it_is_asked_for() -> None:
    assert story_of_day(5, 17) == story_of_day(5, 17)
    assert story_of_day(5, 17) != story_of_day(6, 17)
