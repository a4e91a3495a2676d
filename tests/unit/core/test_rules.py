"""Every rule between knobs, broken one at a time; the limits themselves are allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from watchdogd.core.model import ClusterId, NodeAddress, PairId, Replication
from watchdogd.core.policy import (
    AnchorPolicy,
    ClusterPolicy,
    CredentialPolicy,
    Environment,
    FencePolicy,
    Level,
    Levels,
    OnFenceFailure,
    PairPolicy,
    Policy,
    Timing,
    WitnessPolicy,
)
from watchdogd.core.rules import notices, violations

EAST, WEST, PROD = ClusterId("east"), ClusterId("west"), PairId("prod")
BLOCKS = FencePolicy(command=("/fence",), on_failure=OnFenceFailure.BLOCK)
GOES_ON = FencePolicy(command=("/fence",), on_failure=OnFenceFailure.PAGE_AND_GO_ON)
WAIVED = FencePolicy(waived="SEC-123")
NEUTRAL = AnchorPolicy(address="a:1", place="neutral")
OBSERVE_ALL = Levels(
    failover=Level.OBSERVE,
    settle_debt=Level.OBSERVE,
    cutover_dns=Level.OBSERVE,
    heal=Level.OBSERVE,
    rejoin=Level.OBSERVE,
)


def cluster(name: ClusterId, *, network: str = "10.1.0", fence: FencePolicy = BLOCKS) -> ClusterPolicy:
    return ClusterPolicy(
        cluster=name,
        address=f"https://vault-{name}.example.com:8200",
        nodes=tuple(NodeAddress(f"https://{network}.{n}:8200") for n in (1, 2, 3)),
        vault_id=f"id-of-{name}",
        fence=fence,
    )


CLUSTERS = {EAST: cluster(EAST), WEST: cluster(WEST, network="10.2.0")}
GOOD = PairPolicy(
    pair=PROD,
    replication=Replication.DR,
    home=EAST,
    replication_id="id-of-the-pair",
    clusters=CLUSTERS,
    levels=Levels(failover=Level.AUTO),
    record="vault.example.com",
    dns_targets={EAST: "vault-east.example.com", WEST: "vault-west.example.com"},
    credentials=CredentialPolicy(dr_operation_tokens=2),
)


def policy_of(pair: PairPolicy, **changes: object) -> Policy:
    return replace(Policy(pairs={PROD: pair}, anchors=(NEUTRAL,)), **changes)


def paths(pair: PairPolicy, **changes: object) -> list[str]:
    return [violation.path.removeprefix("pair.prod.") for violation in violations(policy_of(pair, **changes))]


def with_east(**changes: object) -> PairPolicy:
    return replace(GOOD, clusters={EAST: replace(CLUSTERS[EAST], **changes), WEST: CLUSTERS[WEST]})


def timed(**changes: object) -> PairPolicy:
    return replace(GOOD, timing=replace(Timing(), **changes))


def test_a_good_policy_breaks_no_rule_and_has_nothing_to_say() -> None:
    assert violations(policy_of(GOOD)) == ()
    assert notices(policy_of(GOOD)) == ()


def test_a_violation_reads_as_place_wrong_and_way_out() -> None:
    (violation,) = violations(policy_of(timed(up_rounds=1)))
    assert str(violation) == "pair.prod.timing.up_rounds: is 1: at least 2: one good answer is no recovery"


SLOW = {"down_after_s": 63.0, "cold_start_s": 63.0, "down_rounds": 3, "stall_after_s": 41.0, "gap_max_s": 20.5}


# INTERFACES section 1: the last value that is right, and the first that is wrong.
@pytest.mark.parametrize(
    ("path", "right", "wrong"),
    [
        (
            "timing.interval",
            {"interval_s": 20.0, **SLOW},
            {"interval_s": 20.1, **SLOW},
        ),
        ("timing.probe_timeout", {"probe_timeout_s": 2.999}, {"probe_timeout_s": 3.0}),
        ("timing.down_after", {"down_after_s": 30.0, "cold_start_s": 30.0}, {"down_after_s": 29.9}),
        ("timing.down_rounds", {"down_rounds": 17}, {"down_rounds": 18}),
        ("timing.up_rounds", {"up_rounds": 2}, {"up_rounds": 1}),
        ("timing.gap_max", {"gap_max_s": 50 / 3}, {"gap_max_s": 16.7}),
        ("timing.gap_max", {"gap_max_s": 3.0}, {"gap_max_s": 2.9}),
        ("timing.heartbeat_stale_after", {"heartbeat_stale_after_s": 15.0}, {"heartbeat_stale_after_s": 14.9}),
        ("timing.heartbeat_stale_after", {"heartbeat_stale_after_s": 50.0}, {"heartbeat_stale_after_s": 50.1}),
        ("timing.stall_after", {"stall_after_s": 6.0}, {"stall_after_s": 5.9}),
        ("timing.cold_start", {"cold_start_s": 50.0}, {"cold_start_s": 49.9}),
        ("timing.link_down_alert", {"link_down_alert_s": 899.0}, {"link_down_alert_s": 900.0}),
        ("timing.credential_warn", {"credential_warn_s": 259201.0}, {"credential_warn_s": 259200.0}),
    ],
)
def test_a_timing_is_right_up_to_its_limit(path: str, right: dict[str, float], wrong: dict[str, float]) -> None:
    assert paths(timed(**right)) == []
    assert path in paths(timed(**wrong))


def test_the_window_holds_three_intervals_and_a_timeout() -> None:
    window = {
        "interval_s": 12.0, "down_rounds": 3, "stall_after_s": 24.0, "probe_timeout_s": 2.0, "gap_max_s": 12.0,
    }  # fmt: skip
    assert paths(timed(**window, down_after_s=38.0, cold_start_s=38.0)) == []
    assert paths(timed(**window, down_after_s=37.9, cold_start_s=38.0)) == ["timing.down_after"]


DEMO = Timing(
    interval_s=1.0, probe_timeout_s=0.8, down_after_s=10.0, up_after_s=3.0, gap_max_s=3.0, stale_link_hold_s=10.0,
    stall_after_s=3.0, cold_start_s=10.0, cooldown_s=0.0,
)  # fmt: skip


def on_loopback(pair: PairPolicy) -> PairPolicy:
    moved = {
        name: replace(
            one,
            address=f"https://127.2.{k}.100:8200",
            nodes=tuple(NodeAddress(f"https://127.1.{k}.{n}:8200") for n in (1, 2, 3)),
        )
        for k, (name, one) in enumerate(pair.clusters.items(), start=1)
    }
    return replace(pair, clusters=moved)


@pytest.mark.parametrize("environment", [Environment.DEMO, Environment.LAB])
def test_the_demo_timing_is_right_where_only_loopback_is_guarded(environment: Environment) -> None:
    demo = on_loopback(replace(GOOD, timing=DEMO))
    assert paths(demo, environment=environment) == []
    assert paths(demo) == ["timing.down_after", "timing.heartbeat_stale_after"]


def test_a_real_address_is_refused_outside_production() -> None:
    found = violations(policy_of(GOOD, environment=Environment.LAB))
    assert len(found) == 8  # three nodes and one address, of both clusters
    assert all("is not on loopback" in violation.wrong for violation in found)


@pytest.mark.parametrize("environment", [Environment.DEMO, Environment.LAB])
def test_three_beats_of_vault_are_awaited_everywhere(environment: Environment) -> None:
    pair = on_loopback(replace(GOOD, timing=replace(DEMO, heartbeat_stale_after_s=14.0)))
    assert paths(pair, environment=environment) == ["timing.heartbeat_stale_after"]


def fenced(east: FencePolicy, west: FencePolicy, **changes: object) -> PairPolicy:
    clusters = {EAST: replace(CLUSTERS[EAST], fence=east), WEST: replace(CLUSTERS[WEST], fence=west)}
    return replace(GOOD, clusters=clusters, **changes)


@pytest.mark.parametrize(("east", "west"), [(WAIVED, WAIVED), (GOES_ON, GOES_ON), (GOES_ON, WAIVED)])
def test_auto_is_refused_when_nothing_tells_a_dead_primary_from_a_partition(
    east: FencePolicy, west: FencePolicy
) -> None:
    assert paths(fenced(east, west)) == ["levels.failover"]


@pytest.mark.parametrize(
    "pair",
    [
        fenced(BLOCKS, WAIVED),
        fenced(WAIVED, WAIVED, witnesses=(WitnessPolicy(name="far", is_independent=True),)),
        fenced(WAIVED, WAIVED, levels=Levels(failover=Level.AUTO, accept_two_primaries_on_partition=True)),
    ],
    ids=["a fence that blocks", "an independent witness", "in so many words"],
)
def test_auto_is_accepted_with_one_of_three(pair: PairPolicy) -> None:
    assert paths(pair) == []


def test_a_witness_on_a_shared_path_is_not_enough_for_auto() -> None:
    assert paths(fenced(WAIVED, WAIVED, witnesses=(WitnessPolicy(name="near"),))) == ["levels.failover"]


def test_auto_acts_as_approve_while_a_cluster_without_any_of_the_three_is_elected_and_says_so() -> None:
    said = [str(notice) for notice in notices(policy_of(fenced(BLOCKS, WAIVED)))]
    assert said[0].startswith("pair.prod.cluster.west.fence: while west is elected, failover acts as approve")
    assert said[1:] == ["pair.prod.cluster.west.fence: waived: SEC-123"]


@pytest.mark.parametrize(
    ("path", "levels"),
    [
        ("levels.heal", Levels(failover=Level.AUTO, heal=Level.AUTO)),
        ("levels.rejoin", Levels(failover=Level.AUTO, rejoin=Level.AUTO)),
    ],
)
def test_a_level_that_is_not_built_is_refused_and_says_so(path: str, levels: Levels) -> None:
    (violation,) = violations(policy_of(replace(GOOD, levels=levels)))
    assert violation.path == f"pair.prod.{path}"
    assert "not there yet" in violation.wrong


def test_a_performance_pair_never_fails_over_by_itself() -> None:
    for level, refused in (
        (Level.OBSERVE, []),
        (Level.APPROVE, ["levels.failover"]),
        (Level.AUTO, ["levels.failover"]),
    ):
        pair = replace(GOOD, replication=Replication.PERFORMANCE, levels=Levels(failover=level))
        assert paths(pair) == refused


def test_approve_needs_nothing_that_tells_a_partition() -> None:
    assert paths(fenced(WAIVED, WAIVED, levels=Levels(failover=Level.APPROVE))) == []


def test_auto_needs_certificates_that_are_verified() -> None:
    assert paths(with_east(is_tls_verified=False)) == ["levels.failover"]


@pytest.mark.parametrize("fence", [FencePolicy()])
def test_a_fence_is_configured_or_waived_where_a_failover_may_happen(fence: FencePolicy) -> None:
    assert paths(with_east(fence=fence)) == ["cluster.east.fence"]
    observed = replace(with_east(fence=fence), levels=OBSERVE_ALL)
    assert paths(observed) == []


def test_nodes_are_needed_for_any_level_above_observe() -> None:
    assert paths(with_east(nodes=())) == ["cluster.east.nodes"]
    assert paths(replace(with_east(nodes=()), levels=OBSERVE_ALL)) == []
    settling = replace(OBSERVE_ALL, settle_debt=Level.AUTO)
    assert paths(replace(with_east(nodes=()), levels=settling)) == ["cluster.east.nodes"]


NODE = CLUSTERS[EAST].nodes[0]


@pytest.mark.parametrize(
    ("path", "pair"),
    [
        ("cluster.east.nodes", with_east(nodes=(NODE, NODE))),
        ("cluster.east.nodes", with_east(address=NODE)),
        ("cluster.east.ignore", with_east(ignore=frozenset({NodeAddress("https://10.9.9.9:8200")}))),
        ("cluster.east.ignore", with_east(ignore=frozenset(CLUSTERS[EAST].nodes))),
        ("cluster.west.nodes", with_east(nodes=CLUSTERS[WEST].nodes)),
        ("cluster.west.vault_id", with_east(vault_id="id-of-west")),
        ("replication_id", with_east(vault_id="id-of-the-pair")),
        ("home", replace(GOOD, home=ClusterId("north"))),
        ("cluster", replace(GOOD, clusters={EAST: CLUSTERS[EAST]})),
        ("policy.min_unsealed", replace(with_east(nodes=(NODE,)), min_unsealed=2)),
        ("policy.two_primaries", replace(GOOD, two_primaries="propose-lowest-wal")),
        ("witness", replace(GOOD, witnesses=(WitnessPolicy(name="x"), WitnessPolicy(name="x")))),
        ("witness.x.timeout", replace(GOOD, witnesses=(WitnessPolicy(name="x", timeout_s=11.1),))),
        (
            "witness.x.vault_id",
            replace(GOOD, witnesses=(WitnessPolicy(name="x", is_independent=True, vault_id=CLUSTERS[WEST].vault_id),)),
        ),
        ("credentials.dr_operation_token", replace(GOOD, credentials=CredentialPolicy())),
        ("dns.targets", replace(GOOD, dns_targets={EAST: "e.example.com"})),
        ("dns.targets.north", replace(GOOD, dns_targets={**GOOD.dns_targets, ClusterId("north"): "n.example.com"})),
        ("dns.targets", replace(GOOD, dns_targets={EAST: "e.example.com", WEST: "E.example.com."})),
        (
            "dns.targets",
            replace(GOOD, record="Vault-East.example.com.", clusters=with_east(address=NODE + "1").clusters),
        ),
        ("dns.record", with_east(address="https://vault.example.com:8200")),
    ],
)
def test_a_contradiction_is_refused_where_it_stands(path: str, pair: PairPolicy) -> None:
    assert path in paths(pair)


def test_a_witness_that_answers_as_late_as_it_may_is_accepted() -> None:
    assert paths(replace(GOOD, witnesses=(WitnessPolicy(name="x", timeout_s=11.0),))) == []


def test_a_failover_needs_a_neutral_anchor() -> None:
    own = AnchorPolicy(address="a:1", place="own")
    assert violations(policy_of(GOOD, anchors=(own,)))[0].path == "self_check.anchors"
    assert violations(policy_of(replace(GOOD, levels=OBSERVE_ALL), anchors=())) == ()


def test_an_anchor_is_counted_once_and_stands_beside_a_cluster_that_exists() -> None:
    far = AnchorPolicy(address="b:1", place="near:north")
    near = AnchorPolicy(address="c:1", place="near:east")
    found = violations(policy_of(GOOD, anchors=(NEUTRAL, NEUTRAL, far, near)))
    assert [violation.path for violation in found] == ["self_check.anchors[2].place", "self_check.anchors"]


@pytest.mark.parametrize(
    ("ttl_h", "every_h", "expected"),
    [
        (768.0, 24.0, ["token_ttl"]),
        (120.0, 24.0, ["token_ttl"]),
        (119.0, 24.0, ["token_ttl", "token_ttl"]),
        (768.0, None, ["rotate_every", "token_ttl"]),
        (None, 24.0, ["token_ttl", "rotate_every"]),
    ],
    ids=["not there yet", "the shortest", "a warning that never ends", "the ttl alone", "the rotation alone"],
)
def test_minting_is_refused_until_it_is_there_and_its_rule_is_checked(
    ttl_h: float | None, every_h: float | None, expected: list[str]
) -> None:
    mints = CredentialPolicy(
        dr_operation_tokens=2,
        token_ttl_s=None if ttl_h is None else ttl_h * 3600.0,
        rotate_every_s=None if every_h is None else every_h * 3600.0,
    )
    assert paths(replace(GOOD, credentials=mints)) == [f"credentials.{key}" for key in expected]


@pytest.mark.parametrize(
    ("path", "pair"),
    [
        ("levels.accept_two_primaries_on_partition",
         replace(GOOD, levels=Levels(failover=Level.AUTO, accept_two_primaries_on_partition=True))),
        ("cluster.east.fence", fenced(GOES_ON, BLOCKS)),
        ("cluster.east.tls", with_east(is_tls_verified=False)),
        ("cluster.east.ignore", with_east(ignore=frozenset({NODE}))),
        ("credentials", replace(GOOD, credentials=CredentialPolicy(dr_operation_tokens=1))),
        ("timing.cooldown", timed(cooldown_s=0.0)),
    ],
)  # fmt: skip
def test_what_is_given_up_on_purpose_is_said(path: str, pair: PairPolicy) -> None:
    assert f"pair.prod.{path}" in [notice.path for notice in notices(policy_of(pair))]


def test_every_violation_says_where_what_and_how() -> None:
    broken = replace(fenced(FencePolicy(), GOES_ON), timing=Timing(interval_s=40.0), home=ClusterId("north"))
    for violation in violations(policy_of(broken, anchors=())):
        assert violation.path
        assert violation.wrong
        assert violation.way_out
