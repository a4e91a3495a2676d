"""What each knob may be: by its type and, where it is a number, by its name."""

from __future__ import annotations

import types
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeGuard, Union, get_args, get_origin

from watchdogd.lab.number import Number

UNSET = "none"  # how a person types that a knob is unset: by version, or absent

_PERIOD = Number(least=0.001)
_SHARES = Number(least=1, most=255, is_whole=True)
_DONE = Number(least=200, most=299, is_whole=True)  # a status
_NUMBERS: Mapping[str, Number] = {
    "catching_up_s": Number(least=0, or_inf=True),
    "guard_missing_every_s": Number(least=0.1, or_inf=True),
    "heartbeat_s": _PERIOD,
    "canary_every_s": _PERIOD,
    "reindex_entries_per_s": _PERIOD,
    "merkle_diff_keys_per_s": _PERIOD,
    "merkle_sync_keys_per_s": _PERIOD,
    "max_lease_ttl_s": Number(least=1),
    "stream_wal_per_s": Number(least=1, is_whole=True),
    "shipper_entries": Number(least=1, is_whole=True),
    "seal_shares": _SHARES,
    "seal_threshold": _SHARES,
    "utc_offset_minutes": Number(least=-720, most=840, is_whole=True),
    "revoke_secondary_status": _DONE,
    "reload_licence_status": _DONE,
}
_STATUS = Number(least=400, most=599, is_whole=True)  # of a refusal


class BadKnob(ValueError):
    """There is no such knob, or it does not take this value; the message is one line for a person."""


def check_knob(name: str, wanted: Any, value: object) -> None:
    """`wanted` is the type of the field. Raises: BadKnob, with what would be right."""
    if not _takes(name, wanted, value):
        raise BadKnob(f"{name}={value}: {right(name, wanted)}")


def right(name: str, wanted: Any) -> str:
    """What a knob takes, in words."""
    kind, is_optional = kind_of(wanted)
    origin = get_origin(kind)
    if origin in (tuple, frozenset):
        each = get_args(kind)[0]
        what = f"{_texts_or_numbers(each)}" + ("" if origin is frozenset else "; one at least")
    elif kind is bool:
        what = "true or false"
    elif issubclass(kind, StrEnum):
        what = f"one of {', '.join(kind)}"
    else:
        what = "a text" if kind is str else str(_number(name, kind))
    return f"{what}, or {UNSET}" if is_optional else what


def kind_of(wanted: Any) -> tuple[Any, bool]:
    """The type of a field, and whether it may be None as well."""
    if get_origin(wanted) in (Union, types.UnionType):
        return get_args(wanted)[0], True
    return wanted, False


def _takes(name: str, wanted: Any, value: object) -> bool:
    kind, is_optional = kind_of(wanted)
    if value is None:
        return is_optional
    origin = get_origin(kind)
    if origin in (tuple, frozenset):
        is_right = isinstance(value, origin) and all(_takes(name, get_args(kind)[0], one) for one in value)
        return is_right and (origin is frozenset or bool(value))
    if kind in (int, float):
        return is_number(value) and _number(name, kind).takes(value)
    return isinstance(value, kind)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number: `true` is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(name: str, kind: type) -> Number:
    if name in _NUMBERS:
        return _NUMBERS[name]
    return _STATUS if name.endswith("_status") else Number(least=0, is_whole=kind is int)


def _texts_or_numbers(kind: type) -> str:
    if kind is int:
        return "whole numbers from 0 on, commas between them"
    return 'texts, commas between them, or as JSON: ["a, b", "c"]'
