"""Bytes of a reply as typed fields: bounded, and a value or `MalformedReply`, never anything else.

The same field is a number in one place and a string in the next (reference section 2), so a number is also taken from
a string of digits. A bool is not a number. `null` is the same as absent.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import NoReturn

from watchdogd.errors import MalformedReply

BODY_BYTES_MAX = 256 * 1024
TEXT_CHARS_MAX = 8192  # the longest text we read is a batch token of some hundred characters
ITEMS_MAX = 1000
INT64_MAX = 2**63 - 1

_DIGITS = re.compile(r"-?[0-9]{1,19}\Z", re.ASCII)
_RFC3339 = re.compile(r"(\d{4})-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
_ZERO_YEAR = "0001"  # the zero time of Go, which stands for "never"


def decode(endpoint: str, body: bytes) -> Fields:
    """The JSON object in `body`.

    Raises: MalformedReply for anything but one object of at most BODY_BYTES_MAX bytes of UTF-8 JSON.
    """
    if len(body) > BODY_BYTES_MAX:
        raise MalformedReply(endpoint, f"longer than {BODY_BYTES_MAX} bytes")
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise MalformedReply(endpoint, "nested too deep") from None
    except ValueError:  # not UTF-8, not JSON, NaN, or a number of thousands of digits
        raise MalformedReply(endpoint, "not JSON") from None
    if not isinstance(value, dict):
        raise MalformedReply(endpoint, f"a {type(value).__name__}, not an object")
    return Fields(endpoint, value)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


class Fields:
    """One JSON object of a reply. Every method raises MalformedReply when what is there has another type."""

    __slots__ = ("_endpoint", "_values")

    def __init__(self, endpoint: str, values: dict[str, object]) -> None:
        self._endpoint = endpoint
        self._values = values

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def names(self) -> tuple[str, ...]:
        """The keys of the object, at most ITEMS_MAX."""
        if len(self._values) > ITEMS_MAX:
            self._fail("*", f"more than {ITEMS_MAX} keys")
        return tuple(self._checked("key", name) for name in self._values)

    def flag(self, name: str) -> bool:
        """A bool that must be there."""
        value = self.flag_or_none(name)
        return self._fail(name, "missing") if value is None else value

    def flag_or_none(self, name: str) -> bool | None:
        """A bool, or None where absent."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return value
        return self._fail(name, f"a {type(value).__name__}, not a bool")

    def number(self, name: str) -> int:
        """A whole number that must be there."""
        value = self.number_or_none(name)
        return self._fail(name, "missing") if value is None else value

    def number_or_none(self, name: str) -> int | None:
        """A whole number of 64 bits, also as a string of digits; None where absent or empty."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and _DIGITS.match(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return self._fail(name, f"a {type(value).__name__}, not a whole number")
        return value if abs(value) <= INT64_MAX else self._fail(name, "out of range")

    def text(self, name: str) -> str:
        """A text; empty where absent."""
        value = self._values.get(name)
        return "" if value is None else self._checked(name, value)

    def text_or_none(self, name: str) -> str | None:
        """A text; None where absent or empty: what Vault redacts or omits says nothing."""
        return self.text(name) or None

    def texts_or_none(self, name: str) -> tuple[str, ...] | None:
        """A list of texts; None where absent."""
        items = self._list(name)
        return None if items is None else tuple(self._checked(name, item) for item in items)

    def time_or_none(self, name: str) -> float | None:
        """An RFC 3339 time as seconds of the epoch; None where absent, empty or the zero time of Go."""
        text = self.text(name)
        match = _RFC3339.match(text)
        if not text or (match and match[1] == _ZERO_YEAR):
            return None
        if match is None:
            return self._fail(name, "not an RFC 3339 time")
        try:
            return datetime.fromisoformat(text.upper()).timestamp()
        except (ValueError, OverflowError):
            return self._fail(name, "not a time of any calendar")

    def child_or_none(self, name: str) -> Fields | None:
        """An object; None where absent."""
        value = self._values.get(name)
        return None if value is None else self._object(name, value)

    def children_or_none(self, name: str) -> tuple[Fields, ...] | None:
        """A list of objects; None where absent."""
        items = self._list(name)
        return None if items is None else tuple(self._object(name, item) for item in items)

    def _object(self, name: str, value: object) -> Fields:
        if not isinstance(value, dict):
            return self._fail(name, f"a {type(value).__name__}, not an object")
        return Fields(self._endpoint, value)

    def _list(self, name: str) -> list[object] | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            return self._fail(name, f"a {type(value).__name__}, not a list")
        return value if len(value) <= ITEMS_MAX else self._fail(name, f"more than {ITEMS_MAX} items")

    def _checked(self, name: str, value: object) -> str:
        if not isinstance(value, str):
            return self._fail(name, f"a {type(value).__name__}, not a text")
        if len(value) > TEXT_CHARS_MAX:
            return self._fail(name, f"longer than {TEXT_CHARS_MAX} characters")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:  # half of a surrogate pair: could not be stored or shown
            return self._fail(name, "not a text of whole characters")
        return value

    def _fail(self, name: str, what: str) -> NoReturn:
        raise MalformedReply(self._endpoint, f"{_shown(name)}: {what}")


def _shown(name: str) -> str:
    """A key as it may be shown: Vault's keys are short and plain, anything else may be anything."""
    return name if len(name) <= 64 and name.isascii() and name.isprintable() else "a key"
