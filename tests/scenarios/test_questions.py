"""What is asked of the control socket without changing anything: odd questions get an answer, too."""

from __future__ import annotations

import pytest

from tests.scenarios.test_orders import code_of
from tests.support.stage import READER, Stage
from watchdogd.daemon.protocol import Asked


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
