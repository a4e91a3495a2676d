"""Garbage in is MalformedReply or a value: never a crash, whatever the bytes (I8)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.vectors import vectors
from watchdogd.adapters.vault import parse, verdicts
from watchdogd.core.model import Replication
from watchdogd.errors import MalformedReply, OutcomeUnknown, Refused

PARSERS: dict[str, Callable[[bytes], object]] = {
    "health": parse.parse_health,
    "leader": parse.parse_names,
    "dr": lambda body: parse.parse_replication_status(body, Replication.DR),
    "performance": lambda body: parse.parse_replication_status(body, Replication.PERFORMANCE),
    "attempt": parse.parse_attempt,
    "autopilot": parse.parse_autopilot_state,
    "lookup-self": parse.parse_token_info,
}
TRUE_BODIES = [v.body for v in vectors() if isinstance(v.body, dict)]
NAMES = sorted({name for body in TRUE_BODIES for part in (body, body.get("data") or {}) for name in part})
TEXTS = st.one_of(
    st.text(st.characters(codec=None), max_size=20), st.sampled_from(["", "-1", "primary", "stream-wals"])
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.datetimes().map(lambda t: f"{t}Z"))
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(NAMES), TEXTS), inner, max_size=8),
    ),
    max_leaves=20,
)


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """A true body with one field, at the top or under `data`, replaced by anything."""
    body = json.loads(json.dumps(draw(st.sampled_from(TRUE_BODIES))))
    part = body["data"] if isinstance(body.get("data"), dict) and draw(st.booleans()) else body
    part[draw(st.sampled_from(NAMES))] = draw(JSON)
    return json.dumps(body).encode()


BODIES = st.one_of(st.binary(max_size=300), JSON.map(lambda value: json.dumps(value).encode()), altered())


@pytest.mark.parametrize("name", PARSERS)
@given(body=BODIES)
@settings(max_examples=40, deadline=None)
def test_any_bytes_give_a_value_or_malformed_reply(name: str, body: bytes) -> None:
    try:
        shown = repr(PARSERS[name](body))
    except MalformedReply as no:
        shown = str(no)
    assert shown.encode("utf-8"), "can be logged and stored"


@given(status=st.integers(min_value=100, max_value=999), body=BODIES)
@settings(max_examples=100, deadline=None)
def test_any_answer_of_a_write_is_accepted_refused_or_unknown(status: int, body: bytes) -> None:
    failure = verdicts.failure_of(status, body)
    assert (failure is None) is (200 <= status < 300)
    assert failure is None or isinstance(failure, Refused | OutcomeUnknown)
    assert len(verdicts.error_text(body)) <= verdicts.TEXT_CHARS_SHOWN
