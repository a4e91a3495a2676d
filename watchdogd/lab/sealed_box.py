"""Something sealed for the owner of a public key, so that nobody else can read it: X25519, and a key stream of SHAKE.

Source of the curve: RFC 7748, section 5. What cipher Vault takes for an activation token is not public; this world's
only has to be opaque to everybody but the secondary that made the key. It guards nothing real.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

_P = 2**255 - 19
_A24 = 121665
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
_BASE_POINT = (9).to_bytes(KEY_BYTES, "little")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What was sealed, and what its reader needs beside the own secret."""

    sealed: bytes
    nonce: bytes
    public_key: bytes  # of whoever sealed it


def public_key_of(secret: bytes) -> bytes:
    """The public key that belongs to 32 secret bytes."""
    return x25519(secret, _BASE_POINT)


def seal(content: bytes, public_key: bytes, *, secret: bytes, nonce: bytes) -> Box:
    """Seal `content` for a public key, with a fresh `secret` of the sealing side."""
    key = hashlib.sha256(x25519(secret, public_key)).digest()
    mixed = _mixed(content, key, nonce)
    return Box(sealed=mixed + _tag(mixed, key, nonce), nonce=nonce, public_key=public_key_of(secret))


def unseal(box: Box, secret: bytes) -> bytes | None:
    """The content for the owner of the secret; None where it was sealed for somebody else, or was changed."""
    key = hashlib.sha256(x25519(secret, box.public_key)).digest()
    mixed, tag = box.sealed[:-TAG_BYTES], box.sealed[-TAG_BYTES:]
    return _mixed(mixed, key, box.nonce) if hmac.compare_digest(tag, _tag(mixed, key, box.nonce)) else None


def x25519(scalar: bytes, point: bytes) -> bytes:
    """Scalar multiplication on Curve25519, by the Montgomery ladder of RFC 7748."""
    k = int.from_bytes(scalar, "little") & ~7 & (2**255 - 1) | 1 << 254
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a % _P, c * b % _P, a * a % _P, b * b % _P
        x3, z3 = (da + cb) ** 2 % _P, u * (da - cb) ** 2 % _P
        e = aa - bb
        x2, z2 = aa * bb % _P, e * (aa + _A24 * e) % _P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, _P - 2, _P) % _P).to_bytes(KEY_BYTES, "little")


def _mixed(content: bytes, key: bytes, nonce: bytes) -> bytes:
    stream = hashlib.shake_256(key + nonce).digest(len(content))
    return bytes(a ^ b for a, b in zip(content, stream, strict=True))


def _tag(mixed: bytes, key: bytes, nonce: bytes) -> bytes:
    return hmac.new(key, nonce + mixed, hashlib.sha256).digest()[:TAG_BYTES]
