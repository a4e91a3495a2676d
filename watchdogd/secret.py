"""A value that never prints, and texts without what looks like one."""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import NoReturn, final

REDACTED = "(redacted)"
# Vault tokens: hvs. hvb. hvr. since 1.10, s. b. r. before. Source: developer.hashicorp.com/vault/docs/concepts/tokens.
# Wrapped activation tokens and logins may be JWTs.
_TOKENS = re.compile(
    r"\bhv[sbr]\.[\w.=+/-]+|\b[sbr]\.[\w-]{20,}[\w.=-]*|\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?",
)
# Ids of AWS keys. Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html, unique identifiers.
_KEY_IDS = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}")
# A word of base64 or hex: secret keys, key shares, what a generator made. With slashes only a long one: else a path.
_WORDS = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}|[A-Za-z0-9+_-]{20,}={0,2}")
MIXED_LENGTH = 20  # from here on upper case, lower case and digits in one word are no name that somebody chose
ANY_LENGTH = 32  # from here on upper and lower case are none, nor are letters and digits


@final
class Secret:
    """A token, a key share, a password: immutable, and shown as `Secret(***)` by repr, str and formatting.

    Not a dataclass on purpose: `dataclasses.asdict` would unfold one. It can be neither pickled nor copied, so it
    cannot end in a file by accident, and it has no hash, so it cannot become a key.
    """

    __slots__ = ("_value",)
    _value: str
    __hash__ = None  # type: ignore[assignment]  # see above

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """The value itself: only where it goes on the wire."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and compare_digest(self._value.encode(), other._value.encode())

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret is immutable")

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is neither pickled nor copied")


def redact(text: str) -> str:
    """`text` without anything that looks like a token."""
    return _TOKENS.sub(REDACTED, text)


def without_secrets(text: str) -> str:
    """`text` for people about what somebody typed: without tokens, and without every word that may be a key.

    Names, addresses, ids and paths stay.
    """
    return _WORDS.sub(_word_or_not, _KEY_IDS.sub(REDACTED, redact(text)))


def _word_or_not(found: re.Match[str]) -> str:
    word = found[0]
    if word.startswith("/") and not word.startswith("//"):  # a path: each part of it by itself
        return "/".join(REDACTED if _may_be_key(part) else part for part in word.split("/"))
    return REDACTED if _may_be_key(word) else word


def _may_be_key(word: str) -> bool:
    word = word.strip("/")
    is_mixed = bool(re.search("[a-z]", word) and re.search("[A-Z]", word))
    has_digit = bool(re.search("[0-9]", word))
    if len(word) >= ANY_LENGTH:
        return is_mixed or (word.isalnum() and has_digit)
    return is_mixed and has_digit and len(word) >= MIXED_LENGTH
