"""The lab by itself: a region lost and its way back with name, clients and fence; and worlds under random faults."""

import random
from dataclasses import replace

import pytest

from tests.unit.lab.asking import ATTEMPT, AUTOPILOT, DEMOTE, DR_STATUS, PROMOTE, Asker, asker
from watchdogd.lab.clients import SimClient
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.names import Names
from watchdogd.lab.spec import ClusterSpec, WorldSpec
from watchdogd.lab.wire import Outcome, Place, Wire
from watchdogd.lab.world import World
from watchdogd.lab.zone import RecordType

TTL_S = 30


def with_name(a: Asker) -> Names:
    """The service name in a zone, and a client that finds its cluster through the clients' resolver."""
    world = a.world
    names = Names(world.spec, world.faults, epoch_utc_s=world.epoch_utc_s, ttl_s=TTL_S)
    world.published_cluster = names.published_cluster
    client = SimClient(
        name="c1",
        service_name=names.service_name,
        token=a.has["client_token"],
        resolve=names.resolvers[Place.CLIENTS].address_of,
        due_s=world.now_s + 1.0,
    )
    world.clients.append(client)
    return names


def point_at(a: Asker, names: Names, cluster: str, *, propagation_s: float, later_s: float = 0.0) -> None:
    """Move the service name as a provider would: seen by the authoritative servers a moment later."""
    key, now_s = (names.service_name, RecordType.CNAME), a.world.now_s + later_s
    moved = replace(names.zone.records[key], values=(names.cluster_name(cluster),))
    names.zone.publish({**names.zone.records, key: moved}, at_s=now_s + propagation_s, now_s=now_s)


def test_a_name_that_moves_at_once_is_counted_by_what_was_published_before_and_after() -> None:
    a = asker(demote_s=3.0)
    names = with_name(a)
    last_tick_s = a.world.now_s
    point_at(a, names, "west", propagation_s=0.0, later_s=0.5)
    a.wait(2)
    assert a.world.counts.name_at_non_primary_s == pytest.approx(a.world.now_s - last_tick_s, abs=1.0)


def test_a_lost_region_is_survived_by_hand_and_every_count_is_what_happened() -> None:
    a = asker(promote_s=10.0, demote_s=3.0)
    names, counts = with_name(a), a.world.counts
    client = a.world.clients[0]
    a.wait(60.5)
    dead = a.fault(FaultKind.BLACKOUT, "region:east")
    a.wait(50)
    a.world.fence("east", True)
    assert a.promote("west").status == 200
    a.wait(10)
    assert a.world.active_primaries() == ("east", "west")
    point_at(a, names, "west", propagation_s=5.0)
    a.wait(TTL_S + 20)
    assert client.connected_to == "west/lb"
    assert counts.no_primary_s == pytest.approx(60.0)
    assert (counts.two_writable_primaries_s, counts.acknowledged_writes_lost) == (0.0, 0)
    a.world.faults.clear(dead)
    a.wait(3)
    a.rejoin("east", "west")
    a.world.fence("east", False)
    a.wait(30)
    assert a.world.primary() == "west"
    assert a.ask("east/1", DR_STATUS).data["state"] == "stream-wals"
    assert (counts.two_writable_primaries_s, counts.name_at_non_primary_s, counts.acknowledged_writes_lost) == (
        0.0,
        0.0,
        0,
    )
    assert client.acknowledged == counts.acknowledged_writes


def test_a_name_that_stays_behind_is_counted_and_keeps_its_clients_out() -> None:
    a = asker(promote_s=5.0)
    names = with_name(a)
    client = a.world.clients[0]
    a.wait(30)
    a.fault(FaultKind.CRASH, "cluster:east")
    a.promote("west")
    a.wait(35)
    assert a.world.counts.name_at_non_primary_s == pytest.approx(30.0)
    before = client.acknowledged
    point_at(a, names, "west", propagation_s=5.0)
    a.wait(60)
    assert a.world.counts.name_at_non_primary_s == pytest.approx(35.0, abs=1.0)
    assert client.acknowledged > before


def test_a_client_without_a_resolver_keeps_its_connection_and_loses_it_for_good() -> None:
    a = asker()
    with_name(a)
    client = a.world.clients[0]
    a.wait(10)
    a.fault(FaultKind.DNS_DEAD, "dns")
    a.wait(60)
    assert client.failed == 0
    a.fault(FaultKind.RESET, "lb:east", for_s=2)
    a.wait(120)
    assert client.connected_to is None


QUIET = (FaultKind.SLOW_DNS, FaultKind.DNS_DEAD, FaultKind.AWS_DEAD, FaultKind.AWS_DENIED)
KINDS = [k for k in FaultKind if k not in QUIET and not k.name.startswith("AWS")]
TARGETS = (
    "node:east/1 node:west/2 cluster:east cluster:west region:east region:west lb:east link:bastion>east "
    "link:clients>west link:east>west repl:east>west repl:west>east"
).split()
PARAMS = {
    "seconds": 3.0,
    "probability": 0.3,
    "every_s": 7.0,
    "status": 502,
    "path": "sys/",
    "times": 2,
    "outcome": "hang",
    "rule": "tcp",
    "flaw": "expired",
}


def shake(seed: int, *, steps: int) -> Asker:
    """A world under random faults, requests and role changes, all drawn from one seed."""
    chance = random.Random(seed)
    version = chance.choice(["1.3.0", "1.9.0", "1.16.0", "1.19.0", "2.0.0"])
    specs = tuple(ClusterSpec(name=n, vault_version=version) for n in ("east", "west"))
    a = Asker(World(WorldSpec(clusters=specs), seed=seed))
    names = with_name(a)
    for _ in range(steps):
        _one_act(a, names, chance)
        a.wait(chance.choice([0.0, 0.1, 1.0, 7.0, 40.0]))
    return a


def _one_act(a: Asker, names: Names, chance: random.Random) -> None:
    target = chance.choice(list(a.world.targets))
    token = chance.choice(list(a.has.values()))
    body = {"dr_operation_token": chance.choice([a.has["dr_token_a"], "x"]), "force": chance.random() < 0.2}
    match chance.randrange(8):
        case 0:
            until_s = chance.choice([None, a.world.now_s + chance.uniform(0, 60)])
            kind, where = chance.choice(KINDS), chance.choice(TARGETS)
            a.world.faults.add(Fault(kind=kind, target=where, until_s=until_s, params=PARAMS))
        case 1:
            a.world.faults.clear()
        case 2:
            a.post(target, chance.choice([PROMOTE, DEMOTE]), body, token=token)
        case 3:
            a.world.fence(chance.choice(["east", "west"]), chance.random() < 0.5)
        case 4:
            point_at(a, names, chance.choice(["east", "west"]), propagation_s=5.0)
        case _:
            path = chance.choice(
                ["sys/health", "sys/leader", "sys/replication/status", ATTEMPT, AUTOPILOT, "sys/mounts"]
            )
            a.ask(target, path, token=token)


@pytest.mark.parametrize("seed", range(8))
def test_no_mixture_of_faults_and_acts_makes_a_world_raise(seed: int) -> None:
    a = shake(seed, steps=120)
    total_s, counts = a.world.now_s, a.world.counts
    assert 0.0 <= counts.no_primary_s <= total_s
    assert 0.0 <= counts.two_writable_primaries_s <= total_s
    assert counts.acknowledged_writes_lost <= counts.acknowledged_writes


@pytest.mark.parametrize("seed", range(8))
def test_once_faults_stop_every_cluster_has_an_active_node_again(seed: int) -> None:
    a = shake(seed, steps=60)
    a.world.faults.clear()
    for cluster in ("east", "west"):
        a.world.fence(cluster, False)
    a.wait(120)
    for name, cluster in a.world.clusters.items():
        node = cluster.serving()
        assert node is not None, name
        assert a.ask(node.target, "sys/leader").json["is_self"] is True
        assert a.ask(node.target, "sys/health").status in (200, 472)


def test_the_same_seed_shakes_the_same_way() -> None:
    assert list(shake(3, steps=120).world.transcript) == list(shake(3, steps=120).world.transcript)


def test_nobody_at_the_wire_is_an_outcome_too() -> None:
    a = asker()
    wire = Wire(place="moon", target="east/1", method="GET", path_and_query="/v1/sys/health")
    assert a.world.exchange(wire, now_s=8.0).outcome is Outcome.ANSWER
