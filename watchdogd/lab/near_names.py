"""What somebody may have meant by a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean promote_s? `, or nothing where no name is close."""
    close = " or ".join(get_close_matches(name, [*known]))
    return f"did you mean {close}? " if close else ""
