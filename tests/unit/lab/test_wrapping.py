"""Response wrapping, where an answer depends on time, on what came before, or on which cluster is asked.

What a single request answers is in tests/real/test_openbao.py, beside what a real server says to it.
"""

from tests.unit.lab.asking import Asker, Said, asker

UNWRAP, LOOKUP, WRAP, REWRAP = (f"sys/wrapping/{verb}" for verb in ("unwrap", "lookup", "wrap", "rewrap"))
NOT_VALID = ["wrapping token is not valid or does not exist"]


def wrapped(a: Asker, ttl: str = "60s", body: object = None) -> str:
    headers = {"X-Vault-Wrap-TTL": ttl}
    said = a.ask("east/1", WRAP, "POST", token=a.has["root_token"], body=body or {"a": "b"}, headers=headers)
    assert (said.status, said.json["data"]) == (200, None)
    return said.json["wrap_info"]["token"]


def unwrap(a: Asker, token: str, cluster: str = "east") -> Said:
    return a.ask(f"{cluster}/1", UNWRAP, "PUT", token=token)


def test_an_answer_is_unwrapped_once() -> None:
    a = asker()
    token = wrapped(a, body={"a": {"b": 1}})
    assert token.startswith("hvs.")
    assert unwrap(a, token).data == {"a": {"b": 1}}
    again = unwrap(a, token)
    assert (again.status, again.errors) == (400, NOT_VALID)


def test_a_wrapping_token_ends_with_its_time_and_is_rewrapped_for_as_long_again() -> None:
    a = asker()
    first, second = wrapped(a, "20s"), wrapped(a, "20s")
    a.wait(15)
    said = a.post("east/1", REWRAP, {"token": second}, token=a.has["root_token"])
    third = said.json["wrap_info"]["token"]
    assert said.json["wrap_info"]["ttl"] == 20
    a.wait(6)
    assert [unwrap(a, token).status for token in (first, second)] == [400, 400]
    assert a.post("east/1", LOOKUP, {"token": third}).data["creation_ttl"] == 20
    assert unwrap(a, third).data == {"a": "b"}


def test_what_has_ended_is_not_kept_for_ever() -> None:
    a = asker()
    for _ in range(3):
        wrapped(a, "5s")
        a.wait(6)
    assert len(a.world.clusters["east"].store.keys("sys/wrapping/")) == 1


def test_a_wrapping_token_is_valid_at_the_other_cluster_after_a_promotion_and_not_before() -> None:
    a = asker()
    token = wrapped(a, "1h")
    a.wait(2)
    said = unwrap(a, token, "west")
    assert (said.status, said.errors) == (400, ["path disabled in replication DR secondary mode"])
    a.fail_over("east", "west")
    assert unwrap(a, token, "west").data == {"a": "b"}
    assert unwrap(a, token, "west").errors == NOT_VALID


def test_activation_tokens_are_looked_up_and_unwrapped_beside_all_others() -> None:
    a = asker()
    token, own = a.activation("east", "s1"), wrapped(a)
    assert a.post("east/1", LOOKUP, {"token": token}).data["creation_ttl"] == 1800
    assert unwrap(a, own).status == 200
    said = a.post("east/1", UNWRAP, {"token": token}, token=a.has["root_token"])
    assert (said.status, said.data["id"]) == (200, "s1")
    assert unwrap(a, token).errors == NOT_VALID


def test_a_secret_is_read_behind_a_token_and_a_refusal_in_the_open() -> None:
    a = asker()
    a.write("east/1", "x", 5)
    headers = {"X-Vault-Wrap-TTL": "60s"}
    said = a.ask("east/1", "secret/data/x", token=a.has["client_token"], headers=headers)
    assert said.json["wrap_info"]["creation_path"] == "secret/data/x"
    assert unwrap(a, said.json["wrap_info"]["token"]).data["data"] == {"number": 5}
    said = a.ask("east/1", "sys/mounts", token=a.has["client_token"], headers=headers)
    assert (said.status, said.errors) == (403, ["1 error occurred:\n\t* permission denied\n\n"])


def test_a_client_whose_write_is_answered_in_a_wrapping_was_told_that_it_is_done() -> None:
    a = asker()
    before = a.world.counts.acknowledged_writes
    said = a.ask(
        "east/1",
        "secret/data/x",
        "POST",
        token=a.has["client_token"],
        body={"data": {"number": 1}},
        headers={"X-Vault-Wrap-TTL": "60s"},
        place="clients",
    )
    assert said.json["wrap_info"]["token"]
    assert a.world.counts.acknowledged_writes == before + 1


def test_what_is_no_json_is_not_wrapped() -> None:
    a = asker()
    headers = {"X-Vault-Wrap-TTL": "60s"}
    said = a.ask("east/1", "sys/storage/raft/snapshot", token=a.has["root_token"], headers=headers)
    assert (said.status, said.exchange.body[:2]) == (200, b"\x1f\x8b")
