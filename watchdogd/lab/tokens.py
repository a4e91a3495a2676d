"""Tokens: root and service tokens live in storage, batch tokens carry themselves.

Sources: TOKDOC, OBS (obs3, obs2:lookup-self), GENROOT. A batch token is valid wherever the term of the keyring that
sealed it is: on the primary and on every DR secondary, before and after role changes (ENOS-SCN).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

from watchdogd.lab.default_policy import DEFAULT_TEXT
from watchdogd.lab.policies import ROOT, Rule, Rules, deciding, parse
from watchdogd.lab.seeded import Seeded
from watchdogd.lab.store import Store, Value

KEYRING = "core/keyring"
KEYRING_TERMS = "core/keyring-terms/"
"""The keys of the terms after the first one; no term is ever removed."""
TOKENS = "sys/token/id/"
POLICIES = "sys/policy/"
_DEFAULT = parse(DEFAULT_TEXT)
_TERM_BYTES, _SEAL_BYTES = 4, 32
_FORMAT = b"\2"


class TokenType(StrEnum):
    """Kinds of Vault tokens, as `type` spells them."""

    SERVICE = "service"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One Vault token. `ttl_s` 0 means it never expires; times are UTC seconds of the cluster that made it.

    `num_uses` 0 means any number, -1 that this was the last. `max_s` is the longest life that renewals can reach
    (0: the cluster's), `explicit_max_s` what of it the request asked for.
    """

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
    num_uses: int = 0
    period_s: float = 0.0
    explicit_max_s: float = 0.0
    max_s: float = 0.0
    meta: Mapping[str, str] | None = None
    renewed_utc_s: float = 0.0
    renewed_for_s: float = 0.0

    @property
    def is_root(self) -> bool:
        return ROOT in self.policies

    @property
    def expires_utc_s(self) -> float | None:
        """When it ends; None for never."""
        if self.renewed_utc_s:
            return self.renewed_utc_s + self.renewed_for_s
        return self.created_utc_s + self.ttl_s if self.ttl_s else None

    def has_expired(self, utc_s: float) -> bool:
        """Whether it has ended by the clock of the cluster that judges it."""
        ends = self.expires_utc_s
        return ends is not None and utc_s >= ends


def token_prefix(version: tuple[int, ...], type_: TokenType) -> str:
    """`hvs.` and `hvb.` from 1.10 on, `s.` and `b.` before (TOKDOC)."""
    letter = "b" if type_ is TokenType.BATCH else "s"
    return f"hv{letter}." if version >= (1, 10) else f"{letter}."


def keep(store: Store, token: Token, *, now_s: float, utc_s: float) -> Token:
    """Write a service or root token to storage, from where it replicates."""
    token = replace(token, accessor=token.accessor or _accessor_of(token.id))
    fields: Value = {f.name: getattr(token, f.name) for f in _STORED} | {"type": token.type.value}
    store.put(TOKENS + token.id, fields, now_s=now_s, utc_s=utc_s)
    return token


def seal_batch(store: Store, token: Token, *, version: tuple[int, ...], chance: Seeded) -> Token:
    """The same token with the id that carries it: fields and a seal by the cluster's keyring. Nothing is stored."""
    carried = [
        list(token.policies),
        token.created_utc_s,
        token.ttl_s,
        token.parent,
        token.path,
        token.role,
        token.meta,
        token.display_name,
        chance.base62(12),
    ]
    blob = json.dumps(carried, separators=(",", ":")).encode()
    term = newest_term(store)
    head = term.to_bytes(_TERM_BYTES, "big") + _FORMAT
    sealed = base64.urlsafe_b64encode(head + _seal(store, term, blob) + blob).decode().rstrip("=")
    return with_id(token, token_prefix(version, TokenType.BATCH) + sealed)


def with_id(token: Token, text: str) -> Token:
    """The same token under another text."""
    return replace(token, id=text)


def with_life(
    token: Token, *, ttl_s: float, period_s: float, explicit_max_s: float, max_s: float, renewable: bool
) -> Token:
    """The same token with how long it lives."""
    return replace(
        token, ttl_s=ttl_s, period_s=period_s, explicit_max_s=explicit_max_s, max_s=max_s, renewable=renewable
    )


def renewed(token: Token, *, for_s: float, utc_s: float) -> Token:
    """The same token, alive for so long from now on."""
    return replace(token, renewed_utc_s=utc_s, renewed_for_s=for_s)


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


def all_kept(store: Store, utc_s: float) -> list[Token]:
    """Every living token in storage."""
    found = (find(store, key.removeprefix(TOKENS)) for key in store.keys(TOKENS))
    return [token for token in found if token is not None and is_alive(store, token, utc_s)]


def by_accessor(store: Store, accessor: str, utc_s: float) -> Token | None:
    """The living token with an accessor."""
    return next((token for token in all_kept(store, utc_s) if token.accessor == accessor), None)


def revoke(store: Store, token: Token, *, now_s: float, utc_s: float, with_children: bool = True) -> None:
    """Remove a token, and with it all that it made; or let what it made live on as orphans (TOKDOC)."""
    store.delete(TOKENS + token.id, now_s=now_s)
    for key in store.keys(TOKENS):
        child = find(store, key.removeprefix(TOKENS))
        if child is None or child.parent != token.id:
            continue
        if with_children:
            revoke(store, child, now_s=now_s, utc_s=utc_s)
        else:
            keep(store, replace(child, parent=""), now_s=now_s, utc_s=utc_s)


def use(store: Store, token: Token, *, now_s: float, utc_s: float) -> Token:
    """The token after one more use; the last one removes it (TOKDOC)."""
    if token.num_uses <= 0:
        return token
    if token.num_uses == 1:
        revoke(store, token, now_s=now_s, utc_s=utc_s)
        return replace(token, num_uses=-1)
    return keep(store, replace(token, num_uses=token.num_uses - 1), now_s=now_s, utc_s=utc_s)


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
    rule = rule_of(store, token, path)
    return frozenset() if rule is None else rule.effective


def rule_of(store: Store, token: Token, path: str) -> Rule | None:
    """What decides about a path for a token that is not root."""
    return deciding(rules_of(store, token.policies), path)


def new_id(chance: Seeded, version: tuple[int, ...], type_: TokenType = TokenType.SERVICE) -> str:
    """A fresh token text: prefix and 24 letters and digits."""
    return token_prefix(version, type_) + chance.base62(24)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Rules:
    return parse(text)


def first_key(store: Store) -> str:
    """The key of the keyring's first term, as hex digits; empty before sys/init."""
    return _key_of_term(store, 1)


def term_path(term: int) -> str:
    """Where the store has the key of a term."""
    return KEYRING if term == 1 else f"{KEYRING_TERMS}{term}"


def newest_term(store: Store) -> int:
    """The term that seals what is sealed now."""
    return max((int(key.removeprefix(KEYRING_TERMS)) for key in store.keys(KEYRING_TERMS)), default=1)


def term_of(text: str) -> int:
    """The term of the keyring that a batch token says it was sealed by; 0 for what is none."""
    return int.from_bytes(_raw(text)[:_TERM_BYTES], "big")


def _key_of_term(store: Store, term: int) -> str:
    entry = store.get(term_path(term))
    return "" if entry is None else str(entry.value["key"])


def _seal(store: Store, term: int, blob: bytes) -> bytes:
    return hmac.new(_key_of_term(store, term).encode(), blob, hashlib.sha256).digest()


def _raw(text: str) -> bytes:
    sealed = text.partition(".")[2]
    try:
        return base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    except ValueError:
        return b""


def _open_batch(store: Store, text: str) -> Token | None:
    raw, head = _raw(text), _TERM_BYTES + len(_FORMAT)
    seal, blob = raw[head : head + _SEAL_BYTES], raw[head + _SEAL_BYTES :]
    term = term_of(text)
    if not _key_of_term(store, term) or not hmac.compare_digest(seal, _seal(store, term, blob)):
        return None
    policies, created, ttl, parent, path, role, meta, display_name, _nonce = json.loads(blob)
    return Token(
        id=text,
        type=TokenType.BATCH,
        policies=tuple(policies),
        created_utc_s=created,
        ttl_s=ttl,
        parent=parent,
        path=path,
        role=role,
        meta=meta,
        display_name=display_name,
    )


def _from_fields(text: str, stored: Value) -> Token:
    values: dict[str, Any] = {f.name: stored[f.name] for f in _STORED if f.name in stored}
    values |= {"type": TokenType(str(stored["type"])), "policies": tuple(map(str, values["policies"]))}
    return Token(id=text, **values)


def _accessor_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


_STORED = tuple(f for f in fields(Token) if f.name not in ("id", "type"))
