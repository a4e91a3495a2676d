"""How soon is looked again at what is not probed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

TURN_S = 0.5  # how soon a change is noticed


@dataclass(slots=True)
class Pace:
    """The pace of one pair: calm while it is steady, tense else. What becomes true here wakes whoever waits."""

    is_tense: bool = False
    is_hurried: bool = False  # what was seen is from before something changed, until it is asked for anew

    async def wait(self, calm_s: float, tense_s: float) -> None:
        """Sleep for `calm_s`, or until the pair has become tense or hurried; for `tense_s` while it is tense."""
        waited_s, was_tense, was_hurried = 0.0, self.is_tense, self.is_hurried
        while waited_s < (tense_s if self.is_tense else calm_s):
            await asyncio.sleep(TURN_S)
            waited_s += TURN_S
            if (self.is_tense and not was_tense) or (self.is_hurried and not was_hurried):
                return
