"""Entries as JSON text, there and back. What cannot be read back strictly is not written."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from functools import cache

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from watchdogd.core.entries import ENTRY_TYPES, Entry


class EntryUnreadable(ValueError):
    """The text is no entry that this version knows."""


def encode(entry: Entry) -> str:
    """The body of `entry`, without its kind. Lone surrogates, which no file can hold, become '?'.

    Raises: ValueError (no entry of ours, or a number that JSON does not have), TypeError (no JSON value).
    """
    if ENTRY_TYPES.get(entry.kind) is not type(entry):
        msg = f"{type(entry).__name__} is no entry of the journal"
        raise ValueError(msg)
    text = json.dumps(asdict(entry), allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8", "replace").decode()


def decode(kind: str, body: str) -> Entry:
    """The entry that `encode` made `body` of. Nothing is guessed or converted.

    Raises: EntryUnreadable for an unknown kind, an unknown or missing field, or a value of another type.
    """
    if kind not in ENTRY_TYPES:
        raise EntryUnreadable(f"unknown kind of entry {kind!r}")
    try:
        given = from_json(body)
        unknown = set(given) - {f.name for f in fields(ENTRY_TYPES[kind])}
        entry = _reader(kind).validate_json(body, strict=True)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise EntryUnreadable(f"{kind}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
    except (ValueError, TypeError) as exc:
        raise EntryUnreadable(f"{kind}: {exc}") from exc
    if unknown:
        raise EntryUnreadable(f"{kind}: unknown fields {', '.join(sorted(unknown))}")
    return entry


@cache
def _reader(kind: str) -> TypeAdapter[Entry]:
    return TypeAdapter(ENTRY_TYPES[kind])
