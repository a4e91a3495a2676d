"""A fence whose `check` fails: people are told what it said, and not only how it ended."""

from __future__ import annotations

from tests.support.stage import Stage
from watchdogd.core.policy import Level
from watchdogd.ports import FenceOutcome, FenceResult


async def test_the_closed_gate_says_what_the_command_wrote() -> None:
    async with Stage(level=Level.AUTO) as stage:
        stage.fence.check_result = FenceResult(
            outcome=FenceOutcome.FAILED, why="exit 2", output="fence: no such\n gateway\n"
        )
        await stage.run_until(25)
        gates = stage.explain()["gates"]
        assert isinstance(gates, list)
        (told,) = [gate["why"] for gate in gates if isinstance(gate, dict) and gate["gate"] == "fence"]
        assert told == "the fence's check does not answer: exit 2; fence: no such gateway"
