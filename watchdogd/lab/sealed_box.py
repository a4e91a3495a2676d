"""Something sealed for the owner of a public key, so that nobody else can read it: X25519 and AES-GCM.

Sources: ACTINT (the fields around it), RFC 7748 for the curve. Which of Vault's ciphers it is that an activation token
goes through is not public; the error of a wrong key is Go's for AES-GCM.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES, NONCE_BYTES = 32, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What was sealed, and what its reader needs beside the own secret."""

    sealed: bytes
    nonce: bytes
    public_key: bytes  # of whoever sealed it


def public_key_of(secret: bytes) -> bytes:
    """The public key that belongs to 32 secret bytes."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def is_public_key(text: bytes) -> bool:
    """Whether something can be sealed for it: 32 bytes, and no point of small order."""
    return _shared(b"\1" * KEY_BYTES, text) is not None


def seal(content: bytes, public_key: bytes, *, secret: bytes, nonce: bytes) -> Box:
    """Seal `content` for a public key, with a fresh `secret` of the sealing side. ValueError if it is no such key."""
    key = _shared(secret, public_key)
    if key is None:
        raise ValueError("nothing can be sealed for this key")
    return Box(sealed=AESGCM(key).encrypt(nonce, content, None), nonce=nonce, public_key=public_key_of(secret))


def unseal(box: Box, secret: bytes) -> bytes | None:
    """The content for the owner of the secret; None where it was sealed for somebody else, or was changed."""
    key = _shared(secret, box.public_key)
    if key is None or len(box.nonce) != NONCE_BYTES:
        return None
    try:
        return AESGCM(key).decrypt(box.nonce, box.sealed, None)
    except InvalidTag:
        return None


def _shared(secret: bytes, public_key: bytes) -> bytes | None:
    try:
        theirs = X25519PublicKey.from_public_bytes(public_key)
        return hashlib.sha256(X25519PrivateKey.from_private_bytes(secret).exchange(theirs)).digest()
    except ValueError:
        return None
