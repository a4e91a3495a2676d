"""generate-operation-token from real shares, in Vault's words; batch tokens; what proves them (section 4)."""

import base64
from typing import Any

import pytest

from tests.support.vectors import vector
from tests.unit.lab.asking import ATTEMPT, AUTOPILOT, PROMOTE, UPDATE, Asker, Said, asker
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knobs import TokenEnvelope

DELETE_TOKEN = "sys/replication/dr/secondary/operation-token/delete"
ROOT_ATTEMPT, ROOT_UPDATE = "sys/generate-root/attempt", "sys/generate-root/update"
BAD_SHARE = "22" * 33


def start(a: Asker, target: str = "west/1", **headers: str) -> Any:
    return a.ask(target, ATTEMPT, "PUT", body={}, **headers).json


def submit(a: Asker, nonce: str, share: str, target: str = "west/1") -> Said:
    return a.ask(target, UPDATE, "PUT", body={"key": share, "nonce": nonce})


def decode(encoded: str, otp: str) -> str:
    raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(x ^ y for x, y in zip(raw, otp.encode(), strict=True)).decode()


def generate(a: Asker, target: str = "west/1") -> str:
    begun = start(a, target)
    for share in a.shares[:2]:
        submit(a, begun["nonce"], share, target)
    return decode(submit(a, begun["nonce"], a.shares[2], target).json["encoded_token"], begun["otp"])


def test_the_reference_s_own_example_decodes() -> None:
    example = vector("xor-decode-openbao")
    assert decode("KmM6Ug5XWn0JIlFtABNfGgEPMTUtZSVQIUw", "YMjkyok8YhbYHx0psMfsG2Iamz").startswith("s.")
    assert example.source


def test_an_idle_attempt_looks_as_observed() -> None:
    documented = vector("drop-attempt-idle-1.3").body
    shown = asker(version="1.3.0").ask("west/1", ATTEMPT).json
    assert (list(shown), shown | {"required": 1}) == (list(documented), documented)


def test_start_shows_the_otp_once_and_get_never_does() -> None:
    a = asker()
    begun = start(a)
    assert (begun["started"], len(begun["otp"]), begun["otp_length"]) == (True, 28, 28)
    again = a.ask("west/1", ATTEMPT).json
    assert (again["otp"], again["nonce"], again["progress"]) == ("", begun["nonce"], 0)


def test_three_right_shares_make_a_token_that_promotes() -> None:
    a = asker()
    token = generate(a, "west/2")  # forwarded to the active node
    assert token.startswith("hvs.")
    assert len(token) == 28
    assert a.post("west/1", PROMOTE, {"dr_operation_token": token}).status == 200


@pytest.mark.parametrize(("version", "prefix", "length"), [("1.9.0", "s.", 26), ("1.10.0", "hvs.", 28)])
def test_prefix_and_otp_length_change_with_1_10(version: str, prefix: str, length: int) -> None:
    token = generate(asker(version=version))
    assert (token[: len(prefix)], len(token)) == (prefix, length)


def test_without_tokens_that_carry_an_index_they_are_as_before_1_10() -> None:
    a = asker(version="1.19.0", server_side_consistent_tokens=False)  # VAULT_DISABLE_SERVER_SIDE_CONSISTENT_TOKENS
    begun = start(a)
    assert (begun["otp_length"], len(begun["otp"])) == (26, 26)
    a.ask("west/1", ATTEMPT, "DELETE")
    token = generate(a)
    made = a.post("east/1", "auth/token/create", {}, token=a.has["root_token"]).json["auth"]["client_token"]
    assert {(text[:2], len(text)) for text in (token, made, a.has["root_token"])} == {("s.", 26)}
    assert a.has["dr_token_a"].startswith("hvb.")
    assert a.post("west/1", PROMOTE, {"dr_operation_token": token}).status == 200


def test_encoded_tokens_are_unpadded_and_only_generate_root_fills_both_fields() -> None:
    a = asker()
    begun = start(a)
    for share in a.shares[:2]:
        submit(a, begun["nonce"], share)
    done = submit(a, begun["nonce"], a.shares[2]).json
    assert (done["complete"], done["progress"], done["otp"], done["otp_length"]) == (True, 3, "", 0)
    assert "=" not in done["encoded_token"]
    assert len(done["encoded_token"]) == 38
    assert done["encoded_root_token"] == ""
    assert a.ask("west/1", ATTEMPT).json["started"] is False


def test_shares_may_come_as_base64() -> None:
    a = asker()
    begun = start(a)
    for share in a.shares[:3]:
        said = submit(a, begun["nonce"], base64.b64encode(bytes.fromhex(share)).decode())
    assert said.json["complete"] is True


def test_a_second_attempt_is_refused() -> None:
    a = asker()
    start(a)
    said = a.ask("west/1", ATTEMPT, "PUT", body={})
    assert (said.status, said.errors) == (400, ["root generation already in progress"])


def test_an_update_without_an_attempt_is_refused() -> None:
    a = asker()
    assert submit(a, "x", a.shares[0]).errors == ["no root generation in progress"]


def test_a_wrong_nonce_is_answered_with_the_right_one() -> None:
    a = asker()
    nonce = start(a)["nonce"]
    said = submit(a, "bad", a.shares[0])
    assert said.errors == [f'incorrect nonce supplied; nonce for this root generation operation is "{nonce}"']


@pytest.mark.parametrize(
    "name", ["obs:obs2:gr update missing key", "obs:obs2:gr update bad b64", "obs:obs2:gr update short key"]
)
def test_bad_shares_are_refused_in_the_observed_words(name: str) -> None:
    a = asker()
    start(a)
    key = {"missing key": None, "bad b64": "!!", "short key": "AAAA"}[name.removeprefix("obs:obs2:gr update ")]
    body = {"nonce": "x"} | ({} if key is None else {"key": key})
    said = a.ask("west/1", UPDATE, "PUT", body=body)
    assert (said.status, said.json) == (400, vector(name).body)


def test_a_share_given_twice_is_refused() -> None:
    a = asker()
    nonce = start(a)["nonce"]
    submit(a, nonce, a.shares[0])
    said = submit(a, nonce, a.shares[0])
    assert said.errors == ["given key has already been provided during this generation operation"]


def test_a_too_long_share_is_refused() -> None:
    a = asker()
    start(a)
    assert submit(a, "x", base64.b64encode(b"x" * 40).decode()).errors == [
        "invalid key: key is longer than maximum 33 bytes"
    ]


def test_a_wrong_share_is_noticed_at_the_threshold_and_the_attempt_stays_open() -> None:
    a = asker()
    begun = start(a)
    nonce = begun["nonce"]
    submit(a, nonce, a.shares[0])
    assert submit(a, nonce, BAD_SHARE).json["progress"] == 2
    said = submit(a, nonce, a.shares[1])
    assert (said.status, said.json) == (400, vector("obs:obs2:gr update 3 -> mismatch").body)
    assert a.ask("west/1", ATTEMPT).json["progress"] == 0
    assert a.ask("west/1", ATTEMPT).json["nonce"] == nonce
    for share in a.shares[:3]:
        said = submit(a, nonce, share)
    assert decode(said.json["encoded_token"], begun["otp"]).startswith("hvs.")


def test_a_wrong_otp_length_is_refused() -> None:
    said = asker().ask("west/1", ATTEMPT, "PUT", body={"otp": "short"})
    assert (said.status, said.errors) == (400, ["OTP string is wrong length"])


@pytest.mark.parametrize(
    ("body", "text"),
    [({"otp": "short"}, "OTP string is wrong length"), ({"pgp_key": "none"}, "error parsing PGP key: ")],
)
def test_what_an_attempt_brings_is_looked_at_before_the_one_that_runs(body: dict[str, str], text: str) -> None:
    a = asker()  # GENROOT: GenerateRootInit asks for the slot last
    start(a)
    said = a.ask("west/1", ATTEMPT, "PUT", body=body)
    assert (said.status, said.errors[0].startswith(text)) == (400, True)


def test_the_nonce_is_asked_for_before_the_kind_of_the_attempt() -> None:
    a = asker(open_on_dr_secondary=frozenset({ROOT_UPDATE}))  # GENROOT: GenerateRootUpdate
    nonce = start(a)["nonce"]
    said = [a.ask("west/1", ROOT_UPDATE, "PUT", body={"key": a.shares[0], "nonce": n}) for n in ("bad", nonce)]
    assert said[0].errors == [f'incorrect nonce supplied; nonce for this root generation operation is "{nonce}"']
    assert said[1].errors[0].startswith("incorrect strategy supplied; ")


@pytest.mark.parametrize("method", ["PATCH", "LIST", "HEAD"])
@pytest.mark.parametrize(
    ("target", "path"), [("west/1", ATTEMPT), ("west/1", UPDATE), ("east/1", ROOT_ATTEMPT), ("east/2", ROOT_UPDATE)]
)
def test_another_verb_is_refused_without_words(target: str, path: str, method: str) -> None:
    said = asker().ask(target, path, method)  # GRHTTP111
    assert (said.status, said.json) == (405, {"errors": []})


def test_cancel_is_204_with_and_without_an_attempt() -> None:
    a = asker()
    assert a.ask("west/1", ATTEMPT, "DELETE").status == 204
    start(a)
    assert a.ask("west/1", ATTEMPT, "DELETE").status == 204
    assert a.ask("west/1", ATTEMPT).json["started"] is False


def test_an_attempt_is_lost_when_the_active_node_changes() -> None:
    a = asker()
    start(a)
    a.fault(FaultKind.CRASH, "node:west/1")
    a.wait(6)
    assert a.ask("west/2", ATTEMPT).json["started"] is False


def test_the_slot_is_shared_with_generate_root() -> None:
    a = asker()
    assert a.ask("east/1", ROOT_ATTEMPT, "PUT", body={}).status == 200
    nonce = a.ask("east/1", ROOT_ATTEMPT).json["nonce"]
    for share in a.shares[:3]:
        said = a.ask("east/1", ROOT_UPDATE, "PUT", body={"key": share, "nonce": nonce})
    assert said.json["encoded_root_token"] == said.json["encoded_token"] != ""


def test_a_generated_root_token_is_a_root_token() -> None:
    a = asker()
    begun = a.ask("east/1", ROOT_ATTEMPT, "PUT", body={}).json
    for share in a.shares[:3]:
        said = a.ask("east/1", ROOT_UPDATE, "PUT", body={"key": share, "nonce": begun["nonce"]})
    token = decode(said.json["encoded_token"], begun["otp"])
    data = a.ask("east/1", "auth/token/lookup-self", token=token).data
    assert set(data) == set(vector("obs:obs2:lookup-self generated root").body["data"])
    assert data["policies"] == ["root"]


def test_on_a_primary_there_is_no_operation_token_to_generate() -> None:
    assert asker().ask("east/1", ATTEMPT, "PUT", body={}).errors == ["Not a DR secondary."]


def test_from_2_0_on_it_needs_a_vault_token() -> None:
    a = asker(version="2.0.0")
    said = a.ask("west/1", ATTEMPT)
    assert (said.status, said.json) == (403, vector("generate-root-attempt-2.x-unauth").body)
    assert a.ask("west/1", ATTEMPT, "PUT", token="hvs.garbage", body={}).status == 403
    assert a.ask("west/1", ATTEMPT, "PUT", token=a.has["dr_token_a"], body={}).status == 200
    assert a.ask("west/1", ATTEMPT, token=a.has["root_token"]).json["started"] is True


def test_2_0_may_be_configured_open_and_a_1_19_may_have_the_back_port() -> None:
    assert asker(version="2.0.0", authenticated_op_token=False).ask("west/1", ATTEMPT).status == 200
    assert asker(version="1.19.0", authenticated_op_token=True).ask("west/1", ATTEMPT).status == 403


@pytest.mark.parametrize("opened", ["generate-operation-token", "generate-root"])
def test_2_0_may_be_told_which_of_the_two_asks_for_no_token(opened: str) -> None:
    a = asker(version="2.0.0", unauthenticated_access=frozenset({opened}))  # R2TEST, BG: families of their own
    said = {
        "generate-operation-token": a.ask("west/1", ATTEMPT).status,
        "generate-root": a.ask("east/1", ROOT_ATTEMPT).status,
    }
    assert said == dict.fromkeys(said, 403) | {opened: 200}


def test_the_authenticated_answer_may_sit_under_data() -> None:
    a = asker(version="2.0.0", op_token_envelope=TokenEnvelope.DATA)
    said = a.ask("west/1", ATTEMPT, "PUT", token=a.has["root_token"], body={})
    assert said.data["started"] is True
    assert "request_id" in said.json


def test_a_stale_token_on_the_open_endpoint_is_403() -> None:
    assert asker(version="1.19.0").ask("west/1", ATTEMPT, token="hvs.stale").status == 403


def test_a_deleted_operation_token_is_dead() -> None:
    a = asker()
    token = generate(a)
    assert a.post("west/1", DELETE_TOKEN, {"dr_operation_token": token}).status == 204
    assert a.post("west/1", PROMOTE, {"dr_operation_token": token}).status == 403


def test_to_delete_no_token_is_refused_as_to_promote_without_one() -> None:
    a = asker()
    said = [a.post("west/1", path, {}) for path in (DELETE_TOKEN, PROMOTE)]
    assert said[0].status == said[1].status == 400
    assert said[0].errors == said[1].errors == ["DR operation token was not provided"]


def test_after_promote_the_token_cannot_be_deleted_there() -> None:
    a = asker()
    token = generate(a)
    a.post("west/1", PROMOTE, {"dr_operation_token": token})
    a.wait(12)
    assert a.post("west/1", DELETE_TOKEN, {"dr_operation_token": token}).errors == ["Not a DR secondary."]


def test_a_second_token_replaces_the_first_unless_the_knob_says_otherwise() -> None:
    a, b = asker(), asker(new_op_token_revokes_previous=False)
    for each, status in ((a, 403), (b, 200)):
        first = generate(each)
        generate(each)
        assert each.post("west/1", PROMOTE, {"dr_operation_token": first}).status == status


def test_a_single_use_token_is_gone_after_its_use() -> None:
    a = asker(single_use_op_token=True)
    token = generate(a)
    body = {"dr_operation_token": token, "token": ""}
    path = "sys/replication/dr/secondary/update-primary"
    assert a.post("west/1", path, body).status == 200
    a.wait(5)
    assert a.post("west/1", path, body).status == 403


def test_autopilot_proves_a_batch_token_on_the_dr_secondary() -> None:
    a = asker()
    said = a.ask("west/2", AUTOPILOT, token=a.has["dr_token_a"])
    documented = vector("dr-secondary-autopilot-state-with-batch-token").body["data"]
    assert (said.status, set(documented) <= set(said.data)) == (200, True)
    assert set(next(iter(documented["servers"].values()))) == set(said.data["servers"]["west-1"])
    assert a.ask("west/1", AUTOPILOT).status == 403
    assert a.ask("west/1", AUTOPILOT, token=a.has["root_token"]).status == 403
    assert a.ask("east/1", AUTOPILOT, token=a.has["dr_token_a"]).status == 200


def test_autopilot_counts_the_nodes_that_are_left() -> None:
    a = asker()
    a.fault(FaultKind.CRASH, "node:west/3")
    data = a.ask("west/1", AUTOPILOT, token=a.has["dr_token_a"]).data
    assert (data["healthy"], data["failure_tolerance"]) == (False, 0)


def test_a_batch_token_ends_with_the_world_s_clock() -> None:
    a = asker(max_lease_ttl_s=3600.0)
    assert a.ask("west/1", AUTOPILOT, token=a.has["dr_token_a"]).status == 200
    a.wait(3600)
    assert a.ask("west/1", AUTOPILOT, token=a.has["dr_token_a"]).status == 403
    assert a.promote("west").status == 403


def test_a_batch_token_is_judged_by_the_clock_of_the_cluster_that_is_asked() -> None:
    a = asker(max_lease_ttl_s=3600.0)
    a.fault(FaultKind.CLOCK_SKEW, "cluster:west", seconds=4000.0)
    assert a.promote("west").status == 403


def test_the_fault_token_expired_refuses_batch_tokens_and_no_generated_one() -> None:
    a = asker()
    a.fault(FaultKind.TOKEN_EXPIRED, "cluster:west")
    assert a.promote("west").status == 403
    assert a.post("west/1", PROMOTE, {"dr_operation_token": generate(a)}).status == 200


def test_a_tampered_batch_token_is_refused() -> None:
    a = asker()
    text = a.has["dr_token_a"]
    forged = text[:-6] + ("A" if text[-6] != "A" else "B") + text[-5:]
    assert a.post("west/1", PROMOTE, {"dr_operation_token": forged}).status == 403
