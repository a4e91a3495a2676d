"""Knobs as a person types them: `promote_s=2`, `role_window=reset`, `reports_canary=no`."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, get_args, get_origin

from watchdogd.lab.doubts import DOUBTS, Doubt, shown
from watchdogd.lab.knob_values import UNSET, BadKnob, check_knob, kind_of, right
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.near_names import did_you_mean

_WORDS = {"true": True, "yes": True, "false": False, "no": False}
_FIELD = re.compile(r"    (\w+): ")
_COMMENT = re.compile(r"  # (?:noqa: \w+  )?(.+)$")
_DOUBTED = "UNCONFIRMED"
_TYPES: Mapping[str, Any] = {knob.name: knob.type for knob in fields(Knobs)}


def knobs_in(texts: Iterable[str]) -> Mapping[str, Any]:
    """The fields of `Knobs` that texts like `NAME=VALUE` set. Raises BadKnob."""
    return dict(_knob_in(text) for text in texts)


def _knob_in(text: str) -> tuple[str, object]:
    name, _, typed = text.partition("=")
    if name not in _TYPES:
        raise BadKnob(f"no knob {name!r}: {did_you_mean(name, _TYPES)}`watchdogd-lab knobs --all` lists them")
    return name, _typed(name, typed)


def knob_of_file(name: str, given: object) -> object:
    """The value that a file gives to a knob; as a person types it where a file has no other way. Raises: BadKnob."""
    kind, _ = kind_of(_TYPES[name])
    is_typed = given == UNSET or kind not in (str, bool, int, float)
    value = ",".join(map(str, given)) if isinstance(given, tuple) and get_args(kind)[:1] == (int,) else given
    if isinstance(value, tuple) and (origin := get_origin(kind)):
        value = origin(value)
    if isinstance(value, str) and is_typed:
        return _typed(name, value)
    check_knob(name, _TYPES[name], value)
    return value


def _typed(name: str, text: str) -> object:
    kind, is_optional = kind_of(_TYPES[name])
    if is_optional and text == UNSET:
        return None
    try:
        value = _value(kind, text)
    except ValueError as exc:
        raise BadKnob(f"{name}={text}: {right(name, _TYPES[name])}") from exc
    check_knob(name, kind, value)
    return value


def every_knob() -> str:
    """Every knob with its default, what it means and what it takes, for people."""
    meanings = meanings_of_knobs()
    return "\n".join(
        f"{knob.name} = {_on_a_line(shown(knob.default))}\n    {meanings[knob.name]}\n"
        f"    takes {right(knob.name, knob.type)}"
        for knob in fields(Knobs)
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


def _value(kind: Any, text: str) -> object:
    if origin := get_origin(kind):
        each = get_args(kind)[0]
        if each is str and text.startswith("["):
            return origin(_texts(text))
        return origin(each(part) for part in text.split(",") if part)
    if kind is bool and text not in _WORDS:
        raise ValueError(text)
    return _WORDS[text] if kind is bool else kind(text)


def _texts(text: str) -> list[str]:
    """Texts as JSON, any of which may have commas in it. Raises: ValueError."""
    given: list[object] = json.loads(text)
    if wrong := [one for one in given if not isinstance(one, str)]:
        raise ValueError(wrong)
    return [str(one) for one in given]
