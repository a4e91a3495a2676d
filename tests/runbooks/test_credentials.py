"""Credentials of a run: an operation token from key shares, with a crash in the middle, and somebody else's attempt."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.drill import Drill
from tests.support.drill_failover import failed_over
from tests.support.drill_site import EAST, WEST, Setting
from watchdogd.core.entries import Runbook
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.wire import Place, Wire

NOT_GOOD = ("client_token",)
SHARES = Setting(tokens=NOT_GOOD, shares=3)
ATTEMPT = "/v1/sys/replication/dr/secondary/generate-operation-token/attempt"


async def promoting(drill: Drill) -> None:
    await drill.healthy()
    drill.site.lose(EAST)
    await drill.until(lambda: drill.ledger.run is not None, within_s=30)


def foreign_attempt(drill: Drill) -> None:
    """Somebody else begins to generate an operation token on west."""
    drill.site.tick()
    wire = Wire(place=Place.BASTION, target="west/1", method="PUT", path_and_query=ATTEMPT, body=b"{}")
    drill.site.world.exchange(wire, now_s=drill.site.now_s())


def is_attempt_running(drill: Drill) -> bool:
    wire = Wire(place=Place.BASTION, target="west/1", method="GET", path_and_query=ATTEMPT)
    return b'"started":true' in drill.site.world.exchange(wire, now_s=drill.site.now_s()).body.replace(b" ", b"")


async def test_a_token_is_generated_from_shares_when_every_prepared_one_is_denied() -> None:
    async with Drill(SHARES) as drill:
        await promoting(drill)
        await failed_over(drill)
        assert drill.site.applied("promote") == 1
        kinds = drill.daemon.journal.kinds
        assert kinds.index("token_attempt_started") < kinds.index("token_attempt_ended")
        assert WEST in drill.ledger.tokens_left  # after the promote its deletion is refused, as expected
        notes = [r.entry.note for r in drill.site.durable if getattr(r.entry, "step", "") == "delete_token"]
        assert len(notes) == 1


async def test_a_token_generated_for_a_run_that_is_given_up_is_deleted() -> None:
    async with Drill(SHARES) as drill:

        def burn(point: str) -> None:
            if point.startswith("journal after token_attempt_ended"):
                drill.site.mend()

        drill.daemon.fuse = burn
        drill.daemon.journal.slow_s = lambda point: 8.0 if point == "token_attempt_ended+token_left" else 0.0
        await promoting(drill)
        await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=60)
        assert WEST not in drill.ledger.tokens_left


async def test_an_attempt_of_our_own_that_a_crash_left_is_known_as_ours_and_begun_anew() -> None:
    async with Drill(SHARES) as drill:
        crashed = asyncio.Event()

        def burn(point: str) -> None:
            if point.startswith("journal after token_attempt_started") and not crashed.is_set():
                crashed.set()
                drill.kill()

        drill.daemon.fuse = burn
        await promoting(drill)
        await drill.until(crashed.is_set, within_s=30)
        assert is_attempt_running(drill)
        drill.start()
        await failed_over(drill, within_s=120)
        assert not is_attempt_running(drill)


async def test_an_attempt_of_somebody_else_is_never_cancelled() -> None:
    async with Drill(SHARES) as drill:
        await drill.healthy()
        foreign_attempt(drill)
        assert is_attempt_running(drill)
        drill.site.lose(EAST)
        await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=60)
        assert is_attempt_running(drill)
        assert drill.site.applied("promote") == 0
        assert "somebody else" in drill.ledger.recent_runs[-1].why
        assert not drill.site.held


async def test_too_few_shares_are_no_way_in() -> None:
    async with Drill(Setting(tokens=NOT_GOOD, shares=2)) as drill:
        await promoting(drill)
        await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=60)
        assert "2 are configured" in drill.ledger.recent_runs[-1].why


async def test_a_generated_token_that_is_denied_too_ends_the_run() -> None:
    async with Drill(SHARES) as drill:

        def burn(point: str) -> None:
            if point == "vault before promote west" and drill.site.sent_to("promote"):
                drill.site.world.clusters[WEST].op_tokens.clear()

        drill.daemon.fuse = burn
        await promoting(drill)
        await drill.until(lambda: (Runbook.FAILOVER, "aborted") in drill.ended, within_s=60)
        assert "the generated one too" in drill.ledger.recent_runs[-1].why


async def test_generating_is_tried_again_when_the_target_does_not_answer() -> None:
    async with Drill(SHARES) as drill:
        fault = []

        def burn(point: str) -> None:
            if point.startswith("journal after token_attempt_started") and not fault:
                fault.append(drill.site.break_(FaultKind.RESET, "link:bastion>west"))

        drill.daemon.fuse = burn
        await promoting(drill)
        await drill.until(lambda: fault, within_s=30)
        await asyncio.sleep(3.0)
        drill.site.world.faults.clear(fault[0])
        await failed_over(drill)


async def test_without_any_prepared_token_one_is_generated_before_anything_is_done() -> None:
    async with Drill(Setting(tokens=(), shares=3)) as drill:
        await drill.healthy()
        drill.site.lose(EAST)
        await asyncio.sleep(8.0)
        waivers = ["window", "no-credential", "proof"]
        await drill.daemon.open(Runbook.FAILOVER, EAST, WEST, waivers=waivers, asked_by_uid=1000)
        await failed_over(drill)
        assert drill.site.applied("promote") == 1


@pytest.mark.parametrize("point", ["vault after promote west", "journal after step_done+election_confirmed"])
async def test_a_run_taken_up_again_after_its_promote_waits_for_no_credential(point: str) -> None:
    """A token is generated only where a DR secondary is, and there is none any more; none is needed either."""
    async with Drill(Setting(tokens=(), shares=3)) as drill:
        passed: list[str] = []
        drill.daemon.fuse = passed.append
        await drill.healthy()
        drill.site.lose(EAST)
        await asyncio.sleep(8.0)
        waivers = ["window", "no-credential", "proof"]
        await drill.daemon.open(Runbook.FAILOVER, EAST, WEST, waivers=waivers, asked_by_uid=1000)
        await drill.until(lambda: point in passed, within_s=60, every_s=0.01)
        drill.restart()
        await failed_over(drill)
        assert drill.site.applied("promote") == 1


@pytest.mark.parametrize("version", ["1.13.0", "2.0.0"])
async def test_a_failover_works_on_every_version_that_takes_a_batch_token(version: str) -> None:
    async with Drill(Setting(vault_version=version)) as drill:
        await promoting(drill)
        await failed_over(drill, within_s=120)
