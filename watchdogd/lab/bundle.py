"""What a secondary gets by an activation token: ids, the primary's address, and a certificate to show there.

Source: ACTINT (vector `activation-unwrapped-bundle`); section 5 of the reference. Certificates and keys are random
bytes in the right wrapping: nothing in this world opens a TLS session with them, but each bundle has its own, by which
its primary knows it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from watchdogd.lab import sealed_box
from watchdogd.lab.cluster import Cluster
from watchdogd.lab.roles import Kind
from watchdogd.lab.seeded import Seeded

Fields = Mapping[str, object]

_MODE_BITS = {Kind.DR: 512, Kind.PERFORMANCE: 256}  # REPLCONST
_P521_BYTES = 65


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle that was read. `certificate` tells the primary which one it is."""

    kind: Kind
    set_id: str
    secondary_id: str
    cluster_addr: str
    certificate: str


def make(cluster: Cluster, kind: Kind, secondary_id: str, cluster_addr: str) -> dict[str, object]:
    """A fresh bundle of this primary, as unwrapping shows it."""
    chance = cluster.chance
    certificate = _certificate(chance)
    cluster.certificates.add(certificate)
    numbers = {name: int.from_bytes(chance.octets(_P521_BYTES), "big") for name in ("x", "y", "d")}
    return {
        "ca_cert": _certificate(chance),
        "client_cert": certificate,
        "client_key": {"type": "p521", **numbers},
        "cluster_id": cluster.roles[kind].set_id,
        "encrypted_client_key": None,
        "id": secondary_id,
        "mode": _MODE_BITS[kind],
        "nonce": None,
        "primary_cluster_addr": cluster_addr,
        "primary_public_key": None,
    }


def encrypted(fields: Fields, public_key: bytes, chance: Seeded) -> str:
    """The bundle as a token for the owner of a public key: its client key can be read by nobody else."""
    box = sealed_box.seal(
        json.dumps(fields["client_key"]).encode(),
        public_key,
        secret=chance.octets(sealed_box.KEY_BYTES),
        nonce=chance.octets(sealed_box.NONCE_BYTES),
    )
    closed = {**fields, "client_key": None} | {
        "encrypted_client_key": _base64(box.sealed),
        "nonce": _base64(box.nonce),
        "primary_public_key": _base64(box.public_key),
    }
    return _base64(json.dumps(closed, separators=(",", ":")).encode())


def of_token(token: str) -> Fields | None:
    """The fields of an encrypted bundle; None for a token of another kind."""
    try:
        fields = json.loads(base64.b64decode(token, validate=True))
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) and "encrypted_client_key" in fields else None


def opens(fields: Fields, secret: bytes) -> bool:
    """Whether an encrypted bundle is for the owner of this secret."""
    texts = [fields.get(name) for name in ("encrypted_client_key", "nonce", "primary_public_key")]
    try:
        sealed, nonce, public_key = (base64.b64decode(str(text), validate=True) for text in texts)
    except ValueError:
        return False
    return sealed_box.unseal(sealed_box.Box(sealed=sealed, nonce=nonce, public_key=public_key), secret) is not None


def read(fields: object) -> Bundle | None:
    """A bundle in the fields of an unwrapped token; None where they are of something else."""
    if not isinstance(fields, dict):
        return None
    kind = next((kind for kind, bit in _MODE_BITS.items() if fields.get("mode") == bit), None)
    texts = [fields.get(name) for name in ("cluster_id", "id", "primary_cluster_addr", "client_cert")]
    if kind is None or not all(isinstance(text, str) for text in texts):
        return None
    set_id, secondary_id, cluster_addr, certificate = map(str, texts)
    return Bundle(
        kind=kind, set_id=set_id, secondary_id=secondary_id, cluster_addr=cluster_addr, certificate=certificate
    )


def public_key(text: str) -> bytes | None:
    """The bytes of a public key as it is told; None where it is none."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return key if len(key) == sealed_box.KEY_BYTES else None


def _certificate(chance: Seeded) -> str:
    body = chance.octets(chance.number(600, 700))
    return _base64(b"\x30\x82" + len(body).to_bytes(2, "big") + body)  # a DER sequence, of nothing


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
