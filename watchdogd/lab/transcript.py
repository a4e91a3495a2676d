"""A deterministic text log of what the world did: the same seed gives the same lines."""

from collections import deque
from collections.abc import Iterator


class Transcript:
    """The newest lines, `t=12.300 east/2 active`. Bounded; for people and for golden files."""

    def __init__(self, lines_max: int = 20_000) -> None:
        self._lines: deque[str] = deque(maxlen=lines_max)

    def note(self, at_s: float, text: str) -> None:
        """Add one line."""
        self._lines.append(f"t={at_s:.3f} {text}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)
