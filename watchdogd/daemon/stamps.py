"""Now, as the journal writes it."""

from __future__ import annotations

from dataclasses import dataclass

from watchdogd.core.entries import Stamp
from watchdogd.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamper:
    """Both clocks of one boot."""

    clock: Clock
    boot_id: str

    def now(self) -> Stamp:
        """This instant."""
        return Stamp(at_s=self.clock.now_s(), at_utc_s=self.clock.wall_utc().timestamp(), boot_id=self.boot_id)
