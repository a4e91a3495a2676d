"""From the encoded answer of `generate-operation-token` and its one-time pad back to the token (reference 4.2)."""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode
from uuid import UUID

from watchdogd.adapters.vault.parse import ATTEMPT
from watchdogd.errors import MalformedReply
from watchdogd.secret import Secret

UUID_BYTES = 16  # tokens up to 0.11: the token and the pad are the 16 bytes of a UUID, both in base64
FINGERPRINT_SALT = b"watchdogd token fingerprint 1"
FINGERPRINT_BYTES = 8


def decode_operation_token(encoded: Secret, otp: Secret) -> Secret:
    """The token: `encoded` XOR `otp`.

    Since 1.0 the server pads with an OTP of the token's own length (26 characters, 28 since 1.10) and leaves the `=`
    of the base64 away. Before it, both are base64 of 16 bytes. Source: sdk/helper/roottoken, GRTEST-OLD.

    Raises: MalformedReply when the two do not fit together.
    """
    masked = _from_base64(encoded.reveal())
    pad = otp.reveal().encode()
    if len(masked) == UUID_BYTES:
        pad = _from_base64(otp.reveal())
    if not masked or len(masked) != len(pad):
        raise MalformedReply(ATTEMPT, f"{len(masked)} bytes of token for {len(pad)} bytes of OTP")
    plain = bytes(a ^ b for a, b in zip(masked, pad, strict=True))
    if len(plain) == UUID_BYTES:
        return Secret(str(UUID(bytes=plain)))
    text = plain.decode("ascii", errors="replace")
    if not (text.isascii() and text.isprintable()):
        raise MalformedReply(ATTEMPT, "what the OTP gives is not a token")
    return Secret(text)


def fingerprint(token: Secret) -> str:
    """16 hex digits by which durable records name a token that they must not hold.

    Vault's own tokens carry at least 128 random bits, which no digest gives away; a token with an id of somebody's
    choice may be a word, so the digest is scrypt (4 MiB, some ms) and cut to 64 bits, never a plain hash. The salt is
    fixed: the same token has the same name after a restart, and that is all the name is for.
    """
    digest = hashlib.scrypt(token.reveal().encode(), salt=FINGERPRINT_SALT, n=2**12, r=8, p=1, dklen=FINGERPRINT_BYTES)
    return digest.hex()


def _from_base64(text: str) -> bytes:
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedReply(ATTEMPT, "not base64") from None
