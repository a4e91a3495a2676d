"""The service name: moved to the elected primary only, in one compare-and-swap, and never over a third value."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.drill import Drill
from tests.support.drill_dns import Trouble, target_of
from tests.support.drill_site import EAST, WEST, Setting
from watchdogd.core.entries import Runbook, RunOpened, RunOutcome
from watchdogd.core.ledger import DebtState
from watchdogd.lab.faults import FaultKind


async def moving(drill: Drill) -> None:
    """The failover succeeded, and the name begins to move."""
    await drill.healthy()
    drill.site.lose(EAST)
    await drill.until(lambda: drill.ledger.run is not None and drill.run.runbook is Runbook.CUTOVER_DNS, within_s=60)


async def moved(drill: Drill, within_s: float = 60) -> None:
    await drill.until(lambda: (Runbook.CUTOVER_DNS, "succeeded") in drill.ended, within_s=within_s)
    assert drill.site.names.published(drill.site.now_s()) == WEST


def told(drill: Drill, text: str) -> bool:
    return any(text in notice.summary for notice in drill.notifier.told)


async def test_the_name_follows_the_promotion_and_the_clients_follow_the_name() -> None:
    async with Drill() as drill:
        await moving(drill)
        await moved(drill)
        assert drill.site.names.comments == [f"watchdogd prod epoch 1 run {drill.ledger.recent_runs[-1].run_id}"]
        await asyncio.sleep(40.0)  # the resolver's time to live
        app = drill.site.world.clients[0]
        assert app.connected_to == "west/lb"
        assert drill.site.world.counts.acknowledged_writes_lost == 0


async def test_the_cut_over_belongs_to_the_incident_of_the_failover() -> None:
    async with Drill() as drill:
        await moving(drill)
        await moved(drill)
        assert len({run.incident_id for run in drill.ledger.recent_runs}) == 1


@pytest.mark.parametrize("trouble", [Trouble.DEAD, Trouble.THROTTLED, Trouble.DENIED, Trouble.GARBLED])
async def test_a_provider_in_trouble_is_asked_for_ever_and_the_name_moves_when_it_is_back(trouble: Trouble) -> None:
    async with Drill() as drill:
        drill.site.names.trouble = trouble
        await moving(drill)
        await asyncio.sleep(900.0)
        assert drill.ledger.run is not None
        assert drill.run.step("publish").intents <= 1
        drill.site.names.trouble = Trouble.NONE
        await moved(drill)


async def test_a_provider_that_is_dead_holds_nothing_hostage() -> None:
    async with Drill() as drill:
        drill.site.names.trouble = Trouble.DEAD
        await moving(drill)
        await asyncio.sleep(30.0)
        drill.site.mend()
        await drill.until(lambda: drill.ledger.debts[-1].state is DebtState.CLOSED, within_s=30)
        assert (Runbook.CUTOVER_DNS, RunOutcome.SUPERSEDED.value) in drill.ended
        drill.site.names.trouble = Trouble.NONE
        await moved(drill)


async def test_a_name_that_cannot_move_does_not_stand_in_the_way_of_a_failover_back() -> None:
    async with Drill() as drill:
        drill.site.names.trouble = Trouble.DEAD
        await moving(drill)
        assert drill.daemon._is_settling_first is False
        drill.site.lose(WEST)
        await asyncio.sleep(60.0)
        assert drill.ledger.run is not None  # nothing more urgent can go: east is down as well
        assert drill.run.runbook is Runbook.CUTOVER_DNS


async def test_a_target_that_is_not_primary_now_is_not_published() -> None:
    async with Drill() as drill:
        drill.site.names.trouble = Trouble.DEAD
        await moving(drill)
        drill.site.lose(WEST)
        drill.site.names.trouble = Trouble.NONE
        await asyncio.sleep(60.0)
        assert drill.site.names.comments == []
        drill.site.mend(target="cluster:west")
        await moved(drill)


async def test_a_target_that_was_made_secondary_by_hand_ends_the_run() -> None:
    async with Drill() as drill:
        drill.site.names.trouble = Trouble.DEAD
        await moving(drill)
        drill.site.demote_by_hand(WEST)
        await asyncio.sleep(5.0)
        drill.site.names.trouble = Trouble.NONE
        await drill.until(lambda: (Runbook.CUTOVER_DNS, "superseded") in drill.ended, within_s=60)
        assert drill.site.names.comments == []


async def test_a_third_value_at_the_provider_is_paged_and_never_overwritten() -> None:
    async with Drill(Setting(propagation_s=60.0)) as drill:
        drill.site.names.trouble = Trouble.DEAD
        await moving(drill)
        drill.site.names.trouble = Trouble.NONE
        drill.site.point_name_at("elsewhere.example.test")
        await drill.until(lambda: told(drill, "neither cluster"), within_s=60)
        await drill.until(lambda: (Runbook.CUTOVER_DNS, "superseded") in drill.ended, within_s=120)
        await asyncio.sleep(60.0)
        assert drill.site.names.held().targets == ("elsewhere.example.test",)
        assert sum(isinstance(r.entry, RunOpened) for r in drill.site.durable) == 2


async def test_a_name_moved_by_hand_in_the_middle_is_taken_as_it_is() -> None:
    async with Drill(Setting(propagation_s=10.0)) as drill:
        drill.site.names.trouble = Trouble.DEAD
        await moving(drill)
        drill.site.point_name_at(target_of(WEST))
        await asyncio.sleep(2.0)
        drill.site.names.trouble = Trouble.NONE
        await moved(drill)
        assert drill.site.names.comments == ["by hand"]


async def test_a_name_that_is_moved_while_we_swap_is_never_overwritten() -> None:
    async with Drill() as drill:

        def burn(point: str) -> None:
            if point == "dns before swap" and not drill.site.names.comments:
                drill.site.point_name_at(target_of(WEST))

        drill.daemon.fuse = burn
        await moving(drill)
        await moved(drill)
        assert drill.site.names.comments == ["by hand"]


async def test_a_manual_provider_says_what_to_do_and_goes_on_when_it_was_done() -> None:
    async with Drill(Setting(is_dns_manual=True)) as drill:
        await moving(drill)
        await drill.until(lambda: told(drill, "by hand"), within_s=30)
        await asyncio.sleep(120.0)
        drill.site.point_name_at(target_of(WEST))
        await moved(drill)


async def test_an_address_that_does_not_show_the_primary_is_published_anyway_with_a_page() -> None:
    async with Drill() as drill:
        drill.site.break_(FaultKind.LB_EMPTY, "lb:west")
        await moving(drill)
        await moved(drill)
        assert told(drill, "does not show the primary")


async def test_servers_that_do_not_answer_are_waited_for() -> None:
    async with Drill() as drill:
        await moving(drill)
        await drill.until(lambda: drill.site.names.comments, within_s=20)
        drill.site.names.are_servers_dead = True
        await asyncio.sleep(60.0)
        assert drill.ledger.run is not None
        drill.site.names.are_servers_dead = False
        await moved(drill)
        assert len(drill.site.names.comments) == 1


async def test_a_server_that_lags_is_waited_for() -> None:
    async with Drill() as drill:
        drill.site.names.zone.set_lag("ns2.example.test", 40.0)
        await moving(drill)
        took_s = drill.site.now_s()
        await moved(drill, within_s=90)
        assert drill.site.now_s() - took_s >= 40.0
        assert len(drill.site.names.comments) == 1


async def test_a_change_that_was_lost_is_made_again_after_the_settle_time() -> None:
    async with Drill() as drill:
        drill.site.names.trouble = Trouble.NOT_APPLIED
        await moving(drill)
        await drill.until(lambda: drill.run.step("publish").intents == 1, within_s=10)
        drill.site.names.trouble = Trouble.NONE
        await asyncio.sleep(20.0)
        assert drill.site.names.comments == []
        await moved(drill)


async def test_an_abort_ends_the_run_with_a_page() -> None:
    async with Drill() as drill:
        drill.site.names.trouble = Trouble.DEAD
        await moving(drill)
        await drill.abort()
        await drill.until(lambda: (Runbook.CUTOVER_DNS, "aborted") in drill.ended, within_s=20)
        assert told(drill, "was not moved to west")


async def test_another_election_ends_the_run() -> None:
    async with Drill() as drill:
        drill.site.names.trouble = Trouble.DEAD
        await moving(drill)
        await drill.adopt(EAST)
        await drill.until(lambda: drill.ledger.run is None, within_s=20)
        drill.site.names.trouble = Trouble.NONE
        await asyncio.sleep(30.0)
        assert drill.site.names.comments == []


async def test_a_run_whose_target_is_not_elected_moves_nothing() -> None:
    async with Drill() as drill:
        await drill.healthy()
        await drill.daemon.open(Runbook.CUTOVER_DNS, EAST, WEST)
        await drill.until(lambda: (Runbook.CUTOVER_DNS, "superseded") in drill.ended, within_s=20)
        assert drill.site.names.comments == []


async def test_a_run_of_the_name_stops_anywhere() -> None:
    async with Drill() as drill:
        drill.site.names.trouble = Trouble.DEAD
        await moving(drill)
        drill.daemon.stopping = "TERM"
        await asyncio.sleep(3.0)
        drill.restart()
        drill.site.names.trouble = Trouble.NONE
        await moved(drill)


async def test_a_provider_that_dies_after_the_change_does_not_hold_the_run() -> None:
    async with Drill() as drill:
        await moving(drill)
        await drill.until(lambda: drill.site.names.comments, within_s=20, every_s=0.01)
        drill.site.names.trouble = Trouble.DEAD
        await moved(drill)
