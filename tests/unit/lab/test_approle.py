"""AppRole: what a secret id is good for, and for how long (OBS: OpenBao)."""

from __future__ import annotations

import pytest

from tests.unit.lab.asking import Asker, Said, asker

ROLE = "auth/approle/role/r"


def role(a: Asker, **fields: object) -> str:
    assert a.post("east/1", ROLE, fields, token=a.has["root_token"]).status == 204
    return str(a.ask("east/1", f"{ROLE}/role-id", token=a.has["root_token"]).data["role_id"])


def secret(a: Asker, **asked: object) -> str:
    return str(a.post("east/1", f"{ROLE}/secret-id", asked, token=a.has["root_token"]).data["secret_id"])


def login(a: Asker, role_id: str, secret_id: str, target: str = "east/1") -> Said:
    return a.post(target, "auth/approle/login", {"role_id": role_id, "secret_id": secret_id})


def test_a_secret_id_is_good_for_so_many_logins() -> None:
    a = asker()
    role_id = role(a, secret_id_num_uses=2)
    text = secret(a)
    assert [login(a, role_id, text).status for _ in range(3)] == [200, 200, 400]


def test_a_secret_id_is_good_for_so_long() -> None:
    a = asker()
    role_id = role(a, secret_id_ttl="10m")
    text = secret(a, ttl="5m")
    a.wait(250)
    assert login(a, role_id, text).status == 200
    a.wait(60)
    assert login(a, role_id, text).errors == ["invalid role or secret ID"]


def test_a_secret_id_is_of_one_role_only() -> None:
    a = asker()
    role(a)
    text = secret(a)
    assert login(a, a.has["role_id"], text).status == 400


def test_a_destroyed_secret_id_and_a_deleted_role_let_nobody_in() -> None:
    a = asker()
    role_id = role(a)
    first, second = secret(a), secret(a)
    root = a.has["root_token"]
    assert a.post("east/1", f"{ROLE}/secret-id/destroy", {"secret_id": first}, token=root).status == 204
    assert [login(a, role_id, text).status for text in (first, second)] == [400, 200]
    assert a.ask("east/1", ROLE, "DELETE", token=root).status == 204
    assert login(a, role_id, second).status == 400
    role(a, role_id=role_id)
    assert login(a, role_id, second).status == 400


def test_a_token_of_a_role_has_its_policies_uses_and_longest_life() -> None:
    a = asker()
    role_id = role(a, token_policies="clients", token_ttl="30m", token_max_ttl="1h", token_num_uses=9)
    auth = login(a, role_id, secret(a, metadata='{"k": "v"}')).json["auth"]
    assert (auth["policies"], auth["lease_duration"], auth["num_uses"]) == (["clients", "default"], 1800, 9)
    assert auth["metadata"] == {"k": "v", "role_name": "r"}
    renewed = a.post("east/1", "auth/token/renew-self", {"increment": "5h"}, token=auth["client_token"])
    assert renewed.json["auth"]["lease_duration"] == pytest.approx(3600, abs=1)


def test_a_role_may_hand_out_batch_tokens() -> None:
    a = asker()
    auth = login(a, role(a, token_type="batch"), secret(a)).json["auth"]
    assert (auth["token_type"], auth["renewable"]) == ("batch", False)


def test_a_login_works_after_a_failover() -> None:
    a = asker()
    role_id = role(a)
    text = secret(a)
    a.wait(1)
    a.fail_over("east", "west")
    assert login(a, role_id, text, "west/1").status == 200


def test_making_secret_ids_needs_rights() -> None:
    a = asker()
    role(a)
    for path in ("secret-id", "custom-secret-id", "secret-id/lookup", "secret-id-accessor/destroy"):
        assert a.post("east/1", f"{ROLE}/{path}", {"secret_id": "x"}, token=a.has["client_token"]).status == 403
