"""What came of a loss on the whole stack: read from the lab's world, and held against its story."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchdogd.rehearsal.site import EAST, WEST
from watchdogd.rehearsal.stack_losses import StackLoss
from watchdogd.rehearsal.stack_play import StackPlay, play_through

TWO_S_MAX = 20.0  # without a fence: one round in which the old primary is reached, and its demote
DEBT_S = 60.0  # from the return of the old primary to its debt's end: its election, one round, one run
PAGE_AFTER_S = 20.0  # what west heard before the loss counts as seeing for three beats, and only then its window begins
REST_S = 15.0  # longer than two rounds: what still stands then is paged


@dataclass(frozen=True, slots=True, kw_only=True)
class StackLossResult:
    """What one loss came to. `missed` is everything that is wrong, empty when all is well."""

    missed: str = ""
    paged: str = ""  # the row that was paged, where the truth held the failover back
    is_paged_late: bool = False
    is_late_by_links: bool = False  # over the bound by no more than a lossy link may cost
    over_s: float | None = None  # from where its evidence had to begin to the name
    two_primaries_s: float = 0.0
    lasted_s: float = 0.0  # of virtual time


class LossPlay(StackPlay):
    """A loss, played until it is at rest, paged or missed."""

    def __init__(self, loss: StackLoss, folder: Path) -> None:
        super().__init__(loss.scenario, folder)
        self.loss = loss
        self.paged: tuple[str, float] | None = None
        self.stood_at_due = self.last_row = ""
        self.rests_since_s: float | None = None
        self.back_s: float | None = None

    def is_over(self) -> bool:
        """Asked at every step."""
        now_s, loss, self.last_row = self.clock.now_s(), self.loss, self.row()
        if not self.stood_at_due and now_s >= (loss.detected_s if loss.held_by else loss.due_s):
            self.stood_at_due = f"{self.last_row or 'no daemon'}, closed: {', '.join(self.gates()) or 'none'}"
        if loss.held_by:
            return self._is_paged(now_s)
        if self.back_s is None:
            clear = next((line for line in self.story.of("act clear")), None)
            self.back_s = clear.at_s if clear is not None else None
        is_back = self.back_s is not None
        if is_back is not loss.is_back or not self.is_at_rest(is_back=is_back):
            self.rests_since_s = None
        elif self.rests_since_s is None:
            self.rests_since_s = now_s
        return self.rests_since_s is not None and now_s - self.rests_since_s >= REST_S

    def _is_paged(self, now_s: float) -> bool:
        row = self.last_row
        if self.paged is None and now_s >= self.loss.detected_s and row and self.gates():
            self.paged = (row, now_s) if any(row in page for page in self.pages()) else None
        # A link that loses takes the page away for a while, and the row begins its window anew: not the end of a story.
        is_said = self.paged is not None and any(row in page for page in self.pages())
        return is_said and self.paged is not None and now_s - self.paged[1] >= REST_S


def play_stack_loss(loss: StackLoss) -> StackLossResult:
    """Play one loss."""
    return judged(play_through(lambda folder: LossPlay(loss, folder)))


def judged(play: LossPlay) -> StackLossResult:
    """What the lab's world says came of it."""
    loss, published_s = play.loss, play.line_s("published west")
    wrong = [*play.invariants.broken, *_wrong(play, published_s)]
    is_late = published_s is not None and published_s > loss.due_s
    return StackLossResult(
        missed="; ".join(wrong),
        paged=play.paged[0] if play.paged else "",
        is_paged_late=play.paged is not None and play.paged[1] > loss.detected_s + PAGE_AFTER_S,
        is_late_by_links=is_late and not wrong,
        over_s=None if published_s is None else published_s - loss.begins_s,
        two_primaries_s=play.world.counts.two_writable_primaries_s,
        lasted_s=play.world.now_s,
    )


def _wrong(play: LossPlay, published_s: float | None) -> Iterator[str]:
    loss, counts = play.loss, play.world.counts
    promoted = [effect for effect in play.world.applied if effect.verb == "promote"]
    if len(promoted) > 1:
        yield f"promote was applied {len(promoted)} times"
    if any(effect.cluster == EAST for effect in promoted):
        yield "promote was applied to a second cluster"
    if promoted and promoted[0].at_s < loss.dies_s:
        yield f"failed over {loss.dies_s - promoted[0].at_s:.0f} s before the loss"
    two_s_max = TWO_S_MAX + loss.delays_s + loss.spare_s if loss.may_have_two else 0.0
    if counts.two_writable_primaries_s > two_s_max + 1e-6:
        yield f"two writable primaries for {counts.two_writable_primaries_s:.1f} s"
    if loss.held_by:
        if promoted:
            yield f"failed over although {', '.join(sorted(loss.held_by))} holds it back"
        elif play.paged is None:
            yield f"no page, though {', '.join(sorted(loss.held_by))} holds it back: {play.stood_at_due}"
        return
    if published_s is None or published_s > loss.due_s + loss.spare_s:
        came = "never" if published_s is None else f"{published_s - loss.due_s:.0f} s late"
        yield f"due {loss.due_s - loss.dies_s:.0f} s after the loss, published {came}: {play.stood_at_due}"
    yield from _unsettled(play, published_s)


def _unsettled(play: LossPlay, published_s: float | None) -> Iterator[str]:
    loss = play.loss
    if published_s is None:
        return
    if play.rests_since_s is None:
        ledger = play.ledger
        debt = ledger.debts[-1].state.value if ledger.debts else "none"
        run = f"{ledger.run.runbook} {ledger.run.state}" if ledger.run else "none"
        yield f"never at rest: primaries {play.world.active_primaries()}, debt {debt}, run {run}, {play.last_row}"
    elif play.back_s is not None:
        begun_s = max(play.back_s, published_s)
        if play.rests_since_s - begun_s > DEBT_S + loss.delays_s + loss.spare_s:
            yield f"the debt was settled only {play.rests_since_s - begun_s:.0f} s after {EAST} was back ({WEST})"
