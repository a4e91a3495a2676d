"""Requests of every kind for a lab: its own routes with fields and values that they know and do not, and nonsense."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from watchdogd.lab.routes import ROUTES

NODES = ("east/1", "east/2", "west/1", "west/3", "east/lb")
METHODS = ("GET", "PUT", "POST", "DELETE", "LIST", "HEAD", "PATCH", "OPTIONS", "BREW")
_NAMES = st.sampled_from(("dr", "performance", "r", "watchdogd-dr", "a/b", "nobody", "é", "x" * 300, "..", "+", "*"))
_FIELDS = st.sampled_from(
    "token ttl policies policy rules type period num_uses explicit_max_ttl meta id display_name accessor increment "
    "paths path role_id secret_id key nonce otp pgp_key dr_operation_token primary_api_addr update_primary_addrs "
    "secondary_id public_key force data options cas versions max_versions token_policies token_ttl token_type "
    "allowed_policies orphan renewable secret_shares secret_threshold lease no_parent entity_alias".split()
)
SECRETS = ("$root_token", "$dr_token_a", "$client_token", "$share_1", "$share_2", "$role_id", "$secret_id")
_TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(SECRETS),
    st.sampled_from(
        ("1h30m", "-1s", "1e9", "root", "default", "batch", "1", "", "\ud800", "eyJhIjo1fQ.eyJhZGRyIjo1fQ.x")
    ),
    st.sampled_from(('path "a" { capabilities = ["read"] }', "path {", '{"path": 5}', "W10=")),
)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)),
    max_leaves=6,
)
_HEADERS = st.sampled_from(
    (
        "X-Vault-Namespace: ns1/",
        "X-Vault-Wrap-TTL: 60s",
        "X-Vault-Wrap-TTL: nonsense",
        "X-Vault-No-Request-Forwarding: 1",
        "X-Vault-Index: AAAA",
        "Authorization: Bearer x",
        "Content-Type: application/x-www-form-urlencoded",
    )
)


@dataclass(frozen=True, slots=True)
class LabRequest:
    """One request; `$name` in it stands for a credential of the lab."""

    target: str
    method: str
    path: str
    token: str
    headers: tuple[str, ...]
    body: bytes


def _filled(pattern: str, name: str) -> str:
    return re.sub(r"<\w+>", lambda _: name, pattern)


def _body(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields).encode()


PATHS = st.one_of(
    st.builds(_filled, st.sampled_from([route.pattern for route in ROUTES]), _NAMES),
    st.builds("sys/health?{}code={}".format, st.sampled_from(("active", "standby", "sealed")), st.text(max_size=4)),
    st.builds("{}/{}".format, st.sampled_from(("kv", "secret/data", "secret/metadata", "auth", "cubbyhole")), _NAMES),
    st.text(max_size=30),
)
BODIES = st.one_of(st.builds(_body, st.dictionaries(_FIELDS, _VALUES, max_size=4)), st.binary(max_size=30))
REQUESTS = st.builds(
    LabRequest,
    st.sampled_from(NODES),
    st.sampled_from(METHODS),
    PATHS,
    st.sampled_from(("$root_token", "$root_token", "$dr_token_a", "$client_token", "", "s.strange")),
    st.lists(_HEADERS, max_size=2, unique=True).map(tuple),
    BODIES,
)


def filled_in(text: str, credentials: Mapping[str, str]) -> str:
    """With the credentials in the places of their names."""
    return re.sub(r"\$(\w+)", lambda m: credentials.get(m.group(1), m.group(0)), text)


def wrong_shape(request: LabRequest, status: int, body: bytes) -> str:
    """What of an answer Vault would not say; "" for nothing."""
    if not 100 <= status <= 999:
        return f"status {status}"
    if not body:
        return (
            "" if status in (200, 204, 400) or request.method == "HEAD" or status == 307 else f"{status} without a body"
        )
    if request.target.endswith("/lb") and body.startswith(b"<html>"):
        return ""
    try:
        said = json.loads(body)
    except ValueError:
        return "" if status == 200 and "metrics" in request.path else f"no JSON: {body[:80]!r}"
    if not isinstance(said, dict):
        return f"no object: {body[:80]!r}"
    told = said.get("errors")
    is_told = isinstance(told, list) and all(isinstance(text, str) for text in told)
    is_state = "sys/health" in request.path or "data" in said
    return "" if is_told or is_state or status < 400 else f"{status} without errors: {body[:80]!r}"
