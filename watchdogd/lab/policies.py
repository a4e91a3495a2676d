"""Policies: what their text says, which of their paths decides, and what it lets a request do.

Source: developer.hashicorp.com/vault/docs/concepts/policies; OBS: OpenBao was asked what wins over what.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from watchdogd.lab.go_values import go_seconds
from watchdogd.lab.hcl import HclError, Item, parsed

ROOT = "root"
CAPABILITIES = frozenset("create read update delete list sudo deny patch subscribe recover".split())
_LEGACY = {
    "deny": frozenset({"deny"}),
    "read": frozenset({"read", "list"}),
    "write": frozenset({"create", "read", "update", "delete", "list"}),
    "sudo": frozenset({"create", "read", "update", "delete", "list", "sudo"}),
}
_NOT_HERE = frozenset({"mfa_methods", "control_group", "subscribe_event_types"})
_DATA_METHODS = frozenset({"GET", "PUT", "PATCH"})


class PolicyTextError(ValueError):
    """A policy text that this parser, like Vault's, refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one path allows. Names of parameters in lower case; an empty tuple of values means any value."""

    capabilities: frozenset[str] = frozenset()
    allowed: Mapping[str, tuple[object, ...]] | None = None
    denied: Mapping[str, tuple[object, ...]] | None = None
    required: tuple[str, ...] = ()
    wrapping_min_s: float = 0.0
    wrapping_max_s: float = 0.0

    @property
    def effective(self) -> frozenset[str]:
        """The capabilities; `deny` wins over all."""
        return frozenset(["deny"]) if "deny" in self.capabilities else self.capabilities

    @property
    def looks_at_data(self) -> bool:
        """Whether it matters what a request carries."""
        return bool(self.allowed or self.denied or self.required)

    def and_too(self, another: Rule) -> Rule:
        """Both of the same path: capabilities add up, and so do restrictions."""
        shortest = [s for s in (self.wrapping_max_s, another.wrapping_max_s) if s]
        return Rule(
            capabilities=self.capabilities | another.capabilities,
            allowed=_merged(self.allowed, another.allowed),
            denied=_merged(self.denied, another.denied),
            required=(*self.required, *another.required),
            wrapping_min_s=max(self.wrapping_min_s, another.wrapping_min_s),
            wrapping_max_s=min(shortest, default=0.0),
        )

    def lets_wrap(self, ttl_s: float) -> bool:
        """Whether an answer may be asked for with this wrapping time, 0 for none."""
        if self.wrapping_max_s and not 0 < ttl_s <= self.wrapping_max_s:
            return False
        return not (self.wrapping_min_s and ttl_s < self.wrapping_min_s)

    def lets_carry(self, method: str, data: Mapping[str, object]) -> bool:
        """Whether a request may carry these parameters."""
        if method not in _DATA_METHODS:
            return True
        if any(name not in data for name in self.required):
            return False
        if not data:
            return True
        denied, allowed = self.denied or {}, self.allowed or {}
        if "*" in denied or any(_is_named(name, value, denied) for name, value in data.items()):
            return False
        if not allowed:
            return True
        return all(
            _is_named(name, value, allowed) or ("*" in allowed and name.lower() not in allowed)
            for name, value in data.items()
        )


Rules = Mapping[str, Rule]


def parse(text: str) -> Rules:
    """The rules of a policy in HCL or JSON. Raises PolicyTextError."""
    try:
        items = parsed(text)
    except HclError as exc:
        raise PolicyTextError(str(exc)) from exc
    found: dict[str, Rule] = {}
    for item in items:
        if item.keys[0] == "name" and len(item.keys) == 1:
            continue
        if item.keys[0] != "path":
            raise PolicyTextError(_invalid_key(item))
        name = item.keys[1] if len(item.keys) > 1 else item.keys[0]
        path, rule = name.lstrip("/"), _rule(name, item.value)
        found[path] = found[path].and_too(rule) if path in found else rule
    return found


def deciding(rules: Iterable[Rules], path: str) -> Rule | None:
    """The rule of a path: that of the most specific pattern in all policies together; None where none matches."""
    found: dict[str, Rule] = {}
    path = path.lstrip("/")
    for each in rules:
        for pattern, rule in each.items():
            if _matches(pattern, path):
                found[pattern] = found[pattern].and_too(rule) if pattern in found else rule
    return found[max(found, key=_specificity)] if found else None


# -------------------------------------------------------------------------------------------------------- one block


def _rule(path: str, body: object) -> Rule:
    if not isinstance(body, list) or not all(isinstance(item, Item) for item in body):
        raise PolicyTextError(f'path "{path}": expected an object')
    fields: dict[str, Item] = {item.keys[0]: item for item in body}
    for name, item in fields.items():
        if name in _NOT_HERE:
            raise PolicyTextError(f'path "{path}": this simulator does not enforce {name}, and so refuses it')
        if name not in _READERS:
            raise PolicyTextError(f'path "{path}": {_invalid_key(item)}')
    shortest, longest = (_seconds(path, fields.get(f"{end}_wrapping_ttl")) for end in ("min", "max"))
    if longest and longest < shortest:
        raise PolicyTextError(f'path "{path}": max_wrapping_ttl cannot be less than min_wrapping_ttl')
    required = fields.get("required_parameters")
    return Rule(
        capabilities=_legacy(path, fields.get("policy")) | _capabilities(path, fields.get("capabilities")),
        allowed=_parameters(path, fields.get("allowed_parameters")),
        denied=_parameters(path, fields.get("denied_parameters")),
        required=tuple(str(name).lower() for name in _list(path, required)),
        wrapping_min_s=shortest,
        wrapping_max_s=longest,
    )


_READERS = frozenset(
    "comment policy capabilities allowed_parameters denied_parameters required_parameters min_wrapping_ttl "
    "max_wrapping_ttl".split()
)


def _invalid_key(item: Item) -> str:
    return f'1 error occurred:\n\t* invalid key "{item.keys[0]}" on line {item.line}\n\n'


def _list(path: str, item: Item | None) -> list[object]:
    if item is None:
        return []
    if not isinstance(item.value, list) or any(isinstance(each, Item) for each in item.value):
        raise PolicyTextError(
            f'path "{path}": path "{path}": At {item.line}:{item.column}: unknown slice type: *ast.LiteralType'
        )
    return item.value


def _capabilities(path: str, item: Item | None) -> frozenset[str]:
    words = [str(word) for word in _list(path, item)]
    for word in words:
        if word not in CAPABILITIES:
            raise PolicyTextError(f'path "{path}": path "{path}": invalid capability "{word}"')
    return frozenset(words)


def _legacy(path: str, item: Item | None) -> frozenset[str]:
    if item is None:
        return frozenset()
    if str(item.value) not in _LEGACY:
        raise PolicyTextError(f'path "{path}": path "{path}": invalid policy "{item.value}"')
    return _LEGACY[str(item.value)]


def _parameters(path: str, item: Item | None) -> Mapping[str, tuple[object, ...]] | None:
    if item is None:
        return None
    if not isinstance(item.value, list) or not all(isinstance(each, Item) for each in item.value):
        raise PolicyTextError(f'path "{path}": path "{path}": expected an object of parameters')
    return {each.keys[0].lower(): tuple(_list(path, each)) for each in item.value}


def _seconds(path: str, item: Item | None) -> float:
    if item is None:
        return 0.0
    value_s = go_seconds(str(item.value))
    if value_s is None or value_s < 0:
        raise PolicyTextError(f'path "{path}": error parsing wrapping TTL "{item.value}"')
    return value_s


# ---------------------------------------------------------------------------------------------------------- matching


def _merged(
    one: Mapping[str, tuple[object, ...]] | None, another: Mapping[str, tuple[object, ...]] | None
) -> Mapping[str, tuple[object, ...]] | None:
    """An empty tuple stands for every value, and so wins."""
    if one is None or another is None:
        return one if another is None else another
    both = {
        name: (*one[name], *another[name]) if one[name] and another[name] else () for name in one if name in another
    }
    return {**one, **another, **both}


def _is_named(name: str, value: object, parameters: Mapping[str, tuple[object, ...]]) -> bool:
    """Whether a parameter is there with this value. Numbers of HCL and of JSON are never the same [OBS: OpenBao]."""
    values = parameters.get(name.lower())
    return values is not None and (not values or any(_is_like(value, wanted) for wanted in values))


def _is_like(value: object, wanted: object) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return fnmatchcase(value, wanted.replace("[", "[[]").replace("?", "[?]"))
    return isinstance(value, bool) and isinstance(wanted, bool) and value is wanted


def _matches(pattern: str, path: str) -> bool:
    """A path with a slash at its end is also one without."""
    if "{{" in pattern:
        return False  # stands for an identity, and a world has none
    if _fits(pattern, path):
        return True
    return path.endswith("/") and not pattern.endswith("*") and _fits(pattern, path[:-1])


def _fits(pattern: str, path: str) -> bool:
    if "+" not in pattern:
        return path.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == path
    segments = pattern.split("/")
    glob, given = pattern.endswith("*"), path.split("/")
    *head, tail = pattern[:-1].split("/") if glob else segments
    if len(given) <= len(head) or (len(given) > len(segments) and not glob):
        return False
    if not all(wanted in ("+", got) for wanted, got in zip(head, given, strict=False)):
        return False
    rest = "/".join(given[len(head) :])
    return rest.startswith(tail) if glob else tail in ("+", rest)


def _specificity(pattern: str) -> tuple[bool, int, bool, int, int, str]:
    """Exact before all; then the later first wildcard, no `*` at the end, fewer `+`, the longer, the later in order."""
    segments = pattern.split("/")
    plus = [at for at, segment in enumerate(segments) if segment == "+"]
    glob = pattern.endswith("*")
    first = len("/".join([*segments[: plus[0]], ""])) if plus else len(pattern) - 1 if glob else len(pattern)
    return not plus and not glob, first, not glob, -len(plus), len(pattern), pattern
