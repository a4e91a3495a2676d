"""Hysteresis as a value that is fed: how long, and for how many rounds, something has been seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from watchdogd.core.model import Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What it takes to believe: so many seconds, and so many complete rounds."""

    after_s: float
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """What is believed, and how far the candidate has come. A restart begins with `Streak()`.

    UNKNOWN neither advances nor resets the candidate until it has lasted longer than `gap_max_s`; then the belief is
    UNKNOWN too.
    """

    belief: Reach = Reach.UNKNOWN
    candidate: Reach = Reach.UNKNOWN
    held_s: float = 0.0
    rounds: int = 0
    blind_s: float = 0.0
    at_s: float | None = None

    def feed(self, seen: Reach, *, at_s: float, new_rounds: int, down: Need, up: Need, gap_max_s: float) -> Streak:
        """The streak after `seen` at `at_s`, with `new_rounds` complete rounds since the last call."""
        passed_s = 0.0 if self.at_s is None else max(0.0, at_s - self.at_s)
        if seen is Reach.UNKNOWN:
            return self._unseen(passed_s, at_s, gap_max_s)
        if seen is not self.candidate:
            return replace(self, candidate=seen, held_s=0.0, rounds=new_rounds, blind_s=0.0, at_s=at_s)
        # What was seen at both ends of a short gap is not counted as held in between.
        held_s = self.held_s + (0.0 if self.blind_s else passed_s)
        rounds = self.rounds + new_rounds
        need = down if seen is Reach.DOWN else up
        is_full = held_s >= need.after_s and rounds >= need.rounds
        return replace(
            self, belief=seen if is_full else self.belief, held_s=held_s, rounds=rounds, blind_s=0.0, at_s=at_s
        )

    def _unseen(self, passed_s: float, at_s: float, gap_max_s: float) -> Streak:
        blind_s = self.blind_s + passed_s
        if blind_s <= gap_max_s:
            return replace(self, blind_s=blind_s, at_s=at_s)
        return Streak(blind_s=blind_s, at_s=at_s)

    def progress(self, need: Need) -> float:
        """How much of the window for the candidate is full, 0 to 1."""
        if need.after_s <= 0:
            return 1.0
        return min(1.0, self.held_s / need.after_s, self.rounds / need.rounds if need.rounds else 1.0)
