"""Right after a failover nothing protects the new primary: that is said at once, and paged when it always was."""

from __future__ import annotations

from tests.support.stage import READER, Stage
from watchdogd.core.headline import headline
from watchdogd.core.policy import Level
from watchdogd.daemon.protocol import Asked
from watchdogd.lab.faults import FaultKind
from watchdogd.rehearsal.site import PAIR

SEEN = "the secondary does not stream"
NO_STANDBY = f"{SEEN}; no standby to fail over to (east: it was not seen to follow west while that lived)"


async def said(stage: Stage) -> list[object]:
    """Why it is so, as `status` and `explain` say it."""
    status = await stage.orders.ask(Asked(verb="status"), READER)
    explained = await stage.orders.ask(Asked(verb="explain", pair=PAIR), READER)
    pairs = status.body["pairs"]
    assert isinstance(pairs, list)
    assert isinstance(pairs[0], dict)
    return [pairs[0]["why"], explained.body["why"]]


async def test_after_a_failover_it_is_said_at_once_that_there_is_no_standby() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        gone = stage.lose("east")
        await stage.run_till("N-60", within_s=60)
        stage.world.faults.clear(gone)
        since_s = await stage.run_till("S-13", within_s=90)
        await stage.run_for(1)
        assert await said(stage) == [NO_STANDBY, NO_STANDBY]
        assert NO_STANDBY in headline(stage.facts, stage.decision, stage.policy).text
        assert "S-13" not in stage.notifier.keys()
        await stage.run_until(since_s + stage.policy.timing.link_down_alert_s + 3)
        told = next(notice for notice in stage.notifier.told if notice.key == "S-13")
        assert NO_STANDBY in told.summary


async def test_a_standby_that_followed_a_moment_ago_is_one() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.fault(FaultKind.DROP, "repl:east>west")
        await stage.run_till("S-13", within_s=60)
        assert await said(stage) == [SEEN, SEEN]
