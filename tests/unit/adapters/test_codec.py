"""Entries as text, there and back."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.entries import RUN, entries_of, run_opened
from watchdogd.adapters.store.codec import EntryUnreadable, decode, encode
from watchdogd.core.entries import ENTRY_TYPES, Entry, Noted, StepIntended


@pytest.mark.parametrize("kind", sorted(ENTRY_TYPES))
@settings(max_examples=30)
@given(data=st.data())
def test_every_entry_is_read_back_as_it_was(kind: str, data: st.DataObject) -> None:
    entry = data.draw(entries_of(kind))
    assert decode(kind, encode(entry)) == entry


@given(note=st.text())
def test_any_text_can_be_stored_even_half_a_surrogate(note: str) -> None:
    entry = Noted(run_id=RUN, step="fence", note=note)
    body = encode(entry)
    assert decode("noted", body) == Noted(run_id=RUN, step="fence", note=note.encode("utf-8", "replace").decode())
    body.encode()


def test_enums_and_lists_are_plain_json() -> None:
    body = json.loads(encode(run_opened(waivers=("loss", "window"))))
    assert (body["runbook"], body["waivers"]) == ("failover", ["loss", "window"])


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("no_such_kind", "{}"),
        ("hold_lifted", '{"added_later": 1}'),
        ("acked", '{"reason": "no uid"}'),
        ("acked", '{"by_uid": "1000"}'),
        ("acked", '{"by_uid": 1.5}'),
        ("run_ended", '{"run_id": "r", "outcome": "exploded"}'),
        ("hold_lifted", "[]"),
        ("hold_lifted", "null"),
        ("hold_lifted", "3"),
        ("hold_lifted", "{"),
        ("hold_lifted", ""),
    ],
)
def test_what_this_version_does_not_know_is_refused(kind: str, body: str) -> None:
    with pytest.raises(EntryUnreadable):
        decode(kind, body)


def test_a_field_that_has_a_default_may_be_missing_so_that_it_can_be_added_later() -> None:
    assert decode("step_intended", '{"run_id": "run-1", "step": "promote"}') == StepIntended(run_id=RUN, step="promote")


def test_a_number_that_json_does_not_have_is_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(StepIntended(run_id=RUN, step="promote", look_ended_s=float("nan")))


def test_what_is_no_entry_of_the_journal_is_not_written() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Invented(Entry):
        kind = "noted"  # pretends to be another one

    with pytest.raises(ValueError, match="no entry"):
        encode(Invented())
