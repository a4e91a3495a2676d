"""The same request sent again: one act, one answer, also over a restart; and verbs whose procedure does not exist."""

from __future__ import annotations

import asyncio

import pytest

from tests.scenarios.test_orders import code_of
from tests.support.stage import Stage
from watchdogd.core.entries import Paused
from watchdogd.daemon.protocol import Caller
from watchdogd.rehearsal.site import PAIR

DAY_S = 86_400


def paused(stage: Stage) -> int:
    return sum(isinstance(recorded.entry, Paused) for recorded in stage.journal.durable)


async def test_the_same_request_id_acts_once_also_after_a_restart() -> None:
    # INTERFACES 6: "The same `request_id` within 24 h returns the first answer."
    async with Stage() as stage:
        await stage.run_until(15)
        first = await stage.ask("pause", request_id="r1", for_s=60)
        await stage.ask("resume", request_id="r2")
        await stage.kill()
        await stage.start()
        await stage.run_for(5)
        again = await stage.ask("pause", request_id="r1", for_s=60)
        assert again == first
        assert (paused(stage), stage.ledger.pause) == (1, None)


async def test_a_request_that_was_refused_is_refused_in_the_same_words() -> None:
    async with Stage() as stage:
        await stage.run_until(15)
        first = await stage.ask("failover", request_id="r1", target="west")
        assert first.is_error
        assert await stage.ask("failover", request_id="r1", target="west") == first


async def test_two_at_once_with_one_id_are_one() -> None:
    async with Stage() as stage:
        await stage.run_until(15)
        both = await asyncio.gather(*(stage.ask("pause", request_id="r1") for _ in range(2)))
        assert both[0] == both[1]
        assert paused(stage) == 1


async def test_an_id_is_for_one_caller_one_request_and_one_day() -> None:
    async with Stage() as stage:
        await stage.run_until(15)
        await stage.ask("pause", request_id="r1")
        assert code_of(await stage.ask("ack", request_id="r1")) == "stale"
        await stage.ask("pause", request_id="r1", caller=Caller(uid=1002, may_act=True))
        assert paused(stage) == 2
        stage.clock.suspended_s += DAY_S
        stage.clock.stepped_s += DAY_S
        await stage.ask("pause", request_id="r1")
        assert paused(stage) == 3


class Died(Exception):
    """The daemon was killed at this point."""


async def test_a_crash_between_a_run_and_its_answer_begins_no_second_run() -> None:
    async with Stage() as stage:
        await stage.run_until(25)
        stage.lose("east")
        await stage.run_till("S-30", within_s=40)

        def die(point: str) -> None:
            if point == "journal after run_opened":
                raise Died(point)

        stage.journal.fuse = die  # type: ignore[assignment]
        with pytest.raises(Died):
            await stage.ask("failover", target="west", request_id="r1")
        await stage.kill()
        await stage.start()
        await stage.run_for(60)
        assert (stage.world.primary(), stage.ledger.epoch) == ("west", 1)
        (opened,) = (entry for entry in stage.journal.entries(PAIR) if getattr(entry, "runbook", "") == "failover")
        again = await stage.ask("failover", target="west", request_id="r1")
        assert (again.status, again.body) == (202, {"run_id": opened.run_id, "pair": PAIR})
        assert code_of(await stage.ask("pause", request_id="r1")) == "stale"
        anybody = await stage.ask("failover", target="west", request_id="r1", caller=Caller(uid=1002, may_act=True))
        assert code_of(anybody) == "already_primary"


async def test_many_long_answers_push_the_oldest_out_and_an_endless_id_is_refused() -> None:
    async with Stage() as stage:
        await stage.run_until(5)
        for n in range(120):
            await stage.ask("failover", target="west", request_id=f"r{n}")
        await stage.kill()
        await stage.start()
        await stage.run_for(2)
        assert (await stage.ask("pause", request_id="r119")).status == 409  # still known, and for something else
        assert code_of(await stage.ask("pause", request_id="x" * 129)) == "malformed"


@pytest.mark.parametrize("verb", ["switchover", "rejoin", "heal"])
async def test_a_verb_whose_procedure_does_not_exist_says_what_to_do_until_then(verb: str) -> None:
    async with Stage() as stage:
        await stage.run_until(5)
        answer = await stage.ask(verb, target="west")
        assert (answer.status, code_of(answer)) == (422, "blocked")
