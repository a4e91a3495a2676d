"""Replies in Vault's shapes: bare JSON, the logical envelope, errors.

Source: APIDOC, OBS (headers and key order as emitted); section 0 of the reference.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Content-Type": "application/json",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP reply of a node."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)


class Unanswered(Exception):
    """Raised by a handler at which Vault's own process would end the connection without an answer."""


class Hangs(Exception):
    """Raised where a request never gets an answer, as a fault has it."""


class Rejected(Exception):
    """Raised by a handler that answers early."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def bare(status: int, body: object) -> Reply:
    """JSON without an envelope, keys in the order given."""
    return Reply(status=status, body=_encode(body))


def errors(status: int, *texts: str) -> Reply:
    """`{"errors": [...]}`."""
    return bare(status, {"errors": list(texts)})


def empty(status: int = 204) -> Reply:
    """No body."""
    return Reply(status=status)


def envelope(
    request_id: str,
    *,
    data: object = None,
    warnings: Iterable[str] = (),
    auth: object = None,
    wrap_info: object = None,
    lease_duration: int = 0,
    status: int = 200,
    mount_type: str | None = None,
    top: Mapping[str, object] = MappingProxyType({}),
) -> Reply:
    """A logical response. `top` are keys of `data` that this endpoint repeats at the top level."""
    body: dict[str, object] = {
        **top,
        "request_id": "" if wrap_info is not None else request_id,
        "lease_id": "",
        "renewable": False,
        "lease_duration": lease_duration,
        "data": data,
        "wrap_info": wrap_info,
        "warnings": list(warnings) or None,
        "auth": auth,
    }
    if mount_type is not None:
        body["mount_type"] = mount_type
    return bare(status, body)


_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def _encode(body: object) -> bytes:
    return _ENCODER.encode(body).encode() + b"\n"
