"""The lab's own certificate authority, and a server certificate per cluster: good ones, and each kind of bad one."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

import trustme

LONG_AGO_UTC = datetime(2001, 1, 1, tzinfo=UTC)


class Flaw(StrEnum):
    """What is wrong with the certificate that a cluster shows."""

    NONE = "none"
    EXPIRED = "expired"
    SELF_SIGNED = "self-signed"
    UNKNOWN_AUTHORITY = "unknown-authority"
    WRONG_NAME = "wrong-name"


class Authority:
    """A certificate authority that lives as long as the lab; its key is never written down."""

    def __init__(self) -> None:
        self._trusted = trustme.CA(organization_name="watchdogd-lab simulator")
        self._unknown = trustme.CA(organization_name="nobody trusts this one")

    @property
    def pem(self) -> bytes:
        """The certificate that clients trust."""
        return self._trusted.cert_pem.bytes()

    def server_context(self, identities: Sequence[str], *, flaw: Flaw = Flaw.NONE) -> ssl.SSLContext:
        """TLS 1.2 and up for a server that is known by these host names and addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if flaw is Flaw.SELF_SIGNED:
            itself = trustme.Blob(self._unknown.private_key_pem.bytes() + self._unknown.cert_pem.bytes())
            with itself.tempfile() as path:
                context.load_cert_chain(path)
            return context
        self._leaf(identities, flaw).configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """What a client uses that trusts this authority and nothing else."""
        context = ssl.create_default_context()
        self._trusted.configure_trust(context)
        return context

    def _leaf(self, identities: Sequence[str], flaw: Flaw) -> trustme.LeafCert:
        if flaw is Flaw.UNKNOWN_AUTHORITY:
            return self._unknown.issue_cert(*identities)
        if flaw is Flaw.WRONG_NAME:
            return self._trusted.issue_cert("somebody-else.example.test")
        if flaw is Flaw.EXPIRED:
            return self._trusted.issue_cert(*identities, not_before=LONG_AGO_UTC, not_after=LONG_AGO_UTC)
        return self._trusted.issue_cert(*identities)
