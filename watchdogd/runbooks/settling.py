"""How long a NO has held: what a second send, or a send the other way, waits for (DESIGN section 6)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from watchdogd.runbooks.seen import Done


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """Since when NO was seen; a value that is fed what every look says.

    As in every window (DESIGN section 4): what could not be seen for up to `gap_max` neither counts nor begins it anew.
    A longer gap begins it anew, and so does a YES.
    """

    since_s: float | None = None  # later by every gap; None until something begins it
    seen_s: float = 0.0  # the last look that saw something
    is_blind: bool = False  # the last look saw nothing

    @classmethod
    def begun(cls, now_s: float) -> Settling:
        """One that begins now."""
        return cls(since_s=now_s, seen_s=now_s)

    def after(self, seen: Done, *, now_s: float, gap_max_s: float) -> Settling:
        """The settling after a look that ended at `now_s`."""
        if seen is Done.CANNOT_SEE:
            return replace(self, is_blind=True)
        if seen is Done.YES:
            return Settling()
        blind_s = now_s - self.seen_s if self.is_blind else 0.0
        if self.since_s is None or blind_s > gap_max_s:
            return Settling.begun(now_s)
        return Settling(since_s=self.since_s + blind_s, seen_s=now_s)

    def is_over(self, settle_s: float, *, now_s: float) -> bool:
        """True when the last look saw NO, and it has held for `settle_s`."""
        return self.since_s is not None and not self.is_blind and now_s - self.since_s >= settle_s
