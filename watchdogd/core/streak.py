"""Hysteresis as a value that is fed: how long, and for how many rounds, something has been seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from watchdogd.core.model import Reach

ROUNDING_S = 1e-6  # what many small sums of seconds may be off: a window must not wait a whole tick for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What it takes to believe: so many seconds, and so many complete rounds."""

    after_s: float
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """What is believed, and how far the candidate has come. A restart begins with `Streak()`.

    UNKNOWN neither advances nor resets the candidate until it has lasted longer than `gap_max_s`; then the belief is
    UNKNOWN too. A contrary reading begins a new candidate at once: the belief lags behind it, and decides nothing
    alone. Ask `is_held`.
    """

    belief: Reach = Reach.UNKNOWN
    candidate: Reach = Reach.UNKNOWN
    is_full: bool = False  # the candidate has held for its whole window
    held_s: float = 0.0
    rounds: int = 0
    blind_s: float = 0.0
    at_s: float | None = None

    def feed(
        self, seen: Reach, *, at_s: float, since_s: float, has_new_round: bool, down: Need, up: Need, gap_max_s: float
    ) -> Streak:
        """The streak after `seen` at `at_s`.

        `since_s` is the end of the newest probe round in what is seen: a window begins there, not at the tick that
        noticed it. `has_new_round` says whether every node finished a round since the last call that said so.
        """
        passed_s = 0.0 if self.at_s is None else max(0.0, at_s - self.at_s)
        if seen is Reach.UNKNOWN:
            return self._unseen(passed_s, at_s, gap_max_s)
        if passed_s > gap_max_s:  # nobody looked for too long: what is seen at both ends says nothing of the middle
            before, passed_s = self._unseen(passed_s, at_s, gap_max_s), 0.0
        else:
            before = self
        if seen is not before.candidate:
            held_s = min(max(0.0, at_s - since_s), gap_max_s)
            after = replace(before, candidate=seen, held_s=held_s, rounds=1, blind_s=0.0, at_s=at_s)
        else:
            # What was seen at both ends of a short gap is not counted as held in between.
            held_s = before.held_s + (0.0 if before.blind_s else passed_s)
            after = replace(before, held_s=held_s, rounds=before.rounds + has_new_round, blind_s=0.0, at_s=at_s)
        need = down if seen is Reach.DOWN else up
        is_full = after.held_s + ROUNDING_S >= need.after_s and after.rounds >= need.rounds
        return replace(after, belief=seen if is_full else after.belief, is_full=is_full)

    def is_held(self, reach: Reach) -> bool:
        """True when `reach` has been seen for its whole window, up to now."""
        return self.is_full and self.candidate is reach

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
