"""Journal entries for tests: one strategy per kind, and short ways to build common ones."""

from __future__ import annotations

from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, NewType, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from watchdogd.core.entries import ENTRY_TYPES, Entry, Runbook, RunOpened, Stamp
from watchdogd.core.model import ClusterId, PairId, RunId

PAIR = PairId("prod")
EAST, WEST = ClusterId("east"), ClusterId("west")
RUN = RunId("run-1")

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
PLAIN: dict[object, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(min_value=-(2**63), max_value=2**63 - 1),
    float: NUMBERS,
    bool: st.booleans(),
    NoneType: st.none(),
}


def _values(hint: Any) -> st.SearchStrategy[Any]:
    if isinstance(hint, NewType):
        return _values(hint.__supertype__)
    if get_origin(hint) is tuple:
        return st.lists(_values(get_args(hint)[0]), max_size=4).map(tuple)
    if isinstance(hint, UnionType):
        return st.one_of(*(_values(option) for option in get_args(hint)))
    return PLAIN[hint] if hint in PLAIN else st.sampled_from(hint)


def entries_of(kind: str) -> st.SearchStrategy[Entry]:
    """Every entry of one kind that its types allow."""
    entry = ENTRY_TYPES[kind]
    hints = get_type_hints(entry)
    return st.builds(entry, **{field.name: _values(hints[field.name]) for field in fields(entry)})


def any_entry() -> st.SearchStrategy[Entry]:
    """Every entry, plausible or not."""
    return st.sampled_from(sorted(ENTRY_TYPES)).flatmap(entries_of)


def stamp(at_s: float, *, boot_id: str = "boot-1") -> Stamp:
    """A stamp whose wall clock is a million seconds ahead."""
    return Stamp(at_s=at_s, at_utc_s=at_s + 1e6, boot_id=boot_id)


def run_opened(run_id: RunId = RUN, runbook: Runbook = Runbook.FAILOVER, **changes: Any) -> RunOpened:
    """A run from east to west."""
    given: dict[str, Any] = {"incident_id": "incident-1", "source": EAST, "target": WEST, "situation": "S-30"}
    return RunOpened(run_id=run_id, runbook=runbook, why="east is down", **(given | changes))
