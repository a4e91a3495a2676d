"""The variants of one scenario file: `[cases.NAME]`, `[defaults]`, `[matrix]`, `{name}` and `only`. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

Toml: TypeAlias = object  # what tomllib gives: tables, lists, texts, numbers, bools
Table: TypeAlias = dict[str, Toml]
_PLACE = re.compile(r"\{([a-z_]+)\}")


class BadScenario(ValueError):
    """The file is no scenario; the message names the place and says what would be right."""


def variants(table: Table) -> Iterator[tuple[str, Table]]:
    """Every variant with its name; one without a name where the file has neither cases nor a matrix."""
    defaults = table.get("defaults", {})
    if not isinstance(defaults, dict):
        raise BadScenario("defaults: a table of values for {name} that a case may set otherwise")
    for case, own in [*_cases(table)]:
        values = {**defaults, **own}
        for crossed in _crossed(table):
            name = ",".join([*([case] if case else []), *(str(value) for value in crossed.values())])
            yield name, _settled(table, {**values, **crossed, **({"case": case} if case else {})})


def _cases(table: Table) -> Iterator[tuple[str, Table]]:
    cases = table.get("cases", {})
    if not isinstance(cases, dict):
        raise BadScenario("cases: tables [cases.NAME] with values for {name}")
    for name, values in cases.items():
        if not isinstance(values, dict):
            raise BadScenario(f"cases.{name}: a table of values for {{name}}")
        yield name, values
    if not cases:
        yield "", {}


def _crossed(table: Table) -> Iterator[Table]:
    matrix = table.get("matrix", {})
    if not isinstance(matrix, dict) or not all(isinstance(values, list) and values for values in matrix.values()):
        raise BadScenario("matrix: name = [values, …], each name a list")
    for row in itertools.product(*(values for values in matrix.values() if isinstance(values, list))):
        yield dict(zip(matrix, row, strict=True))


def _settled(table: Table, values: Mapping[str, Toml]) -> Table:
    kept = {key: value for key, value in table.items() if key not in ("cases", "matrix", "defaults")}
    settled = {key: _filled(value, values, key) for key, value in kept.items()}
    return {
        key: [line for line in value if _is_meant(line, values, key)] if isinstance(value, list) else value
        for key, value in settled.items()
    }


def _filled(value: Toml, values: Mapping[str, Toml], place: str) -> Toml:
    match value:
        case str() if (whole := _PLACE.fullmatch(value)) is not None:
            return _named(whole[1], values, place)
        case str():
            return _PLACE.sub(lambda hit: str(_named(hit[1], values, place)), value)
        case list():
            return [_filled(one, values, place) for one in value]
        case dict():
            return {key: _filled(one, values, f"{place}.{key}") for key, one in value.items()}
        case _:
            return value


def _named(name: str, values: Mapping[str, Toml], place: str) -> Toml:
    if name not in values:
        raise BadScenario(f"{place}: {{{name}}} is no value of [cases] or [matrix]: there are {', '.join(values)}")
    return values[name]


def _is_meant(line: Toml, values: Mapping[str, Toml], place: str) -> bool:
    """Whether a line is for this variant: `only = "name=value"`, or "name=value|value", or a list: all must hold."""
    if not isinstance(line, dict) or "only" not in line:
        return True
    only = line.pop("only")
    for condition in only if isinstance(only, list) else [only]:
        name, _, wanted = str(condition).partition("=")
        is_not, name = name.endswith("!"), name.rstrip("!")
        found = str(_named(name, values, f"{place}.only"))
        if (found in wanted.split("|")) == is_not:
            return False
    return True
