"""What the answers of Vault's credential endpoints say, as values. Whatever is secret is a `Secret`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watchdogd.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAttempt:
    """The status of `generate-operation-token`. `otp_length` is None on servers of the UUID era (reference 4.2)."""

    nonce: str
    started: bool
    progress: int
    required: int
    complete: bool
    otp_length: int | None
    otp: Secret | None = None
    encoded_token: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AutopilotState:
    """`data` of `sys/storage/raft/autopilot/state`. `active_server` is the id of raft's leader."""

    healthy: bool
    failure_tolerance: int
    active_server: str
    servers: Mapping[str, bool]  # id -> healthy
    voters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """`data` of `auth/token/lookup-self`, without the token. A root token has `ttl_s` 0 and never expires."""

    ttl_s: int
    expires_utc_s: float | None
    token_type: str
    orphan: bool
    renewable: bool
    num_uses: int
    policies: tuple[str, ...]
    path: str
