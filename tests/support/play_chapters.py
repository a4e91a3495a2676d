"""What a daemon may do, chapter by chapter: together they come to every step and every entry of every runbook."""

from __future__ import annotations

import asyncio

from tests.support.play_stops import OPENS_S, Chapter, Stopped
from watchdogd.core.entries import RunEnded, TokenLeft
from watchdogd.core.explain import Json
from watchdogd.lab.faults import FaultKind
from watchdogd.rehearsal.ports import SlowWrite
from watchdogd.rehearsal.site import EAST, PAIR, WEST, secrets_of

HEALTHY_S = 16.0
SHARES = "tokens = []\nshares = 3"
SHOWS_AFTER_S, LATE_S = 2.0, 45.0


async def nothing(stage: Stopped) -> None:
    """It happens by itself."""


async def healthy(stage: Stopped) -> None:
    await stage.pass_by(HEALTHY_S)


async def ended(stage: Stopped) -> None:
    assert await stage.until(lambda: any(isinstance(e, RunEnded) for e in stage.written), within_s=400), stage.told()


async def failed_over(stage: Stopped) -> None:
    await healthy(stage)
    stage.lose(EAST)
    assert await stage.until(stage.is_owed, within_s=60.0), stage.told()
    assert await stage.until(lambda: stage.ledger.run is None, within_s=60.0), stage.told()


async def failed_over_with_a_token_left_behind(stage: Stopped) -> None:
    await failed_over(stage)
    assert stage.daemon is not None
    await stage.daemon.journal.append(PAIR, TokenLeft(cluster=EAST, fingerprint="of an earlier election"))


def half_active(stage: Stopped) -> None:
    """One node of east is left to see: its health says active while sys/leader errs."""
    stage.fault(FaultKind.REFUSE, "node:east/2")
    stage.fault(FaultKind.REFUSE, "node:east/3")
    stage.fault(FaultKind.ACTIVE_ERRS, "node:east/1")
    stage.fault(FaultKind.DROP, "repl:east>west")


async def aborted_before_its_demote_landed(stage: Stopped) -> None:
    await healthy(stage)
    half_active(stage)
    stage.fault(FaultKind.APPLIED_LATE, "node:east/1", method="POST", path="primary/demote", seconds=LATE_S, times=1)
    assert await stage.until(lambda: any(stage.story.of("sent demote east")), within_s=OPENS_S), stage.told()
    assert await stage.order("run-abort"), stage.told()
    stage.end(FaultKind.ACTIVE_ERRS)
    await ended(stage)


async def left_fenced(stage: Stopped) -> None:
    stage.fence_plan.off = ["exit 1"]
    stage.disk.slow.append(SlowWrite(entry="promote_intended", takes_s=10.0, times=1))
    await healthy(stage)
    stage.lose(EAST)
    assert await stage.until(lambda: stage.world.is_fenced(EAST), within_s=OPENS_S), stage.told()
    stage.mend()
    await ended(stage)


# -- what happens ------------------------------------------------------------------------------------------------------


async def begins(stage: Stopped) -> None:
    stage.count()


async def lose_east(stage: Stopped) -> None:
    await healthy(stage)
    stage.count()
    stage.lose(EAST)


async def lose_half_of_east(stage: Stopped) -> None:
    await healthy(stage)
    stage.count()
    half_active(stage)


async def order_a_failover(stage: Stopped) -> None:
    await healthy(stage)
    stage.lose(EAST)
    stage.count()
    await ordered(stage, "failover", target=WEST, waive=["proof"])


async def order_one_from_a_silent_east(stage: Stopped) -> None:
    await healthy(stage)
    stage.fault(FaultKind.BLACKOUT, "region:east")
    stage.count()
    await ordered(stage, "failover", target=WEST, waive=["proof"])


async def order_a_release(stage: Stopped) -> None:
    stage.count()
    await ordered(stage, "start", runbook="release-fence", target=EAST)


async def ordered(stage: Stopped, verb: str, **body: Json) -> None:
    for _ in range(round(OPENS_S)):
        if stage.daemon is not None and stage.daemon.orders is not None and await stage.order(verb, **body):
            return
        await stage.pass_by(1.0)
    raise AssertionError(stage.told())


async def east_returns(stage: Stopped) -> None:
    await stage.pass_by(3.0)
    stage.count()
    stage.mend()


async def east_returns_and_is_demoted_late(stage: Stopped) -> None:
    await stage.pass_by(3.0)
    stage.count()
    stage.mend()
    stage.fault(FaultKind.APPLIED_LATE, "cluster:east", method="POST", path="primary/demote", seconds=LATE_S)


def spoil_every_token(stage: Stopped, point: str) -> None:
    """West denies every token once east was demoted and shows itself; one is brought for the way back."""
    if point == "vault after demote east":
        stage.secrets |= {"a": stage.secrets["wrong"]}
        asyncio.get_running_loop().call_later(SHOWS_AFTER_S, stage.end, FaultKind.ACTIVE_ERRS)
    if point.startswith("journal after run_abort_asked"):
        stage.secrets |= secrets_of(stage.world)


def return_behind_the_fence(stage: Stopped, point: str) -> None:
    if point == "fence after on east":
        stage.mend()


def silence_west_behind_the_fence(stage: Stopped, point: str) -> None:
    """No safe point is come to while west cannot be seen."""
    if point == "fence after on east":
        stage.fault(FaultKind.DROP, "link:bastion>west")


CHAPTERS = (
    Chapter(name="failover", begin=healthy, unfold=lose_east, is_over=Stopped.is_owed),
    Chapter(
        name="failover by shares, past a fence that fails",
        pair=SHARES,
        more='[fence]\non = ["exit 75", "exit 1", "exit 0"]',
        begin=healthy,
        unfold=order_a_failover,
        is_over=Stopped.is_owed,
    ),
    Chapter(
        name="failover given up",
        pair=SHARES,
        begin=healthy,
        unfold=order_one_from_a_silent_east,
        at_point=return_behind_the_fence,
        is_over=lambda stage: stage.is_settled(EAST),
    ),
    Chapter(
        name="failover rolled back",
        pair='tokens = ["a"]',
        begin=healthy,
        unfold=lose_half_of_east,
        at_point=spoil_every_token,
        since="vault before demote east",
        is_over=lambda stage: stage.is_settled(EAST),
    ),
    Chapter(
        name="roll-back",
        more='[fence]\non = ["exit 1"]',
        begin=aborted_before_its_demote_landed,
        unfold=begins,
        is_over=lambda stage: stage.is_settled(EAST),
    ),
    Chapter(
        name="cutover-dns",
        begin=failed_over,
        kept_at="journal after run_ended",
        unfold=begins,
        is_over=Stopped.is_owed,
    ),
    Chapter(
        name="settle-debt",
        pair="shares = 3",
        begin=failed_over_with_a_token_left_behind,
        unfold=east_returns,
        is_over=lambda stage: stage.is_settled(WEST) and not stage.ledger.tokens_left,
    ),
    Chapter(
        name="settle-debt, parked until it is seen",
        begin=failed_over,
        unfold=east_returns_and_is_demoted_late,
        is_over=lambda stage: stage.is_settled(WEST),
    ),
    Chapter(
        name="release-fence",
        begin=left_fenced,
        unfold=order_a_release,
        is_over=lambda stage: stage.is_settled(EAST),
    ),
)
