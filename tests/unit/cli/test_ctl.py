"""`watchdogctl` without a daemon: what it imports, and how its answers read."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.pair import Rounds, around, policy_of
from watchdogd.cli import ctl
from watchdogd.cli import ctl_text as text
from watchdogd.cli.ctl import ACTIONS, Exit, main, parser
from watchdogd.core.approval import given
from watchdogd.core.budget import Assumed, longer_cases, worst_case
from watchdogd.core.explain import Shape, explain
from watchdogd.core.gates import is_waivable
from watchdogd.core.plan import failover_plan
from watchdogd.runbooks.catalog import PROCEDURES


def test_it_needs_nothing_but_the_standard_library() -> None:
    # ECOSYSTEM 7: "works when the venv is half broken"
    loaded = "import watchdogd.cli.ctl, sys; print(sorted(sys.modules))"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
    for heavy in ("aiohttp", "pydantic", "structlog", "boto3", "prometheus_client", "asyncio"):
        assert f"'{heavy}'" not in said


def test_a_dangerous_verb_wants_its_target_and_a_reason() -> None:
    for words in (["failover", "--reason", "x"], ["failover", "west"], ["adopt", "--reason", "x"], ["debt", "forgive"]):
        with pytest.raises(SystemExit) as usage:
            main(words)
        assert usage.value.code == Exit.USAGE


@pytest.mark.parametrize(
    "words", ["", "failover", "--plan 00ff failover", "--plan 00ff failover west", "nothing west", "west failover"]
)
def test_an_approval_names_an_action_and_its_cluster_or_a_plan(words: str) -> None:
    with pytest.raises(SystemExit) as usage:
        main(["approve", *words.split(), "--reason", "x"])
    assert usage.value.code == Exit.USAGE


def test_what_can_be_planned_and_approved_is_what_can_be_run() -> None:
    assert tuple(PROCEDURES) == ACTIONS


def test_the_seconds_of_the_timing_stand_in_one_column() -> None:
    worst = worst_case(policy_of().timing, fence_timeout_s=5.0, assumed=Assumed())
    parts = [{"part": part.name, "seconds": part.seconds} for part in worst.parts]
    longer = [
        {"case": case.name, "detection_s": case.detection_s, "since": ""} for case in longer_cases(policy_of().timing)
    ]
    cluster = {"lost": "east", "parts": parts, "worst_case_s": worst.total_s}
    lines = text.timing_lines({"pairs": [{"pair": "prod", "clusters": [cluster], "longer": longer}]})
    assert len({line.index(" s", 80) for line in lines if line.startswith("  ")}) == 1


def test_a_plan_ends_with_the_command_that_approves_exactly_it() -> None:
    body = json.loads(
        """{"action": "failover", "pair": "prod", "source": "east", "target": "west", "situation": "S-32",
        "elected": "east", "epoch": 1, "waivers": ["loss"], "steps": ["recheck", "promote"], "estimated_loss_s": null,
        "blocked_by": [{"gate": "window", "why": "28 of 50 s", "until_s": 22.0}], "plan_hash": "00ff", "todo": []}"""
    )
    lines = text.plan_lines(body)
    assert lines[0] == "failover east -> west, epoch 1, row S-32"
    assert lines[-1].endswith("watchdogctl approve --plan 00ff --pair prod --reason '...'")
    held = {**body, "blocked_by": [*body["blocked_by"], {"gate": "licence", "why": "terminated", "waivable": True}]}
    assert not any("approve" in line for line in text.plan_lines(held))  # it would be refused
    assert text.plan_lines(held)[-1].endswith("or with --waive for what you judge yourself: licence")


def blocked(*gates: str, never: str = "") -> list[str]:
    """What is told of a plan of a failover that these gates hold."""
    closed = [{"gate": gate, "why": "closed", "waivable": is_waivable(gate)} for gate in gates]
    return text.plan_lines(
        {"action": "failover", "pair": "prod", "source": "east", "target": "west", "situation": "S-13", "epoch": 2,
         "waivers": [], "steps": [], "estimated_loss_s": None, "blocked_by": [*closed], "plan_hash": "00ff",
         "never": never}
    )  # fmt: skip


def test_a_plan_offers_a_waiver_for_what_has_one_and_for_nothing_else() -> None:
    said = "it would be refused: plan it again"
    assert blocked("sync-state", "blind")[-1] == (
        f"{said}, or with --waive for what you judge yourself: sync-state; these have no waiver: blind"
    )
    assert blocked("blind", "tilt")[-1] == f"{said} once these are open, which have no waiver: blind, tilt"


@pytest.mark.parametrize("gate", ["window", "secondary-blind"])
def test_a_plan_offers_no_hash_for_a_gate_that_does_not_say_until_when_it_is_closed(gate: str) -> None:
    lines = blocked(gate)
    assert lines[-1] == f"it would be refused: plan it again, or with --waive for what you judge yourself: {gate}"
    assert not any("00ff" in line for line in lines)


@pytest.mark.parametrize("gates", [(), ("window", "sync-state")])
def test_a_plan_that_no_waiver_helps_says_why_and_offers_neither_waiver_nor_hash(gates: tuple[str, ...]) -> None:
    never = "east is an active primary: promoting west would make two of them"
    lines = blocked(*gates, never=never)
    assert lines[-1] == f"it would be refused, whatever is waived: {never}"
    assert not any("--waive" in line or "00ff" in line for line in lines)


def test_a_gate_with_a_long_name_does_not_run_into_its_reason() -> None:
    assert "  node:https://10.1.0.11:8200  closed" in blocked("node:https://10.1.0.11:8200")


def test_what_is_to_be_typed_next_asks_the_daemon_that_was_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {"seq": 3, "at_utc_s": 0.0, "pair": "lab", "kind": "paused", "entry": {"reason": "see watchdogctl status"}}
    answers = {
        "/status": ctl.Reply(200, {"pairs": [{"pair": "lab"}]}),
        "/pairs/lab/failover": ctl.Reply(202, {"run_id": "r-1"}),
        "/pairs/lab/ack": ctl.Reply(409, {"error": {"message": "no run: `watchdogctl history` names them"}}),
        "/history?limit=30": ctl.Reply(200, {"entries": [entry]}),
    }
    monkeypatch.setattr(ctl, "ask", lambda path, method, url, body=None: answers[url])
    main(["failover", "west", "--reason", "x", "--socket", "/tmp/w.sock"])
    main(["ack", "--reason", "x", "--socket", "/tmp/w.sock"])
    main(["history", "--socket", "/tmp/w.sock"])
    said = capsys.readouterr()
    assert "follow it with: watchdogctl --socket /tmp/w.sock run show r-1" in said.out
    assert "`watchdogctl --socket /tmp/w.sock history`" in said.err
    assert "reason=see watchdogctl status" in said.out, "what the journal holds is told as it is"
    main(["failover", "west", "--reason", "x"])
    assert "follow it with: watchdogctl run show r-1" in capsys.readouterr().out


def test_the_loss_of_a_plan_is_a_bound_with_the_age_of_its_reading() -> None:
    plan: Shape = {
        "action": "failover", "pair": "prod", "source": "east", "target": "west", "situation": "S-30", "epoch": 1,
        "waivers": [], "steps": [], "blocked_by": [], "plan_hash": "00ff", "estimated_loss_s": 0.0,
    }  # fmt: skip
    told = "  estimated loss: at least 0 s, read 74 s ago; what was written later is not in it"
    assert told in text.plan_lines({**plan, "estimated_loss_age_s": 74.2})
    assert "  estimated loss: unknown" in text.plan_lines({**plan, "estimated_loss_s": None})


def test_a_fence_that_was_not_confirmed_is_not_told_as_on() -> None:
    pair: Shape = {
        "pair": "prod", "phase": "acting", "situation": "S-01", "why": "a run is open", "elected": "east", "epoch": 2,
        "failover_ready": False, "level": "auto", "action": "", "fences": ["east", "west"], "fences_unsure": ["east"],
    }  # fmt: skip
    lines = text.status_lines({"pairs": [pair]})
    assert "  fence on   west" in lines
    assert "  fence      of east: not confirmed, and may be on" in lines


def test_a_reader_that_has_seen_enough_is_not_taken_for_a_daemon_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ctl, "ask", lambda *asked: ctl.Reply(200, {"version": "1"}))
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert main(["version"]) == Exit.DONE
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("given", ["3", "0m", "soon", "-5s", "1.5h"])
def test_a_pause_without_a_unit_or_without_length_is_refused(given: str) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["pause", "--reason", "x", "--for", given])


def test_options_are_taken_before_and_after_the_verb() -> None:
    assert parser().parse_args(["--json", "status"]).json
    assert parser().parse_args(["status", "--json"]).json
    assert not parser().parse_args(["status"]).json
    assert parser().parse_args(["status", "--socket", "/x"]).socket == "/x"


def test_the_explanation_of_a_suspicion_reads_from_situation_to_command() -> None:
    *_, (at_s, facts, decision) = Rounds(dies_s=100.0).run(160.0)
    lines = text.explain_lines(explain(facts, decision, around(at_s), since_s=3.0))
    assert lines[0].startswith("prod: ACTING  S-30")
    assert any(line.split()[1:2] == ["silent"] for line in lines)
    assert lines[-1].startswith("the command that would act: watchdogctl failover west")


def waiting(at_s: float) -> Shape:
    """What `explain` says while east is gone, its window runs, and a failover was approved."""
    *_, (now_s, facts, decision) = Rounds(dies_s=100.0).run(at_s)
    plan = failover_plan(facts, policy_of(), "S-26", target=facts.partner.cluster, waivers=frozenset(), steps=())
    approval = given(plan, facts.ledger, by_uid=1000, reason="seen it", until_s=now_s + 600.0)
    return explain(facts, decision, around(now_s), since_s=3.0, approval=approval)


def test_an_approval_that_waits_is_told_by_status_and_explain_with_how_to_take_it_back() -> None:
    explained = waiting(140.0)
    approval = explained["approval"]
    assert isinstance(approval, dict)
    said = next(line for line in text.explain_lines(explained) if line.startswith("APPROVED"))
    for part in ("failover to west", "row S-26", str(approval["plan_hash"]), "by uid 1000, until", "waits for window"):
        assert part in said
    assert any("taken back by: watchdogctl pause --pair prod" in line for line in text.explain_lines(explained))
    name: Shape = {"situation": "N-10", "serving": "east"}
    pair: Shape = {
        "pair": "prod", "phase": "suspect", "situation": "S-26", "why": "x", "elected": "east", "epoch": 0,
        "clusters": [], "name": name, "failover_ready": True, "level": "approve", "action": "nothing to do",
        "approval": approval,
    }  # fmt: skip
    assert [line.split(maxsplit=1)[1] for line in text.status_lines({"pairs": [pair]}) if "APPROVED" in line] == [
        said.removeprefix("APPROVED: ")
    ]
    waived = {**approval, "waivers": ["anchors"], "blocked_by": []}
    line = next(line for line in text.explain_lines({**explained, "approval": waived}) if line.startswith("APPROVED"))
    assert "past anchors by uid" in line
    assert line.endswith("waits for a row that asks for it")


def test_an_error_lists_every_gate_and_whether_it_can_be_waived() -> None:
    gate: Shape = {"gate": "window", "waivable": True, "why": "23 s to go", "until_s": 23.0}
    body: Shape = {"error": {"code": "blocked", "message": "no", "gates": [gate, {**gate, "waivable": False}]}}
    lines = text.error_lines(body)
    assert lines[0] == "no"
    assert "can be waived, expected to open in 23 s" in lines[1]
    assert "cannot be waived" in lines[2]


def test_notes_of_several_lines_stay_on_one() -> None:
    entry: Shape = {"seq": 1, "at_utc_s": 0.0, "pair": "prod", "kind": "noted", "entry": {"note": "one\n\ntwo\n"}}
    (line,) = text.history_lines({"entries": [entry]})
    assert line.endswith("note=one | two")


def test_history_says_who_it_was_also_when_that_was_root() -> None:
    said: Shape = {"reason": "x", "by_uid": 0, "until_utc_s": 60.0, "expired": False, "waivers": []}
    entry: Shape = {"seq": 1, "at_utc_s": 0.0, "pair": "prod", "kind": "paused", "entry": said}
    (line,) = text.history_lines({"entries": [entry]})
    assert line.endswith("prod paused reason=x by_uid=0 until=1970-01-01T00:01:00Z")


def test_what_is_over_at_once_is_told_without_what_was_not_said() -> None:
    assert text.done({"pair": "prod", "paused": "x", "until_utc_s": 60.0}) == [
        "pair: prod; paused: x; until: 1970-01-01T00:01:00Z"
    ]
    assert text.done({"pair": "prod", "paused": "x", "until_utc_s": None}) == ["pair: prod; paused: x"]
    assert text.done({"pair": "prod", "paused": None, "hold": ""}) == ["pair: prod; paused: nothing"]


def test_a_plan_that_waits_for_its_window_is_told_with_until_when_and_how_to_take_it_back() -> None:
    body: Shape = {"pair": "prod", "approved": "ab12", "waits_for": ["window"], "until_utc_s": 60.0}
    (line,) = text.approved(body)
    assert "once window is open, until 1970-01-01T00:01:00Z" in line
    assert text.approved({"run_id": "prod-4-failover", "pair": "prod"})[0] == "prod-4-failover"


@pytest.mark.parametrize(("state", "told"), [("open", "outcome not seen yet"), ("parked", "outcome unknown")])
def test_a_step_that_was_sent_is_unknown_only_once_nobody_looks_any_more(state: str, told: str) -> None:
    step: Shape = {"step": "promote", "done": False, "unsure": True, "skipped": False, "intents": 1}
    body: Shape = {
        "run_id": "r", "runbook": "failover", "source": "east", "target": "west", "why": "", "state": state,
        "outcome": None, "steps": [step], "parked": None, "entries": [],
    }  # fmt: skip
    assert text.run_lines(body)[1].split(maxsplit=1)[1] == f"{told}, sent once"


def test_a_parked_run_says_what_its_last_attempt_met_what_was_waived_and_each_way_on() -> None:
    step: Shape = {"step": "fence", "done": False, "unsure": False, "skipped": False, "intents": 2}
    refused: Shape = {"seq": 1, "at_utc_s": 0.0, "pair": "prod", "kind": "step_not_applied", "entry": {}}
    body: Shape = {
        "run_id": "prod-4-failover", "runbook": "failover", "source": "east", "target": "west", "why": "",
        "state": "parked", "outcome": None, "waivers": ["loss"],
        "steps": [{**step, "step": "recheck", "done": True, "intents": 0}, step],
        "parked": {"step": "fence", "why": "the fence of the old primary does not confirm", "answered": "",
                   "acts": ["watchdogctl run proceed prod-4-failover --waive GATE --reason '...'"]},
        "entries": [
            {**refused, "entry": {"step": "fence", "why": "first"}},
            {**refused, "entry": {"step": "fence", "why": "router:\ntoken expired\n"}},
            {**refused, "entry": {"step": "promote", "why": "other"}},
        ],
    }  # fmt: skip
    lines = text.run_lines(body)
    assert "first" in text.run_entry_lines(body)[0]
    assert lines[:4] == [
        "prod-4-failover: failover east -> west, parked",
        "  waived: loss",
        "  recheck           done",
        "  fence             open, sent 2 times",
    ]
    assert "  its last attempt: router: | token expired" in lines
    assert "    watchdogctl run proceed prod-4-failover --waive GATE --reason '...'" in lines
    answered: Shape = {"step": "fence", "why": "it was not answered: reset", "answered": "reset", "acts": []}
    assert any(line.startswith("  was parked at fence") for line in text.run_lines({**body, "state": "ended"}))
    said = text.run_lines({**body, "parked": answered})
    assert not any("its last attempt" in line for line in said), "an older refusal is not the latest attempt"
