"""Whom a secondary finds: by addresses that it has learned, and what happens to whoever follows when roles change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.lab.asking import ATTEMPT, DR_STATUS, PROMOTE, UPDATE, Asker, asker
from tests.unit.lab.founding import decoded, generated_root
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.spec import ClusterSpec, WorldSpec
from watchdogd.lab.world import World

PERFORMANCE = "sys/replication/performance"


def dr(a: Asker, target: str) -> Any:
    return a.ask(target, DR_STATUS).data


def performance(a: Asker, target: str) -> Any:
    return a.ask(target, f"{PERFORMANCE}/status").data


@pytest.mark.parametrize(("discovers", "state"), [(True, "ready"), (False, "transient_failure")])
def test_a_secondary_that_knows_one_address_loses_its_primary_with_that_node(discovers: bool, state: str) -> None:
    """Failure mode 13."""
    a = asker(resolver_discover_servers=discovers)
    assert len(dr(a, "west/1")["known_primary_cluster_addrs"]) == (3 if discovers else 1)
    crashed = a.fault(FaultKind.CRASH, "node:east/1")
    a.wait(20)
    assert a.world.primary() == "east"
    assert dr(a, "west/1")["connection_state"] == state
    a.world.faults.clear(crashed)
    a.wait(20)
    assert dr(a, "west/1")["connection_state"] == state  # it is back, and a standby
    a.ask("east/2", "sys/step-down", "PUT", token=a.has["root_token"])
    a.wait(5)
    a.ask("east/3", "sys/step-down", "PUT", token=a.has["root_token"])
    a.wait(20)
    assert a.ask("east/1", "sys/leader").json["is_self"] is True
    assert dr(a, "west/1")["connection_state"] == "ready"


def test_a_standby_at_a_known_address_tells_where_the_active_node_is() -> None:
    a = asker()
    a.fault(FaultKind.CRASH, "node:east/3")
    a.wait(10)
    known = dr(a, "west/1")["known_primary_cluster_addrs"]
    assert len(known) == 2
    cut = a.fault(FaultKind.DROP, "repl:west>east")
    a.world.faults.clear(1)
    a.wait(5)
    a.fault(FaultKind.CRASH, "node:east/1")
    a.wait(10)
    assert dr(a, "west/1")["known_primary_cluster_addrs"] == known  # frozen
    a.world.faults.clear(cut)
    a.wait(10)
    assert dr(a, "west/1")["connection_state"] == "ready"


def test_the_third_cluster_of_a_set_needs_a_token_of_the_new_primary() -> None:
    a = asker(clusters="east west north")
    a.write("east/lb", "x")
    a.wait(1)
    a.fail_over("east", "west")
    a.wait(30)
    assert dr(a, "north/1")["connection_state"] != "ready"
    assert dr(a, "west/1")["known_secondaries"] == []
    assert a.update_primary("north", a.activation("west", "north-again")).status == 200
    a.wait(15)
    assert (dr(a, "north/1")["state"], dr(a, "north/1")["merkle_root"]) == (
        "stream-wals",
        dr(a, "west/1")["merkle_root"],
    )
    assert a.world.counts.writes_discarded == 0


# -------------------------------------------------------------------- a DR secondary of a performance cluster


class Four:
    """East is primary of both kinds: west follows it for disasters, north for performance."""

    def __init__(self, **knobs: object) -> None:
        specs = tuple(ClusterSpec(name=name, nodes=1) for name in ("east", "west", "north"))
        self.a = Asker(
            World(WorldSpec(clusters=specs, kind="none", knobs=replace(Knobs(auto_unseal=False), **knobs)), seed=1)
        )
        self.keys: dict[str, list[str]] = {}
        self.root: dict[str, str] = {}
        for name in ("east", "west", "north"):
            body = {"secret_shares": 5, "secret_threshold": 3}
            made = self.a.ask(f"{name}/1", "sys/init", "PUT", body=body).json
            self.keys[name], self.root[name] = made["keys"], made["root_token"]
            for key in made["keys"][:3]:
                self.a.post(f"{name}/1", "sys/unseal", {"key": key})
            self.a.wait(5)
        for kind, name in (("dr", "west"), ("performance", "north")):
            self.post("east", f"{kind}/primary/enable")
            self.follow(kind, "east", name, "secondary/enable")
        self.root["north"] = generated_root(self.a, "north/1", self.keys["east"])

    def post(self, cluster: str, verb: str, body: object = None) -> Any:
        said = self.a.post(f"{cluster}/1", f"sys/replication/{verb}", body or {}, token=self.root[cluster])
        assert said.status == 200, said.errors
        self.a.wait(15)
        return said.json

    def follow(self, kind: str, primary: str, name: str, verb: str, **body: object) -> None:
        made = self.post(primary, f"{kind}/primary/secondary-token", {"id": f"{name}-{kind}"})
        self.post(name, f"{kind}/{verb}", {"token": made["wrap_info"]["token"], **body})

    def operation_token(self, cluster: str) -> str:
        begun = self.a.post(f"{cluster}/1", ATTEMPT, {}).json
        for key in self.keys["east"][:3]:
            said = self.a.post(f"{cluster}/1", UPDATE, {"key": key, "nonce": begun["nonce"]}).json
        return decoded(said["encoded_token"], begun["otp"])

    def promote(self, cluster: str) -> None:
        said = self.a.post(f"{cluster}/1", PROMOTE, {"dr_operation_token": self.operation_token(cluster)})
        assert said.status == 200, said.errors
        self.a.wait(30)


def test_the_dr_secondary_of_a_performance_primary_becomes_one_and_its_secondaries_find_it() -> None:
    """DRDOC2 3.9, TRACE12."""
    f = Four()
    a = f.a
    assert performance(a, "west/1") == {"mode": "disabled"}
    assert a.post("east/1", "sys/mounts/kv", {"type": "kv"}, token=f.root["east"]).status == 204
    assert a.post("east/1", "kv/x", {"n": 1}, token=f.root["east"]).status == 204
    a.wait(2)
    before = performance(a, "east/1")
    a.fault(FaultKind.CRASH, "cluster:east")
    a.wait(5)
    f.promote("west")
    after = performance(a, "west/1")
    assert {key: after[key] for key in ("mode", "cluster_id", "known_secondaries")} == {
        key: before[key] for key in ("mode", "cluster_id", "known_secondaries")
    }
    shown = performance(a, "north/1")
    assert (shown["state"], shown["connection_state"], shown["secondary_id"]) == (
        "stream-wals",
        "ready",
        "north-performance",
    )
    assert shown["known_primary_cluster_addrs"] == [a.world.spec.cluster_addr("west/1")]
    assert a.post("north/1", "kv/y", {"n": 2}, token=f.root["north"]).status == 204
    a.wait(2)
    assert a.ask("west/1", "kv/y", token=f.root["east"]).data == {"n": 2}
    assert a.ask("north/1", "kv/x", token=f.root["north"]).data == {"n": 1}


def test_a_performance_primary_that_is_demoted_for_disasters_is_none_until_it_is_promoted_again() -> None:
    f = Four()
    before = performance(f.a, "east/1")
    f.post("east", "dr/primary/demote")
    assert performance(f.a, "east/1") == {"mode": "disabled"}
    f.promote("east")
    assert performance(f.a, "east/1")["cluster_id"] == before["cluster_id"]
    assert performance(f.a, "north/1")["connection_state"] == "ready"


def in_a_row(**knobs: object) -> Four:
    """North follows east for performance, and west follows north for disasters."""
    f = Four(**knobs)
    f.root["west"] = f.root["east"]
    f.a.post("west/1", "sys/replication/dr/secondary/disable", {"dr_operation_token": f.operation_token("west")})
    f.a.wait(10)
    f.post("north", "dr/primary/enable")
    f.follow("dr", "north", "west", "secondary/enable")
    assert f.a.post("east/1", "sys/mounts/kv", {"type": "kv"}, token=f.root["east"]).status == 204
    f.a.wait(10)
    return f


def test_who_follows_a_cluster_that_was_synced_compares_again() -> None:
    f = in_a_row(shipper_entries=8)
    cut = f.a.fault(FaultKind.DROP, "repl:north>east")
    for n in range(20):
        f.a.post("east/1", f"kv/{n}", {"n": n}, token=f.root["east"])
    f.a.wait(5)
    f.a.world.faults.clear(cut)
    f.a.wait(30)
    stores = [f.a.world.clusters[name].store for name in ("east", "north", "west")]
    assert len({store.shared_root for store in stores}) == 1
    assert dr(f.a, "west/1")["merkle_root"] == dr(f.a, "north/1")["merkle_root"]


def test_what_a_promoted_cluster_had_not_got_of_its_performance_primary_comes_from_there() -> None:
    f = in_a_row()
    west = f.a.world.clusters["west"]
    west.knobs = replace(west.knobs, stream_delay_s=25.0)
    f.a.post("east/1", "kv/late", {"n": 1}, token=f.root["east"])
    f.a.wait(12)
    assert f.a.ask("north/1", "kv/late", token=f.root["north"]).status == 200
    f.a.fault(FaultKind.CRASH, "cluster:north")
    f.a.wait(2)
    f.promote("west")
    assert west.store.shared_root == f.a.world.clusters["east"].store.shared_root


def test_the_dr_secondary_of_a_performance_secondary_follows_on_in_its_place() -> None:
    f = in_a_row()
    a = f.a
    a.fault(FaultKind.CRASH, "cluster:north")
    a.wait(5)
    f.promote("west")
    shown = performance(a, "west/1")
    assert (shown["mode"], shown["state"], shown["secondary_id"]) == ("secondary", "stream-wals", "north-performance")
    assert a.ask("west/1", "sys/mounts", token=f.root["north"]).status == 200
