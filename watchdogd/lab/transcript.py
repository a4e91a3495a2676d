"""A deterministic text log of what the world did: the same seed gives the same lines."""

from collections import deque
from collections.abc import Iterator
from itertools import islice


class Transcript:
    """The newest lines, `t=12.300 east/2 active`. Bounded; for people and for golden files."""

    def __init__(self, lines_max: int = 20_000) -> None:
        self._lines: deque[str] = deque(maxlen=lines_max)
        self.noted = 0  # how many there were, with those that are gone

    def note(self, at_s: float, text: str) -> None:
        """Add one line."""
        self._lines.append(f"t={at_s:.3f} {text}")
        self.noted += 1

    def after(self, noted: int) -> list[str]:
        """The lines that came after the first `noted`, of those that are kept."""
        return [*islice(self._lines, max(0, len(self._lines) - (self.noted - noted)), None)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)
