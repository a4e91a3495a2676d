"""Values as Go reads them out of text."""

from __future__ import annotations

import re

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(rf"([0-9]+\.?[0-9]*|\.[0-9]+)({'|'.join(_UNITS_S)})")
_WHOLE = re.compile(r"[+-]?[0-9]+")
GO_MAX_S = 2**63 / 1e9
"""Go counts nanoseconds in 64 bits."""


def go_seconds(text: str) -> float | None:
    """A duration of Go, a whole number of seconds or of days (`2d`), nothing for 0; None for anything else."""
    if not text:
        return 0.0
    if _WHOLE.fullmatch(text):
        return float(text)
    if text.endswith("d"):
        return float(text[:-1]) * 86400 if _WHOLE.fullmatch(text[:-1]) else None
    sign, unsigned = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if not unsigned or _PART.sub("", unsigned):
        return None
    return sign * sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(unsigned))
