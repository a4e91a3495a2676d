"""Documents as TOML: what is written is what is read again."""

from __future__ import annotations

import tomllib
from pathlib import PurePosixPath

from hypothesis import given, settings
from hypothesis import strategies as st

from watchdogd.rehearsal.toml_text import Inline, toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
DOCUMENT = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXT, inner, max_size=4)
        | st.dictionaries(TEXT, inner).map(Inline)
    ),
    max_leaves=20,
)


@settings(max_examples=40)
@given(st.dictionaries(TEXT, DOCUMENT, max_size=5))
def test_what_is_written_is_read_again(document: dict[str, object]) -> None:
    assert tomllib.loads(toml(document)) == document


def test_a_table_has_a_header_and_its_plain_keys_first() -> None:
    document = {"a": 1, "b": {"c": {"d": ["x"], "e": True}, "f": Inline(g="h"), "i": {}}}
    assert toml(document) == 'a = 1\n\n[b]\nf = { g = "h" }\n\n[b.c]\nd = ["x"]\ne = true\n\n[b.i]\n'


def test_a_list_that_is_too_long_for_a_line_has_an_element_a_line() -> None:
    document = {"a": [{"file": PurePosixPath("/credentials") / ("x" * 60)}] * 2}
    line = '  { file = "/credentials/' + "x" * 60 + '" },\n'
    assert toml(document) == f"a = [\n{line}{line}]\n"


def test_a_note_stands_above_what_it_is_about() -> None:
    document = {"a": 1, "b": {"c": {"d": 2}}}
    notes = {"": "All of it.", "a": "One.\n\nOr more.", "b": "Has no line.", "b.c": "A table.", "b.c.d": "Two."}
    assert toml(document, notes) == (
        "# All of it.\n\n# One.\n#\n# Or more.\na = 1\n\n# A table.\n[b.c]\n# Two.\nd = 2\n"
    )
