"""Whether a scenario says only what somebody will read: what the parser of its file, in the lab, cannot know."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields

from watchdogd.core.entries import ENTRY_TYPES, Runbook
from watchdogd.core.gates import GATES, WAIVABLE, is_waivable
from watchdogd.core.situations import NAMES, SITUATIONS
from watchdogd.daemon.protocol import Code
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.near_names import did_you_mean
from watchdogd.lab.number import Number
from watchdogd.lab.scenario import ActLine, Scenario
from watchdogd.lab.spec import ClusterSpec
from watchdogd.rehearsal.given import ONE_AND_MORE, Given
from watchdogd.rehearsal.pair_asked import SHARES
from watchdogd.rehearsal.site import EAST, WEST, WORLD_KEYS, fence_plan_of, found, policy_of

ROWS: Mapping[str, Collection[str]] = {"situation": sorted({row.id for row in SITUATIONS}), "name_row": NAMES}
VERSIONS = ("vault_version", "vault_version_of_west")
ANY = Number()
# Of the keys of an act those that stand for one of a few words.
WORDS: Mapping[str, Collection[str]] = {
    "cluster": (EAST, WEST),
    "runbook": tuple(Runbook),
    "entry": tuple(ENTRY_TYPES),
    "token": ("a", "b", "root", *SHARES),
}


def check_settings(scenario: Scenario) -> None:
    """Raises: ValueError for a key or a value that nobody knows, with its place and what would be right."""
    _check_world(scenario)
    _check_rows(scenario)
    for number, act in enumerate(scenario.acts, start=1):
        _check_act(f"act {number}", act)
    policy_of(scenario, *found(scenario))
    fence_plan_of(scenario.fence)


def _check_world(scenario: Scenario) -> None:
    given, knobs = Given("[world]", scenario.world), {field.name for field in fields(Knobs)}
    if unknown := sorted(scenario.world.keys() - WORLD_KEYS - knobs):
        hint = did_you_mean(unknown[0], WORLD_KEYS | knobs)
        raise ValueError(f"[world] unknown {', '.join(unknown)}{f': {hint.strip()}' if hint else ''}")
    for key in VERSIONS:
        version = given.text(key, ClusterSpec(name=EAST).vault_version)
        try:
            ClusterSpec(name=EAST, vault_version=version)
        except ValueError as exc:
            raise ValueError(f"[world] {key}: {exc}") from exc


def _check_rows(scenario: Scenario) -> None:
    """A row that there is not would be waited for in vain, or never be where it must not be."""
    waited = [words for one in scenario.expected for words in (one.seen, one.since)]
    for words in (*waited, *(when.seen for when in scenario.moments)):
        subject, _, row = words.partition(" ")
        if row and row not in ROWS.get(subject, (row,)):
            raise ValueError(f"{subject} {row!r}: no such row: one of {', '.join(ROWS[subject])}")
        if subject == "run" and row and row.partition(" ")[0] not in tuple(Runbook):
            raise ValueError(f"run {row!r}: no such runbook: one of {', '.join(Runbook)}")
    for gate in (gate for one in scenario.expected for gate in one.gates):
        if gate.partition(":")[0] not in {*GATES, *WAIVABLE}:
            raise ValueError(f"gates: no gate {gate!r}: one of {', '.join([*GATES, *sorted(WAIVABLE - GATES.keys())])}")


def _check_act(place: str, act: ActLine) -> None:
    if act.ask is not None:
        return
    given = Given(place, act.given)
    for key in act.given.keys() & WORDS.keys():
        given.word(key, "", WORDS[key])
    for key in act.given.keys() & {"target"}:
        given.text(key, "")
    for key in act.given.keys() & {"seconds"}:
        given.number(key, 0.0, ANY)
    for key in act.given.keys() & {"times"}:
        given.number(key, 1, ONE_AND_MORE)
    if "waive" in act.given and not (act.words("waive") and all(map(is_waivable, act.words("waive")))):
        given.refuse("waive", f"a list of {', '.join(sorted(WAIVABLE))}")
    if act.refused and act.refused not in tuple(Code):
        raise ValueError(f"{place} refused: {act.refused!r}: one of {', '.join(Code)}")
