"""Versions that do not fit: no cluster follows a newer one, and every cluster follows an older one (DRTUT)."""

from __future__ import annotations

import pytest

from tests.unit.lab.asking import UPDATE_PRIMARY, Asker, asker

REFUSED = ["cannot replicate from a primary of a newer version"]


def update_by_addresses(a: Asker, primary: str) -> tuple[int, object]:
    address = a.world.spec.cluster_addr(f"{primary}/1")
    body = {"dr_operation_token": a.has["dr_token_a"], "update_primary_addrs": [address]}
    said = a.post("west/1", UPDATE_PRIMARY, body)
    return said.status, said.json.get("errors")


def test_a_demoted_cluster_cannot_follow_the_newer_one_that_was_promoted() -> None:
    # DRTUT: "a demoted 1.11 cluster cannot follow a promoted 1.15 cluster". Failure mode 55.
    a = asker(versions="1.11.0 1.15.0")
    a.fail_over("east", "west")
    a.world.faults.clear()
    a.wait(1)
    a.demote("east")
    a.wait(5)
    said = a.update_primary("east", a.activation("west", "east-again"))
    assert (said.status, said.errors) == (400, REFUSED)
    a.wait(20)
    assert a.ask("east/1", "sys/replication/dr/status").data["state"] == "idle"


@pytest.mark.parametrize("versions", ["1.15.0 1.19.0", "1.15.3 1.15.1", "1.19.0 1.19.0"])
def test_an_older_primary_and_one_of_another_patch_level_are_followed(versions: str) -> None:
    a = asker(versions=versions)
    assert a.update_primary("west", a.activation("east", "anew")).status == 200
    assert update_by_addresses(a, "east")[0] == 500, "west is being rebuilt"
    a.wait(10)
    assert update_by_addresses(a, "east")[0] == 200


def test_a_newer_primary_is_refused_by_its_address_too_unless_the_knob_lets_it() -> None:
    assert update_by_addresses(asker(versions="2.0.0 1.19.0"), "east") == (400, REFUSED)
    assert update_by_addresses(asker(versions="2.0.0 1.19.0", follows_newer_primary=True), "east")[0] == 200


def test_the_lookup_of_an_activation_token_says_when_it_was_made() -> None:
    # Section 5: 200 {data: {creation_path, creation_time, creation_ttl}}.
    a = asker()
    told = a.post("east/1", "sys/wrapping/lookup", {"token": a.activation("east", "x")}).data
    assert told["creation_path"] == "sys/replication/dr/primary/secondary-token"
    assert (str(told["creation_time"]).endswith("Z"), told["creation_ttl"]) == (True, 1800)
