"""The life of a pair from two empty clusters: enabled, used, demoted, promoted, disabled, enabled again (section 3)."""

from __future__ import annotations

import base64
import json

import pytest

from tests.support.likeness import differences
from tests.support.vectors import vector
from tests.unit.lab.founding import Founder, founder, generated_root
from watchdogd.lab.faults import FaultKind


def write(f: Founder, cluster: str, root: str, name: str, value: str) -> int:
    return f.a.post(f"{cluster}/1", f"kv/{name}", {"v": value}, token=f.has[root].root).status


def read(f: Founder, cluster: str, root: str, name: str) -> str | None:
    said = f.a.ask(f"{cluster}/1", f"kv/{name}", token=f.has[root].root)
    return said.data["v"] if said.status == 200 else None


def mount(f: Founder, cluster: str, root: str) -> None:
    assert f.a.post(f"{cluster}/1", "sys/mounts/kv", {"type": "kv"}, token=f.has[root].root).status == 204


def health(f: Founder, cluster: str) -> list[int]:
    return [f.a.ask(f"{cluster}/{n}", "sys/health").status for n in (1, 2, 3)]


def alike(name: str, said: object) -> list[str]:
    return differences(vector(name).body, said)


# ------------------------------------------------------------------------------------------------------- primary


def test_a_cluster_that_is_enabled_as_primary_says_so_as_recorded_and_begins_a_set() -> None:
    f = founder()
    said = f.post("east", "primary/enable", {}, root="east")
    assert alike("dr-primary-enable", said.json) == []
    assert f.a.ask("east/1", "sys/leader").json["is_self"] is False
    f.a.wait(5)
    status = f.status("east")
    assert (status["mode"], status["state"], status["known_secondaries"]) == ("primary", "running", [])
    assert f.a.ask("east/1", "sys/health").json["replication_dr_mode"] == "primary"
    assert (f.a.world.primary(), f.a.world.elected) == ("east", "east")


def test_the_address_for_secondaries_is_kept_and_told_on_both_sides() -> None:
    f = founder()
    address = f.a.world.spec.cluster_addr("east/lb")
    f.enable_primary(primary_cluster_addr=address)
    assert f.status("east")["primary_cluster_addr"] == address
    f.enable_secondary(f.activation())
    assert f.status("west")["primary_cluster_addr"] == address
    assert f.status("west")["state"] == "stream-wals"


def test_enabling_wants_a_token_that_may_and_refuses_what_is_enabled() -> None:
    f = founder(already_enabled_status=409, already_enabled_text="it is")
    assert f.post("east", "primary/enable", {}, root="").status == 403
    f.enable_primary()
    said = f.post("east", "primary/enable", {}, root="east")
    assert (said.status, said.errors) == (409, ["it is"])
    assert f.post("east", "secondary/enable", {"token": "x"}, root="east").status == 409


# ----------------------------------------------------------------------------------------------------- secondary


def test_a_secondary_is_wiped_and_has_the_keys_and_tokens_of_its_primary() -> None:
    f = founder()
    mount(f, "east", "east")
    mount(f, "west", "west")
    assert (write(f, "east", "east", "x", "of east"), write(f, "west", "west", "y", "of west")) == (204, 204)
    f.enable_primary()
    said = f.post("west", "secondary/enable", {"token": f.activation()}, root="west")
    assert alike("dr-secondary-enable", said.json) == []
    f.a.wait(10)
    east, west = f.status("east"), f.status("west")
    assert (west["mode"], west["state"], west["secondary_id"]) == ("secondary", "stream-wals", "west-1")
    assert (west["cluster_id"], west["merkle_root"]) == (east["cluster_id"], east["merkle_root"])
    assert east["known_secondaries"] == ["west-1"]
    assert east["secondaries"][0]["node_id"] == "west-1"
    f.operate("west", "secondary/promote")
    assert (read(f, "west", "east", "x"), read(f, "west", "east", "y")) == ("of east", None)
    assert f.a.ask("west/1", "auth/token/lookup-self", token=f.has["west"].root).status == 403


def test_standbys_of_a_new_secondary_seal_themselves_and_open_with_the_primarys_shares_only() -> None:
    f = founder()
    f.enable_primary()
    f.enable_secondary(f.activation())
    assert health(f, "west") == [472, 503, 503]
    assert f.unseal("west/2", f.has["west"].keys).status == 400
    assert f.unseal("west/2", f.has["east"].keys).json["sealed"] is False
    f.a.wait(3)
    assert health(f, "west") == [472, 472, 503]


def test_where_no_poison_pill_comes_the_standbys_stay_unsealed() -> None:
    f = founder(poison_pill=False)
    f.enable_primary()
    f.enable_secondary(f.activation())
    assert health(f, "west") == [472, 472, 472]


def test_a_secondary_whose_standbys_were_never_unsealed_is_promoted_to_one_node() -> None:
    """Failure mode 43: it serves, and the loss of that node is the loss of the cluster."""
    f = founder()
    f.enable_primary()
    f.enable_secondary(f.activation())
    assert f.operate("west", "secondary/promote").status == 200
    assert health(f, "west") == [200, 503, 503]
    f.a.fault(FaultKind.CRASH, "node:west/1")
    f.a.wait(30)
    assert f.a.world.clusters["west"].serving() is None


def test_what_was_written_to_a_cluster_before_it_was_wiped_is_counted_as_lost() -> None:
    f = founder()
    mount(f, "west", "west")
    path, token = "kv/x", f.has["west"].root
    f.a.ask("west/1", path, "POST", token=token, body={"v": "1"}, place="clients")
    assert (f.a.world.counts.acknowledged_writes, f.a.world.counts.acknowledged_writes_lost) == (1, 0)
    f.enable_primary()
    f.enable_secondary(f.activation())
    assert f.a.world.counts.acknowledged_writes_lost == 1


# ---------------------------------------------------------------------------------------------------- activation


def test_an_unwrapped_activation_token_is_the_bundle_that_was_recorded() -> None:
    f = founder()
    f.enable_primary()
    said = f.a.ask("east/1", "sys/wrapping/unwrap", "PUT", token=f.activation())
    recorded = vector("activation-unwrapped-bundle").body["data"]
    shown = said.data
    assert [*shown] == [*recorded]
    assert [*shown["client_key"]] == [*recorded["client_key"]]
    assert {name for name, value in shown.items() if value is None} == {n for n, v in recorded.items() if v is None}
    assert (shown["mode"], shown["cluster_id"]) == (recorded["mode"], f.status("east")["cluster_id"])
    assert base64.b64decode(shown["client_cert"])[0] == 0x30, "DER"


def test_the_claims_of_an_activation_token_are_those_that_were_recorded() -> None:
    f = founder()
    f.enable_primary()
    payload = f.activation().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    recorded = vector("activation-jwt-payload-1.10+").body
    assert [*claims] == [*recorded]
    assert (claims["exp"] - claims["iat"], claims["nbf"] - claims["iat"]) == (1800, -5)


def test_a_token_for_a_public_key_needs_no_call_and_is_read_by_its_owner_only() -> None:
    f = founder()
    f.enable_primary()
    key = f.post("west", "secondary/generate-public-key", {}, root="west").data["secondary_public_key"]
    strange = f.post("east", "secondary/generate-public-key", {}, root="east").data["secondary_public_key"]
    mine, yours = (f.activation(secondary_id=i, secondary_public_key=k) for i, k in (("w1", key), ("w2", strange)))
    shown = json.loads(base64.b64decode(mine))
    assert shown["client_key"] is None
    assert all(shown[name] for name in ("encrypted_client_key", "nonce", "primary_public_key"))
    f.a.fault(FaultKind.DROP, "link:west>east")
    assert f.enable_secondary(yours).errors == [f.a.world.spec.knobs.wrong_public_key_text]
    assert f.enable_secondary(mine).status == 200
    assert f.status("west")["state"] == "stream-wals"


def test_a_public_key_that_is_none_is_refused_and_leaves_no_id_behind() -> None:
    f = founder()
    f.enable_primary()
    body = {"id": "w1", "secondary_public_key": "AAAA"}
    assert f.post("east", "primary/secondary-token", body, root="east").status == 400
    assert f.status("east")["known_secondaries"] == []


def jwt(claims: object) -> str:
    text = claims if isinstance(claims, str) else json.dumps(claims)
    return f"x.{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}.x"


@pytest.mark.parametrize(
    "token",
    [
        jwt({"addr": 5}),
        jwt({"addr": None, "jti": []}),
        jwt({"addr": "https://127.3.1.1:8200", "jti": {}}),
        jwt([1]),
        jwt("[" * 100_000),
        jwt("no json"),
        "a.b.c",
        "..",
        "ü.ü.ü",
        base64.b64encode(b'{"encrypted_client_key": 5}').decode(),
        base64.b64encode(b"[" * 100_000).decode(),
    ],
)
def test_a_token_that_is_none_is_an_answer_and_never_a_crash(token: str) -> None:
    f = founder()
    f.enable_primary()
    assert f.post("west", "secondary/enable", {"token": token}, root="west").status == 500
    assert f.status("west") == {"mode": "disabled"}


def test_a_token_of_one_kind_does_not_enable_the_other() -> None:
    f = founder(wrong_kind_text="another kind")
    f.enable_primary()
    token = f.activation()
    path = "sys/replication/performance/secondary/enable"
    assert f.a.post("west/1", path, {"token": token}, token=f.has["west"].root).errors == ["another kind"]


def test_an_activation_token_that_wraps_something_else_is_refused() -> None:
    f = founder(no_bundle_text="no bundle")
    f.enable_primary()
    token = f.activation()
    found = next(iter(f.a.world.clusters["east"].wrappings.values()))
    found.data = {"id": "w1"}
    assert f.enable_secondary(token).errors == ["no bundle"]


def test_an_id_is_given_once_and_the_refusal_is_the_knobs() -> None:
    f = founder(duplicate_secondary_id_status=409, duplicate_secondary_id_text="taken")
    f.enable_primary()
    f.activation()
    said = f.post("east", "primary/secondary-token", {"id": "west-1"}, root="east")
    assert (said.status, said.errors) == (409, ["taken"])


# -------------------------------------------------------------------------------------------------------- revoking


def test_a_revoked_secondary_is_cut_off_and_comes_back_only_by_a_new_token_of_the_same_id() -> None:
    f = founder()
    f.make_a_pair()
    assert f.post("east", "primary/revoke-secondary", {"id": "west-1"}, root="east").status == 204
    f.a.wait(5)
    assert (f.status("west")["connection_state"], f.status("east")["secondaries"]) == ("transient_failure", [])
    token = f.activation()
    f.a.wait(5)
    assert f.status("west")["connection_state"] == "transient_failure", "the token was issued, and not used yet"
    assert f.status("east")["secondaries"] == []
    assert f.operate("west", "secondary/update-primary", token=token).status == 200
    assert f.status("west")["connection_state"] == "ready"


def test_a_token_whose_id_was_revoked_before_its_use_leads_to_a_link_that_never_comes_up() -> None:
    f = founder()
    f.enable_primary()
    token = f.activation()
    f.post("east", "primary/revoke-secondary", {"id": "west-1"}, root="east")
    assert f.enable_secondary(token).status == 200
    assert (f.status("west")["mode"], f.status("west")["connection_state"]) == ("secondary", "transient_failure")
    assert f.status("east")["known_secondaries"] == []


# ----------------------------------------------------------------------------------------------------- addresses


def test_update_primary_by_addresses_takes_the_first_that_answers() -> None:
    f = founder()
    f.make_a_pair()
    f.a.fault(FaultKind.CRASH, "node:east/3")
    f.a.wait(2)
    spec = f.a.world.spec
    addresses = ["https://127.9.9.9:8201", *(spec.cluster_addr(f"east/{n}") for n in (3, 2))]
    root_before = f.status("west")["merkle_root"]
    assert f.operate("west", "secondary/update-primary", update_primary_addrs=addresses).status == 200
    status = f.status("west")
    assert (status["primary_cluster_addr"], status["state"]) == (spec.cluster_addr("east/2"), "stream-wals")
    assert status["merkle_root"] == root_before


def test_update_primary_by_addresses_is_refused_with_a_token_with_nothing_and_where_nobody_answers() -> None:
    f = founder(addrs_refused_text="not both", addrs_invalid_text="no list", addrs_silent_text="silence")
    f.make_a_pair()
    verb, address = "secondary/update-primary", f.a.world.spec.cluster_addr("east/1")
    for body, text in [
        ({"update_primary_addrs": [address], "token": ""}, "not both"),
        ({"update_primary_addrs": []}, "no list"),
        ({"update_primary_addrs": address}, "no list"),
        ({"update_primary_addrs": ["https://127.9.9.9:8201", 5]}, "silence"),
    ]:
        assert f.operate("west", verb, **body).errors == [text]
    f.a.fault(FaultKind.DROP, "repl:west>east")
    assert f.operate("west", verb, update_primary_addrs=[address]).errors == ["silence"]


def test_update_primary_by_addresses_is_refused_on_a_demoted_cluster() -> None:
    f = founder(addrs_refused_text="a token, please")
    f.make_a_pair()
    f.post("east", "primary/demote", {}, root="east")
    f.a.wait(5)
    addresses = [f.a.world.spec.cluster_addr("west/1")]
    said = f.operate("east", "secondary/update-primary", update_primary_addrs=addresses)
    assert said.errors == ["a token, please"]


def test_an_address_that_is_none_of_the_primarys_never_connects_until_a_right_one_is_given() -> None:
    """Failure mode 9."""
    f = founder()
    f.enable_primary(primary_cluster_addr="https://vault-elsewhere.example.test:8201")
    f.enable_secondary(f.activation())
    f.a.wait(30)
    status = f.status("west")
    assert (status["primary_cluster_addr"], status["connection_state"]) == (
        "https://vault-elsewhere.example.test:8201",
        "transient_failure",
    )
    right = [f.a.world.spec.cluster_addr("east/1")]
    for number in (2, 3):
        f.unseal(f"west/{number}", f.has["east"].keys)
    assert f.operate("west", "secondary/update-primary", update_primary_addrs=right).status == 200
    assert f.status("west")["connection_state"] == "ready"


# ------------------------------------------------------------------------------------------------------ disabling


def test_a_primary_that_is_disabled_leaves_its_secondary_saying_what_was_recorded() -> None:
    f = founder()
    f.make_a_pair()
    said = f.post("east", "primary/disable", root="east")
    assert alike("dr-primary-disable", said.json) == []
    f.a.wait(30)
    assert f.status("east") == {"mode": "disabled"}
    recorded = vector("vguides-dr-secondary-after-primary-disabled").body["data"]["dr"]
    west = f.status("west")
    assert (west["mode"], west["state"]) == (recorded["mode"], recorded["state"])
    assert west["connection_state"] == "transient_failure"


def test_a_set_that_is_enabled_again_has_another_id_and_knows_nobody() -> None:
    f = founder()
    f.make_a_pair()
    before = f.status("east")["cluster_id"]
    f.post("east", "primary/disable", root="east")
    f.a.wait(5)
    f.enable_primary()
    f.activation()
    f.a.wait(10)
    assert (f.status("east")["cluster_id"] != before, f.status("west")["cluster_id"]) == (True, before)
    assert f.status("west")["connection_state"] == "transient_failure"


def test_a_secondary_is_disabled_by_an_operation_token_keeps_its_data_and_is_enabled_again() -> None:
    f = founder(disable_secondary_text="bye")
    mount(f, "east", "east")
    write(f, "east", "east", "x", "1")
    f.make_a_pair()
    assert f.post("west", "secondary/disable", {}, root="").status == 400
    assert f.post("west", "secondary/disable", {"dr_operation_token": f.has["east"].root}, root="").status == 403
    assert f.operate("west", "secondary/disable").json["warnings"] == ["bye"]
    assert f.status("west") == {"mode": "disabled"}
    assert (health(f, "west"), read(f, "west", "east", "x")) == ([200, 473, 473], "1")
    assert f.status("east")["known_secondaries"] == ["west-1"], "until somebody revokes it"
    assert f.enable_secondary(f.activation(secondary_id="west-2"), root="east").status == 200
    assert f.status("west")["state"] == "stream-wals"


def test_disable_on_the_wrong_side_is_refused_in_the_reported_words() -> None:
    f = founder(not_primary_text="no primary")
    f.enable_primary()
    said = f.post("east", "secondary/disable", {"dr_operation_token": "x"}, root="")
    assert (said.status, said.json) == (400, vector("dr-secondary-disable-on-primary").body)
    assert f.post("west", "primary/disable", root="west").errors == ["no primary"]


# ------------------------------------------------------------------------------------------------------ the story


def test_the_whole_life_of_a_pair() -> None:
    f = founder()
    mount(f, "east", "east")
    f.make_a_pair()
    write(f, "east", "east", "x", "1")
    f.a.wait(2)
    set_id, address = f.status("east")["cluster_id"], f.a.world.spec.cluster_addr("west/lb")

    assert f.post("east", "primary/demote", {}, root="east").status == 200
    assert f.operate("west", "secondary/promote", primary_cluster_addr=address).status == 200
    assert f.status("west")["primary_cluster_addr"] == address
    assert write(f, "west", "east", "x", "2") == 204
    token = f.activation("west", "east-1")
    assert f.operate("east", "secondary/update-primary", token=token).status == 200
    east = f.status("east")
    assert (east["state"], east["primary_cluster_addr"], east["cluster_id"]) == ("stream-wals", address, set_id)

    assert f.post("west", "primary/demote", {}, root="east").status == 200
    assert f.operate("east", "secondary/promote").status == 200
    assert (read(f, "east", "east", "x"), f.status("east")["primary_cluster_addr"]) == ("2", "")
    assert f.operate("west", "secondary/update-primary", token="").status == 200
    assert f.status("west")["state"] == "idle"
    assert f.operate("west", "secondary/disable").status == 200
    assert f.post("east", "primary/disable", root="east").status == 200
    f.a.wait(5)
    assert f.a.world.active_primaries() == ()

    f.enable_primary()
    assert f.status("east")["cluster_id"] != set_id
    assert f.enable_secondary(f.activation(), root="east").status == 200
    assert (f.status("west")["state"], f.a.world.primary()) == ("stream-wals", "east")
    assert f.a.world.counts.two_writable_primaries_s == 0.0


def test_performance_replication_has_the_same_roles_and_ids_and_takes_tokens_of_its_own() -> None:
    f = founder(kind="performance")
    f.make_a_pair()
    assert health(f, "west") == [200, 473, 473]
    assert f.a.ask("west/1", "sys/health").json["replication_performance_mode"] == "secondary"
    assert (f.a.world.kind, f.a.world.primary()) == ("performance", "east")
    assert f.post("west", "secondary/disable", {}, root="east").status == 403  # tokens do not go over
    f.has["west"].root = generated_root(f.a, "west/1", f.has["east"].keys)
    assert f.post("west", "secondary/disable", {}, root="west").status == 200
    f.a.wait(5)
    assert f.status("west") == {"mode": "disabled"}


def test_enabling_a_performance_secondary_answers_as_recorded() -> None:
    f = founder(kind="performance")
    f.enable_primary()
    token = f.activation()
    cut = f.a.fault(FaultKind.DROP, "link:west>east")
    recorded = vector("perf-secondary-enable-unwrap-unreachable").body["errors"][0]
    said = f.post("west", "secondary/enable", {"token": token}, root="west")
    assert (said.status, said.errors) == (500, [recorded.replace("10.0.104.139:8200", "127.3.1.1:8200")])
    f.a.world.faults.clear(cut)
    said = f.post("west", "secondary/enable", {"token": token}, root="west")
    assert alike("perf-secondary-enable", said.json) == []


def test_a_new_primary_may_have_no_tokens_for_secondaries_for_a_moment() -> None:
    f = founder(kind="performance", secondary_token_waits_s=20.0)
    f.enable_primary()
    said = f.post("east", "primary/secondary-token", {"id": "x"}, root="east")
    assert (said.status, alike("perf-promoted-412", said.json)) == (412, [])
    f.a.wait(20)
    assert f.post("east", "primary/secondary-token", {"id": "x"}, root="east").status == 200


@pytest.mark.parametrize(("remembers", "known"), [(True, ["west-1"]), (False, [])])
def test_a_cluster_that_is_primary_again_may_show_the_ids_of_before_and_lets_nobody_in(
    remembers: bool, known: list[str]
) -> None:
    f = founder(remembers_secondaries=remembers)
    f.make_a_pair()
    f.post("east", "primary/demote", {}, root="east")
    f.a.wait(5)
    f.operate("east", "secondary/promote")
    f.a.wait(10)
    assert f.status("east")["known_secondaries"] == known
    assert f.status("west")["connection_state"] == "transient_failure"


# ---------------------------------------------------------------------------------------------------------- seals


@pytest.mark.parametrize("west_is_auto", [True, False])
@pytest.mark.parametrize("east_is_auto", [True, False])
def test_whatever_the_seals_are_the_keys_of_the_primary_authorise_on_the_secondary(
    east_is_auto: bool, west_is_auto: bool
) -> None:
    """The table of section 4.4 (REPL-OV)."""
    f = founder(autos={"east": east_is_auto, "west": west_is_auto})
    f.enable_primary()
    assert f.enable_secondary(f.activation()).status == 200
    assert health(f, "west") == ([472, 472, 472] if west_is_auto else [472, 503, 503])
    if not west_is_auto:
        assert f.unseal("west/2", f.has["east"].keys).json["sealed"] is False
    assert f.operate("west", "secondary/promote").status == 200
