"""One numbered day or loss of a seed on the whole stack: played, judged, and what there is to count of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watchdogd.rehearsal.stack_days import play_stack_day, stack_day
from watchdogd.rehearsal.stack_losses import stack_loss
from watchdogd.rehearsal.stack_outcomes import play_stack_loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What one of them came to. `wrong`: all that is false, missed or broken, each in one sentence."""

    wrong: tuple[str, ...]
    counts: Mapping[str, int]
    played_s: float
    slowest_s: float = 0.0  # from where the evidence of a loss had to begin to the name


def soak_day(seed: int, number: int) -> Soaked:
    """The day `number` of a seed."""
    result = play_stack_day(seed, number, stack_day(seed, number))
    counts = {
        "stretches": result.stretches,
        "stretches suspected": result.suspected,
        "partitions that no evidence can tell": result.partitions,
        "days with something false or broken": int(bool(result.wrong)),
    }
    return Soaked(wrong=result.wrong, counts=counts, played_s=result.played_s)


def soak_loss(seed: int, number: int) -> Soaked:
    """The loss `number` of a seed."""
    result = play_stack_loss(stack_loss(seed, number))
    if result.missed:
        return Soaked(wrong=(result.missed,), counts={"missed": 1}, played_s=result.lasted_s)
    if result.paged:
        counts = {
            f"held back by the truth and paged ({result.paged})": 1,
            "of these paged late": int(result.is_paged_late),
        }
        return Soaked(wrong=(), counts=counts, played_s=result.lasted_s)
    counts = {
        "published beyond the bound by no more than lost packets cost": int(result.is_late_by_links),
        "published within the bound": int(not result.is_late_by_links),
    }
    return Soaked(wrong=(), counts=counts, played_s=result.lasted_s, slowest_s=result.over_s or 0.0)
