"""A promote of unknown outcome: nobody promotes again on hope, and every way out of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.support.drill import Drill
from tests.support.drill_failover import failed_over, given_up, lost, parked
from tests.support.drill_site import EAST, TIMING, WEST, Setting
from watchdogd.core.ledger import DebtState, RunState
from watchdogd.lab.faults import FaultKind
from watchdogd.runbooks.roll_back import SETTLE_S


async def unseen(drill: Drill) -> None:
    """The promote was sent, nothing of it was applied, and nobody knows."""

    def burn(point: str) -> None:
        if point == "vault before promote west":
            drill.site.break_(FaultKind.RESET, "link:bastion>west")
        if point == "vault after promote west":
            drill.site.mend(kind=FaultKind.RESET)

    drill.daemon.fuse = burn
    await lost(drill)
    await drill.until(lambda: drill.site.sent, within_s=30)


async def unknown(drill: Drill) -> None:
    """As `unseen`; then east answers as primary."""
    await unseen(drill)
    drill.site.mend()
    await drill.until(lambda: parked(drill, "outcome_unknown"), within_s=90)


async def test_an_unknown_promote_parks_when_the_primary_is_back_and_names_both_choices() -> None:
    async with Drill() as drill:
        await unknown(drill)
        assert "promote did not come to its end" in drill.run.parked_why
        assert drill.site.sent_to("promote") == 1
        debt = drill.ledger.open_debt
        assert debt is not None
        assert debt.state is DebtState.PENDING


async def test_an_abort_of_an_unknown_promote_names_both_choices_as_they_are_taken() -> None:
    async with Drill() as drill:
        await unseen(drill)
        await drill.abort()
        await drill.until(lambda: drill.run.state is RunState.PARKED, within_s=90)
        for cluster in (EAST, WEST):  # `adopt` alone is refused while a run is open
            assert f"`run adopt {drill.run.run_id} {cluster}`" in drill.run.parked_why


async def test_an_unknown_promote_is_given_up_by_hand_once_the_target_has_stayed_secondary() -> None:
    async with Drill() as drill:
        await unknown(drill)
        await drill.abort()
        await asyncio.sleep(30.0)
        assert drill.ledger.open_debt is not None  # not settled yet
        await given_up(drill, within_s=60)
        await drill.until(lambda: drill.is_settled(EAST), within_s=30)


@pytest.mark.parametrize(("cut_s", "is_given_up"), [(1.2, True), (12.0, False)])
async def test_only_a_gap_beyond_gap_max_puts_the_abort_off(cut_s: float, *, is_given_up: bool) -> None:
    """A link that loses a look now and then does not keep east fenced for ever."""
    async with Drill(Setting(timing=replace(TIMING, gap_max_s=9.0))) as drill:
        await unknown(drill)
        await drill.abort()
        for _ in range(5):
            await asyncio.sleep(20.0)
            drill.site.break_(FaultKind.RESET, "link:bastion>west")
            await asyncio.sleep(cut_s)
            drill.site.mend(kind=FaultKind.RESET)
        if is_given_up:
            await given_up(drill, within_s=1)
        else:
            assert drill.ledger.open_debt is not None
            assert drill.run.state is RunState.PARKED


async def test_an_unknown_promote_that_is_aborted_and_then_takes_effect_goes_on_to_its_end() -> None:
    async with Drill() as drill:
        await unknown(drill)
        await drill.abort()
        await asyncio.sleep(10.0)
        drill.site.lose(EAST)
        drill.site.promote_by_hand(WEST)
        await failed_over(drill)
        assert (drill.ledger.elected, drill.ledger.epoch) == (WEST, 1)


async def test_an_unknown_promote_that_is_retried_is_guarded_anew() -> None:
    async with Drill() as drill:
        await unknown(drill)
        drill.site.lose(EAST)
        drill.daemon.fuse = lambda point: None
        await asyncio.sleep(20.0)
        await drill.unpark("retry")
        await failed_over(drill, within_s=120)
        assert (drill.site.sent_to("promote"), drill.site.applied("promote")) == (2, 1)


async def test_an_unknown_promote_that_somebody_adopts_is_over() -> None:
    async with Drill() as drill:
        await unknown(drill)
        await drill.adopt(EAST)
        await drill.until(lambda: drill.is_settled(EAST) or drill.ledger.fences, within_s=30)
        assert drill.ledger.run is None
        assert drill.ledger.open_debt is None


@pytest.mark.parametrize(("cut_s", "sent"), [(1.0, 2), (8.0, 1)])
async def test_only_a_gap_beyond_gap_max_begins_the_settling_anew(cut_s: float, sent: int) -> None:
    """A link that loses a look now and then does not put off the second promote for ever; what it hid is no time."""
    async with Drill(Setting(timing=replace(TIMING, gap_max_s=4.0))) as drill:
        path = "secondary/promote"
        drill.site.break_(FaultKind.APPLIED_LATE, "cluster:west", method="POST", path=path, seconds=1e6, times=1)
        await lost(drill)
        await drill.until(lambda: drill.site.sent_to("promote"), within_s=30)
        sent_s = drill.site.now_s()
        hidden_s = 0.0
        while drill.site.sent_to("promote") == 1 and drill.site.now_s() - sent_s < SETTLE_S * 2.5:
            await asyncio.sleep(15.0)
            drill.site.break_(FaultKind.DROP, "link:bastion>west")
            await asyncio.sleep(cut_s)
            drill.site.mend(kind=FaultKind.DROP)
            hidden_s += cut_s
        assert drill.site.sent_to("promote") == sent
        if sent == 2:
            promoted_s = [at_s for at_s, verb, _ in drill.site.sent if verb == "promote"]
            assert promoted_s[1] - promoted_s[0] >= SETTLE_S + hidden_s - cut_s
