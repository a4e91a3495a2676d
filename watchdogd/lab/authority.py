"""The certificate authority of a replication set: who signs what a secondary shows at the cluster port.

Source: REPL-OV (mutual TLS with the certificates of the bundle), ACTINT. Names and life of a certificate are made up,
because no sample shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from watchdogd.lab import signing

_SINCE_UTC, _LIFE = datetime(2020, 1, 1, tzinfo=UTC), timedelta(days=30 * 365)
SERIAL_BYTES, _NAME_MAX = 16, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Who signs for the secondaries of one set."""

    key: ec.EllipticCurvePrivateKey
    name: x509.Name
    der: bytes

    def issue(self, client: ec.EllipticCurvePrivateKey, secondary_id: str, *, serial: bytes) -> bytes:
        """A certificate for a secondary's key, as DER."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"rep-{secondary_id}"[:_NAME_MAX])])
        builder = _builder(subject, self.name, client, serial).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        return _signed(builder, self.key)


@lru_cache(maxsize=64)
def authority_of(set_id: str, keyring_key: str) -> Authority:
    """The authority of a set, the same one on every cluster with its keyring."""
    key = signing.key_from("replication authority", set_id, keyring_key)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"rep-{set_id}"[:_NAME_MAX])])
    serial = signing.digest(set_id)[:SERIAL_BYTES]
    ca = x509.BasicConstraints(ca=True, path_length=0)
    builder = _builder(name, name, key, serial).add_extension(ca, critical=True)
    return Authority(key=key, name=name, der=_signed(builder, key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, serial: bytes
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=1 + (int.from_bytes(serial, "big") >> 1),
        not_valid_before=_SINCE_UTC,
        not_valid_after=_SINCE_UTC + _LIFE,
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA512(), ecdsa_deterministic=True).public_bytes(Encoding.DER)
