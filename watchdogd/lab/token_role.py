"""Token roles: what is stored of one, read for what it says.

Source: TOKDOC, OBS (obs3:role write); the fields and their old names as OpenBao shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from watchdogd.lab.call import duration_s, names_in
from watchdogd.lab.reply import Rejected, errors
from watchdogd.lab.tokens import TokenType

ROLES = "sys/token/role/"
_DEFAULT_SERVICE, _DEFAULT_BATCH = "default-service", "default-batch"
_UNREADABLE = "Field validation failed: '' cannot parse value as '{}': strconv.Parse{}: invalid syntax"
_TYPES = (TokenType.SERVICE.value, TokenType.BATCH.value, _DEFAULT_SERVICE, _DEFAULT_BATCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRole:
    """One role. `period_s` and `explicit_max_s` are 0 for none, `num_uses` too."""

    name: str
    allowed: tuple[str, ...] = ()
    allowed_globs: tuple[str, ...] = ()
    disallowed: tuple[str, ...] = ()
    disallowed_globs: tuple[str, ...] = ()
    orphan: bool = False
    renewable: bool = True
    path_suffix: str = ""
    token_type: str = _DEFAULT_SERVICE
    period_s: float = 0.0
    explicit_max_s: float = 0.0
    num_uses: int = 0
    no_default_policy: bool = False

    @classmethod
    def of(cls, name: str, fields: Mapping[str, object]) -> TokenRole:
        """Raises Rejected (400): a field that is none, or a role that Vault refuses."""
        token_type = str(fields.get("token_type") or _DEFAULT_SERVICE)
        if token_type not in _TYPES:
            raise Rejected(errors(400, f"invalid 'token_type' value \"{token_type}\""))
        role = cls(
            name=name,
            allowed=names_in(fields.get("allowed_policies")),
            allowed_globs=names_in(fields.get("allowed_policies_glob")),
            disallowed=names_in(fields.get("disallowed_policies")),
            disallowed_globs=names_in(fields.get("disallowed_policies_glob")),
            orphan=as_flag(fields.get("orphan", False)),
            renewable=as_flag(fields.get("renewable", True)),
            path_suffix=str(fields.get("path_suffix") or ""),
            token_type=token_type,
            period_s=_of_either(fields, "token_period", "period"),
            explicit_max_s=duration_s(
                str(fields.get("token_explicit_max_ttl") or fields.get("explicit_max_ttl") or "")
            ),
            num_uses=as_count(fields.get("token_num_uses", 0)),
            no_default_policy=as_flag(fields.get("token_no_default_policy", False)),
        )
        role.refuse_batch()
        return role

    def refuse_batch(self) -> None:
        """Raises Rejected (400): a batch token can be none of this."""
        if self.token_type != TokenType.BATCH.value:
            return
        for is_so, what in (
            (not self.orphan, "non-orphan tokens"),
            (self.period_s, "periodic tokens"),
            (self.renewable, "renewable tokens"),
            (self.explicit_max_s, "tokens with an explicit max TTL"),
        ):
            if is_so:
                raise Rejected(errors(400, f"'token_type' cannot be 'batch' when role is set to generate {what}"))

    @property
    def limits_policies(self) -> bool:
        """Whether it says anything of which policies a token may have."""
        return bool(self.allowed or self.allowed_globs or self.disallowed or self.disallowed_globs)

    def type_of(self, asked: str) -> str:
        """The type of a token that asks for `asked` ("" for nothing)."""
        if not self.token_type.startswith("default-"):
            return self.token_type
        return asked or self.token_type.removeprefix("default-")

    def policies(self, asked: tuple[str, ...], inherited: tuple[str, ...], *, default: bool) -> tuple[str, ...]:
        """What a token gets of what it asks for. Raises Rejected (400) outside of the limits."""
        default = default and not self.no_default_policy and "default" not in self.disallowed
        if self.allowed or self.allowed_globs:
            limit = sanitised(self.allowed, default=default)
            wanted = sanitised(asked, default=default) if asked else limit
            if not all(p in limit or _is_one_of(p, self.allowed_globs) for p in wanted):
                text = (
                    f"token policies ({_listed(sanitised(asked, default=default))}) must be subset of the role's "
                    f"allowed policies ({_listed(limit)}) or glob policies ({_listed(self.allowed_globs)})"
                )
                raise Rejected(errors(400, text))
        else:
            wanted = sanitised(asked or inherited, default=default)
        for policy in wanted:
            if policy in self.disallowed or _is_one_of(policy, self.disallowed_globs):
                raise Rejected(errors(400, f'token policy "{policy}" is disallowed by this role'))
        return wanted

    def shown(self, fields: Mapping[str, object]) -> dict[str, object]:
        """As GET shows it; `explicit_max_ttl` and `period` only by their old names."""
        data: dict[str, object] = {
            "allowed_entity_aliases": None,
            "allowed_policies": list(self.allowed),
            "allowed_policies_glob": list(self.allowed_globs),
            "disallowed_policies": list(self.disallowed),
            "disallowed_policies_glob": list(self.disallowed_globs),
            "explicit_max_ttl": int(self.explicit_max_s) if "explicit_max_ttl" in fields else 0,
            "name": self.name,
            "orphan": self.orphan,
            "path_suffix": self.path_suffix,
            "period": int(self.period_s) if "period" in fields else 0,
            "renewable": self.renewable,
            "token_explicit_max_ttl": int(self.explicit_max_s),
            "token_no_default_policy": self.no_default_policy,
            "token_period": int(self.period_s),
            "token_type": self.token_type,
        }
        if self.num_uses:
            data["token_num_uses"] = self.num_uses
        return dict(sorted(data.items()))


def sanitised(policies: tuple[str, ...], *, default: bool) -> tuple[str, ...]:
    """In lower case, each once, in order; `root` stands alone; with `default` or not."""
    named = {p.lower().strip() for p in policies} - {""}
    if "root" in named:
        return ("root",)
    return tuple(sorted(named | ({"default"} if default else set())))


def as_flag(value: object) -> bool:
    """A boolean as Go reads one out of JSON or text. Raises Rejected (400)."""
    if value in (True, 1, "1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in (False, 0, None, "", "0", "f", "F", "false", "FALSE", "False"):
        return False
    raise Rejected(
        errors(400, "Field validation failed: '' cannot parse value as 'bool': strconv.ParseBool: invalid syntax")
    )


def as_count(value: object, if_negative: str = "number of uses cannot be negative") -> int:
    """A whole number as Go reads one out of JSON or text, not below 0. Raises Rejected (400)."""
    text = str(value or 0)
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 18:
        raise Rejected(
            errors(400, "Field validation failed: '' cannot parse value as 'int': strconv.ParseInt: invalid syntax")
        )
    if text.startswith("-"):
        raise Rejected(errors(400, if_negative))
    return int(text)


def _of_either(fields: Mapping[str, object], name: str, former: str) -> float:
    return duration_s(str(fields.get(name) or fields.get(former) or ""))


def _is_one_of(policy: str, globs: tuple[str, ...]) -> bool:
    """Whether a glob covers it: `*` at either end, and nothing else is special."""
    return any(fnmatchcase(policy, glob.replace("[", "[[]").replace("?", "[?]")) for glob in globs)


def _listed(policies: tuple[str, ...]) -> str:
    return "[" + " ".join(f'"{p}"' for p in policies) + "]"
