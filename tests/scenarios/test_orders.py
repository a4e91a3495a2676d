"""What an operator may ask, and what becomes of it: pause, hold, ack, commands, waivers, foreign and adopt."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from tests.support.stage import READER, Stage
from watchdogd.core.entries import Adopted, ForeignSeen, HoldPlaced, Resumed, Runbook, RunOutcome
from watchdogd.core.ledger import DebtState
from watchdogd.core.policy import FencePolicy, Level, PairPolicy
from watchdogd.daemon.bodies import Excused, Order
from watchdogd.daemon.protocol import Answer
from watchdogd.errors import Need
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.wire import Place
from watchdogd.ports import FenceOutcome, FenceResult
from watchdogd.rehearsal.lab_settings import DEMO
from watchdogd.rehearsal.site import EAST, PAIR, WEST
from watchdogd.runbooks.context import StepOutcome


def code_of(answer: Answer) -> object:
    error = answer.body.get("error")
    return error["code"] if isinstance(error, dict) else None


def gates_of(answer: Answer) -> set[object]:
    error = answer.body.get("error")
    gates = error["gates"] if isinstance(error, dict) else None
    return {gate["gate"] for gate in gates if isinstance(gate, dict)} if isinstance(gates, list) else set()


async def test_nothing_starts_while_paused_and_an_outage_that_exists_is_held_after_it() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        assert not (await stage.ask("pause")).is_error
        stage.lose("east")
        await stage.run_for(60)
        assert stage.world.applied == []
        assert stage.ledger.run is None
        assert "S-32" in stage.notifier.pages
        assert not (await stage.ask("resume")).is_error
        await stage.run_for(30)
        assert stage.world.applied == []
        assert stage.ledger.hold
        assert "hold" in stage.notifier.pages
        assert not (await stage.ask("ack")).is_error
        await stage.run_for(30)
        assert stage.world.primary() == "west"


async def test_a_pause_does_not_wait_behind_a_reload() -> None:
    over = asyncio.Event()

    async def slow(order: Order[Excused]) -> Answer:
        await over.wait()
        return Answer(body={"changed": [], "rewired": []})

    async with Stage() as stage, asyncio.TaskGroup() as tasks:
        await stage.run_until(25)
        stage.orders._reload = slow
        reload = tasks.create_task(stage.ask("reload"))
        await stage.run_for(1)
        async with asyncio.timeout(5.0):
            assert not (await stage.ask("pause")).is_error
        assert not reload.done()
        assert stage.ledger.pause is not None
        over.set()


async def test_a_pause_that_runs_out_holds_an_outage_too() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        assert not (await stage.ask("pause", for_s=40)).is_error
        stage.lose("east")
        await stage.run_for(90)
        assert stage.ledger.pause is None
        assert stage.ledger.hold
        assert stage.world.applied == []


async def test_a_hold_ends_when_the_primary_was_up_once() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        await stage.ask("pause")
        lost = stage.lose("east")
        await stage.run_for(30)
        await stage.ask("resume")
        stage.world.faults.clear(lost)
        await stage.run_for(20)
        assert stage.ledger.hold == ""
        assert stage.timeline[-1].situation in ("S-10", "S-12")


async def test_a_command_is_refused_while_the_primary_is_active_whatever_it_waives() -> None:
    async with Stage() as stage:
        await stage.run_until(25)
        answer = await stage.ask("failover", target="west", waive="window,secondary-sees,fence,proof")
        assert (answer.status, code_of(answer)) == (422, "blocked")
        assert stage.ledger.run is None


async def test_a_command_lists_every_closed_gate_and_a_waiver_passes_only_its_own() -> None:
    async with Stage() as stage:
        await stage.run_until(25)
        stage.secrets.clear()
        stage.lose("east")
        await stage.run_for(5)
        answer = await stage.ask("failover", target="west")
        assert gates_of(answer) >= {"window", "secondary-sees", "no-credential"}
        answer = await stage.ask("failover", target="west", waive=["window", "secondary-sees", "fence"])
        # What the secondary hears may only be waived by a run that verifies a fence before it promotes.
        assert gates_of(answer) == {"no-credential", "secondary-sees"}
        answer = await stage.ask("failover", target="west", waive=["window", "secondary-sees"])
        assert gates_of(answer) == {"no-credential"}
        answer = await stage.ask("failover", target="west", waive=["no-credential"])
        assert (answer.status, code_of(answer)) == (400, "malformed")


async def test_a_command_acts_under_observe_and_is_journalled_with_its_uid() -> None:
    async with Stage() as stage:
        await stage.run_until(25)
        stage.lose("east")
        await stage.run_till("S-30", within_s=40)
        answer = await stage.ask("failover", target="west", request_id="r1")
        assert answer.status == 202
        again = await stage.ask("failover", target="west", request_id="r1")
        assert again.body == answer.body
        await stage.run_for(60)
        assert stage.world.primary() == "west"
        assert [effect.verb for effect in stage.world.applied] == ["promote"]
        assert stage.ledger.recent_runs[0].asked_by_uid == 1000
        assert stage.ledger.ack_asked_by is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"target": "north"}, "not_found"),
        ({"target": "east"}, "already_primary"),
        ({"target": "west", "reason": ""}, "malformed"),
    ],
)
async def test_a_command_that_makes_no_sense_says_why(body: dict[str, object], code: str) -> None:
    async with Stage() as stage:
        await stage.run_until(5)
        assert code_of(await stage.ask("failover", **body)) == code


async def test_who_may_only_read_reads_and_is_told_why_not_more() -> None:
    async with Stage() as stage:
        await stage.run_until(5)
        assert not (await stage.ask("explain", caller=READER)).is_error
        answer = await stage.ask("pause", caller=READER)
        assert (answer.status, code_of(answer)) == (403, "not_allowed")
        assert stage.ledger.pause is None


async def test_two_primaries_made_by_hand_freeze_the_pair_until_one_is_adopted() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        await stage.by_hand("promote", WEST)
        await stage.run_till("S-48", within_s=30)
        await stage.run_for(60)
        assert any(isinstance(entry, ForeignSeen) for entry in stage.journal.entries(PAIR))
        assert [effect.cluster for effect in stage.world.applied] == ["west"]
        assert "foreign" in stage.notifier.pages
        answer = await stage.ask("adopt", cluster="west")
        assert not answer.is_error
        assert (stage.ledger.elected, stage.ledger.epoch, stage.ledger.foreign) == ("west", 1, "")


async def test_a_cluster_that_is_not_seen_as_primary_cannot_be_adopted() -> None:
    async with Stage() as stage:
        await stage.run_until(25)
        assert code_of(await stage.ask("adopt", cluster="west")) == "blocked"
        assert stage.ledger.epoch == 0


async def test_adopting_what_is_elected_lifts_the_hold_and_opens_no_epoch() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        await stage.by_hand("promote", WEST)
        await stage.run_till("S-48", within_s=30)
        assert not (await stage.ask("adopt", cluster="east", reason="east it is")).is_error
        assert (stage.ledger.elected, stage.ledger.epoch, stage.ledger.foreign) == ("east", 0, "")
        adopted = [entry for entry in stage.journal.entries(PAIR) if isinstance(entry, Adopted)]
        assert [(entry.by_uid, entry.reason) for entry in adopted] == [(1000, "east it is")]


async def test_a_resume_keeps_its_reason() -> None:
    async with Stage() as stage:
        await stage.run_until(25)
        await stage.ask("pause")
        await stage.ask("resume", reason="the firewall is done")
        (resumed,) = (entry for entry in stage.journal.entries(PAIR) if isinstance(entry, Resumed))
        assert (resumed.by_uid, resumed.reason) == (1000, "the firewall is done")


async def test_a_debt_of_a_cluster_that_never_comes_back_is_forgiven_by_name() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.lose("east")
        await stage.run_for(60)
        assert code_of(await stage.ask("forgive", cluster="west")) == "stale"
        assert not (await stage.ask("forgive", cluster="east")).is_error
        assert [debt.state for debt in stage.ledger.debts] == [DebtState.FORGIVEN]


async def test_the_command_on_the_page_of_a_loss_that_one_node_hides_acts() -> None:
    """DESIGN I13: a page with its row, its gates and the command that would act."""
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.fault(FaultKind.STRANGE, "node:east/2", status=429, text="slow down")
        stage.fault(FaultKind.CRASH, "node:east/1")
        stage.fault(FaultKind.CRASH, "node:east/3")
        await stage.run_for(60)
        page = next(notice for notice in stage.notifier.told if notice.key == "S-22")
        assert stage.world.applied == []
        waived = page.command.partition("--waive ")[2].partition(" ")[0].split(",")
        assert {gate.partition(":")[0] for gate in waived} == {"node", "window"}
        assert not (await stage.ask("failover", target="west", waive=waived)).is_error
        await stage.run_for(60)
        assert stage.world.primary() == "west"


def without_a_fence(policy: PairPolicy) -> PairPolicy:
    waived = FencePolicy(waived="none yet")
    return replace(policy, clusters={c: replace(p, fence=waived) for c, p in policy.clusters.items()})


async def test_a_waived_node_that_turns_out_to_be_the_living_primary_is_a_veto() -> None:
    """DESIGN section 9: never past the elected cluster seen as an active primary, whatever is waived."""
    async with Stage(level=Level.APPROVE, change=without_a_fence) as stage:
        await stage.run_until(25)
        odd = stage.fault(FaultKind.STRANGE, "node:east/1", status=429, text="slow down", place=Place.BASTION)
        for target in ("node:east/2", "node:east/3"):
            stage.fault(FaultKind.DROP, target, place=Place.BASTION)
        stage.fault(FaultKind.DROP, "repl:east>west")
        await stage.run_for(60)
        waive = [f"node:{stage.policy.cluster(EAST).nodes[0]}", "window"]
        stage.world.faults.clear(odd)  # it can be read again, and nobody has looked since
        assert not (await stage.ask("failover", target="west", waive=waive)).is_error
        await stage.run_for(60)
        assert [run.outcome for run in stage.ledger.recent_runs] == [RunOutcome.ABORTED]
        assert "east is an active primary" in stage.ledger.recent_runs[0].why
        assert (stage.world.applied, stage.world.primary()) == ([], "east")


async def test_a_daemon_that_starts_late_holds_what_it_finds() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        await stage.leave()
        stage.lose("east")
        await stage.run_for(1000)
        await stage.start()
        await stage.run_for(60)
        holds = [entry for entry in stage.journal.entries(PAIR) if isinstance(entry, HoldPlaced)]
        assert len(holds) == 2  # at the first start, and at this one
        assert "nobody looked for 17 minutes" in holds[-1].cause
        assert stage.world.applied == []
        await stage.ask("ack")
        await stage.run_for(60)
        assert stage.world.primary() == "west"


async def test_a_late_start_whose_hold_cannot_be_written_down_at_once_holds_all_the_same() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        await stage.leave()
        stage.lose("east")
        await stage.run_for(1000)
        stage.journal.refusal = "the disk is full"
        await stage.start()
        await stage.run_for(30)
        assert "nobody looked" in stage.facts.ledger.hold
        stage.journal.refusal = ""
        await stage.run_for(60)
        assert stage.world.applied == []
        assert "nobody looked" in stage.ledger.hold
        await stage.ask("ack")
        await stage.run_for(60)
        assert stage.world.primary() == "west"


async def test_a_hold_that_could_not_be_written_down_before_the_next_restart_is_not_forgotten() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        await stage.leave()
        stage.lose("east")
        await stage.run_for(1000)
        stage.journal.refusal = "the disk is full"
        await stage.start()
        await stage.run_for(30)
        await stage.kill()
        stage.journal.refusal = ""
        await stage.start()
        await stage.run_for(60)
        assert "nobody looked" in stage.ledger.hold
        assert stage.world.applied == []


async def test_a_wall_clock_that_went_back_over_a_reboot_hides_no_late_start() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        await stage.leave()
        stage.lose("east")
        await stage.run_for(1000)
        stage.boot_id, stage.clock.stepped_s = "boot-2", -86_400.0
        await stage.start()
        await stage.run_for(60)
        assert "no clock can tell" in stage.ledger.hold
        assert stage.world.applied == []


async def test_a_stale_run_that_cannot_be_parked_at_once_is_not_taken_up() -> None:
    async with Stage() as stage:
        await stage.run_until(25)
        stage.fence.result = FenceResult(outcome=FenceOutcome.TRY_AGAIN)
        stage.lose("east")
        await stage.run_for(20)
        assert not (await stage.ask("failover", target="west")).is_error
        await stage.run_for(10)
        await stage.kill()
        await stage.run_for(1000)
        stage.fence.result = None
        stage.journal.refusal = "the disk is full"
        with capture_logs() as said:
            await stage.start()
            await stage.run_for(30)
            stage.journal.refusal = ""
            await stage.run_for(60)
        assert stage.world.applied == []
        assert stage.ledger.run is not None
        assert stage.ledger.run.parked_need == Need.STALE_RUN
        about = [line["event"] for line in said if line["event"] in ("run_not_parked", "run_parked")]
        assert about == ["run_not_parked", "run_parked"], "once each, however long the disk is full"


@pytest.mark.parametrize("restart_after_s", [1, 4, 7, 10, 13, 16])
async def test_a_restart_at_any_second_of_the_outage_costs_at_most_one_window(restart_after_s: int) -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.lose("east")
        await stage.run_for(restart_after_s)
        await stage.kill()
        await stage.start()
        restarted_s = 25 + restart_after_s
        window_s = max(DEMO.cold_start_s, DEMO.heartbeat_stale_after_s) + DEMO.interval_s + DEMO.probe_timeout_s + 2.0
        at_s = await stage.run_till("S-30", within_s=60)
        assert at_s - restarted_s <= window_s
        await stage.run_for(30)
        assert stage.world.primary() == "west"


async def test_a_suspended_daemon_decides_nothing_for_one_window() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.lose("east")
        await stage.run_for(13)
        stage.clock.suspended_s += 30.0  # CLOCK_BOOTTIME went on, nobody looked
        await stage.run_for(DEMO.down_after_s - 2)
        assert stage.world.applied == []
        assert stage.timeline[-1].situation == "S-08"
        await stage.run_for(60)
        assert stage.world.primary() == "west"


async def test_a_journal_that_cannot_be_written_stops_everything_but_looking() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.journal.refusal = "the disk is full"
        stage.lose("east")
        await stage.run_for(60)
        assert stage.world.applied == []
        assert "state" in stage.notifier.pages
        stage.journal.refusal = ""
        await stage.run_for(40)
        assert stage.world.primary() == "west"


async def test_anchors_that_cannot_be_reached_close_their_gate_and_only_their_waiver_opens_it() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.reachable = False
        stage.lose("east")
        await stage.run_for(60)
        assert stage.world.applied == []
        assert stage.timeline[-1].situation == "S-32"
        answer = await stage.ask("failover", target="west")
        assert gates_of(answer) == {"anchors"}
        answer = await stage.ask("failover", target="west", waive="anchors")
        assert answer.status == 202
        await stage.run_for(30)
        assert stage.world.primary() == "west"


async def test_a_parked_run_is_told_with_its_cause_everywhere_and_offers_what_is_accepted() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.fence.result = FenceResult(outcome=FenceOutcome.FAILED, why="exit status 1", output="no such gateway")
        stage.lose("east")
        await stage.run_for(120)
        run = stage.ledger.run
        assert run is not None
        status = await stage.ask("status", caller=READER)
        (pair,) = status.body["pairs"]  # type: ignore[misc]
        page = next(one for one in stage.notifier.told if one.key.endswith(":parked:fence"))
        explained = stage.explain()["decision"]
        for said in (pair["action"], page.summary, explained["sentence"]):  # type: ignore[index,call-overload]
            assert "exit status 1; no such gateway" in said
        assert stage.explain()["command"] == f"watchdogctl run retry {run.run_id} --reason '...'"
        verbs = [command.split()[2] for command in page.details]
        assert verbs == ["retry", "proceed", "abort"]
        assert code_of(await stage.ask("run-skip", run_id=run.run_id)) == "blocked"
        assert code_of(await stage.ask("run-adopt", run_id=run.run_id, cluster="west")) == "blocked"
        assert (await stage.ask("run-proceed", run_id=run.run_id, waive="fence")).status == 202
        await stage.run_for(60)
        assert stage.world.primary() == "west"


async def test_a_run_that_breaks_by_a_bug_of_ours_is_parked_paged_and_counted() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.fence.world = None  # type: ignore[assignment]
        stage.lose("east")
        with capture_logs():  # a traceback takes long to print
            await stage.run_for(40)
        run = stage.ledger.run
        assert run is not None
        assert (run.parked_step, run.parked_need) == ("fence", "bug")
        assert [(event.step, event.outcome) for event in stage.steps][-1] == ("fence", StepOutcome.BROKE)
        assert any(key.endswith(":bug") for key in stage.notifier.pages)


async def test_flapping_is_paged() -> None:
    async with Stage() as stage:
        await stage.run_until(25)
        for _ in range(5):
            lost = stage.fault(FaultKind.DROP, "link:bastion>east")
            await stage.run_for(5)
            stage.world.faults.clear(lost)
            await stage.run_for(10)
        assert {"flapping", "evidence_unstable"} <= stage.notifier.keys()


async def test_a_parked_run_takes_only_verbs_that_fit_it() -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(25)
        stage.fault(FaultKind.AWS_DEAD, "aws")
        stage.lose("east")
        await stage.run_for(60)
        run = stage.ledger.run
        assert run is not None
        assert run.runbook == "cutover-dns"
        assert code_of(await stage.ask("run-retry", run_id=run.run_id)) == "stale"
        assert code_of(await stage.ask("run-skip", run_id="nobody")) == "not_found"
        assert (await stage.ask("run-abort", run_id=run.run_id)).status == 202
        await stage.run_for(30)
        assert stage.ledger.recent_runs[-1].outcome == "aborted"
        assert stage.ledger.run is None
        assert stage.names.published_cluster(asyncio.get_running_loop().time()) == EAST


async def test_approving_with_the_name_of_the_debtor_is_refused_with_the_command_that_would_act() -> None:
    def settle_waits(policy: PairPolicy) -> PairPolicy:
        return replace(policy, levels=replace(policy.levels, settle_debt=Level.APPROVE))

    async with Stage(level=Level.AUTO, change=settle_waits) as stage:
        await stage.run_until(25)
        lost = stage.lose("east")
        await stage.run_till("S-30", within_s=60)
        await stage.run_for(60)
        stage.world.faults.clear(lost)
        await stage.run_till("S-40", within_s=60)
        wrong = await stage.ask("start", runbook="settle-debt", target="east")
        assert wrong.is_error
        (todo,) = [one for one in stage.decision.todo if one.runbook is Runbook.SETTLE_DEBT]
        assert todo.command == "watchdogctl approve settle-debt west --pair prod --reason '...'"
        assert todo.command in str(wrong.body)
        assert not (await stage.ask("start", runbook="settle-debt", target="west")).is_error
