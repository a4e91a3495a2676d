"""What each fault does to requests, and whom it leaves alone."""

import json
from itertools import product

import pytest

from tests.unit.lab.asking import ATTEMPT, DR_STATUS, PROMOTE, Asker, asker
from watchdogd.lab.faults import Fault, FaultKind, FaultParamError
from watchdogd.lab.route import Route
from watchdogd.lab.routes import ROUTES
from watchdogd.lab.spec import ClusterSpec, WorldSpec
from watchdogd.lab.wire import Outcome, Place, Wire
from watchdogd.lab.world import World


def outcome(a: Asker, target: str, place: str = "bastion", path: str = "sys/health") -> Outcome:
    return a.ask(target, path, place=place).exchange.outcome


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (FaultKind.REFUSE, Outcome.REFUSE),
        (FaultKind.DROP, Outcome.DROP),
        (FaultKind.RESET, Outcome.RESET),
        (FaultKind.HANG, Outcome.HANG),
        (FaultKind.GARBAGE, Outcome.GARBAGE),
        (FaultKind.CRASH, Outcome.REFUSE),
    ],
)
def test_a_fault_on_a_node_is_seen_at_that_node_only(kind: FaultKind, seen: Outcome) -> None:
    a = asker()
    a.fault(kind, "node:east/2")
    assert (outcome(a, "east/2"), outcome(a, "east/3"), outcome(a, "west/2")) == (seen, Outcome.ANSWER, Outcome.ANSWER)


def test_garbage_is_raw_bytes() -> None:
    a = asker()
    a.fault(FaultKind.GARBAGE, "node:east/2", text="220 smtp ready\r\n")
    assert a.ask("east/2", "sys/health").exchange.body == b"220 smtp ready\r\n"


def test_a_blackout_swallows_everything_from_everywhere_and_the_inside_goes_on() -> None:
    a = asker()
    a.fault(FaultKind.BLACKOUT, "region:east")
    for place in Place:
        for target in ("east/1", "east/3", "east/lb"):
            assert outcome(a, target, place) is Outcome.DROP
    a.wait(60)
    assert a.world.clusters["east"].serving() is not None
    assert a.world.active_primaries() == ("east",)


def test_a_crashed_region_refuses_at_nodes_and_at_its_load_balancer() -> None:
    a = asker()
    a.fault(FaultKind.CRASH, "region:east")
    assert {outcome(a, t) for t in ("east/1", "east/2", "east/lb")} == {Outcome.REFUSE}


def test_a_link_fault_concerns_one_place() -> None:
    a = asker()
    a.fault(FaultKind.DROP, "link:bastion>east")
    assert outcome(a, "east/1", "bastion") is Outcome.DROP
    assert outcome(a, "east/lb", "bastion") is Outcome.DROP
    assert outcome(a, "east/1", "clients") is Outcome.ANSWER
    assert outcome(a, "west/1", "bastion") is Outcome.ANSWER
    a.wait(20)
    assert a.ask("west/1", DR_STATUS).data["connection_state"] == "ready"


def test_a_fault_may_be_narrowed_to_one_place() -> None:
    a = asker()
    a.fault(FaultKind.REFUSE, "cluster:east", place="clients")
    assert (outcome(a, "east/1", "clients"), outcome(a, "east/1", "bastion")) == (Outcome.REFUSE, Outcome.ANSWER)


def test_a_lost_bastion_region_sees_nothing_and_hurts_nobody() -> None:
    a = asker()
    a.fault(FaultKind.BLACKOUT, "region:bastion")
    assert {outcome(a, t) for t in ("east/1", "west/1")} == {Outcome.DROP}
    assert a.write("east/lb", "x").status == 200


def test_delay_adds_to_every_answer() -> None:
    a = asker()
    before = a.ask("east/1", "sys/health").exchange.delay_s
    a.fault(FaultKind.DELAY, "node:east/1", seconds=1.5)
    assert a.ask("east/1", "sys/health").exchange.delay_s == pytest.approx(before + 1.5)


def test_loss_drops_about_its_share_of_requests() -> None:
    a = asker()
    a.fault(FaultKind.LOSS, "cluster:east", probability=0.05)
    lost = sum(outcome(a, "east/1") is Outcome.DROP for _ in range(2000))
    assert 60 <= lost <= 140


def test_a_flapping_cluster_changes_its_active_node_again_and_again() -> None:
    a = asker(election_s=1.0)
    a.fault(FaultKind.FLAP, "cluster:east", every_s=10.0)
    seen = set()
    for _ in range(60):
        a.wait(1)
        node = a.world.clusters["east"].serving()
        seen.add(node.target if node else None)
    assert seen == {"east/1", "east/2", "east/3", None}


@pytest.mark.parametrize(("every_s", "serves"), [(10.0, 0.7), (5.0, 0.4), (2.0, 0.0)])
def test_of_the_time_between_two_losses_an_election_takes_its_part(every_s: float, serves: float) -> None:
    a = asker(election_s=3.0)
    a.fault(FaultKind.FLAP, "cluster:east", every_s=every_s)
    served = 0
    for _ in range(600):
        a.wait(0.1)
        served += a.world.clusters["east"].serving() is not None
    assert served / 600 == pytest.approx(serves, abs=0.03)


@pytest.mark.parametrize(("auto_unseal", "after"), [(True, 473), (False, 503)])
def test_a_node_that_a_fault_sealed_opens_by_itself_unless_its_seal_is_shamirs(auto_unseal: bool, after: int) -> None:
    a = asker(auto_unseal=auto_unseal)
    a.fault(FaultKind.SEAL, "node:east/2", for_s=5)
    a.wait(1)
    assert a.ask("east/2", "sys/health").status == 503
    a.wait(10)
    assert a.ask("east/2", "sys/health").status == after


def test_quorum_loss_leaves_a_cluster_without_an_active_node_until_it_ends() -> None:
    a = asker(election_s=3.0)
    a.fault(FaultKind.QUORUM_LOSS, "cluster:east", for_s=30)
    a.wait(20)
    assert a.world.clusters["east"].serving() is None
    a.wait(15)
    assert a.world.clusters["east"].serving() is not None


def test_an_election_takes_its_time() -> None:
    a = asker(election_s=3.0)
    a.fault(FaultKind.CRASH, "node:east/1")
    a.wait(2.9)
    assert a.world.clusters["east"].serving() is None
    a.wait(0.2)
    assert a.world.clusters["east"].serving().target == "east/2"


def test_a_strange_node_answers_another_body() -> None:
    a = asker()
    a.fault(FaultKind.STRANGE, "node:east/2", text="<html>login</html>", status=200)
    said = a.ask("east/2", "sys/health")
    assert (said.status, said.exchange.body) == (200, b"<html>login</html>")


def test_a_node_may_answer_as_another_cluster() -> None:
    a = asker()
    a.fault(FaultKind.STRANGE, "cluster:east", cluster_id="someone-else", set_id="another-set")
    assert a.ask("east/1", "sys/health").json["cluster_id"] == "someone-else"
    assert a.ask("east/1", DR_STATUS).data["cluster_id"] == "another-set"


def test_rate_limits_spare_health_and_hit_the_rest() -> None:
    a = asker()
    a.fault(FaultKind.RATE_LIMITED, "cluster:east")
    assert [a.ask("east/1", p).status for p in ("sys/health", "sys/seal-status", "sys/leader", DR_STATUS)] == [
        200,
        200,
        429,
        429,
    ]


@pytest.mark.parametrize("path", ["sys/init", ATTEMPT])
def test_rate_limits_do_not_spare_what_the_list_of_exempt_paths_leaves_out(path: str) -> None:
    # QUOTA: sys/generate-root is in the list, its counterpart on a DR secondary is not, nor is sys/init.
    a = asker()
    a.fault(FaultKind.RATE_LIMITED, "cluster:west")
    assert a.ask("west/1", path).status == 429
    assert a.ask("west/1", "sys/generate-root/attempt").status != 429


def test_a_node_may_say_active_while_it_cannot_say_who_is() -> None:
    a = asker()
    a.fault(FaultKind.ACTIVE_ERRS, "cluster:east")
    assert (a.ask("east/1", "sys/health").status, a.ask("east/1", "sys/leader").status) == (200, 500)


def test_brown_outs_leave_health_alone() -> None:
    a = asker()
    a.fault(FaultKind.WRITES_HANG, "cluster:east", for_s=10)
    assert a.ask("east/1", "sys/health").status == 200
    assert a.write("east/1", "x").exchange.outcome is Outcome.HANG
    a.wait(11)
    a.fault(FaultKind.WRITES_FAIL, "cluster:east")
    assert a.write("east/1", "x").status == 500


def test_a_lost_reply_was_applied_once() -> None:
    a = asker()
    a.fault(FaultKind.REPLY_LOST, "cluster:west", path=PROMOTE, method="POST", outcome="hang", times=1)
    assert a.promote("west").exchange.outcome is Outcome.HANG
    a.wait(12)
    assert a.world.primary() is None  # both are: nobody told east
    assert [e.verb for e in a.world.applied] == ["promote"]
    assert len(a.world.faults) == 0


def test_a_request_may_land_late() -> None:
    a = asker()
    a.fault(FaultKind.APPLIED_LATE, "node:west/1", path=PROMOTE, seconds=30.0, times=1)
    assert a.promote("west").exchange.outcome is Outcome.HANG
    a.wait(29)
    assert a.world.applied == []
    a.wait(2)
    assert [(e.verb, e.at_s) for e in a.world.applied] == [("promote", 37.0)]


def test_what_reached_a_node_is_kept_with_its_outcome() -> None:
    a = asker()
    a.promote("west")
    a.write("east/lb", "x")
    assert [(s.target, s.path, s.status) for s in a.world.sent] == [("west/1", PROMOTE, 200)]


def test_the_load_balancer_of_a_dr_secondary_has_an_empty_pool() -> None:
    said = asker().ask("west/lb", "sys/health")
    assert said.status == 503
    assert b"<html>" in said.exchange.body


def test_a_load_balancer_notices_a_promotion_at_its_next_check() -> None:
    a = asker(promote_s=2.0, lb_check_s=2.0)
    a.promote("west")
    a.wait(5)
    assert a.write("west/lb", "x").status == 200


def test_a_load_balancer_may_be_empty_or_fail_by_itself() -> None:
    a = asker()
    empty = a.fault(FaultKind.LB_EMPTY, "lb:east")
    assert a.write("east/lb", "x").status == 503
    a.world.faults.clear(empty)
    a.fault(FaultKind.LB_5XX, "lb:east", status=502)
    assert (a.write("east/lb", "x").status, a.ask("east/1", "sys/health").status) == (502, 200)


def test_a_fence_closes_the_client_network_and_nothing_else() -> None:
    a = asker()
    a.world.fence("east", True)
    assert a.world.is_fenced("east")
    assert {outcome(a, t, "clients") for t in ("east/1", "east/lb")} == {Outcome.DROP}
    assert outcome(a, "east/1", "bastion") is Outcome.ANSWER
    assert outcome(a, "west/1", "clients") is Outcome.ANSWER
    a.wait(20)
    assert a.ask("west/1", DR_STATUS).data["connection_state"] == "ready"
    a.world.fence("east", False)
    assert a.write("east/lb", "x").status == 200


def test_one_direction_of_the_replication_port_is_enough_to_stop_it() -> None:
    for target in ("repl:east>west", "repl:west>east"):
        a = asker()
        a.fault(FaultKind.REFUSE, target)
        a.wait(5)
        assert a.ask("west/1", DR_STATUS).data["connection_state"] == "transient_failure"


def test_a_fault_ends_by_itself() -> None:
    a = asker()
    a.fault(FaultKind.DROP, "cluster:east", for_s=5)
    assert outcome(a, "east/1") is Outcome.DROP
    a.wait(5.001)
    assert outcome(a, "east/1") is Outcome.ANSWER


def test_faults_can_be_cleared_by_kind_and_target() -> None:
    a = asker()
    a.fault(FaultKind.DROP, "cluster:east")
    a.fault(FaultKind.REFUSE, "cluster:west")
    assert a.world.faults.clear(kind=FaultKind.DROP) == 1
    assert a.world.faults.clear(target="cluster:nowhere") == 0
    assert (outcome(a, "east/1"), outcome(a, "west/1")) == (Outcome.ANSWER, Outcome.REFUSE)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (FaultKind.DELAY, "cluster:east"),
        (FaultKind.LOSS, "cluster:east"),
        (FaultKind.CLOCK_SKEW, "cluster:east"),
        (FaultKind.APPLIED_LATE, "cluster:east"),
        (FaultKind.SLOW_STORAGE, "cluster:east"),
        (FaultKind.SLOW_DNS, "dns"),
        (FaultKind.LB_RULE, "lb:east"),
        (FaultKind.CERTIFICATE, "cluster:east"),
    ],
)
def test_a_fault_that_lacks_what_it_needs_is_not_hung_up(kind: FaultKind, target: str) -> None:
    a = asker()
    with pytest.raises(FaultParamError):
        a.fault(kind, target)
    assert len(a.world.faults) == 0


def test_a_fault_without_its_number_says_what_it_needs() -> None:
    fault = Fault(kind=FaultKind.DELAY, target="cluster:east", params={"seconds": "soon"})
    with pytest.raises(FaultParamError, match="delay cluster:east needs a number for 'seconds'"):
        fault.number("seconds")


@pytest.mark.parametrize("target", ["nowhere/1", "east/9", "east", ""])
def test_an_address_that_nobody_has_refuses(target: str) -> None:
    wire = Wire(place="bastion", target=target, method="GET", path_and_query="/v1/sys/health")
    assert asker().world.exchange(wire, now_s=8.0).outcome is Outcome.REFUSE


def test_addresses_and_targets_are_the_same_thing() -> None:
    spec = WorldSpec(clusters=(ClusterSpec(name="east"), ClusterSpec(name="west", nodes=5)))
    assert spec.ip("bastion", "east/1") == "127.1.1.1"
    assert spec.ip("clients", "west/lb") == "127.2.2.100"
    assert spec.target_of("https://127.3.2.5:8200") == ("interior", "west/5")
    assert spec.target_of("127.2.1.100") == ("clients", "east/lb")
    assert [spec.target_of(x) for x in ("127.3.2.6", "127.4.1.1", "10.0.0.1", "vault.example.com")] == [None] * 4


def test_a_spec_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="different names"):
        WorldSpec(clusters=(ClusterSpec(name="east"), ClusterSpec(name="east")))
    with pytest.raises(ValueError, match="dr, performance or none"):
        WorldSpec(kind="both")


def test_time_does_not_go_back() -> None:
    world = World(WorldSpec(), seed=1)
    world.tick(10.0)
    world.tick(5.0)
    assert world.now_s == 10.0


FIELDS = (
    "key nonce otp pgp_key dr_operation_token token force id ttl policies type policy paths path role_id data options "
    "secondary_public_key primary_api_addr update_primary_addrs num_uses no_parent allowed_policies token_type reset"
).split()
ODD = (None, 3, -1, True, "", "x", "A" * 44, [], [1, None], {}, {"cas": "x"}, "\ud800", 1e308)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.pattern)
def test_no_body_makes_a_route_raise(route: Route) -> None:
    a = asker()
    path = route.pattern.replace("<kind>", "dr").replace("<name>", "x").replace("<role>", "watchdogd-dr")
    for odd, method, target in product(ODD, route.methods.split(), ("east/1", "west/2")):
        body = dict.fromkeys(FIELDS, odd)
        for each in (body, body | {"dr_operation_token": a.has["dr_token_a"]}):
            assert a.ask(target, path, method, token=a.has["root_token"], body=each).exchange.outcome is Outcome.ANSWER
            if any(cluster.serving() is None for cluster in a.world.clusters.values()):
                a.wait(15)


def test_no_bytes_make_the_world_raise() -> None:
    a = asker()
    for method in ("GET", "POST", "DELETE", "LIST", "HEAD", "BREW"):
        for path in ("/", "/ui/", "/v1/", "/v1/sys/%2e%2e/x?a=b&a", "/v1/" + "x" * 3000, "/v1/secret/data/x?list=true"):
            for body in (b"", b"{bad", b"[]", b"null", b"\xff\xfe", json.dumps({"data": 3, "ttl": "x"}).encode()):
                headers = {"X-Vault-Token": a.has["root_token"]}
                wire = Wire(
                    place="bastion", target="east/2", method=method, path_and_query=path, headers=headers, body=body
                )
                assert a.world.exchange(wire, now_s=a.world.now_s).outcome is Outcome.ANSWER
