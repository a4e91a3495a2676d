"""Tokens, roles, policies, logins and secrets, in the shapes and words that were observed (section 8)."""

import base64
import json

import pytest

from tests.support.vectors import vector
from tests.unit.lab.asking import Asker, asker
from watchdogd.lab.routes import ROUTES, routes_of

ROLE = {"allowed_policies": "watchdogd-dr", "orphan": True, "renewable": False, "token_type": "batch"}


def root(a: Asker) -> str:
    return a.has["root_token"]


def test_a_role_makes_batch_tokens_as_observed() -> None:
    a = asker()
    assert a.post("east/1", "auth/token/roles/failover-handler", ROLE, token=root(a)).status == 204
    said = a.post("east/2", "auth/token/create/failover-handler", {"ttl": "8h"}, token=root(a))
    documented = vector("obs:obs3:role create batch").body["auth"]
    assert list(said.json["auth"]) == list(documented)
    made = said.json["auth"]
    assert {k: made[k] for k in ("accessor", "lease_duration", "renewable", "token_type", "orphan")} == {
        k: documented[k] for k in ("accessor", "lease_duration", "renewable", "token_type", "orphan")
    }
    assert made["client_token"].startswith("hvb.")


def test_a_batch_token_looks_itself_up_as_observed() -> None:
    a = asker()
    data = a.ask("east/1", "auth/token/lookup-self", token=a.has["dr_token_a"]).data
    documented = vector("obs:obs3:lookup-self batch").body["data"]
    assert list(data) == list(documented)
    assert (data["type"], data["accessor"], data["orphan"], data["renewable"]) == ("batch", "", True, False)


def test_two_batch_tokens_of_the_same_moment_differ() -> None:
    a = asker()
    made = [
        a.post("east/1", "auth/token/create/watchdogd-dr", {"ttl": "1h"}, token=root(a)).json["auth"]["client_token"]
        for _ in range(2)
    ]
    assert made[0] != made[1]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"type": "batch", "policies": ["default"], "num_uses": 2}, "obs:obs3:create batch num_uses"),
        (
            {"type": "batch", "policies": ["default"], "explicit_max_ttl": "1h"},
            "obs:obs3:create batch explicit_max_ttl",
        ),
        ({"type": "batch", "policies": ["root"]}, "obs:obs3:create batch root policy"),
    ],
)
def test_batch_tokens_that_vault_refuses_are_refused_in_its_words(body: dict[str, object], name: str) -> None:
    a = asker()
    said = a.post("east/1", "auth/token/create", body, token=root(a))
    assert (said.status, said.json) == (400, vector(name).body)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"policies": ["default"], "ttl": "100000h"}, "obs:obs3:create huge ttl"),
        ({"policies": ["nope"], "ttl": "1h"}, "obs:obs3:create unknown policy"),
    ],
)
def test_a_token_that_comes_out_otherwise_says_so(body: dict[str, object], name: str) -> None:
    a = asker()
    said = a.post("east/1", "auth/token/create", body, token=root(a)).json
    documented = vector(name).body
    assert said["warnings"] == documented["warnings"]
    assert said["auth"]["lease_duration"] == documented["auth"]["lease_duration"]


def test_a_batch_token_dies_with_its_parent_unless_it_is_an_orphan() -> None:
    a = asker()
    parent = a.post("east/1", "auth/token/create", {"policies": ["root"], "ttl": "1h"}, token=root(a))
    parent_token = parent.json["auth"]["client_token"]
    made = {
        path: a.post("east/1", path, {"type": "batch", "policies": ["default"]}, token=parent_token).json["auth"]
        for path in ("auth/token/create", "auth/token/create-orphan")
    }
    assert [m["orphan"] for m in made.values()] == [False, True]
    a.post("east/1", "auth/token/revoke-self", {}, token=parent_token)
    alive = [a.ask("east/1", "auth/token/lookup-self", token=m["client_token"]).status for m in made.values()]
    assert alive == [403, 200]


def test_a_batch_token_cannot_be_revoked_nor_make_tokens() -> None:
    a = asker()
    token = a.has["dr_token_a"]
    assert a.post("east/1", "auth/token/revoke-self", {}, token=token).json == vector("obs:obs3:revoke-self batch").body
    login = a.post("east/1", "auth/approle/login", {"role_id": a.has["role_id"], "secret_id": a.has["secret_id"]})
    assert login.status == 200
    minted = a.post("east/1", "auth/token/create/watchdogd-dr", {}, token=login.json["auth"]["client_token"])
    assert minted.json["auth"]["client_token"].startswith("hvb.")
    batch = a.post("east/1", "auth/token/create", {"type": "batch", "policies": ["root"]}, token=token)
    assert batch.status == 403


def test_a_service_token_made_in_time_is_replicated() -> None:
    a = asker()
    made = a.post("east/1", "auth/token/create", {"policies": ["root"], "ttl": "1h"}, token=root(a))
    a.wait(1)
    a.fail_over("east", "west")
    token = made.json["auth"]["client_token"]
    assert a.ask("west/1", "auth/token/lookup-self", token=token).status == 200


def test_approle_logs_in_as_observed_and_refuses_as_observed() -> None:
    a = asker()
    said = a.post("east/1", "auth/approle/login", {"role_id": a.has["role_id"], "secret_id": a.has["secret_id"]})
    assert set(said.json["auth"]) == set(vector("obs:obs5:approle login").body["auth"])
    bad = a.post("east/1", "auth/approle/login", {"role_id": a.has["role_id"], "secret_id": "bad"})
    assert (bad.status, bad.json) == (400, vector("obs:obs5:approle login bad secret").body)
    assert a.post("east/1", "auth/aws/login", {"role": "x"}).json == vector("obs:obs5:login unmounted").body


def test_an_approle_can_be_made_and_used() -> None:
    a = asker()
    a.post("east/1", "auth/approle/role/r1", {"token_policies": "default"}, token=root(a))
    role_id = a.ask("east/1", "auth/approle/role/r1/role-id", token=root(a)).data["role_id"]
    secret_id = a.post("east/1", "auth/approle/role/r1/secret-id", {}, token=root(a)).data["secret_id"]
    said = a.post("east/1", "auth/approle/login", {"role_id": role_id, "secret_id": secret_id})
    assert said.json["auth"]["policies"] == ["default"]


def test_capabilities_of_the_caller() -> None:
    a = asker()
    path = "sys/replication/dr/primary/demote"
    assert a.post("east/1", "sys/capabilities-self", {"paths": [path]}, token=a.has["dr_token_a"]).data == {
        path: ["update"],
        "capabilities": ["update"],
    }
    assert a.post("east/1", "sys/capabilities-self", {"path": "x"}, token=root(a)).data["capabilities"] == ["root"]
    assert a.post("east/1", "sys/capabilities-self", {"path": "x"}, token=a.has["dr_token_a"]).data["x"] == ["deny"]


def test_policies_are_written_read_listed_and_refused_as_observed() -> None:
    a = asker()
    text = 'path "a" { capabilities = ["read"] }'
    assert a.ask("east/1", "sys/policies/acl/p", "PUT", token=root(a), body={"policy": text}).status == 204
    assert a.ask("east/1", "sys/policies/acl/p", token=root(a)).data == {"name": "p", "policy": text}
    assert a.ask("east/1", "sys/policies/acl/nope", token=root(a)).json == vector("obs:obs3:policy read 404").body
    listed, listed_too = (
        a.ask("east/1", "sys/policies/acl", "LIST", token=root(a)),
        a.ask("east/1", "sys/policies/acl?list=true", token=root(a)),
    )
    assert listed.data == listed_too.data
    assert set(vector("obs:obs3:policy list").body["data"]) == set(listed.data)
    bad = a.ask("east/1", "sys/policies/acl/bad", "PUT", token=root(a), body={"policy": "path {"})
    assert (bad.status, bad.errors[0][:24]) == (400, "failed to parse policy: ")
    assert a.ask("east/1", "sys/policies/acl/p", "DELETE", token=root(a)).status == 204


def test_kv_version_2_reads_writes_and_deletes_as_observed() -> None:
    a = asker()
    path = "secret/data/foo"
    made = a.post("east/2", path, {"data": {"a": "b"}}, token=root(a))
    assert (made.status, made.data["version"]) == (200, 1)
    said = a.ask("east/1", path, token=root(a))
    assert said.data["data"] == {"a": "b"}
    assert set(said.data["metadata"]) == set(vector("obs:obs3:kv2 read").body["data"]["metadata"])
    cas = a.post("east/1", path, {"options": {"cas": 0}, "data": {"a": "c"}}, token=root(a))
    assert (cas.status, cas.json) == (400, vector("obs:obs3:kv2 write cas mismatch").body)
    assert a.post("east/1", path, {"a": "b"}, token=root(a)).json == vector("obs:obs3:kv2 write no data").body
    assert a.ask("east/1", path, "DELETE", token=root(a)).status == 204
    gone = a.ask("east/1", path, token=root(a))
    assert (gone.status, gone.data["data"]) == (404, None)
    assert a.ask("east/1", "secret/data/never", token=root(a)).json == {"errors": []}
    assert a.ask("east/1", "secret/metadata/", "LIST", token=root(a)).data == {"keys": ["foo"]}


def test_kv_version_1_reads_and_writes_as_observed() -> None:
    a = asker()
    assert a.ask("east/1", "kv/foo", "PUT", token=root(a), body={"a": "b"}).status == 204
    said = a.ask("east/1", "kv/foo", token=root(a)).json
    observed = vector("obs:obs3:kv1 read").body
    assert {k: v for k, v in said.items() if k != "request_id"} == {
        k: v for k, v in observed.items() if k != "request_id"
    }
    assert list(said) == list(observed)
    assert a.ask("east/1", "kv/foo", "PUT", token=root(a), body={}).json == vector("obs:obs3:kv1 empty write").body
    assert a.ask("east/1", "kv/", "LIST", token=root(a)).data == {"keys": ["foo"]}


def test_mounts_are_listed_made_and_refused_twice() -> None:
    a = asker()
    body = {"type": "kv", "options": {"version": "2"}}
    assert a.post("east/1", "sys/mounts/more", body, token=root(a)).status == 204
    again = a.post("east/1", "sys/mounts/more", body, token=root(a))
    assert (again.status, again.errors) == (400, ["path is already in use at more/"])
    listed = a.ask("east/1", "sys/mounts", token=root(a)).json
    assert set(listed["data"]) == {"kv/", "secret/", "more/", "cubbyhole/", "identity/", "sys/"}
    assert listed["more/"] == listed["data"]["more/"]


def test_errors_without_rights_are_those_that_were_observed() -> None:
    a = asker()
    assert a.ask("east/1", "sys/mounts").json == vector("obs:obs3:mounts no token").body
    assert a.ask("east/1", "sys/mounts", token=a.has["client_token"]).json == vector("obs:obs3:perm denied").body
    invalid = asker(version="1.15.0").ask("east/1", "auth/token/lookup-self", token="hvs.bad")
    assert invalid.json == vector("obs:obs2:lookup-self bad token").body
    assert a.ask("east/1", "auth/token/lookup-self", token="hvs.bad").errors == [
        "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"
    ]


def test_unknown_paths_and_verbs() -> None:
    a = asker()
    said = a.ask("east/1", "sys/nothing")
    assert (said.status, said.errors) == (403, ["permission denied"])
    said = a.ask("east/1", "sys/replication/nothing")
    assert (said.status, said.errors) == (404, ["unsupported path"])
    assert a.ask("east/1", "sys/nothing", token=root(a)).errors == ["1 error occurred:\n\t* unsupported path\n\n"]
    assert a.ask("east/1", "auth/token/create", token=root(a)).status == 405
    assert a.ask("east/1", "nowhere/x", token=root(a)).errors == [
        'no handler for route "nowhere/x". route entry not found.'
    ]
    assert (
        a.ask("east/1", "kv/x", "PUT", token=root(a), body=b"{bad").errors[0].startswith("failed to parse JSON input")
    )


def test_a_bearer_is_a_token_too() -> None:
    a = asker()
    said = a.ask("east/1", "auth/token/lookup-self", headers={"Authorization": f"Bearer {root(a)}"})
    assert said.status == 200


def test_a_standby_redirects_a_client_that_forbids_forwarding() -> None:
    a = asker()
    said = a.ask("east/2", "kv/x", token=root(a), headers={"X-Vault-No-Request-Forwarding": "1"})
    assert said.status == 307
    assert said.exchange.headers["Location"] == "https://127.3.1.1:8200/v1/kv/x"


def test_answers_carry_the_headers_that_were_observed_and_writes_an_index() -> None:
    a = asker()
    said = a.ask("east/1", "sys/health").exchange.headers
    assert (said["Cache-Control"], said["Content-Type"]) == ("no-store", "application/json")
    written = a.write("east/lb", "x").exchange.headers
    assert base64.b64decode(written["X-Vault-Index"])


def test_activation_tokens_are_three_part_jwts_with_the_documented_payload() -> None:
    a = asker()
    token = a.activation("east", "s1")
    parts = token.split(".")
    payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    assert list(payload) == list(vector("activation-jwt-payload-1.10+").body)
    assert payload["exp"] - payload["iat"] == 1800
    assert payload["nbf"] == payload["iat"] - 5
    assert payload["addr"] == "https://127.3.1.1:8200"
    looked = a.post("east/1", "sys/wrapping/lookup", {"token": token}).data
    assert looked["creation_ttl"] == 1800
    assert a.ask("east/1", "sys/wrapping/unwrap", "PUT", token=token).status == 200
    again = a.ask("east/1", "sys/wrapping/unwrap", "PUT", token=token)
    assert (again.status, again.json) == (400, vector("obs:obs4:unwrap header again").body)


def test_wrapped_answers_look_as_observed() -> None:
    a = asker()
    path = "sys/replication/dr/primary/secondary-token"
    said = a.post("east/1", path, {"id": "s1"}, token=root(a)).json
    observed = vector("obs:obs4:wrap create").body
    assert list(said) == list(observed)
    assert list(said["wrap_info"]) == list(observed["wrap_info"])
    assert said["request_id"] == ""


def test_step_down_and_seal_leave_a_cluster_to_its_other_nodes() -> None:
    a = asker()
    assert a.post("east/1", "sys/step-down", {}).status == 403
    assert a.post("east/1", "sys/step-down", {}, token=root(a)).status == 204
    assert a.ask("east/1", "kv/x", token=root(a)).errors == ["local node not active but active cluster node not found"]
    a.wait(1)
    assert a.world.clusters["east"].serving().target == "east/2"
    assert a.post("east/2", "sys/seal", {}, token=root(a)).status == 204
    assert a.ask("east/2", "sys/health").status == 503
    a.wait(5)
    assert a.world.clusters["east"].serving().target == "east/3"


def test_sealing_a_standby_seals_that_standby() -> None:
    a = asker()
    assert a.post("east/2", "sys/seal", {}, token=root(a)).status == 204
    assert [a.ask(f"east/{n}", "sys/seal-status").json["sealed"] for n in (1, 2, 3)] == [False, True, False]


def test_every_route_cites_where_it_is_written_down() -> None:
    assert all(route.source for route in ROUTES)
    assert len({(r.methods, r.pattern) for r in ROUTES}) == len(ROUTES)
    assert routes_of("sys/replication/none/status") == ()
