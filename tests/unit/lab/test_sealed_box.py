"""What is sealed for a public key is read by its owner only (RFC 7748 is the referee of the curve)."""

from __future__ import annotations

from watchdogd.lab import sealed_box
from watchdogd.lab.sealed_box import public_key_of, seal, unseal, x25519
from watchdogd.lab.seeded import Seeded

CHANCE = Seeded(1, "sealed box")
ALICE, BOB, EVE = (CHANCE.octets(32) for _ in range(3))


def test_the_curve_is_that_of_the_document() -> None:
    # RFC 7748, section 5.2, the two vectors.
    for scalar, point, product in [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ]:
        assert x25519(bytes.fromhex(scalar), bytes.fromhex(point)).hex() == product


def test_only_the_owner_of_the_key_reads_it() -> None:
    box = seal(b"for bob", public_key_of(BOB), secret=ALICE, nonce=b"n" * 12)
    assert (unseal(box, BOB), unseal(box, EVE)) == (b"for bob", None)
    assert b"bob" not in box.sealed


def test_what_was_changed_on_the_way_is_not_read() -> None:
    box = seal(b"for bob", public_key_of(BOB), secret=ALICE, nonce=b"n" * 12)
    changed = sealed_box.Box(
        sealed=bytes([box.sealed[0] ^ 1]) + box.sealed[1:], nonce=box.nonce, public_key=box.public_key
    )
    assert unseal(changed, BOB) is None
