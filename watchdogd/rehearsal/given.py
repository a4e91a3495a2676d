"""A table of a scenario's file, read key by key: what must be otherwise is refused with its place and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from watchdogd.lab.knob_values import is_number
from watchdogd.lab.number import Number
from watchdogd.lab.scenario import Scalars

FROM_0_ON, ABOVE_0 = Number(least=0.0), Number(least=0.001)
ONE_AND_MORE = Number(least=1, is_whole=True)


@dataclass(frozen=True, slots=True)
class Given:
    """`place` is how the table is called in a refusal, as "[pair]". All readers raise ValueError."""

    place: str
    table: Scalars

    def only(self, known: Iterable[str]) -> None:
        """Refuses every key that nobody would read."""
        if unknown := sorted(self.table.keys() - set(known)):
            raise ValueError(f"{self.place} unknown {', '.join(unknown)}: known are {', '.join(sorted(known))}")

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.table.get(key, default)
        return value if isinstance(value, bool) else self.refuse(key, "true or false")

    def number(self, key: str, default: float, number: Number) -> float:
        value = self.table.get(key, default)
        return value if is_number(value) and number.takes(value) else self.refuse(key, str(number))

    def text(self, key: str, default: str) -> str:
        value = self.table.get(key, default)
        return value if isinstance(value, str) else self.refuse(key, "a text")

    def word(self, key: str, default: str, words: Iterable[str]) -> str:
        value = self.table.get(key, default)
        is_known = isinstance(value, str) and value in tuple(words)
        return str(value) if is_known else self.refuse(key, f"one of {', '.join(words)}")

    def words(self, key: str, default: tuple[str, ...], words: Iterable[str]) -> tuple[str, ...]:
        value = self.table.get(key, default)
        if isinstance(value, tuple) and set(value) <= set(words):
            return value
        return self.refuse(key, f"a list of {', '.join(words)}")

    def refuse(self, key: str, right: str) -> NoReturn:
        """What is there is not what would be right."""
        raise ValueError(f"{self.place} {key}: {_typed(self.table[key])}: {right}")


def _typed(value: object) -> str:
    """As it stands in the file."""
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return repr([*value])
        case _:
            return repr(value)
