"""ACL policies as far as this world needs them: paths with `*` at the end and `+` for one segment, capability lists.

Source: developer.hashicorp.com/vault/docs/concepts/policies (the more specific path wins; `deny` wins over all).
"""

import json
import re
from collections.abc import Iterable, Mapping

Rules = Mapping[str, frozenset[str]]

ROOT = "root"
_STANZA = re.compile(r'path\s+"([^"]+)"\s*\{\s*(?:capabilities\s*=\s*\[([^\]]*)\]\s*)?[^{}]*\}')
_WORD = re.compile(r'"([a-z]+)"')
_COMMENT = re.compile(r"(?m)^\s*(?:#|//).*$")

DEFAULT_TEXT = """
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
path "sys/wrapping/wrap" { capabilities = ["update"] }
"""


class PolicyTextError(ValueError):
    """A policy text that this parser, like Vault's, refuses."""


def parse(text: str) -> Rules:
    """The rules of a policy in HCL or JSON. Raises PolicyTextError."""
    if text.lstrip().startswith("{"):
        return _from_json(text)
    bare = _COMMENT.sub("", text)
    rest = _STANZA.sub("", bare).strip()
    if rest:
        raise PolicyTextError(f"At 1:{bare.find(rest[:8]) + 1}: object expected closing RBRACE got: EOF")
    return {m.group(1).lstrip("/"): frozenset(_WORD.findall(m.group(2) or "")) for m in _STANZA.finditer(bare)}


def capabilities(rules: Iterable[Rules], path: str) -> frozenset[str]:
    """What the policies together allow on a path; the most specific pattern of all of them decides."""
    found: dict[str, frozenset[str]] = {}
    for each in rules:
        for pattern, words in each.items():
            if _matches(pattern, path):
                found[pattern] = found.get(pattern, frozenset()) | words
    if not found:
        return frozenset()
    best = found[max(found, key=_specificity)]
    return frozenset(["deny"]) if "deny" in best else best


def _from_json(text: str) -> Rules:
    try:
        paths = json.loads(text)["path"]
        return {str(p).lstrip("/"): frozenset(map(str, body["capabilities"])) for p, body in paths.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise PolicyTextError(str(exc)) from exc


def _matches(pattern: str, path: str) -> bool:
    if "+" not in pattern:
        return path.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == path
    glob, wanted, given = pattern.endswith("*"), pattern.rstrip("*").split("/"), path.split("/")
    if len(given) < len(wanted) or (len(given) > len(wanted) and not glob):
        return False
    *head, tail = wanted
    return all(w in ("+", g) for w, g in zip(head, given, strict=False)) and _tail_matches(tail, given, len(head), glob)


def _tail_matches(tail: str, given: list[str], at: int, glob: bool) -> bool:
    rest = "/".join(given[at:])
    return rest.startswith(tail) if glob else tail in ("+", rest)


def _specificity(pattern: str) -> tuple[int, bool, int]:
    wild = pattern.find("+")
    first_wild = wild if wild >= 0 else len(pattern.rstrip("*"))
    return first_wild, not pattern.endswith("*"), len(pattern)
