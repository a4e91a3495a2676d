"""What of a scenario cannot be done with real processes in real time. It is refused by name, never left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from watchdogd.lab.scenario import Do, Scenario, When

# Acts that reach into a machine, a disk or another program that is really there.
OUT_OF_REACH: Mapping[Do, str] = {
    Do.SUSPEND: "this machine cannot sleep for one process alone",
    Do.STEP_CLOCK: "the wall clock of this machine is not ours to move",
    Do.SLOW_JOURNAL: "the disk under the journal is a real one",
    Do.FAIL_JOURNAL: "the disk under the journal is a real one",
    Do.WITNESS_SEES: "no further witness is at hand",
}
SETTINGS: Mapping[str, str] = {
    "names": "the daemon would ask this machine's own resolver for the nodes",
    "witness": "no further witness is at hand",
}
# Lines between which the daemon waits for nothing that can be seen from outside.
TOO_SHORT = ("sent", "answered", "journal", "step", "decision", "fence")
SEEN_WITHIN_S = 1.0  # a line of the daemon is seen, and acted on, within this
TOKENS, VERSION_OF_WEST = "operation_tokens", "vault_version_of_west"
# What only the transcript of a world in memory, or the fence of virtual time, tells. TOLD: what is told outside too.
NOT_TOLD = ("world", "fence")
TOLD = ("world fault", "world client network")


class CannotBeReal(ValueError):
    """The scenario cannot be played with real processes; every reason, one to a line."""


def reasons(scenario: Scenario) -> tuple[str, ...]:
    """Why it cannot be played with real processes; empty where it can."""
    return (
        *("[world] vault_version_of_west: `up` takes one version" for key in scenario.world if key == VERSION_OF_WEST),
        *("expect operation_tokens: nothing tells them outside" for one in scenario.standing if TOKENS in one.state),
        *(f"act {act.do}: {OUT_OF_REACH[act.do]}" for act in scenario.acts if act.do in OUT_OF_REACH),
        *(f"[pair] {key}: {why}" for key, why in SETTINGS.items() if scenario.pair.get(key) is True),
        *(f"when {when.seen!r}: {why}" for when in scenario.moments for why in _moment(when)),
        *(f"expect {one.seen!r}: nothing tells it outside" for one in scenario.expected if _is_untold(one.seen)),
    )


def _moment(when: When) -> Iterator[str]:
    if _is_untold(when.seen):
        yield "nothing tells it outside"
    elif _word(when.seen) in TOO_SHORT and when.plus_s < SEEN_WITHIN_S:
        yield f"the very moment cannot be hit from outside; with plus = {SEEN_WITHIN_S:g}s or more it can"


def _is_untold(words: str) -> bool:
    return _word(words) in NOT_TOLD and not words.startswith(TOLD)


def _word(words: str) -> str:
    return words.partition(" ")[0]
