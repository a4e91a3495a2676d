"""What is sealed for a public key is read by its owner only, and nothing is sealed for what is no key."""

from __future__ import annotations

import pytest

from watchdogd.lab import sealed_box
from watchdogd.lab.sealed_box import public_key_of, seal, unseal
from watchdogd.lab.seeded import Seeded

CHANCE = Seeded(1, "sealed box")
ALICE, BOB, EVE = (CHANCE.octets(32) for _ in range(3))


@pytest.mark.parametrize("key", [b"", b"k" * 31, bytes(32), (1).to_bytes(32, "little")])
def test_nothing_is_sealed_for_what_is_no_key_or_would_keep_no_secret(key: bytes) -> None:
    # RFC 7748, section 6.1: a point of small order gives all zeros, whatever the secret.
    assert not sealed_box.is_public_key(key)
    with pytest.raises(ValueError, match="nothing can be sealed"):
        seal(b"for nobody", key, secret=ALICE, nonce=b"n" * 12)


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


def test_a_box_that_was_tampered_with_in_its_nonce_is_not_read() -> None:
    box = seal(b"for bob", public_key_of(BOB), secret=ALICE, nonce=b"n" * 12)
    for nonce in (b"", b"m" * 12):
        assert unseal(sealed_box.Box(sealed=box.sealed, nonce=nonce, public_key=box.public_key), BOB) is None
