"""auth/token/create and its sisters: what a caller may ask for, and the token that comes of it.

Source: TOKDOC, OBS (obs3, and OpenBao asked the same). A child has no more than its parent, unless the parent has
`sudo` on the path; a role says what its tokens may have, whoever asks.
"""

from __future__ import annotations

import re

from watchdogd.lab import policies, tokens
from watchdogd.lab.call import Call
from watchdogd.lab.reply import Rejected, errors
from watchdogd.lab.token_role import ROLES, TokenRole, as_count, as_flag, sanitised
from watchdogd.lab.tokens import Token, TokenType

_USES = "num_uses"
_BATCH_FORBIDS = (
    _USES,
    "period",
    "explicit_max_ttl",
)  # "0s" is none: what the command line says unasked (OBS, OpenBao)
_NO_NAME = re.compile(r"[^a-zA-Z0-9-]")
WEAK_ID = (
    "Supplying a custom ID for the token uses the weaker SHA1 hashing instead of the more secure SHA2-256 HMAC for "
    "token obfuscation. SHA1 hashed tokens on the wire leads to less secure lookups."
)


def created(call: Call) -> tuple[Token, list[str]]:
    """The token of a request that was authorised, not yet issued, and the warnings. Raises Rejected (400)."""
    parent = _parent(call)
    is_sudo = bool(tokens.allowed(call.store, parent, call.request.path) & {"sudo", policies.ROOT})
    role, warnings = _role(call), list[str]()
    type_ = _type(call, role)
    uses = as_count(call.body().get(_USES))
    if call.body().get("entity_alias"):
        raise Rejected(errors(400, _no_alias(role)))
    text = _own_id(call, is_sudo=is_sudo)
    if text:
        warnings.append(WEAK_ID)
    is_orphan = _is_orphan(call, role, is_sudo=is_sudo)
    named = _policies(call, role, parent, is_sudo=is_sudo)
    if policies.ROOT in named:
        _refuse_root(parent, type_)
    warnings += [f'Policy "{p}" does not exist' for p in named if not _exists(call, p)]
    token = Token(
        id=text,
        type=type_,
        policies=named,
        created_utc_s=float(int(call.utc_s)),
        accessor="" if type_ is TokenType.BATCH else call.cluster.chance.base62(24),
        parent="" if is_orphan else parent.id,
        display_name=_display_name(call),
        path="/".join(filter(None, (call.request.path, role.path_suffix if role else ""))),
        role=role.name if role else "",
        num_uses=min(filter(None, (uses, role.num_uses if role else 0)), default=0),
        meta=_meta(call),
    )
    return _with_life(call, token, role, is_sudo=is_sudo, warnings=warnings), warnings


def capped(ttl_s: float, most_s: float, warnings: list[str]) -> float:
    """A time to live, cut to what is possible; a cut is no failure, but a warning."""
    if ttl_s <= most_s:
        return ttl_s
    warnings.append(
        f'TTL of "{spelled(ttl_s)}" exceeded the effective max_ttl of "{spelled(most_s)}"; '
        "TTL value is capped accordingly"
    )
    return most_s


def spelled(seconds: float) -> str:
    """`768h`, `1h30m`, `45s`: Go's spelling without the zeros at its end."""
    whole = int(seconds)
    parts = [(whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s")]
    while len(parts) > 1 and not parts[-1][0]:
        parts.pop()
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return "".join(f"{n}{unit}" for n, unit in parts)


def _parent(call: Call) -> Token:
    parent = call.authenticate()
    if parent.type is TokenType.BATCH:
        raise Rejected(errors(400, "batch tokens cannot create more tokens"))
    if parent.num_uses:
        raise Rejected(errors(400, "restricted use token cannot generate child tokens"))
    return parent


def _role(call: Call) -> TokenRole | None:
    name = call.params.get("role")
    if name is None:
        return None
    entry = call.store.get(ROLES + name)
    if entry is None:
        raise Rejected(errors(400, f"unknown role {name}"))
    return TokenRole.of(name, entry.value)


def _type(call: Call, role: TokenRole | None) -> TokenType:
    asked = call.text("type")
    if asked not in ("", *TokenType):
        raise Rejected(errors(400, "invalid 'token_type' value"))
    type_ = TokenType(role.type_of(asked) if role else asked or TokenType.SERVICE.value)
    for name in _BATCH_FORBIDS if type_ is TokenType.BATCH else ():
        if as_count(call.body().get(name)) if name == _USES else call.seconds(name):
            raise Rejected(errors(400, f'batch tokens cannot have "{name}" set'))
    return type_


def _no_alias(role: TokenRole | None) -> str:
    if role is None:
        return "'entity_alias' is only allowed in combination with token role"
    return "invalid 'entity_alias' value"  # a world has no identities


def _own_id(call: Call, *, is_sudo: bool) -> str:
    text = call.text("id")
    if not text:
        return ""
    if not is_sudo:
        raise Rejected(errors(400, "root or sudo privileges required to specify token id"))
    for prefix in ("s.", "hvs."):
        if text.startswith(prefix):
            raise Rejected(errors(400, f"custom token ID cannot have the '{prefix}' prefix"))
    if "." in text:
        raise Rejected(errors(400, "custom token ID cannot have a '.' in the value"))
    if call.store.get(tokens.TOKENS + text) is not None:
        raise Rejected(errors(400, "cannot create a token with a duplicate ID"))
    return text


def _is_orphan(call: Call, role: TokenRole | None, *, is_sudo: bool) -> bool:
    if call.request.path.endswith("/create-orphan") or (role is not None and role.orphan):
        return True
    if not call.flag("no_parent"):
        return False
    if not is_sudo:
        raise Rejected(errors(400, "root or sudo privileges required to create orphan token"))
    return True


def _policies(call: Call, role: TokenRole | None, parent: Token, *, is_sudo: bool) -> tuple[str, ...]:
    """`default` is added where the parent has it, or the caller is free to ask; `no_default_policy` keeps it away."""
    asked, wants_default = call.names("policies"), not as_flag(call.body().get("no_default_policy"))
    if role is not None and role.limits_policies:
        return role.policies(asked, parent.policies, default=wants_default)
    wants_default = wants_default and not (role is not None and role.no_default_policy)
    if not asked:
        inherited = [p for p in parent.policies if wants_default or p != "default"]
        return sanitised(tuple(inherited), default=False)
    if is_sudo:
        return sanitised(asked, default=wants_default)
    if not set(sanitised(asked, default=False)) <= set(parent.policies):
        raise Rejected(errors(400, "child policies must be subset of parent"))
    return sanitised(asked, default=wants_default and "default" in parent.policies)


def _refuse_root(parent: Token, type_: TokenType) -> None:
    if not parent.is_root:
        raise Rejected(errors(400, "root tokens may not be created without parent token being root"))
    if type_ is TokenType.BATCH:
        raise Rejected(errors(400, "batch tokens cannot be root tokens"))


def _exists(call: Call, policy: str) -> bool:
    return policy in ("default", policies.ROOT) or call.store.get(tokens.POLICIES + policy) is not None


def _display_name(call: Call) -> str:
    asked = call.text("display_name")
    return f"token-{_NO_NAME.sub('-', asked)}".rstrip("-") if asked else "token"


def _meta(call: Call) -> dict[str, str] | None:
    given = call.body().get("meta")
    if not given:
        return None
    if not isinstance(given, dict):
        raise Rejected(errors(400, 'Field validation failed: error converting input for field "meta"'))
    return {str(k): str(v) for k, v in given.items()}


def _with_life(call: Call, token: Token, role: TokenRole | None, *, is_sudo: bool, warnings: list[str]) -> Token:
    """The token with its time to live. Raises Rejected (400)."""
    period_s, explicit_s = call.seconds("period"), call.seconds("explicit_max_ttl")
    if period_s and not is_sudo:
        raise Rejected(errors(400, "root or sudo privileges required to create periodic token"))
    of_role = role.explicit_max_s if role else 0.0
    max_s = min(filter(None, (explicit_s, of_role)), default=0.0)
    if explicit_s and of_role:
        warnings.append(
            "Explicit max TTL specified both during creation call and in role; using the lesser value of "
            f"{int(max_s)} seconds"
        )
    period_s = min(filter(None, (period_s, role.period_s if role else 0.0)), default=0.0)
    system_s = call.knobs.max_lease_ttl_s
    most_s = min(filter(None, (system_s, max_s)))
    asked_s = call.seconds("ttl") or call.seconds("lease")
    if policies.ROOT in token.policies and not (asked_s or period_s or max_s):
        ttl_s = 0.0
    elif period_s:
        ttl_s = min(period_s, most_s)
    else:
        ttl_s = capped(asked_s or system_s, most_s, warnings)
    wants = as_flag(call.body().get("renewable", True)) and (role is None or role.renewable)
    return tokens.with_life(
        token,
        ttl_s=ttl_s,
        period_s=period_s,
        explicit_max_s=explicit_s,
        max_s=max_s,
        renewable=wants and bool(ttl_s) and token.type is TokenType.SERVICE,
    )
