"""Knobs as a person types them: `promote_s=2`, `role_window=reset`, `reports_canary=no`."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from watchdogd.lab.doubts import DOUBTS, Doubt, shown
from watchdogd.lab.knobs import Knobs

_WORDS = {"true": True, "yes": True, "false": False, "no": False}
_FIELD = re.compile(r"    (\w+): ")
_COMMENT = re.compile(r"  # (?:noqa: \w+  )?(.+)$")
_DOUBTED = "UNCONFIRMED"
_UNSET = "none"  # of a knob that may be unset: by version, or absent


class BadKnob(ValueError):
    """There is no such knob, or it does not take this value; the message is one line for a person."""


def knobs_in(texts: Iterable[str]) -> Mapping[str, Any]:
    """The fields of `Knobs` that texts like `NAME=VALUE` set. Raises BadKnob."""
    types_of = get_type_hints(Knobs)
    found: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in types_of:
            close = " or ".join(get_close_matches(name, types_of))
            meant = f"did you mean {close}? " if close else ""
            raise BadKnob(f"no knob {name!r}: {meant}`watchdogd-lab knobs --all` lists them")
        try:
            found[name] = _value(types_of[name], value)
        except ValueError as exc:
            raise BadKnob(f"{name}={value}: {exc}") from exc
    return found


def every_knob() -> str:
    """Every knob with its default and what it means, for people."""
    meanings = meanings_of_knobs()
    return "\n".join(
        f"{knob.name} = {_on_a_line(shown(knob.default))}\n    {meanings[knob.name]}" for knob in fields(Knobs)
    )


def meanings_of_knobs() -> Mapping[str, str]:
    """What the comment beside each knob says, and what is doubted where it says no more than that."""
    said: dict[str, str] = {}
    name = ""
    for line in inspect.getsource(Knobs).splitlines():
        if field := _FIELD.match(line):
            name = field[1]
        if name and (comment := _COMMENT.search(line)):
            said[name] = said.get(name) or comment[1]
    return {name: _meaning(text, DOUBTS.get(name)) for name, text in said.items()}


def _meaning(text: str, doubt: Doubt | None) -> str:
    if doubt is None or text.startswith(f"{_DOUBTED}: "):
        return text
    return f"{_DOUBTED}: {doubt.item}" if text == _DOUBTED else f"{text}; {doubt.item}"


def _on_a_line(text: str) -> str:
    return text.replace("\n", "\\n").replace("\t", "\\t") or "(empty)"


def _value(wanted: Any, text: str) -> object:
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return None if text == _UNSET else _value(inner[0], text)
    if origin in (tuple, frozenset):
        return origin(_value(inner[0], part) for part in text.split(",") if part)
    if wanted is bool:
        if text not in _WORDS:
            raise ValueError(f"one of {', '.join(_WORDS)}")
        return _WORDS[text]
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return _member(wanted, text)
    return wanted(text)


def _member(wanted: type[StrEnum], text: str) -> StrEnum:
    if text not in list(wanted):
        raise ValueError(f"one of {', '.join(wanted)}")
    return wanted(text)
