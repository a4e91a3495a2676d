"""What a token may make of itself: children, renewals, uses, revocations; and what roles allow (TOKDOC, OBS)."""

from __future__ import annotations

import pytest

from tests.unit.lab.asking import Asker, Said, asker

CREATE = 'path "auth/token/create" { capabilities = ["update"] }\n'
CREATE += 'path "auth/token/create/*" { capabilities = ["update"] }\n'
CREATE += 'path "auth/token/create-orphan" { capabilities = ["update"] }\n'
SUDO = CREATE.replace('["update"]', '["update", "sudo"]')


def made(a: Asker, token: str = "", path: str = "create", **body: object) -> Said:
    return a.post("east/1", f"auth/token/{path}", body, token=token or a.has["root_token"])


def token_of(said: Said) -> str:
    assert said.status == 200, said.exchange.body
    return str(said.json["auth"]["client_token"])


def caller(a: Asker, policy: str, **body: object) -> str:
    a.ask("east/1", "sys/policies/acl/caller", "PUT", token=a.has["root_token"], body={"policy": policy})
    return token_of(made(a, policies=["caller"], ttl="1h", **body))


def looked_up(a: Asker, token: str) -> Said:
    return a.ask("east/1", "auth/token/lookup-self", token=token)


def test_a_child_has_no_policy_that_its_parent_lacks() -> None:
    a = asker()
    token = caller(a, CREATE)
    for policy in ("root", "clients"):
        said = made(a, token, policies=[policy])
        assert (said.status, said.errors) == (400, ["child policies must be subset of parent"])
    assert made(a, token).json["auth"]["policies"] == ["caller", "default"]
    assert made(a, token, path="create-orphan", policies=["root"]).status == 400


def test_sudo_gives_any_policy_but_root() -> None:
    a = asker()
    token = caller(a, SUDO)
    assert made(a, token, policies=["clients"]).json["auth"]["policies"] == ["clients", "default"]
    said = made(a, token, policies=["root"])
    assert said.errors == ["root tokens may not be created without parent token being root"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"no_parent": True}, "root or sudo privileges required to create orphan token"),
        ({"period": "1h"}, "root or sudo privileges required to create periodic token"),
        ({"id": "mine"}, "root or sudo privileges required to specify token id"),
    ],
)
def test_what_needs_sudo_is_refused_without_it(body: dict[str, object], text: str) -> None:
    a = asker()
    assert made(a, caller(a, CREATE), **body).errors == [text]
    assert made(a, caller(a, SUDO), **body).status == 200


def test_an_orphan_may_be_made_by_its_own_path_without_sudo() -> None:
    a = asker()
    assert made(a, caller(a, CREATE), path="create-orphan").json["auth"]["orphan"] is True


def role(a: Asker, **fields: object) -> None:
    said = a.post("east/1", "auth/token/roles/r", fields, token=a.has["root_token"])
    assert said.status == 204, said.exchange.body


def test_a_role_limits_what_its_tokens_may_have() -> None:
    a = asker()
    role(a, allowed_policies="a,b", disallowed_policies=["c"])
    assert made(a, path="create/r").json["auth"]["policies"] == ["a", "b", "default"]
    assert made(a, path="create/r", policies=["a"]).json["auth"]["policies"] == ["a", "default"]
    assert "must be subset of the role's allowed policies" in made(a, path="create/r", policies=["root"]).errors[0]
    assert "must be subset of the role's allowed policies" in made(a, path="create/r", policies=["c"]).errors[0]


def test_a_role_gives_more_than_its_caller_has_but_never_root() -> None:
    a = asker()
    role(a, allowed_policies="clients")
    assert made(a, caller(a, CREATE), path="create/r").json["auth"]["policies"] == ["clients", "default"]
    role(a, allowed_policies="root")
    assert made(a, caller(a, CREATE), path="create/r").status == 400


def test_globs_of_a_role_allow_and_forbid() -> None:
    a = asker()
    role(a, allowed_policies_glob="dev-*", disallowed_policies_glob="dev-x*")
    assert made(a, path="create/r", policies=["dev-1"]).json["auth"]["policies"] == ["default", "dev-1"]
    assert made(a, path="create/r", policies=["dev-x1"]).errors == ['token policy "dev-x1" is disallowed by this role']
    assert made(a, path="create/r").json["auth"]["policies"] == ["default"]


def test_a_role_without_policies_leaves_the_rule_of_subsets() -> None:
    a = asker()
    role(a, orphan=True)
    said = made(a, caller(a, CREATE), path="create/r", policies=["clients"])
    assert said.errors == ["child policies must be subset of parent"]


def test_a_role_says_suffix_uses_period_and_longest_life() -> None:
    a = asker()
    role(a, path_suffix="x", token_num_uses=2, token_explicit_max_ttl="2h")
    said = made(a, path="create/r", ttl="5h", explicit_max_ttl="10h")
    assert said.json["warnings"][0].endswith("using the lesser value of 7200 seconds")
    assert said.json["warnings"][1].startswith('TTL of "5h" exceeded the effective max_ttl of "2h"')
    assert (said.json["auth"]["lease_duration"], said.json["auth"]["num_uses"]) == (7200, 2)
    assert looked_up(a, token_of(said)).data["path"] == "auth/token/create/r/x"


@pytest.mark.parametrize(
    "fields",
    [
        {"token_type": "batch"},
        {"token_type": "batch", "orphan": True},
        {"token_type": "batch", "orphan": True, "renewable": False, "token_period": "1h"},
        {"token_type": "strange"},
        {"token_period": "1x"},
        {"token_num_uses": "x"},
        {"orphan": "perhaps"},
    ],
)
def test_a_role_that_cannot_be_is_refused(fields: dict[str, object]) -> None:
    a = asker()
    assert a.post("east/1", "auth/token/roles/r", fields, token=a.has["root_token"]).status == 400
    assert a.ask("east/1", "auth/token/roles/r", token=a.has["root_token"]).status == 404


NOTHING_ASKED = {
    "ttl": "1h",
    "explicit_max_ttl": "0s",
    "period": "0s",
    "num_uses": 0,
    "display_name": "",
    "entity_alias": "",
}


def test_a_batch_token_may_be_asked_for_as_the_command_line_does_with_zeros_for_what_nobody_asked() -> None:
    a = asker()
    role(a, token_type="batch", allowed_policies=["clients"], orphan=True, renewable=False)
    by_role = made(a, path="create/r", **NOTHING_ASKED, renewable=True, type="service")
    assert by_role.json["auth"]["token_type"] == "batch"
    assert made(a, **NOTHING_ASKED, type="batch", policies=["clients"]).status == 200
    for name, value in {"explicit_max_ttl": "5m", "period": "1h", "num_uses": 1}.items():
        said = made(a, path="create/r", **{**NOTHING_ASKED, name: value})
        assert (said.status, said.errors) == (400, [f'batch tokens cannot have "{name}" set'])


def test_a_token_is_renewed_within_its_longest_life() -> None:
    a = asker()
    token = token_of(made(a, policies=["default"], ttl="1h", explicit_max_ttl="2h"))
    a.wait(600)
    assert looked_up(a, token).data["ttl"] < 3600
    said = a.post("east/1", "auth/token/renew-self", {}, token=token)
    assert said.json["auth"]["lease_duration"] == 3600
    said = a.post("east/1", "auth/token/renew-self", {"increment": "5h"}, token=token)
    assert said.json["auth"]["lease_duration"] == pytest.approx(6600, abs=2)
    assert "exceeded the effective max_ttl" in said.json["warnings"][0]
    a.wait(6000)
    assert looked_up(a, token).status == 200
    a.wait(700)
    assert looked_up(a, token).status == 403


def test_a_periodic_token_lives_from_renewal_to_renewal() -> None:
    a = asker()
    token = token_of(made(a, policies=["default"], period="10m"))
    for _ in range(3):
        a.wait(500)
        said = a.post("east/1", "auth/token/renew-self", {"increment": "5h"}, token=token)
        assert said.json["auth"]["lease_duration"] == 600
    a.wait(601)
    assert looked_up(a, token).status == 403


def test_a_renewal_goes_over_to_the_secondary() -> None:
    a = asker()
    token = token_of(made(a, policies=["default"], ttl="100s"))
    a.wait(50)
    a.post("east/1", "auth/token/renew-self", {"increment": "1h"}, token=token)
    a.wait(5)
    a.fail_over("east", "west")
    a.wait(100)
    assert a.ask("west/1", "auth/token/lookup-self", token=token).status == 200


def test_uses_are_counted_and_the_last_one_ends_the_token() -> None:
    a = asker()
    token = token_of(made(a, policies=["default"], num_uses=3))
    assert [looked_up(a, token).data["num_uses"] for _ in range(2)] == [2, 1]
    assert a.ask("east/1", "sys/mounts", token=token).status == 403
    assert looked_up(a, token).status == 403


def test_a_token_of_few_uses_makes_no_children() -> None:
    a = asker()
    said = made(a, caller(a, CREATE, num_uses=5))
    assert said.errors == ["restricted use token cannot generate child tokens"]


def test_revoking_takes_the_children_along_or_leaves_them_as_orphans() -> None:
    a = asker()
    for path, status in (("revoke", 403), ("revoke-orphan", 200)):
        parent = token_of(made(a, policies=["root"], ttl="1h"))
        child = token_of(made(a, parent, policies=["root"], ttl="1h"))
        grandchild = token_of(made(a, child, policies=["default"], ttl="1h"))
        assert a.post("east/1", f"auth/token/{path}", {"token": parent}, token=a.has["root_token"]).status == 204
        assert [looked_up(a, token).status for token in (parent, child, grandchild)] == [403, status, status]


def test_an_accessor_stands_for_a_token_that_it_does_not_show() -> None:
    a = asker()
    said = made(a, policies=["default"], ttl="1h")
    token, accessor = token_of(said), said.json["auth"]["accessor"]
    root = a.has["root_token"]
    assert accessor in a.ask("east/1", "auth/token/accessors", "LIST", token=root).data["keys"]
    assert a.post("east/1", "auth/token/lookup-accessor", {"accessor": accessor}, token=root).data["id"] == ""
    renewed = a.post("east/1", "auth/token/renew-accessor", {"accessor": accessor}, token=root)
    assert renewed.json["auth"]["client_token"] == ""
    body = {"accessor": accessor, "path": "auth/token/lookup-self"}
    assert a.post("east/1", "sys/capabilities-accessor", body, token=root).data["capabilities"] == ["read"]
    assert a.post("east/1", "auth/token/revoke-accessor", {"accessor": accessor}, token=root).status == 204
    assert looked_up(a, token).status == 403


def test_listing_accessors_and_orphaning_need_sudo() -> None:
    a = asker()
    text = 'path "auth/token/accessors" { capabilities = ["list"] }\n'
    text += 'path "auth/token/revoke-orphan" { capabilities = ["update"] }'
    token = caller(a, text)
    assert a.ask("east/1", "auth/token/accessors", "LIST", token=token).status == 403
    assert a.post("east/1", "auth/token/revoke-orphan", {"token": token}, token=token).status == 403
