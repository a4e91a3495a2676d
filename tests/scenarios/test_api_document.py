"""What the daemon really answers, in every state of a pair, is what the document of its API says."""

from __future__ import annotations

from typing import get_args

from tests.support.api_shapes import undocumented
from tests.support.stage import READER, Stage
from watchdogd.core.policy import Level
from watchdogd.daemon.api import ROUTES
from watchdogd.daemon.bodies import NotThere
from watchdogd.daemon.orders import ACTING, RELOAD
from watchdogd.daemon.protocol import Answer, Asked
from watchdogd.ports import FenceOutcome, FenceResult
from watchdogd.rehearsal.site import PAIR

READ = ("status", "explain", "history", "timing", "version", "plan", "openapi")


async def test_every_declared_verb_is_one_of_the_daemon_and_the_other_way_round() -> None:
    async with Stage() as stage:
        there = {route.verb for route in ROUTES if not route.instead}
        assert there == {*stage.orders.reading, *ACTING, RELOAD}
        assert {route.verb for route in ROUTES if route.instead} == set(get_args(NotThere))


class Compared:
    """Asks, and compares every answer with the document."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.seen: set[tuple[str, int]] = set()

    async def ask(self, verb: str, *, run_id: str = "", **body: object) -> Answer:
        answer = await self.stage.ask(verb, run_id=run_id, **body)
        return self._compare(verb, answer)

    async def look(self) -> None:
        """Everything that can be read now."""
        for verb in READ:
            self._compare(verb, await self.stage.orders.ask(Asked(verb=verb, pair=PAIR), READER))
        ledger = self.stage.ledger
        for run in (ledger.run, *ledger.recent_runs):
            if run is not None:
                self._compare("run", await self.stage.orders.ask(Asked(verb="run", run_id=run.run_id), READER))

    def _compare(self, verb: str, answer: Answer) -> Answer:
        assert undocumented(verb, answer) == []
        self.seen.add((verb, answer.status))
        return answer


async def test_a_healthy_pair_and_what_is_refused_of_it() -> None:
    async with Stage(level=Level.AUTO) as stage:
        compared = Compared(stage)
        await compared.look()
        await stage.run_until(25)
        await compared.look()
        for verb, body in (
            ("pause", {}), ("resume", {}), ("resume", {}), ("pause", {"for_s": 60}), ("ack", {}), ("resume", {}),
            ("ack", {}), ("ack", {}), ("pause", {"for_s": "soon"}), ("failover", {"target": "west"}),
            ("failover", {"target": "east"}), ("failover", {"target": "nobody"}), ("failover", {"reason": ""}),
            ("adopt", {"cluster": "east"}), ("adopt", {"cluster": "west"}), ("forgive", {"cluster": "west"}),
            ("switchover", {}), ("rejoin", {}), ("heal", {}), ("reload", {}), ("approve", {"plan_hash": "0" * 16}),
            ("start", {"runbook": "roll-back", "target": "west"}),
        ):  # fmt: skip
            await compared.ask(verb, **body)
            await compared.look()
        await compared.ask("run-retry", run_id="nobody")
        everywhere = await stage.orders.ask(Asked(verb="pause", pair="*", body={"reason": "x"}), READER)
        assert undocumented("pause", everywhere) == []
        statuses = {status for _, status in compared.seen}
        assert statuses == {200, 400, 404, 409, 422, 503}


async def test_a_failover_that_parks_goes_on_and_ends() -> None:
    async with Stage(level=Level.APPROVE) as stage:
        compared = Compared(stage)
        await stage.run_until(25)
        stage.fence.result = FenceResult(outcome=FenceOutcome.FAILED, why="exit status 1")
        stage.lose("east")
        await stage.run_till("S-30", within_s=40)
        await compared.look()
        plan = await stage.orders.ask(Asked(verb="plan", pair=PAIR, query={"target": "west"}), READER)
        assert (await compared.ask("approve", plan_hash=plan.body["plan_hash"])).status == 202
        for _ in range(20):
            await stage.run_for(5)
            await compared.look()
        run = stage.ledger.run
        assert run is not None
        for verb, body in (
            ("run-skip", {}), ("run-adopt", {"cluster": "west"}), ("run-proceed", {"waive": "ids"}),
            ("run-retry", {}), ("run-proceed", {"waive": ["fence"]}),
        ):  # fmt: skip
            await compared.ask(verb, run_id=run.run_id, **body)
            await stage.run_for(70 if verb == "run-retry" else 2)
            await compared.look()
        await stage.run_for(90)
        assert stage.world.primary() == "west"
        await compared.look()
        await compared.ask("run-abort", run_id=run.run_id)
        await compared.ask("forgive", cluster="east")
        await compared.look()
        assert {("approve", 202), ("run-proceed", 202), ("forgive", 200), ("run-abort", 409)} <= compared.seen
