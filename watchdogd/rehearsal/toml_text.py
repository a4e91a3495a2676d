"""A document as TOML, with the comments that a person wants to read in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

WIDE = 100  # a list that would make a longer line is written one element a line
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")  # source: toml.io/en/v1.0.0#keys


class Inline(dict[str, object]):
    """A table that is written on one line, where its key stands."""


def toml(document: Mapping[str, object], notes: Mapping[str, str] | None = None) -> str:
    """The text of the document. `notes` has comments by the dotted path of what they stand above; "" is the top."""
    return "".join(f"{line}\n" for line in _table(document, notes or {}, ()))


def _table(table: Mapping[str, object], notes: Mapping[str, str], above: Sequence[str]) -> Iterator[str]:
    """What has a line of its own comes first: behind a header TOML takes every key as that table's."""
    below = {key: value for key, value in table.items() if isinstance(value, dict) and not isinstance(value, Inline)}
    if not above and "" in notes:
        yield from (*_note(notes, above), "")
    if above and (len(below) < len(table) or not table):
        yield from ("", *_note(notes, above), f"[{'.'.join(map(_key, above))}]")
    for key, value in table.items():
        if key not in below:
            yield from _note(notes, (*above, key))
            yield from _line(key, value)
    for key, value in below.items():
        yield from _table(value, notes, (*above, key))


def _note(notes: Mapping[str, str], path: Sequence[str]) -> Iterator[str]:
    return (f"# {line}".rstrip() for line in notes.get(".".join(path), "").splitlines())


def _line(key: str, value: object) -> Iterator[str]:
    line = f"{_key(key)} = {_value(value)}"
    if len(line) <= WIDE or not isinstance(value, list | tuple):
        yield line
    else:
        yield from (f"{_key(key)} = [", *(f"  {_value(one)}," for one in value), "]")


def _key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    """What JSON writes as text, number and truth is TOML too."""
    match value:
        case dict():
            return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_value(one) for one in value) + "]"
        case PurePath():
            return _value(str(value))
        case _:
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
