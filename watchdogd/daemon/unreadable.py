"""The journal of a daemon whose state cannot be read: nothing is done, looking and paging go on (DESIGN section 8)."""

from __future__ import annotations

from watchdogd.core.entries import Entry, Recorded
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import PairId
from watchdogd.errors import Need, NeedsOperator
from watchdogd.ports import JournalHealth


class UnreadableJournal:
    """The `Chronicle` port that knows nothing and takes nothing. The file is not touched."""

    def __init__(self, trouble: str) -> None:
        self._trouble = trouble

    @property
    def health(self) -> JournalHealth:
        """Not writable, and why."""
        return JournalHealth(is_writable=False, trouble=self._trouble, has_ballast=False)

    @property
    def pairs(self) -> tuple[PairId, ...]:
        """Of none."""
        return ()

    def ledger(self, pair: PairId) -> Ledger:
        """Nothing is known."""
        return Ledger()

    async def append(self, pair: PairId, *entries: Entry) -> None:
        """Always raises NeedsOperator(JOURNAL)."""
        raise NeedsOperator(Need.JOURNAL, self._trouble)

    async def answered(self) -> JournalHealth:
        """As `health`, at once."""
        return self.health

    async def history(self, pair: PairId | None, *, limit: int, before: int | None = None) -> tuple[Recorded, ...]:
        """Always raises NeedsOperator(JOURNAL)."""
        raise NeedsOperator(Need.JOURNAL, self._trouble)
