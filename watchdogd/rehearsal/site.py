"""What a scenario begins with: the world, the name and the settings that its file asks for."""

from __future__ import annotations

from typing import Any

from watchdogd.adapters.settings import Credentials, FileRef, NameSettings, PairSettings
from watchdogd.adapters.vault.transport import TlsOptions
from watchdogd.core.model import ClusterId, NodeAddress, PairId, Replication
from watchdogd.core.policy import ClusterPolicy, CredentialPolicy, FencePolicy, PairPolicy
from watchdogd.daemon.protocol import Caller
from watchdogd.lab.clients import SimClient
from watchdogd.lab.knob_text import knob_of_file
from watchdogd.lab.knob_values import BadKnob
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.names import Names
from watchdogd.lab.number import Number
from watchdogd.lab.route53 import Route53Knobs
from watchdogd.lab.scenario import Scalars, Scenario
from watchdogd.lab.spec import ClusterSpec, WorldSpec
from watchdogd.lab.wire import Place
from watchdogd.lab.world import World
from watchdogd.lab.zone import RecordType
from watchdogd.rehearsal.fence_program import ACTED
from watchdogd.rehearsal.given import FROM_0_ON, Given
from watchdogd.rehearsal.pair_asked import FENCE_TIMEOUT_S, SHARES, PairAsked
from watchdogd.rehearsal.ports import ENDS, FencePlan
from watchdogd.secret import Secret

PAIR = PairId("prod")
EAST, WEST = ClusterId("east"), ClusterId("west")
OPERATOR = Caller(uid=1000, may_act=True)
WORLD_KEYS = frozenset({"vault_version", "vault_version_of_west", "propagation_s", "writers"})
WRITERS = Number(least=0, most=100, is_whole=True)
VERBS = ("on", "off", "check")


def knobs_of(given: Scalars) -> Knobs:
    """The installation that `[world]` describes. Raises: BadKnob."""
    try:
        knobs: dict[str, Any] = {key: knob_of_file(key, value) for key, value in given.items() if key not in WORLD_KEYS}
        return Knobs(**knobs)
    except BadKnob as exc:
        raise BadKnob(f"[world] {exc}") from exc


def found(scenario: Scenario) -> tuple[World, Names]:
    """A healthy world of two clusters and three nodes each, its name at the first, and programs that write."""
    given = Given("[world]", scenario.world)
    version = given.text("vault_version", "1.19.0")
    versions = {EAST: version, WEST: given.text("vault_version_of_west", version)}
    clusters = tuple(ClusterSpec(name=name, vault_version=own) for name, own in versions.items())
    world = World(WorldSpec(clusters=clusters, knobs=knobs_of(scenario.world)), seed=scenario.seed)
    knobs = Route53Knobs(propagation_s=given.number("propagation_s", 5.0, FROM_0_ON), requests_per_s_max=None)
    names = Names(world.spec, world.faults, epoch_utc_s=world.epoch_utc_s, knobs=knobs)
    world.published_cluster = names.published_cluster
    for number in range(writers_of(scenario)):
        world.clients.append(_writer(world, names, number))
    return world, names


def writers_of(scenario: Scenario) -> int:
    """How many programs write all the time."""
    return int(Given("[world]", scenario.world).number("writers", 1, WRITERS))


def _writer(world: World, names: Names, number: int) -> SimClient:
    def resolve(name: str, now_s: float) -> str | None:
        reply = names.resolve(name, RecordType.A, place=Place.CLIENTS, now_s=now_s)
        found = [r.values[0] for r in reply.answer.records if r.rtype is RecordType.A] if reply.answer else []
        return found[0] if found else None

    return SimClient(
        name=f"writer-{number}",
        service_name=names.service_name,
        token=world.credentials()["client_token"],
        resolve=resolve,
    )


def secrets_of(world: World) -> dict[str, Secret]:
    """The files of the daemon's credentials, by the names that a scenario uses."""
    given = world.credentials()
    kept = {"a": given["dr_token_a"], "b": given["dr_token_b"], "root": given["root_token"]}
    kept |= {"wrong": "hvb.not-a-token-of-this-world", **{share: given[share] for share in SHARES}}
    return {name: Secret(value) for name, value in kept.items()}


def spoilt(scenario: Scenario, name: str) -> Secret:
    """What a file holds instead: a token that never was one, or the key share of another replication set."""
    secrets = secrets_of(World(WorldSpec(), seed=scenario.seed + 1))
    return secrets[name if name in SHARES else "wrong"]


def policy_of(scenario: Scenario, world: World, names: Names) -> PairPolicy:
    """What the config says. Raises: ValueError for a key that no scenario knows."""
    asked = PairAsked.of(scenario)
    return PairPolicy(
        pair=PAIR,
        replication=Replication(world.spec.kind),
        home=EAST,
        replication_id=world.clusters[EAST].roles[world.kind].set_id,
        clusters={cluster: _cluster(asked, world, cluster) for cluster in (EAST, WEST)},
        levels=asked.levels,
        timing=asked.timing,
        max_loss_s=asked.max_loss_s,
        sealed_is_down=asked.sealed_is_down,
        two_secondaries=asked.two_secondaries,
        record=names.service_name.rstrip("."),
        dns_targets={cluster: names.cluster_name(cluster).rstrip(".") for cluster in (EAST, WEST)},
        credentials=CredentialPolicy(dr_operation_tokens=len(asked.tokens), key_shares=len(asked.shares)),
    )


def _cluster(asked: PairAsked, world: World, cluster: ClusterId) -> ClusterPolicy:
    spec, fence = world.spec, FencePolicy(waived=asked.fence_waived)
    if not asked.fence_waived:
        fence = FencePolicy(command=("fence",), timeout_s=FENCE_TIMEOUT_S, on_failure=asked.on_failure)
    return ClusterPolicy(
        cluster=cluster,
        address=spec.api_addr(f"{cluster}/lb", Place.CLIENTS),
        nodes=tuple(
            NodeAddress(
                f"https://vault-{cluster}-{n}.example.test:8200"
                if asked.has_names
                else spec.api_addr(f"{cluster}/{n}", Place.BASTION)
            )
            for n in (1, 2, 3)
        ),
        vault_id=world.clusters[cluster].vault_id,
        fence=fence,
    )


def settings_of(scenario: Scenario, policy: PairPolicy) -> PairSettings:
    """The policy, and where the daemon finds what it takes to act on it."""
    asked = PairAsked.of(scenario)
    return PairSettings(
        policy=policy,
        tls={cluster: TlsOptions() for cluster in policy.cluster_ids},
        fences={},
        credentials=Credentials(
            dr_operation_tokens=tuple(FileRef(path=name) for name in asked.tokens),
            key_shares=tuple(FileRef(path=share) for share in asked.shares),
            vault_token=FileRef(path="root") if asked.has_vault_token else None,
        ),
        witnesses=(),
        name=NameSettings(provider="manual", route53=None, authoritative=(), resolvers=()),
    )


def address_of(world: World, host: str) -> str | None:
    """What the bastion's resolver says of a node's name."""
    parts = host.removesuffix(".example.test").split("-")
    is_node = len(parts) == 3 and parts[0] == "vault" and parts[1] in world.clusters
    return world.spec.ip(Place.BASTION, f"{parts[1]}/{parts[2]}") if is_node else None


def fence_plan_of(given: Scalars) -> FencePlan:
    """How the fence command ends, verb by verb. Raises: ValueError for an end that there is not."""
    table, plan = Given("[fence]", given), FencePlan()
    table.only({*VERBS, "takes_s"})
    for verb in VERBS:
        ends = given.get(verb, ("exit 0",))
        if not isinstance(ends, tuple) or not ends or any(end.removesuffix(ACTED) not in ENDS for end in ends):
            raise ValueError(f"[fence] {verb}: a list of {', '.join(ENDS)}, each with {ACTED!r} where it acted")
        setattr(plan, verb, list(ends))
    plan.takes_s = table.number("takes_s", plan.takes_s, FROM_0_ON)
    return plan
