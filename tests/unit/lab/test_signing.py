"""What a cluster signs can be checked by anybody, and is checked by itself: JWTs, certificates, batch tokens."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.unit.lab.asking import PROMOTE, Asker, asker
from tests.unit.lab.founding import founder

NOT_SIGNED = (
    "error validating wrapping token: wrapping token signature could not be validated: "
    "go-jose/go-jose: error in cryptographic primitive"
)
SECONDARY_TOKEN = "sys/replication/dr/primary/secondary-token"
TYPED = {"wrapping": "", "something else": "error validating wrapping token: unexpected type claim"}


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signature_of(token: str) -> ec.EllipticCurvePublicNumbers:
    return raw(token.rpartition(".")[2])


def root(a: Asker) -> str:
    return a.has["root_token"]


def activation(a: Asker, cluster: str = "east", secondary_id: str = "more") -> str:
    said = a.post(f"{cluster}/1", SECONDARY_TOKEN, {"id": secondary_id}, token=root(a))
    return said.json["wrap_info"]["token"]


def unwrap(a: Asker, token: str, target: str = "east/1"):
    return a.ask(target, "sys/wrapping/unwrap", "PUT", token=token)


def changed(token: str) -> str:
    head, _, signature = token.rpartition(".")
    return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def is_signed_by(key: dict[str, object], token: str) -> bool:
    assert key["jwt_curve"] == "p521"
    numbers = ec.EllipticCurvePublicNumbers(int(key["jwt_x"]), int(key["jwt_y"]), ec.SECP521R1())
    signed, _, signature = token.rpartition(".")
    r, s = (int.from_bytes(half, "big") for half in (raw(signature)[:66], raw(signature)[66:]))
    numbers.public_key().verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA512()))
    return True


# ------------------------------------------------------------------------------------------------------------- JWTs


def test_an_activation_token_is_signed_by_the_key_that_the_cluster_tells_everybody() -> None:
    a = asker()
    token = activation(a)
    key = a.ask("east/2", "sys/wrapping/pubkey").data
    assert json.loads(raw(token.split(".")[0])) == {"alg": "ES512", "typ": "JWT"}
    assert len(raw(token.split(".")[2])) == 132
    assert is_signed_by(key, token)


def test_the_same_seed_signs_the_same_and_another_one_with_another_key() -> None:
    assert activation(asker()) == activation(asker())
    f = founder()
    keys = [f.a.ask(f"{cluster}/1", "sys/wrapping/pubkey").data["jwt_x"] for cluster in ("east", "west")]
    assert keys[0] != keys[1]


def test_a_changed_signature_is_refused_and_uses_nothing_up() -> None:
    a = asker()
    token = activation(a)
    assert (unwrap(a, changed(token)).status, unwrap(a, changed(token)).errors) == (403, [NOT_SIGNED])
    assert a.post("east/1", "sys/wrapping/lookup", {"token": changed(token)}).errors == [NOT_SIGNED]
    assert a.post("east/1", "sys/wrapping/rewrap", {"token": changed(token)}, token=root(a)).errors == [NOT_SIGNED]
    assert unwrap(a, token.rpartition(".")[0] + ".AAAA").errors == [NOT_SIGNED]
    assert unwrap(a, token.rpartition(".")[0] + ".A").errors == [NOT_SIGNED]
    assert unwrap(a, token).status == 200


def test_a_secondary_reports_the_status_line_of_a_primary_that_refuses_a_signature() -> None:
    a = asker()
    a.demote("east")
    a.wait(5)
    a.post("west/1", PROMOTE, {"dr_operation_token": a.has["dr_token_a"]})
    a.wait(15)
    said = a.update_primary("east", changed(activation(a, "west")))
    text = 'error response unwrapping secondary token; status code is 403, message is "403 Forbidden"'
    assert (said.status, said.errors) == (500, [text])


def test_a_wrapped_answer_as_jwt_is_signed_too() -> None:
    a = asker()
    headers = {"X-Vault-Wrap-TTL": "60s", "X-Vault-Wrap-Format": "jwt"}
    said = a.ask("east/1", "sys/wrapping/wrap", "PUT", token=root(a), body={"a": "b"}, headers=headers)
    token = said.json["wrap_info"]["token"]
    assert is_signed_by(a.ask("east/1", "sys/wrapping/pubkey").data, token)
    assert unwrap(a, changed(token)).errors == [NOT_SIGNED]
    assert unwrap(a, token).data == {"a": "b"}


def test_the_new_primary_checks_what_the_old_one_signed() -> None:
    """Its key came by replication; the token behind the JWT did not."""
    a = asker()
    token = activation(a)
    a.demote("east")
    a.wait(5)
    a.post("west/1", PROMOTE, {"dr_operation_token": a.has["dr_token_a"]})
    a.wait(15)
    assert unwrap(a, changed(token), "west/1").status == 403
    assert unwrap(a, token, "west/1").errors == ["wrapping token is not valid or does not exist"]


# ----------------------------------------------------------------------------------------------------- certificates


def test_the_certificate_of_a_bundle_is_of_the_authority_beside_it_and_for_the_key_beside_it() -> None:
    a = asker()
    bundle = unwrap(a, activation(a)).data
    authority, client = (
        x509.load_der_x509_certificate(base64.b64decode(bundle[n])) for n in ("ca_cert", "client_cert")
    )
    client.verify_directly_issued_by(authority)
    authority.verify_directly_issued_by(authority)
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    key = bundle["client_key"]
    numbers = ec.EllipticCurvePublicNumbers(key["x"], key["y"], ec.SECP521R1())
    assert client.public_key().public_numbers() == numbers
    assert ec.derive_private_key(key["d"], ec.SECP521R1()).public_key().public_numbers() == numbers


def test_every_bundle_has_a_certificate_of_its_own_and_its_set_one_authority_on_both_sides() -> None:
    a = asker()
    before = [unwrap(a, activation(a, secondary_id=name)).data for name in ("one", "two")]
    a.demote("east")
    a.wait(5)
    a.post("west/1", PROMOTE, {"dr_operation_token": a.has["dr_token_a"]})
    a.wait(15)
    bundles = [*before, unwrap(a, activation(a, "west", "three"), "west/1").data]
    assert len({b["client_cert"] for b in bundles}) == 3
    assert len({b["ca_cert"] for b in bundles}) == 1


# ------------------------------------------------------------------------------------------------- terms of the keyring


def batch_token(a: Asker) -> str:
    return a.post("east/1", "auth/token/create/watchdogd-dr", {}, token=root(a)).json["auth"]["client_token"]


def term_in(token: str) -> int:
    return int.from_bytes(raw(token.partition(".")[2])[:4], "big")


def is_good_for_promotion(a: Asker, token: str) -> bool:
    status = a.post("west/1", PROMOTE, {"dr_operation_token": token}).status
    assert status in (200, 403)
    return status == 200


def test_a_batch_token_is_of_the_term_that_sealed_it_and_outlives_it() -> None:
    a = asker()
    early = batch_token(a)
    assert a.ask("east/1", "sys/rotate", "PUT", token=root(a)).status == 204
    late = batch_token(a)
    assert (term_in(early), term_in(late)) == (1, 2)
    assert a.ask("east/1", "sys/key-status", token=root(a)).data["term"] == 2
    a.wait(1)
    assert is_good_for_promotion(a, early)


def test_a_batch_token_of_a_term_that_the_secondary_has_not_got_yet_is_worth_nothing_there() -> None:
    a = asker(stream_delay_s=60.0)
    a.ask("east/1", "sys/rotate", "PUT", token=root(a))
    late = batch_token(a)
    a.wait(5)
    assert not is_good_for_promotion(a, late)
    a.wait(120)
    assert is_good_for_promotion(a, late)


def test_where_a_rotation_ends_batch_tokens_only_those_of_the_newest_term_are_good() -> None:
    a = asker(rotation_ends_batch_tokens=True)
    early = batch_token(a)
    a.ask("east/1", "sys/rotate", "PUT", token=root(a))
    late = batch_token(a)
    a.wait(1)
    assert not is_good_for_promotion(a, early)
    assert is_good_for_promotion(a, late)


@pytest.mark.parametrize("term", [0, 2, 2**32 - 1])
def test_a_batch_token_of_a_term_that_nobody_made_is_no_token(term: int) -> None:
    a = asker()
    forged = raw(batch_token(a).partition(".")[2])
    text = base64.urlsafe_b64encode(term.to_bytes(4, "big") + forged[4:]).decode().rstrip("=")
    assert a.ask("east/1", "auth/token/lookup-self", token=f"hvb.{text}").status == 403


def test_a_performance_secondary_does_not_rotate() -> None:
    a = asker(kind="performance")
    said = a.ask("west/1", "sys/rotate", "PUT", token=a.has["root_token_west"])
    assert (said.status, said.errors) == (400, ["cannot rotate on a replication secondary"])


# ------------------------------------------------------------------------------------------------------ legacy paths


def test_a_path_without_a_kind_is_that_of_performance_replication() -> None:
    f = founder(kind="performance")
    paths = "sys/replication/primary/enable", "sys/replication/primary/secondary-token"
    assert f.a.post("east/1", paths[0], {}, token=f.has["east"].root).status == 200
    f.a.wait(5)
    assert f.status("east")["mode"] == "primary"
    token = f.a.post("east/1", paths[1], {"id": "w"}, token=f.has["east"].root).json["wrap_info"]["token"]
    said = f.a.post("west/1", "sys/replication/secondary/enable", {"token": token}, token=f.has["west"].root)
    assert said.status == 200
    f.a.wait(10)
    assert f.status("west")["state"] == "stream-wals"
