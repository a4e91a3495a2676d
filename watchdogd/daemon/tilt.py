"""Were we stalled or suspended, or do our clocks disagree? Then nothing is decided for one window."""

from __future__ import annotations

from dataclasses import dataclass, replace

BASELINE_EVERY_S = 60.0  # a clock that is slewed gently is no step: the comparison begins anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The three clocks of one instant: the loop's own, CLOCK_BOOTTIME, and the wall clock."""

    loop_s: float
    boot_s: float
    utc_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TiltWatch:
    """Fed once a tick; `why` is empty while all is well. `count` grows with every new tilt."""

    newest: Clocks | None = None
    baseline: Clocks | None = None
    why: str = ""
    until_s: float = 0.0
    count: int = 0

    def feed(
        self, now: Clocks, *, stall_after_s: float, divergence_s: float, window_s: float, expected_s: float
    ) -> TiltWatch:
        """The watch after one more tick, which was due `expected_s` after the one before."""
        if self.newest is None or self.baseline is None:
            return replace(self, newest=now, baseline=now)
        cause = self._cause(now, stall_after_s, divergence_s, expected_s)
        is_due = cause or now.boot_s - self.baseline.boot_s >= BASELINE_EVERY_S
        after = replace(self, newest=now, baseline=now if is_due else self.baseline)
        if cause:
            return replace(after, why=cause, until_s=now.boot_s + window_s, count=self.count + 1)
        return after if now.boot_s < after.until_s else replace(after, why="")

    def _cause(self, now: Clocks, stall_after_s: float, divergence_s: float, expected_s: float) -> str:
        if self.newest is None or self.baseline is None:
            return ""
        passed_s = now.boot_s - self.newest.boot_s
        asleep_s = passed_s - (now.loop_s - self.newest.loop_s)
        stepped_s = (now.utc_s - self.baseline.utc_s) - (now.boot_s - self.baseline.boot_s)
        if asleep_s > divergence_s:
            return f"this machine was suspended for {asleep_s:.0f} s"
        if passed_s - expected_s > stall_after_s:
            return f"the daemon stood still for {passed_s - expected_s:.0f} s"
        if abs(stepped_s) > divergence_s:
            return f"the wall clock was stepped by {stepped_s:+.1f} s"
        return ""
