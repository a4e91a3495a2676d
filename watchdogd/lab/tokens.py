"""Tokens: root and service tokens live in storage, batch tokens carry themselves.

Sources: TOKDOC, OBS (obs3, obs2:lookup-self), GENROOT. A batch token is valid wherever the keyring that sealed it is:
on the primary and on every DR secondary, before and after role changes (ENOS-SCN).
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from watchdogd.lab.policies import DEFAULT_TEXT, ROOT, Rules, capabilities, parse
from watchdogd.lab.seeded import Seeded
from watchdogd.lab.store import Store, Value

KEYRING = "core/keyring"
TOKENS = "sys/token/id/"
POLICIES = "sys/policy/"
_DEFAULT = parse(DEFAULT_TEXT)


class TokenType(StrEnum):
    """Kinds of Vault tokens, as `type` spells them."""

    SERVICE = "service"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One Vault token. `ttl_s` 0 means it never expires; times are UTC seconds of the cluster that made it."""

    id: str
    type: TokenType
    policies: tuple[str, ...]
    created_utc_s: float
    ttl_s: float = 0.0
    accessor: str = ""
    parent: str = ""  # "" for an orphan
    display_name: str = "token"
    path: str = "auth/token/create"
    renewable: bool = False
    role: str = ""

    @property
    def is_root(self) -> bool:
        return ROOT in self.policies

    @property
    def expires_utc_s(self) -> float | None:
        """When it ends; None for never."""
        return self.created_utc_s + self.ttl_s if self.ttl_s else None

    def has_expired(self, utc_s: float) -> bool:
        """Whether it has ended by the clock of the cluster that judges it."""
        return bool(self.ttl_s) and utc_s >= self.created_utc_s + self.ttl_s


def token_prefix(version: tuple[int, ...], type_: TokenType) -> str:
    """`hvs.` and `hvb.` from 1.10 on, `s.` and `b.` before (TOKDOC)."""
    letter = "b" if type_ is TokenType.BATCH else "s"
    return f"hv{letter}." if version >= (1, 10) else f"{letter}."


def keep(store: Store, token: Token, *, now_s: float, utc_s: float) -> Token:
    """Write a service or root token to storage, from where it replicates."""
    fields: Value = {
        "type": token.type.value,
        "policies": list(token.policies),
        "created": token.created_utc_s,
        "ttl": token.ttl_s,
        "accessor": token.accessor,
        "parent": token.parent,
        "display_name": token.display_name,
        "path": token.path,
        "renewable": token.renewable,
        "role": token.role,
    }
    store.put(TOKENS + token.id, fields, now_s=now_s, utc_s=utc_s)
    return token


def seal_batch(store: Store, token: Token, *, version: tuple[int, ...], chance: Seeded) -> Token:
    """The same token with the id that carries it: fields and a seal by the cluster's keyring. Nothing is stored."""
    fields = [
        list(token.policies),
        token.created_utc_s,
        token.ttl_s,
        token.parent,
        token.path,
        token.role,
        chance.base62(12),
    ]
    blob = json.dumps(fields, separators=(",", ":")).encode()
    sealed = base64.urlsafe_b64encode(b"\0\0\0\1\2" + _seal(store, blob) + blob).decode().rstrip("=")
    return with_id(token, token_prefix(version, TokenType.BATCH) + sealed)


def with_id(token: Token, text: str) -> Token:
    """The same token under another text."""
    return replace(token, id=text)


def find(store: Store, text: str) -> Token | None:
    """The token behind a text: from storage, or out of itself. Does not judge its age."""
    if text.startswith(("hvb.", "b.")):
        return _open_batch(store, text)
    entry = store.get(TOKENS + text)
    return None if entry is None else _from_fields(text, entry.value)


def is_alive(store: Store, token: Token, utc_s: float) -> bool:
    """Not expired, and its parent neither revoked nor expired (a batch token dies with its parent: TOKDOC)."""
    if token.has_expired(utc_s):
        return False
    if not token.parent:
        return True
    parent = find(store, token.parent)
    return parent is not None and is_alive(store, parent, utc_s)


def rules_of(store: Store, policies: tuple[str, ...]) -> list[Rules]:
    """The rules of policies by name; a policy that does not exist gives nothing."""
    found: list[Rules] = []
    for name in policies:
        entry = store.get(POLICIES + name)
        if entry is not None:
            found.append(_parsed(str(entry.value["policy"])))
        elif name == "default":
            found.append(_DEFAULT)
    return found


def allowed(store: Store, token: Token, path: str) -> frozenset[str]:
    """The capabilities of a token on a path (without `/v1/`); `root` alone for a root token."""
    if token.is_root:
        return frozenset([ROOT])
    return capabilities(rules_of(store, token.policies), path)


def new_id(chance: Seeded, version: tuple[int, ...], type_: TokenType = TokenType.SERVICE) -> str:
    """A fresh token text: prefix and 24 letters and digits."""
    return token_prefix(version, type_) + chance.base62(24)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Rules:
    return parse(text)


def _seal(store: Store, blob: bytes) -> bytes:
    entry = store.get(KEYRING)
    key = str(entry.value["key"]) if entry is not None else ""
    return hmac.new(key.encode(), blob, hashlib.sha256).digest()


def _open_batch(store: Store, text: str) -> Token | None:
    sealed = text.partition(".")[2]
    try:
        raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    except ValueError:
        return None
    seal, blob = raw[5:37], raw[37:]
    if not hmac.compare_digest(seal, _seal(store, blob)):
        return None
    policies, created, ttl, parent, path, role, _nonce = json.loads(blob)
    return Token(
        id=text,
        type=TokenType.BATCH,
        policies=tuple(policies),
        created_utc_s=created,
        ttl_s=ttl,
        parent=parent,
        path=path,
        role=role,
    )


def _from_fields(text: str, fields: Value) -> Token:
    policies = fields["policies"]
    created, ttl = fields["created"], fields["ttl"]
    if not (isinstance(policies, list) and isinstance(created, float | int) and isinstance(ttl, float | int)):
        raise TypeError(f"stored token with fields {fields!r}")
    return Token(
        id=text,
        type=TokenType(str(fields["type"])),
        policies=tuple(map(str, policies)),
        created_utc_s=created,
        ttl_s=ttl,
        accessor=str(fields["accessor"]),
        parent=str(fields["parent"]),
        display_name=str(fields["display_name"]),
        path=str(fields["path"]),
        renewable=bool(fields["renewable"]),
        role=str(fields["role"]),
    )
