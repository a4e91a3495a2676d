"""A plan is shown with a hash, and approved by it: the very run that was read, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.scenarios.test_orders import code_of, gates_of
from tests.support.api_shapes import undocumented
from tests.support.stage import READER, Stage
from watchdogd.core.decision import Decision
from watchdogd.core.entries import Paused, RunOpened
from watchdogd.core.explain import Json
from watchdogd.core.facts import Facts
from watchdogd.core.policy import Level, Timing
from watchdogd.daemon import outcomes
from watchdogd.daemon.protocol import Answer, Asked
from watchdogd.daemon.running import Wanted
from watchdogd.errors import Need, NeedsOperator
from watchdogd.lab.faults import FaultKind
from watchdogd.rehearsal.site import EAST, PAIR, WEST

Change = Callable[[Stage], Awaitable[None]]


async def planned(stage: Stage, **query: str) -> Answer:
    return await stage.orders.ask(Asked(verb="plan", pair=PAIR, query={"target": "west", **query}), READER)


async def hash_of(stage: Stage, **query: str) -> str:
    return str((await planned(stage, **query)).body["plan_hash"])


async def approve(stage: Stage, plan_hash: str, **body: object) -> Answer:
    return await stage.ask("approve", plan_hash=plan_hash, **body)


def runs(stage: Stage) -> list[RunOpened]:
    return [entry for entry in stage.journal.entries(PAIR) if isinstance(entry, RunOpened)]


async def lost(stage: Stage) -> None:
    """East is gone, and the failover waits for a person."""
    await stage.run_until(25)
    stage.lose("east")
    await stage.run_till("S-30", within_s=40)


async def test_an_approved_failover_is_the_run_that_was_read() -> None:
    async with Stage(level=Level.APPROVE) as stage:
        await lost(stage)
        plan = await planned(stage)
        assert (plan.body["situation"], plan.body["blocked_by"], plan.body["never"]) == ("S-30", [], "")
        answer = await approve(stage, str(plan.body["plan_hash"]), reason="region is on fire")
        assert answer.status == 202
        (opened,) = runs(stage)
        assert (opened.run_id, opened.target, opened.reason) == (answer.body["run_id"], WEST, "region is on fire")
        assert opened.asked_by_uid == 1000
        await stage.run_for(60)
        assert stage.world.primary() == WEST


async def test_without_a_reason_the_journal_names_the_plan() -> None:
    async with Stage(level=Level.APPROVE) as stage:
        await lost(stage)
        plan_hash = await hash_of(stage)
        asked = Asked(verb="approve", pair=PAIR, body={"plan_hash": plan_hash})
        assert (await stage.orders.ask(asked, READER)).status == 403
        assert runs(stage) == []
        await approve(stage, plan_hash, reason="")
        assert plan_hash in runs(stage)[0].reason


async def hashes_of(stage: Stage) -> set[str]:
    """Those of the next 40 seconds."""
    found = set()
    for _ in range(40):
        await stage.run_for(1.0)
        found.add(await hash_of(stage))
    return found


async def test_the_hash_is_the_same_for_as_long_as_the_decision_is() -> None:
    async with Stage(level=Level.APPROVE) as stage:
        await stage.run_until(25)
        healthy = await hashes_of(stage)
        stage.lose("east")
        await stage.run_till("S-30", within_s=40)
        waiting = await hashes_of(stage)
        assert (len(healthy), len(waiting)) == (1, 1)
        assert healthy != waiting


async def test_waivers_are_part_of_what_is_approved() -> None:
    async with Stage(level=Level.APPROVE) as stage:
        await stage.run_until(25)
        stage.reachable = False
        stage.lose("east")
        await stage.run_till("S-32", within_s=60)
        await stage.run_for(5)
        held, waived = await hash_of(stage), await hash_of(stage, waive="anchors")
        assert held != waived
        refused = await approve(stage, held)
        assert (refused.status, gates_of(refused)) == (422, {"anchors"})
        assert runs(stage) == []
        assert (await approve(stage, waived)).status == 202
        assert runs(stage)[0].waivers == ("anchors",)


async def test_a_plan_that_nobody_was_shown_is_stale() -> None:
    async with Stage(level=Level.APPROVE) as stage:
        await lost(stage)
        plan_hash = await hash_of(stage)
        refused = await approve(stage, "0" * 16)
        assert (refused.status, code_of(refused)) == (409, "stale")
        await stage.kill()
        await stage.start()
        await stage.run_for(40)
        refused = await approve(stage, plan_hash)
        assert (refused.status, code_of(refused)) == (409, "stale")
        assert runs(stage) == []


async def test_while_the_primary_lives_no_approval_starts_anything() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        every = ",".join(gate for gate in ("window", "secondary-sees", "loss", "anchors", "fence", "sync-state"))
        for waive in ("", "window", every):
            plan = await planned(stage, waive=waive)
            refused = await approve(stage, str(plan.body["plan_hash"]))
            assert (refused.status, code_of(refused)) == (422, "blocked")
            assert plan.body["never"] == "east is an active primary: promoting west would make two of them"
        assert runs(stage) == []


async def test_an_approved_plan_is_not_begun_once_more_after_it_has_ended() -> None:
    async with Stage(level=Level.APPROVE) as stage:
        await lost(stage)
        plan_hash = await hash_of(stage)
        assert (await approve(stage, plan_hash)).status == 202
        refused = await approve(stage, plan_hash)
        assert (refused.status, code_of(refused)) == (409, "run_in_progress")
        await stage.run_for(60)
        refused = await approve(stage, plan_hash)
        assert (refused.status, code_of(refused)) == (409, "already_primary")
        assert [opened.runbook for opened in runs(stage)].count("failover") == 1


# -------------------------------------------------------------------------------------------- while the window runs


async def approved_ahead(stage: Stage) -> Answer:
    """East is gone, its window runs, and somebody has approved already."""
    await stage.run_until(90)
    stage.lose("east")
    await stage.run_till("S-26", within_s=40)
    answer = await approve(stage, await hash_of(stage), reason="seen it burn")
    assert (answer.status, answer.body["waits_for"]) == (202, ["window"])
    outcomes.Approved.model_validate(answer.body, strict=True)
    return answer


def told(stage: Stage) -> list[str]:
    return [notice.summary for notice in stage.notifier.told if notice.key == "approval"]


@pytest.mark.parametrize("level", [Level.OBSERVE, Level.APPROVE])
async def test_an_approval_may_be_given_while_the_window_runs_and_goes_once_it_is_full(level: Level) -> None:
    async with Stage(level=level, timing=Timing()) as stage:
        await approved_ahead(stage)
        assert runs(stage) == []
        await stage.run_till("S-30", within_s=60)
        await stage.run_for(60)
        (opened, *_) = runs(stage)
        assert (opened.runbook, opened.situation, opened.reason) == ("failover", "S-30", "seen it burn")
        assert opened.asked_by_uid == 1000
        assert stage.world.primary() == WEST
        assert len(told(stage)) == 1


async def shown(stage: Stage) -> tuple[Json, Json]:
    """The approval as `status` and `explain` show it; each is held against the document."""
    status = await stage.orders.ask(Asked(verb="status"), READER)
    explained = await stage.orders.ask(Asked(verb="explain", pair=PAIR), READER)
    assert [*undocumented("status", status), *undocumented("explain", explained)] == []
    pairs = status.body["pairs"]
    assert isinstance(pairs, list)
    assert isinstance(pairs[0], dict)
    return pairs[0]["approval"], explained.body["approval"]


async def test_an_approval_that_waits_is_shown_with_who_gave_it_for_what_until_when_and_for_what_it_waits() -> None:
    async with Stage(level=Level.APPROVE, timing=Timing()) as stage:
        answer = await approved_ahead(stage)
        approval, explained = await shown(stage)
        assert approval == explained
        assert isinstance(approval, dict)
        assert (approval["asked_by_uid"], approval["reason"]) == (1000, "seen it burn")
        assert (approval["action"], approval["target"], approval["situation"]) == ("failover", "west", "S-26")
        assert approval["plan_hash"] == answer.body["approved"]
        until_utc_s = answer.body["until_utc_s"]
        assert isinstance(until_utc_s, float)
        assert approval["until_utc_s"] == pytest.approx(until_utc_s, abs=0.1)
        assert [gate["gate"] for gate in approval["blocked_by"]] == ["window"]  # type: ignore[index,union-attr,call-overload]
        stage.reachable = False
        await stage.run_till("S-32", within_s=80)
        approval, _ = await shown(stage)
        assert isinstance(approval, dict)
        assert [gate["gate"] for gate in approval["blocked_by"]] == ["anchors"]  # type: ignore[index,union-attr,call-overload]
        stage.reachable = True
        await stage.run_for(60)
        assert await shown(stage) == (None, None)


async def test_an_approval_that_does_not_count_any_more_is_not_shown() -> None:
    async with Stage(level=Level.APPROVE, timing=Timing()) as stage:
        await approved_ahead(stage)
        await stage.ask("pause")
        assert await shown(stage) == (None, None)


async def test_what_closes_another_gate_meanwhile_only_delays_it() -> None:
    async with Stage(level=Level.APPROVE, timing=Timing()) as stage:
        await approved_ahead(stage)
        stage.reachable = False
        await stage.run_till("S-32", within_s=80)
        await stage.run_for(20)
        assert runs(stage) == []
        stage.reachable = True
        await stage.run_for(60)
        assert stage.world.primary() == WEST


async def test_a_run_that_could_not_be_written_down_is_begun_once_it_can_be() -> None:
    async with Stage(level=Level.APPROVE, timing=Timing()) as stage:
        await approved_ahead(stage)
        failed: list[str] = []

        def burn(point: str) -> None:
            if point == "journal before run_opened" and not failed:
                failed.append(point)
                raise NeedsOperator(Need.JOURNAL, "the database is locked")

        stage.journal.fuse = burn
        await stage.run_for(120)
        assert failed
        assert stage.world.primary() == WEST
        assert [opened.runbook for opened in runs(stage)].count("failover") == 1
        assert stage.unit.approvals.waiting is None


async def test_an_order_in_the_moment_before_it_begins_takes_nothing_away() -> None:
    async with Stage(level=Level.APPROVE, timing=Timing()) as stage, asyncio.TaskGroup() as tasks:
        await approved_ahead(stage)
        decided, asked = stage.unit.running.decided, list[asyncio.Task[Answer]]()

        def decided_and_asked(facts: Facts, decision: Decision, approved: Wanted | None = None) -> None:
            decided(facts, decision, approved)
            if approved is not None and not asked:
                asked.append(tasks.create_task(stage.ask("resume")))

        stage.unit.running.decided = decided_and_asked  # type: ignore[method-assign]
        await stage.run_for(120)
        assert asked
        assert stage.world.primary() == WEST


async def test_an_approved_run_that_is_given_up_at_once_is_not_begun_again() -> None:
    async with Stage(level=Level.APPROVE, timing=Timing()) as stage:
        await approved_ahead(stage)
        secrets = dict(stage.secrets)

        def burn(point: str) -> None:
            if point == "journal after run_opened":
                stage.secrets.clear()
            if point == "journal after run_ended":
                stage.secrets |= secrets  # before the next tick

        stage.journal.fuse = burn
        await stage.run_for(120)
        assert [run.outcome for run in stage.ledger.recent_runs] == ["aborted"]
        assert len(runs(stage)) == 1
        assert stage.unit.approvals.waiting is None


async def test_a_reload_that_changes_its_pair_ends_an_approval_with_a_page() -> None:
    async with Stage(level=Level.APPROVE, timing=Timing()) as stage:
        await approved_ahead(stage)
        assert stage.app is not None
        await stage.app.replace(stage.unit.gear)
        await stage.run_for(120)
        assert runs(stage) == []
        assert told(stage)[-1].endswith("does not count any more: its pair was changed by a reload")


async def test_an_approval_that_is_given_while_a_reload_wires_its_pair_anew_is_refused_and_not_lost() -> None:
    async with Stage(level=Level.APPROVE, timing=Timing()) as stage:
        await stage.run_until(90)
        stage.lose("east")
        await stage.run_till("S-26", within_s=40)
        plan_hash = await hash_of(stage)
        app, before = stage.app, stage.unit
        assert app is not None
        tick = before.deciding.tick

        async def tick_and_wire_anew() -> None:
            await tick()
            await app.replace(before.gear)

        before.deciding.tick = tick_and_wire_anew  # type: ignore[method-assign]
        refused = await approve(stage, plan_hash)
        assert (refused.status, code_of(refused)) == (503, "stopped")
        assert (told(stage), runs(stage)) == ([], [])


async def test_a_repeated_request_is_not_told_of_an_approval_that_a_restart_forgot() -> None:
    async with Stage(level=Level.APPROVE, timing=Timing()) as stage:
        await stage.run_until(90)
        stage.lose("east")
        await stage.run_till("S-26", within_s=40)
        plan_hash = await hash_of(stage)
        first = await approve(stage, plan_hash, request_id="once")
        assert await approve(stage, plan_hash, request_id="once") == first
        await stage.kill()
        await stage.start()
        await stage.run_for(5)
        refused = await approve(stage, plan_hash, request_id="once")
        assert (refused.status, code_of(refused)) == (409, "stale")


async def the_primary_is_back_for_a_while(stage: Stage) -> None:
    stage.world.faults.clear()
    await stage.run_for(20)
    stage.lose("east")


async def it_is_paused_and_resumed(stage: Stage) -> None:
    await stage.ask("pause")
    await stage.run_for(3)
    await stage.ask("resume")


async def the_daemon_is_restarted(stage: Stage) -> None:
    await stage.kill()
    await stage.start()


async def it_cannot_go_for_ten_minutes(stage: Stage) -> None:
    stage.reachable = False
    await stage.run_for(700)
    stage.reachable = True


@pytest.mark.parametrize(
    "change",
    [the_primary_is_back_for_a_while, it_is_paused_and_resumed, the_daemon_is_restarted, it_cannot_go_for_ten_minutes],
)
async def test_an_approval_does_not_outlive_what_was_decided_on(change: Change) -> None:
    async with Stage(level=Level.APPROVE, timing=Timing()) as stage:
        await approved_ahead(stage)
        await change(stage)
        await stage.run_for(90)
        assert runs(stage) == []
        assert stage.world.primary() != WEST
        assert change is the_daemon_is_restarted or "does not count any more" in told(stage)[-1]


async def test_at_auto_the_run_that_goes_by_itself_takes_the_approval_with_it() -> None:
    async with Stage(level=Level.AUTO, timing=Timing()) as stage:
        await approved_ahead(stage)
        await stage.run_for(90)
        assert [opened.asked_by_uid for opened in runs(stage) if opened.runbook == "failover"] == [None]
        assert len(told(stage)) == 1


# ------------------------------------------------------------------------------------------------ once it has changed


async def primary_returns(stage: Stage) -> None:
    stage.world.faults.clear()
    await stage.run_for(20)


async def it_is_paused_and_nothing_was_decided_since(stage: Stage) -> None:
    await stage.journal.append(PAIR, Paused(reason="a test"))


async def somebody_promotes_the_target(stage: Stage) -> None:
    await stage.by_hand("promote", WEST)
    await stage.run_for(20)


async def the_target_is_adopted(stage: Stage) -> None:
    await stage.by_hand("promote", WEST)
    await stage.run_till("S-50", within_s=30)
    assert not (await stage.ask("adopt", cluster="west")).is_error


async def it_is_paused(stage: Stage) -> None:
    await stage.ask("pause")


async def anchors_are_lost(stage: Stage) -> None:
    stage.reachable = False
    await stage.run_for(40)


async def one_node_answers_strangely(stage: Stage) -> None:
    stage.world.faults.clear()
    stage.fault(FaultKind.STRANGE, "node:east/2", status=429, text="slow down")
    stage.fault(FaultKind.CRASH, "node:east/1")
    stage.fault(FaultKind.CRASH, "node:east/3")
    await stage.run_for(30)


CHANGES: tuple[Change, ...] = (
    primary_returns,
    it_is_paused_and_nothing_was_decided_since,
    somebody_promotes_the_target,
    the_target_is_adopted,
    it_is_paused,
    anchors_are_lost,
    one_node_answers_strangely,
)


@pytest.mark.parametrize("change", CHANGES)
async def test_once_something_has_changed_the_approval_starts_nothing(change: Change) -> None:
    async with Stage(level=Level.APPROVE) as stage:
        await lost(stage)
        plan_hash = await hash_of(stage, waive="window,anchors,secondary-sees,loss,ack")
        await change(stage)
        refused = await approve(stage, plan_hash)
        assert refused.status == 409
        assert code_of(refused) in ("stale", "already_primary")
        assert runs(stage) == []


async def test_a_name_that_waits_is_moved_by_its_plan() -> None:
    async with Stage(level=Level.APPROVE) as stage:
        await stage.run_until(25)
        stage.lose("east")
        await stage.by_hand("promote", WEST)
        await stage.run_for(30)
        assert not (await stage.ask("adopt", cluster="west")).is_error
        await stage.run_for(5)
        plan = await planned(stage, action="cutover-dns")
        assert (plan.body["situation"], plan.body["target"], plan.body["source"]) == ("N-60", WEST, EAST)
        answer = await approve(stage, str(plan.body["plan_hash"]))
        assert answer.status == 202
        await stage.run_for(40)
        assert stage.names.published_cluster(asyncio.get_running_loop().time()) == WEST
        refused = await approve(stage, str(plan.body["plan_hash"]))
        assert (refused.status, code_of(refused)) == (409, "stale")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"target": "nobody"}, 404, "not_found"),
        ({"target": "east"}, 409, "already_primary"),
        ({"waive": "ids"}, 400, "malformed"),
        ({"action": "settle-debt"}, 409, "stale"),
        ({"action": "switchover"}, 422, "blocked"),
    ],
)
async def test_there_is_no_plan_for_what_makes_no_sense(query: dict[str, str], status: int, code: str) -> None:
    async with Stage() as stage:
        await stage.run_until(25)
        answer = await planned(stage, **query)
        assert (answer.status, code_of(answer)) == (status, code)
