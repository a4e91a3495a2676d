"""What is asked of the control socket without changing anything: odd questions get an answer, too."""

from __future__ import annotations

import pytest

from tests.scenarios.test_orders import code_of
from tests.support.stage import READER, Stage
from watchdogd.core.policy import Level
from watchdogd.daemon.protocol import Asked
from watchdogd.lab.faults import FaultKind


@pytest.mark.parametrize("before", ["1", "1.0", "9" * 18, "9" * 5000])
async def test_any_whole_number_pages_through_the_history(before: str) -> None:
    async with Stage() as stage:
        await stage.run_until(5)
        answer = await stage.orders.ask(Asked(verb="history", query={"before": before}), READER)
        assert isinstance(answer.body["entries"], list)


@pytest.mark.parametrize(
    "query", [{"limit": "²"}, {"before": "²"}, {"limit": "٣"}, {"limit": "0"}, {"before": "-1"}, {"before": "1.5"}]
)
async def test_what_is_no_number_of_the_history_is_malformed(query: dict[str, str]) -> None:
    async with Stage() as stage:
        await stage.run_until(5)
        answer = await stage.orders.ask(Asked(verb="history", query=query), READER)
        assert (answer.status, code_of(answer)) == (400, "malformed")


async def test_before_the_first_decision_a_plan_is_not_there_yet() -> None:
    async with Stage() as stage:
        stage.unit.deciding.standing = None
        asked = Asked(verb="plan", pair="prod", query={"target": "west"})
        answer = await stage.orders.ask(asked, READER)
        assert (answer.status, code_of(answer)) == (503, "starting")


async def test_what_an_open_run_waits_for_is_told_in_its_status_until_it_goes_on() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        dead = stage.fault(FaultKind.AWS_DEAD, "aws")
        stage.lose("east")
        await stage.run_for(60)
        run = stage.ledger.run
        assert run is not None
        assert run.runbook == "cutover-dns"
        shown = await stage.ask("status")
        (pair,) = shown.body["pairs"]  # type: ignore[misc, union-attr]
        assert str(pair["run_waits"]).startswith("publish: the provider cannot be read")  # type: ignore[index, call-overload]
        told = await stage.ask("run", run_id=run.run_id)
        assert told.body["waits"] == pair["run_waits"]  # type: ignore[index, call-overload]
        stage.world.faults.clear(dead)
        await stage.run_for(60)
        assert stage.ledger.run is None
        assert (await stage.ask("run", run_id=run.run_id)).body["waits"] == ""


async def test_a_hash_that_is_none_is_refused_with_where_one_is_found() -> None:
    async with Stage() as stage:
        await stage.run_until(15)
        answer = await stage.ask("approve", plan_hash="deadbeef")
        assert answer.status == 400
        assert "as `watchdogctl plan` ends with them" in str(answer.body)
