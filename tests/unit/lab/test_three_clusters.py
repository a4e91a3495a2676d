"""Both kinds of replication at once, in any order: in the end whoever streams has what its primary has."""

import pickle
import random
from functools import cache

import pytest

from tests.unit.lab.test_resolving import Four
from watchdogd.lab.cluster import Cluster
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.roles import Kind, SyncState
from watchdogd.lab.wire import Outcome

CLUSTERS, KINDS = ("east", "west", "north"), ("dr", "performance")
VERBS = (
    "primary/enable primary/demote primary/disable primary/secondary-token secondary/promote secondary/update-primary "
    "secondary/enable secondary/disable crash write write mount step-down reindex"
).split()
OPERATION_TOKEN = "hvs.operation"


@cache
def begun() -> bytes:
    return pickle.dumps(Four())


def act(f: Four, chance: random.Random, issued: dict[str, str]) -> None:
    """One thing that a person or the world does."""
    name, kind, verb = chance.choice(CLUSTERS), chance.choice(KINDS), chance.choice(VERBS)
    target, token, cluster = f"{name}/1", f.root[chance.choice(("east", "north"))], f.a.world.clusters[name]
    match verb:
        case "crash":
            until_s = f.a.world.now_s + chance.choice((3, 40))
            f.a.world.faults.add(Fault(kind=FaultKind.CRASH, target=f"cluster:{name}", until_s=until_s, params={}))
        case "write":
            f.a.post(target, f"kv/{chance.randint(0, 9)}", {"n": chance.random()}, token=token)
        case "mount":
            body = {"type": "kv", "local": chance.random() < 0.5}
            f.a.post(target, f"sys/mounts/{chance.choice(('kv', 'here'))}", body, token=token)
        case "step-down" | "reindex":
            f.a.post(target, "sys/step-down" if verb == "step-down" else "sys/replication/reindex", {}, token=token)
        case _:
            if cluster.is_dr_secondary:
                cluster.op_tokens.append(OPERATION_TOKEN)
            body = {"id": f"{name}-{chance.randint(0, 99)}", "token": issued.get(kind, "")}
            body["dr_operation_token"] = OPERATION_TOKEN
            said = f.a.post(target, f"sys/replication/{kind}/{verb}", body, token=token)
            if said.exchange.outcome is Outcome.ANSWER and verb == "primary/secondary-token" and said.status == 200:
                issued[kind] = said.json["wrap_info"]["token"]


def settle(f: Four) -> None:
    """Everything is up and unsealed, and nobody does anything."""
    for _ in range(2):
        f.a.wait(60)
        for node in (node for cluster in f.a.world.clusters.values() for node in cluster.nodes if node.sealed):
            node.unseal()
    f.a.wait(60)


def agrees(clusters: dict[str, Cluster], cluster: Cluster, kind: Kind) -> None:
    link, node = cluster.roles[kind].link, cluster.serving()
    if link is None or link.broken_s is not None or node is None or node.active.connected_s is None:
        return
    primary = clusters[link.primary].store
    if link.state is SyncState.IDLE:
        assert cluster.store.clashes(primary)
        return
    assert link.state is SyncState.STREAM_WALS
    if kind is Kind.DR:
        assert cluster.store.merkle_root == primary.merkle_root
    assert cluster.store.shared_root == primary.shared_root


@pytest.mark.parametrize("seed", range(40))
def test_in_the_end_whoever_streams_has_what_its_primary_has(seed: int) -> None:
    f: Four = pickle.loads(begun())  # noqa: S301  our own bytes
    chance, issued = random.Random(seed), dict[str, str]()
    f.root["west"] = f.root["east"]
    for _ in range(chance.randint(3, 14)):
        act(f, chance, issued)
        f.a.wait(chance.choice((0.1, 1, 5, 20)))
    settle(f)
    for cluster in f.a.world.clusters.values():
        for kind in Kind:
            agrees(f.a.world.clusters, cluster, kind)
        assert not cluster.is_dr_secondary or cluster.roles[Kind.PERFORMANCE].mode == "disabled"
