"""Knobs as a person types them: `promote_s=2`, `role_window=reset`, `reports_canary=no`."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from watchdogd.lab.knobs import Knobs

_WORDS = {"true": True, "yes": True, "false": False, "no": False}
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
            raise BadKnob(f"no knob {name!r}: they are the fields of watchdogd/lab/knobs.py")
        try:
            found[name] = _value(types_of[name], value)
        except ValueError as exc:
            raise BadKnob(f"{name}={value}: {exc}") from exc
    return found


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
