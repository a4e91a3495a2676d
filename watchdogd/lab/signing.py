"""The key with which a cluster signs its wrapping JWTs, and what it says to one that somebody else signed.

Sources: Vault's `vault/wrapping.go` and `handleWrappingPubkey` (ES512 over P-521, the texts of what is refused), OBS
(OpenBao asked with a changed signature), GUIDE18 (header and claims); section 5 of the reference. Vault keeps the key
in storage; here it follows from the keyring, which replicates as that does, so that a seed gives the same one again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from watchdogd.lab import tokens
from watchdogd.lab.call import Call
from watchdogd.lab.reply import Rejected, Reply, errors
from watchdogd.lab.route import Route
from watchdogd.lab.store import Store

CURVE = ec.SECP521R1()
NUMBER_BYTES = 66
_HEADER = {"alg": "ES512", "typ": "JWT"}
_INVALID = "error validating wrapping token"
_ES512 = ec.ECDSA(hashes.SHA512(), deterministic_signing=True)


def key_from(*seeds: str | bytes) -> ec.EllipticCurvePrivateKey:
    """The P-521 key that follows from these seeds."""
    return _key_from(b"\0".join(s.encode() if isinstance(s, str) else s for s in seeds))


@lru_cache(maxsize=256)
def _key_from(seed: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(1 + int.from_bytes(hashlib.sha512(seed).digest(), "big"), CURVE)


def digest(text: str) -> bytes:
    """64 bytes that follow from a text."""
    return hashlib.sha512(text.encode()).digest()


def key_of(store: Store) -> ec.EllipticCurvePrivateKey:
    """The key of a cluster's wrapping JWTs."""
    return key_from("core/wrapping/jwtkey", tokens.first_key(store))


def jwt(store: Store, claims: Mapping[str, object]) -> str:
    """A JWT of these claims, signed."""
    signed = ".".join(_b64(json.dumps(part, separators=(",", ":")).encode()) for part in (_HEADER, claims))
    r, s = decode_dss_signature(key_of(store).sign(signed.encode(), _ES512))
    return f"{signed}.{_b64(r.to_bytes(NUMBER_BYTES, 'big') + s.to_bytes(NUMBER_BYTES, 'big'))}"


def claims_in(token: str) -> Mapping[str, object] | None:
    """What a JWT claims, whoever signed it; None for what is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(_raw(parts[1]))
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def token_in(store: Store, text: str) -> str:
    """The wrapping token of a text: inside of a JWT, or the text itself. Raises Rejected (403) for a bad JWT."""
    claims = claims_in(text)
    if claims is None:
        return text
    if not _is_signed(store, text):
        why = "wrapping token signature could not be validated: go-jose/go-jose: error in cryptographic primitive"
        raise Rejected(errors(403, f"{_INVALID}: {why}"))
    if claims.get("type") != "wrapping":
        raise Rejected(errors(403, f"{_INVALID}: unexpected type claim"))
    return str(claims.get("jti", ""))


def _is_signed(store: Store, text: str) -> bool:
    signed, _, signature = text.rpartition(".")
    try:
        raw = _raw(signature)
    except ValueError:
        return False
    if len(raw) != 2 * NUMBER_BYTES:
        return False
    r, s = (int.from_bytes(half, "big") for half in (raw[:NUMBER_BYTES], raw[NUMBER_BYTES:]))
    try:
        key_of(store).public_key().verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA512()))
    except InvalidSignature:
        return False
    return True


def public_key(call: Call) -> Reply:
    """GET sys/wrapping/pubkey [SYSPATHS, `handleWrappingPubkey`]: with this everybody can check a JWT."""
    numbers = key_of(call.store).public_key().public_numbers()
    return call.logical({"jwt_curve": "p521", "jwt_x": str(numbers.x), "jwt_y": str(numbers.y)})


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


ROUTES: tuple[Route, ...] = (Route("GET", "sys/wrapping/pubkey", public_key, "SYSPATHS"),)
