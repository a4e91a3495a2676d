"""A value that never prints."""

from __future__ import annotations

from hmac import compare_digest
from typing import NoReturn, final


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
