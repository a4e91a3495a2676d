"""What a secondary gets by an activation token: ids, the primary's address, and a certificate to show there.

Source: ACTINT (vector `activation-unwrapped-bundle`); section 5 of the reference. The certificate is a real one, of the
set's own authority, for the P-521 key beside it; its names and how long it lives are made up, because no sample shows
them. Nothing in this world opens a TLS session with it, but each bundle has its own, by which its primary knows it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from watchdogd.lab import sealed_box, signing, tokens
from watchdogd.lab.authority import SERIAL_BYTES, authority_of
from watchdogd.lab.cluster import Cluster
from watchdogd.lab.roles import Kind
from watchdogd.lab.seeded import Seeded

Fields = Mapping[str, object]

_MODE_BITS = {Kind.DR: 512, Kind.PERFORMANCE: 256}  # REPLCONST


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
    set_id = cluster.roles[kind].set_id
    client = signing.key_from("client", cluster.chance.octets(signing.NUMBER_BYTES))
    authority = authority_of(set_id, tokens.first_key(cluster.store))
    certificate = _base64(authority.issue(client, secondary_id, serial=cluster.chance.octets(SERIAL_BYTES)))
    cluster.certificates.add(certificate)
    secret, public = client.private_numbers(), client.public_key().public_numbers()
    return {
        "ca_cert": _base64(authority.der),
        "client_cert": certificate,
        "client_key": {"type": "p521", "x": public.x, "y": public.y, "d": secret.private_value},
        "cluster_id": set_id,
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
    return key if sealed_box.is_public_key(key) else None


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
