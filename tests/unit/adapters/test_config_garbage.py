"""Whatever the file holds, reading it gives settings or a ConfigError."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.configs import GOOD, Table, toml
from watchdogd.adapters.config import parse_config
from watchdogd.errors import ConfigError

SCALARS = st.one_of(
    st.text(max_size=12),
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["3s", "0", "https://a:1", "east", "auto", "=file", "[key]", "/x", "own", "near:east", "1.2"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def places(at: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in `at` with a key of it."""
    keys = list(at) if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ()
    for key in keys:
        yield at, key
        yield from places(at[key])


def is_judged(raw: bytes) -> bool:
    """True when `raw` was read or refused with sentences; anything else raises."""
    try:
        parse_config(raw)
    except ConfigError as refused:
        return bool(refused.problems) and all(": " in problem for problem in refused.problems)
    return True


@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_judged(raw: bytes) -> None:
    assert is_judged(raw)


@given(seed=st.integers(min_value=0), values=st.lists(VALUES, min_size=1, max_size=4))
@settings(max_examples=300)
def test_a_good_config_with_anything_anywhere_is_judged(seed: int, values: list[object]) -> None:
    table: Table = copy.deepcopy(GOOD)
    for index, value in enumerate(values):
        chance = random.Random(seed + index)
        container, key = chance.choice(list(places(table)))
        if isinstance(container, dict) and chance.random() < 0.3:
            key = str(value)[:8]
        container[key] = value
    assert is_judged(toml(table).encode("utf-8", "replace"))
