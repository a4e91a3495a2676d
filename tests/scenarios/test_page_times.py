"""When the pages of a primary that is not down come, at the default timing: the numbers of the manual."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.stage import Stage
from watchdogd.core.policy import Timing
from watchdogd.lab.faults import FaultKind

DEFAULTS = Timing()
DIES_S = 90.0
BEAT_S = 5.0  # Vault's: the last one may be so old already
ROUND_S = DEFAULTS.interval_s + DEFAULTS.probe_timeout_s + 1.0  # it happened right after a probe; one tick


async def paged_after_s(stage: Stage, key: str, *, within_s: float) -> float:
    loop = asyncio.get_running_loop()
    end_s = DIES_S + within_s
    while loop.time() < end_s and key not in stage.notifier.pages:
        await stage.run_for(0.5)
    assert key in stage.notifier.pages, stage.situations
    return loop.time() - DIES_S


@pytest.mark.parametrize(
    ("kind", "key", "window_s"),
    [
        (FaultKind.SEAL, "S-24", 0.0),
        (FaultKind.STRANGE, "S-22", DEFAULTS.down_after_s),
    ],
)
async def test_it_is_paged_once_the_last_beats_have_faded(kind: FaultKind, key: str, window_s: float) -> None:
    async with Stage(timing=DEFAULTS) as stage:
        await stage.run_until(DIES_S)
        stage.fault(kind, "cluster:east", **({"text": "x", "status": 200} if kind is FaultKind.STRANGE else {}))
        stage.fault(FaultKind.DROP, "repl:east>west")
        took_s = await paged_after_s(stage, key, within_s=200)
        faded_s = window_s + DEFAULTS.heartbeat_stale_after_s
        assert faded_s - BEAT_S <= took_s <= faded_s + ROUND_S
