"""Guards and acts asked directly: each refuses by itself, whatever the steps around it have made sure of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.drill import Drill
from tests.support.drill_site import EAST, PAIR, WEST, Setting
from watchdogd.core.entries import Entry, FenceIntended, Runbook, RunOutcome, StepIntended
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import PairId
from watchdogd.core.policy import Level
from watchdogd.errors import Need, NeedsOperator, Refusal, Refused
from watchdogd.lab.faults import FaultKind
from watchdogd.ports import FenceOutcome, FenceResult, FenceVerb
from watchdogd.runbooks import credentials, cutover_dns, evidence, failover, release_fence, roll_back, settle_debt
from watchdogd.runbooks.context import RunContext
from watchdogd.runbooks.opening import Wanted, open_run

WATCHING = Setting(failover=Level.APPROVE, client_every_s=None)


@asynccontextmanager
async def run_of(runbook: Runbook, change: Callable[[Drill], object] | None = None) -> AsyncIterator[RunContext]:
    """A run that nobody executes, on a healthy pair that is then changed."""
    async with Drill(WATCHING) as drill:
        await drill.healthy()
        drill.daemon.stopping = "only looking"
        await asyncio.sleep(1.0)
        run = await drill.daemon.open(runbook, EAST, WEST)
        if change is not None:
            change(drill)
            await asyncio.sleep(8.0)
        yield drill.daemon.context(run)


async def refuses(asked: object, text: str) -> None:
    with pytest.raises(Refused) as refused:
        await asked  # type: ignore[misc]
    assert refused.value.kind is Refusal.NOT_YET
    assert text in str(refused.value)


async def test_nothing_is_sent_without_a_look() -> None:
    async with run_of(Runbook.FAILOVER) as ctx:
        await refuses(failover.promote_target(ctx), "nothing was looked at")
        await refuses(settle_debt.demote_debtor(ctx), "nothing was looked at")
        await refuses(cutover_dns.publish(ctx), "nothing was looked at")


async def test_nothing_is_sent_on_an_old_look() -> None:
    async with run_of(Runbook.FAILOVER) as ctx:
        await ctx.look()
        await asyncio.sleep(ctx.policy.timing.last_look_max_age_s + 0.1)
        for act in (
            failover.promote_target,
            failover.demote_half_active,
            settle_debt.fence_off,
            roll_back.promote_back,
        ):
            await refuses(act(ctx), "s old")


async def test_nothing_is_sent_to_a_cluster_without_an_active_node() -> None:
    async with run_of(Runbook.FAILOVER, lambda drill: drill.site.break_(FaultKind.QUORUM_LOSS, "cluster:west")) as ctx:
        await ctx.look()
        await refuses(failover.promote_target(ctx), "no active node of west")
        await refuses(credentials.look_at_target(ctx), "no active node of west")


async def test_a_name_is_not_moved_before_the_provider_was_read() -> None:
    async with run_of(Runbook.CUTOVER_DNS) as ctx:
        await ctx.look()
        await refuses(cutover_dns.publish(ctx), "was not looked at")


async def test_a_primary_without_a_half_active_node_is_not_demoted_by_a_failover() -> None:
    async with run_of(Runbook.FAILOVER) as ctx:
        await ctx.look()
        await refuses(failover.demote_half_active(ctx), "no node of the source says active")


async def test_a_living_primary_is_not_fenced() -> None:
    async with run_of(Runbook.FAILOVER) as ctx:
        with pytest.raises(NeedsOperator) as vetoed:
            await failover.fence_guard(ctx)
        assert vetoed.value.need is Need.VETO


async def test_a_source_that_could_not_be_looked_at_proves_nothing() -> None:
    def hide(drill: Drill) -> None:
        drill.site.break_(FaultKind.DROP, "repl:east>west")
        for node in (1, 2, 3):
            drill.site.break_(FaultKind.STRANGE, f"node:east/{node}", text="hello", status=200)

    async with run_of(Runbook.FAILOVER, hide) as ctx:
        look = await ctx.look()
        with pytest.raises(Refused, match="east could not be looked at"):
            evidence.ensure_proof(ctx, look.facts)


async def test_a_debtor_is_not_demoted_once_the_premise_is_gone() -> None:
    async with run_of(Runbook.SETTLE_DEBT) as ctx:
        await refuses(settle_debt.demote_guard(ctx), "not both")


async def test_a_cluster_is_promoted_back_only_while_it_is_secondary() -> None:
    async with run_of(Runbook.FAILOVER) as ctx:
        await refuses(roll_back.promote_back_guard(ctx), "no active node of east says secondary")


async def test_a_left_token_is_not_replaced_on_a_cluster_that_is_not_secondary() -> None:
    async with run_of(Runbook.SETTLE_DEBT) as ctx:
        await refuses(settle_debt.look_at_debtor(ctx), "no active node of east says secondary")


async def test_a_fence_comes_off_the_only_primary_although_it_is_not_the_elected_one() -> None:
    def swap(drill: Drill) -> None:
        drill.site.demote_by_hand(EAST)
        drill.site.world.tick(drill.site.now_s() + 3.0)
        drill.site.promote_by_hand(WEST)

    async with Drill(WATCHING) as drill:
        await drill.healthy()
        drill.daemon.stopping = "only looking"
        await asyncio.sleep(1.0)
        run = await drill.daemon.open(Runbook.SETTLE_DEBT, WEST, EAST)
        swap(drill)
        await asyncio.sleep(15.0)
        await settle_debt.fence_off_guard(drill.daemon.context(run))


async def test_a_fence_on_the_elected_primary_that_does_not_come_off_is_asked_again() -> None:
    async with run_of(Runbook.RELEASE_FENCE) as ctx:
        await refuses(release_fence.only_primary(ctx), "not the elected, only active primary")
        await ctx.write(FenceIntended(cluster=WEST, epoch=1, run_id=ctx.run_id))
        ctx.fence.answers[FenceVerb.OFF] = [FenceResult(outcome=FenceOutcome.FAILED)]  # type: ignore[attr-defined]
        await refuses(release_fence.fence_off(ctx), "still on")
        await release_fence.RELEASE_FENCE.give_up(ctx, "asked")
        assert ctx.ledger.recent_runs[-1].outcome is RunOutcome.SUPERSEDED


class ForgetfulJournal:
    """A journal that takes everything and keeps nothing."""

    def ledger(self, pair: PairId) -> Ledger:
        return Ledger()

    async def append(self, pair: PairId, *entries: Entry) -> None:
        """Nothing is kept."""


async def test_a_run_that_is_not_there_after_it_was_opened_is_a_bug() -> None:
    with pytest.raises(NeedsOperator) as bug:
        await open_run(
            ForgetfulJournal(),
            PAIR,
            Wanted(runbook=Runbook.FAILOVER, source=EAST, target=WEST, situation="S-30", why="asked"),
        )
    assert bug.value.need is Need.BUG


async def test_an_intent_of_a_run_that_was_ended_meanwhile_sends_nothing() -> None:
    async with Drill(Setting(client_every_s=None)) as drill:
        drill.daemon.journal.slow_s = lambda point: 1.0 if "fence_intended" in point else 0.0
        await drill.healthy()
        drill.site.lose(EAST)
        await drill.until(lambda: drill.ledger.run is not None and drill.run.step("demote_source").done, within_s=30)
        drill.daemon.stopping = "by hand now"
        await drill.adopt(EAST)
        await asyncio.sleep(5.0)
        assert StepIntended.kind in drill.daemon.journal.kinds
        assert drill.daemon.fence.calls == []
