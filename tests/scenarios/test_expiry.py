"""When a token ends is known although the first answer that said so was lost."""

from __future__ import annotations

from tests.support.stage import Stage
from watchdogd.core.policy import Timing
from watchdogd.lab.faults import FaultKind


async def test_the_end_of_a_token_is_asked_for_until_it_was_answered() -> None:
    async with Stage(timing=Timing()) as stage:
        path = "auth/token/lookup-self"
        stage.fault(FaultKind.REPLY_LOST, "cluster:east", method="GET", path=path, outcome="hang", times=2)
        await stage.run_for(600)
        standing = stage.unit.deciding.standing
        assert standing is not None
        assert [one.expires_utc_s is not None for one in standing.around.credentials] == [True, True]
