"""How late our own event loop was during a probe round, and from when on a time-out in it is our own fault.

A loop that is busy elsewhere leaves a living node no time to be heard, and a round of it then ends as one of a dead
node does. So every round beats: what its beats came too late, summed, is how long nobody was listening in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# Of the time that a round has. The loop goes round 15 times for three answers over a new connection with TLS. A loop
# that does nothing else, each time round as long as the others, is late by less than LATE_SHARE only while it goes
# round more often than that: 0.75 × 20.
BEATS = 20
LATE_SHARE = 0.25
MORE_CPU = "see what takes the CPU of this machine, and give the daemon more of it, or fewer pairs"  # the way out


@dataclass(frozen=True, slots=True, kw_only=True)
class Beats:
    """The beats of one round: each is due one `every_s` after the one before came, on the clock of whoever feeds it."""

    every_s: float
    due_s: float
    late_s: float = 0.0  # of all that came

    @classmethod
    def of(cls, timeout_s: float, *, at_s: float) -> Beats:
        """The beats of a round that begins at `at_s` and has `timeout_s`."""
        every_s = timeout_s / BEATS
        return cls(every_s=every_s, due_s=at_s + every_s)

    def came(self, at_s: float) -> Beats:
        """After one more beat."""
        return replace(self, due_s=at_s + self.every_s, late_s=self.late_until(at_s))

    def late_until(self, at_s: float) -> float:
        """How late the loop was up to `at_s`, summed: no more than it was, and less by a beat for each time at most."""
        return self.late_s + max(0.0, at_s - self.due_s)


def is_our_fault(late_s: float, timeout_s: float) -> bool:
    """True when what timed out in a round of `timeout_s` says nothing of the node: our loop was late by `late_s`."""
    return late_s >= LATE_SHARE * timeout_s
