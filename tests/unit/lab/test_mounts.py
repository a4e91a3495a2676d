"""Mounts, where an answer depends on what was there before or on which cluster is asked.

What a single request answers is in tests/real/test_openbao.py, beside what a real server says to it.
"""

from tests.unit.lab.asking import Asker, Said, asker

KV2 = {"type": "kv-v2"}


def ask(a: Asker, path: str, method: str = "GET", body: object = None, cluster: str = "east") -> Said:
    return a.ask(f"{cluster}/1", path, method, token=a.has["root_token"], body=body)


def test_a_mount_keeps_its_secrets_apart_and_takes_them_with_it() -> None:
    a = asker()
    for path in ("team/a", "team/b"):
        assert ask(a, f"sys/mounts/{path}", "POST", KV2).status == 204
        assert ask(a, f"{path}/data/x", "POST", {"data": {"of": path}}).status == 200
        ask(a, f"{path}/config", "PUT", {"max_versions": 3})
    before = ask(a, "sys/mounts/team/a").data
    assert ask(a, "sys/mounts/team/a", "DELETE").status == 204
    assert ask(a, "team/b/data/x").data["data"] == {"of": "team/b"}
    assert ask(a, "sys/mounts/team/a", "POST", KV2).status == 204
    assert ask(a, "team/a/data/x").status == 404
    assert ask(a, "team/a/config").data["max_versions"] == 0
    after = ask(a, "sys/mounts/team/a").data
    assert (before["uuid"], before["accessor"]) != (after["uuid"], after["accessor"])


def test_a_mount_that_is_upgraded_keeps_its_secrets_as_first_versions() -> None:
    a = asker()
    ask(a, "kv/deep/er", "PUT", {"a": "b"})
    said = ask(a, "sys/mounts/kv/tune", "POST", {"options": {"version": "2"}})
    assert said.json["warnings"][0].startswith("Upgrading mount from version 1 to version 2.")
    assert ask(a, "kv/data/deep/er").data["data"] == {"a": "b"}
    assert ask(a, "kv/metadata/deep/er").data["current_version"] == 1
    assert ask(a, "sys/mounts/kv/tune", "POST", {"options": {"version": "1"}}).errors == [
        "cannot downgrade mount from version 2"
    ]


def test_a_mount_of_the_second_version_may_be_upgrading_for_a_moment() -> None:
    a = asker(kv_upgrade_s=1.5)  # OBS; the text is that of Vault's own engine
    upgrading = "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period"
    ask(a, "sys/mounts/made", "POST", KV2)
    ask(a, "sys/mounts/kv/tune", "POST", {"options": {"version": "2"}})
    for path in ("made", "kv"):
        said = ask(a, f"{path}/data/x", "POST", {"data": {}})
        assert (said.status, said.errors) == (400, [f"{upgrading} and will resume service shortly."])
    assert ask(a, "secret/data/x", "POST", {"data": {}}).status == 200
    ask(a, "sys/mounts/secret/tune", "POST", {"description": "as it was"})
    assert ask(a, "secret/data/x").status == 200
    a.wait(2)
    assert [ask(a, f"{path}/data/x", "POST", {"data": {}}).status for path in ("made", "kv")] == [200, 200]


def test_the_lease_of_a_secret_is_that_of_its_mount() -> None:
    a = asker()
    ask(a, "kv/x", "PUT", {"a": "b"})
    assert ask(a, "kv/x").json["lease_duration"] == 2764800
    ask(a, "sys/mounts/kv/tune", "POST", {"default_lease_ttl": "1h"})
    assert ask(a, "kv/x").json["lease_duration"] == 3600


def test_a_login_that_is_disabled_takes_its_roles_and_tokens_with_it() -> None:
    a = asker()
    login = {"role_id": a.has["role_id"], "secret_id": a.has["secret_id"]}
    token = a.post("east/1", "auth/approle/login", login).json["auth"]["client_token"]
    assert ask(a, "sys/auth/approle", "DELETE").status == 204
    assert a.ask("east/1", "auth/token/lookup-self", token=token).status == 403
    said = a.post("east/1", "auth/approle/login", login)
    assert (said.status, said.errors) == (403, ["permission denied"])
    assert "approle/" not in ask(a, "sys/auth").data
    assert ask(a, "sys/auth/approle", "POST", {"type": "approle"}).status == 204
    assert a.post("east/1", "auth/approle/login", login).errors == ["invalid role or secret ID"]
    assert ask(a, "auth/approle/role/r1", "POST", {"token_policies": "default"}).status == 204


def test_mounts_are_there_after_a_promotion_and_closed_before_it() -> None:
    a = asker()
    ask(a, "sys/mounts/team", "POST", {**KV2, "description": "ours"})
    ask(a, "sys/mounts/team/tune", "POST", {"default_lease_ttl": "1h"})
    ask(a, "sys/auth/people", "POST", {"type": "userpass"})
    ask(a, "sys/mounts/kv", "DELETE")
    paths = ("sys/mounts", "sys/auth", "sys/internal/ui/mounts", "sys/mounts/team/tune")
    before = [ask(a, path).data for path in paths]
    a.wait(2)
    assert [ask(a, path, cluster="west").status for path in paths] == [400] * len(paths)
    assert ask(a, "sys/mounts/more", "POST", KV2, cluster="west").status == 400
    a.fail_over("east", "west")
    assert [ask(a, path, cluster="west").data for path in paths] == before


def test_an_engine_that_is_listed_only_answers_nothing() -> None:
    a = asker()
    assert ask(a, "sys/mounts/pki", "POST", {"type": "pki"}).status == 204
    said = ask(a, "pki/ca")
    assert (said.status, said.errors) == (404, ["1 error occurred:\n\t* unsupported path\n\n"])
