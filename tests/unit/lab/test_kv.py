"""Key-value secrets, where an answer depends on time, on the store, or on which cluster is asked.

What a single request answers is in tests/real/test_openbao.py, beside what a real server says to it.
"""

import pytest

from tests.unit.lab.asking import Asker, Said, asker
from watchdogd.lab.faults import FaultKind

MANY = "secret/data/many"


def ask(a: Asker, path: str, method: str = "GET", body: object = None, cluster: str = "east") -> Said:
    return a.ask(f"{cluster}/1", path, method, token=a.has["root_token"], body=body)


def written(a: Asker, count: int) -> None:
    for number in range(1, count + 1):
        assert ask(a, MANY, "POST", {"data": {"n": number}}).status == 200


def kept(a: Asker) -> list[str]:
    return list(ask(a, "secret/metadata/many").data["versions"])


def test_ten_versions_are_kept_unless_the_mount_or_the_secret_says_otherwise() -> None:
    a = asker()
    written(a, 12)
    assert kept(a) == [str(n) for n in range(3, 13)]
    assert ask(a, "secret/metadata/many").data["oldest_version"] == 3
    assert ask(a, "secret/metadata/many", "PUT", {"max_versions": 4}).status == 204
    written(a, 1)
    assert kept(a) == ["10", "11", "12", "13"]
    assert ask(a, "secret/config", "PUT", {"max_versions": 6}).status == 204
    written(a, 3)
    assert kept(a) == ["11", "12", "13", "14", "15", "16"], "the larger of the two"


def test_every_version_that_is_kept_can_be_read() -> None:
    a = asker()
    written(a, 3)
    read = [ask(a, f"{MANY}?version={n}").data for n in (1, 2, 3)]
    assert [r["data"] for r in read] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert [r["metadata"]["version"] for r in read] == [1, 2, 3]


def test_a_deleted_version_comes_back_and_a_destroyed_one_does_not() -> None:
    a = asker()
    written(a, 1)
    assert ask(a, MANY, "DELETE").status == 204
    gone = ask(a, MANY)
    assert (gone.status, gone.data["data"]) == (404, None)
    assert ask(a, "secret/undelete/many", "POST", {"versions": [1]}).status == 204
    assert ask(a, MANY).data["data"] == {"n": 1}
    assert ask(a, "secret/destroy/many", "POST", {"versions": [1]}).status == 204
    assert ask(a, "secret/undelete/many", "POST", {"versions": [1]}).status == 204
    gone = ask(a, MANY)
    assert (gone.status, gone.data["metadata"]["destroyed"]) == (404, True)


def test_a_version_is_deleted_by_itself_after_the_shorter_of_both_spans() -> None:
    a = asker()
    ask(a, "secret/config", "PUT", {"delete_version_after": "1m"})
    ask(a, "secret/metadata/many", "PUT", {"delete_version_after": "20s"})
    written(a, 1)
    a.wait(15)
    assert ask(a, MANY).status == 200
    a.wait(6)
    assert ask(a, MANY).status == 404
    ask(a, "secret/undelete/many", "POST", {"versions": [1]})
    a.wait(15)
    assert ask(a, MANY).status == 200, "it lives as long again"
    a.wait(6)
    assert ask(a, MANY).status == 404


def test_a_mount_that_requires_check_and_set_refuses_a_write_without_it() -> None:
    a = asker()
    ask(a, "secret/config", "PUT", {"cas_required": True})
    said = ask(a, MANY, "POST", {"data": {}})
    assert (said.status, said.errors) == (400, ["check-and-set parameter required for this call"])
    assert ask(a, MANY, "POST", {"data": {}, "options": {"cas": 0}}).status == 200
    assert ask(a, "secret/config", "PUT", {"cas_required": False}).status == 204
    assert ask(a, MANY, "POST", {"data": {}}).status == 200


def test_what_a_cluster_keeps_of_its_secrets_is_there_after_a_promotion() -> None:
    a = asker()
    written(a, 3)
    ask(a, "secret/metadata/many", "PUT", {"custom_metadata": {"owner": "me"}})
    ask(a, "secret/config", "PUT", {"max_versions": 7})
    ask(a, "secret/delete/many", "POST", {"versions": [2]})
    ask(a, "secret/destroy/many", "POST", {"versions": [1]})
    ask(a, "kv/deep/er", "PUT", {"a": "b"})
    ask(a, "cubbyhole/mine", "PUT", {"c": "d"})
    paths = ("secret/metadata/many", "secret/config", MANY, f"{MANY}?version=2", "kv/deep/er", "cubbyhole/mine")
    before = [(said.status, said.data) for said in (ask(a, path) for path in paths)]
    a.wait(2)
    a.fail_over("east", "west")
    assert [(said.status, said.data) for said in (ask(a, path, cluster="west") for path in paths)] == before


@pytest.mark.parametrize("method", ["GET", "LIST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["secret/data/x", "secret/metadata/x", "secret/config", "kv/x", "cubbyhole/x"])
def test_a_dr_secondary_answers_nothing_about_secrets(path: str, method: str) -> None:
    said = ask(asker(), path, method, {"data": {}}, cluster="west")
    assert (said.status, said.errors) == (400, ["path disabled in replication DR secondary mode"])


def test_a_cubbyhole_is_of_one_token_alone() -> None:
    a = asker()
    ask(a, "sys/policies/acl/own", "PUT", {"policy": 'path "cubbyhole/*" { capabilities = ["read"] }'})
    made = ask(a, "auth/token/create", "POST", {"policies": ["own"]}).json["auth"]["client_token"]
    ask(a, "cubbyhole/mine", "PUT", {"a": "b"})
    assert ask(a, "cubbyhole/mine").data == {"a": "b"}
    assert a.ask("east/1", "cubbyhole/mine", token=made).status == 404


def test_a_write_during_a_brown_out_is_refused_whatever_its_verb() -> None:
    a = asker()
    written(a, 1)
    a.fault(FaultKind.WRITES_FAIL, "node:east/1")
    for method in ("PUT", "PATCH", "DELETE"):
        assert ask(a, MANY, method, {"data": {}}).status == 500
    assert ask(a, MANY).data["data"] == {"n": 1}


@pytest.mark.parametrize("versions", ["x", "1,x", ["1", "\u00b2"], [None], [1.5], True])
def test_what_is_no_version_is_refused_by_its_place(versions: object) -> None:
    a = asker()
    written(a, 1)
    said = ask(a, "secret/destroy/many", "POST", {"versions": versions})
    assert said.status == 400
    assert "cannot parse value as 'int'" in said.errors[0]
    assert ask(a, MANY).status == 200
