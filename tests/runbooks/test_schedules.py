"""Any schedule of faults: whatever the world does, nothing leaves without a durable intent and a young look.

The drill itself asserts it at every effect (`tests/support/drill_rules.py`): guard, look and intent before each send.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import looptime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.drill import Drill
from tests.support.drill_dns import Trouble, target_of
from tests.support.drill_site import EAST, WEST, Setting
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import FenceOutcome, FenceResult, FenceVerb

OUTCOMES = st.sampled_from(FenceOutcome)
FAULTS = {
    "east lost": lambda drill: drill.site.lose(EAST),
    "west lost": lambda drill: drill.site.lose(WEST),
    "all mended": lambda drill: drill.site.mend(),
    "east sealed": lambda drill: drill.site.break_(FaultKind.SEAL, "cluster:east"),
    "east half active": lambda drill: drill.site.break_(FaultKind.ACTIVE_ERRS, "node:east/1"),
    "west leaderless": lambda drill: drill.site.break_(FaultKind.QUORUM_LOSS, "cluster:west"),
    "link dropped": lambda drill: drill.site.break_(FaultKind.DROP, "repl:east>west"),
    "bastion cut from east": lambda drill: drill.site.break_(FaultKind.DROP, "link:bastion>east"),
    "bastion cut from west": lambda drill: drill.site.break_(FaultKind.REFUSE, "link:bastion>west"),
    "east slow": lambda drill: drill.site.break_(FaultKind.DELAY, "cluster:east", seconds=0.3),
    "west resets": lambda drill: drill.site.break_(FaultKind.RESET, "cluster:west"),
    "west promoted by hand": lambda drill: drill.site.promote_by_hand(WEST),
    "name moved by hand": lambda drill: drill.site.point_name_at(target_of(WEST)),
    "provider dead": lambda drill: setattr(drill.site.names, "trouble", Trouble.DEAD),
    "provider back": lambda drill: setattr(drill.site.names, "trouble", Trouble.NONE),
    "daemon restarted": lambda drill: drill.restart(),
    "disk slow": lambda drill: setattr(drill.daemon.journal, "slow_s", lambda point: 2.5),
    "disk fast": lambda drill: setattr(drill.daemon.journal, "slow_s", lambda point: 0.0),
    "disk full": lambda drill: setattr(drill.daemon.journal, "refusal", "no space left on device"),
    "disk free": lambda drill: setattr(drill.daemon.journal, "refusal", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What happens, and how long nothing else does."""

    what: str
    then_s: float


HAPPENINGS = st.builds(Happening, what=st.sampled_from(sorted(FAULTS)), then_s=st.sampled_from((0.3, 2.0, 7.0, 15.0)))


async def go_through(schedule: list[Happening], fence: list[FenceOutcome]) -> None:
    async with Drill(Setting(client_every_s=None)) as drill:
        answers = [FenceResult(outcome=outcome) for outcome in fence]
        drill.daemon.fence.answers[FenceVerb.ON] = answers
        await drill.healthy()
        drill.site.lose(EAST)
        await asyncio.sleep(6.0)
        for happening in schedule:
            FAULTS[happening.what](drill)
            await asyncio.sleep(happening.then_s)
        by_hand = sum(happening.what == "west promoted by hand" for happening in schedule)
        assert drill.site.applied("promote", WEST) - by_hand <= 1
        assert drill.site.sent_to("promote", EAST) == 0


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(schedule=st.lists(HAPPENINGS, min_size=1, max_size=7), fence=st.lists(OUTCOMES, min_size=1, max_size=3))
def test_every_send_has_a_young_look_and_a_durable_intent(schedule: list[Happening], fence: list[FenceOutcome]) -> None:
    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(noop_cycles=1, idle_timeout=5)) as runner:
        runner.run(go_through(schedule, fence))
