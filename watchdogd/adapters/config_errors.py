"""What pydantic found, as sentences: the place as it is written in the file, what is wrong, what would be right."""

from __future__ import annotations

import difflib
import inspect
import json
import re
from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from watchdogd.adapters.config_model import TAGGED, ConfigFile, Table
from watchdogd.adapters.config_types import WAY_OUT_OF_PATTERN
from watchdogd.secret import without_secrets

_WANTED = {
    "string_type": 'a text in quotes, like "this"',
    "int_type": "a whole number, without quotes",
    "bool_type": "true or false, without quotes",
    "list_type": "a list, [ … ]",
    "dict_type": "a table",
    "model_type": "a table, { key = value }",
    "model_attributes_type": "a table, { key = value }",
}


def problems_of(exc: ValidationError) -> tuple[str, ...]:
    """One sentence per error, in the order found."""
    return tuple(dict.fromkeys(_sentence(error) for error in exc.errors(include_url=False, include_input=False)))


def path_of(loc: Iterable[int | str]) -> str:
    """The place as TOML writes it: `pair.prod.cluster.east.nodes[0]`."""
    path = ""
    for step in loc:
        match step:
            case int():
                path += f"[{step}]"
            case "[key]":
                continue
            case _ if step.startswith("="):
                continue
            case _:
                key = step if re.fullmatch(r"[A-Za-z0-9_-]+", step) else json.dumps(without_secrets(step)[:60])
                path += f".{key}" if path else key
    return path


def _sentence(error: ErrorDetails) -> str:
    loc = error["loc"]
    return f"{path_of(loc) or 'the file'}: {_what(error['type'], error, loc)}"


def _what(kind: str, error: ErrorDetails, loc: tuple[int | str, ...]) -> str:
    ctx = error.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return f"unknown key: {_allowed(loc)}"
        case "missing":
            return f"missing: {_description(loc)}"
        case "literal_error":
            return f"not a word known here: {str(ctx['expected']).replace(chr(39), chr(34))}"
        case "string_pattern_mismatch":
            return f"not of that form: {WAY_OUT_OF_PATTERN.get(str(ctx['pattern']), error['msg'])}"
        case "too_short":
            return "empty: at least one"
        case _ if kind in _WANTED:
            return f"of the wrong type: {_WANTED[kind]}"
        case _:
            return error["msg"]


def _allowed(loc: tuple[int | str, ...]) -> str:
    table = _table_at(loc[:-1])
    keys = sorted(table.model_fields) if table else []
    near = difflib.get_close_matches(str(loc[-1]), keys, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"one of {', '.join(keys)}"


def _description(loc: tuple[int | str, ...]) -> str:
    table = _table_at(loc[:-1])
    field = table.model_fields.get(str(loc[-1])) if table else None
    return (field.description if field else None) or "it has no default"


def _table_at(loc: tuple[int | str, ...]) -> type[Table] | None:
    """The model that describes the table at `loc`."""
    at: Any = ConfigFile
    for step in loc:
        at = TAGGED.get(step) if isinstance(step, str) and step.startswith("=") else _into(at, step)
    at = _into_optional(at)
    return at if inspect.isclass(at) and issubclass(at, Table) else None


def _into(at: Any, step: int | str) -> Any:
    at = _into_optional(at)
    if inspect.isclass(at) and issubclass(at, Table):
        field = at.model_fields.get(str(step))
        return field.annotation if field else None
    if get_origin(at) in (dict, list):
        return get_args(at)[-1]
    return None


def _into_optional(at: Any) -> Any:
    """`at` without Annotated, and without `| None`."""
    if get_origin(at) is Annotated:
        return _into_optional(get_args(at)[0])
    if get_origin(at) in (Union, UnionType):
        rest = [arg for arg in get_args(at) if arg is not type(None)]
        return _into_optional(rest[0]) if len(rest) == 1 else at
    return at
