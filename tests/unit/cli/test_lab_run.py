"""`watchdogd-lab run` in virtual time: what it prints, and its exit status."""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from watchdogd.cli import lab
from watchdogd.cli.demo_voice import Voice
from watchdogd.cli.lab_run import HELD_FOR_REAL, again, sum_up, tell
from watchdogd.lab.counts import TrueCounts
from watchdogd.lab.scenario_file import parse_scenarios
from watchdogd.lab.story import Check, Story
from watchdogd.rehearsal import invariants
from watchdogd.rehearsal.files import shipped
from watchdogd.rehearsal.invariants import RULES
from watchdogd.rehearsal.play import Played

QUIET = """
title = "a-quiet-quarter-of-a-minute"
stands_for = "Nothing happens."
until = "15s"
[[expect]]
situation = "S-10"
before = "10s"
"""
WRONG = '[[expect]]\nsituation = "S-30"\n[[expect]]\nat = "end"\nelected = "west"\n'
DOCS = Path(__file__).parents[3] / "docs" / "lab.md"
CASES = "[cases.first]\nx = 1\n[cases.second]\nx = 2\n"


def written(folder: Path, text: str) -> str:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_story_is_told_with_its_costs_and_its_expectations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab.main(["run", written(tmp_path, QUIET), "--seed", "7"]) == lab.OK
    said = capsys.readouterr().out
    assert "a-quiet-quarter-of-a-minute, seed 7" in said
    assert "situation S-10" in said
    assert "lab       east/1 active" in said
    assert "two writable primaries         0.0 s  of at most 0 s" in said
    assert "  ok      situation S-10, before 10 s" in said
    assert "every expectation and every invariant held; seed 7" in said


def test_the_file_of_the_manual_holds_as_it_is_written_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = DOCS.read_text(encoding="utf-8").partition("A file is TOML:\n\n```\n")[2].partition("```")[0]
    status = lab.main(["run", written(tmp_path, example)])
    said = capsys.readouterr().out
    assert status == lab.OK, said
    assert "every expectation and every invariant held" in said


def test_what_did_not_hold_is_told_with_the_line_that_repeats_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = written(tmp_path, QUIET + WRONG)
    assert lab.main(["run", own]) == 1
    said = capsys.readouterr().out
    assert "FAILED  'situation S-30' wanted after 0.0 s, seen: never" in said
    assert "FAILED  at 15 s elected is east, wanted west" in said
    assert f"again: watchdogd-lab run {own} --seed 1\n" in said


def test_an_answer_that_is_another_and_a_value_that_never_came_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = "[[act]]\nat = '3s'\ndo = 'ask'\ntarget = 'west/2'\npath = 'sys/health'\nanswers = 503\n"
    second = "[[act]]\nat = '4s'\ndo = 'ask'\ntarget = 'east'\npath = 'sys/leader'\nas = 'it'\nanswers = 200\n"
    assert lab.main(["run", written(tmp_path, f"{QUIET}{first}keep = {{ it = 'version' }}\n{second}")]) == 1
    said = capsys.readouterr().out
    assert "vault     reply 472 GET sys/health" in said
    assert "FAILED  GET sys/health at west/2 was answered 472 " in said
    assert "FAILED  act ask sys/leader: 'it' was never kept" in said


def test_of_a_cluster_without_an_active_node_the_first_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = "[[fault]]\nat = '2s'\nkind = '{kind}'\ntarget = 'cluster:west'\n"
    ask = "[[act]]\nat = '4s'\ndo = 'ask'\ntarget = 'west'\npath = 'sys/leader'\nanswers = {status}\nsays = '{says}'\n"
    sealed = lost.format(kind="seal") + ask.format(status=503, says="Vault is sealed")
    assert lab.main(["run", written(tmp_path, QUIET + sealed)]) == 0
    assert (
        lab.main(["run", written(tmp_path, QUIET + lost.format(kind="crash") + ask.format(status=200, says="x"))]) == 1
    )
    assert "reply refuse GET sys/leader" in capsys.readouterr().out


def test_of_many_cases_only_those_that_fail_are_told_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = QUIET + '[[expect]]\nonly = "case=second"\npublished = "west"\n' + CASES
    assert lab.main(["run", written(tmp_path, text)]) == 1
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "ok      a-quiet-quarter-of-a-minute[first]: 5 expectations, seed 1"
    assert "a-quiet-quarter-of-a-minute[second], seed 1" in rest
    line = f"again: watchdogd-lab run '{tmp_path / 'own.toml'}[second]' --seed 1"
    assert line in rest
    assert lab.main(["run", f"{tmp_path / 'own.toml'}[second]"]) == 1
    assert line in capsys.readouterr().out
    assert lab.main(["run", f"{tmp_path / 'own.toml'}[first]"]) == lab.OK


def test_a_program_is_given_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["run", written(tmp_path, QUIET + WRONG), "--json"]) == 1
    said: Any = json.loads(capsys.readouterr().out)[0]
    assert (said["simulator"], said["scenario"], said["held"]) == (True, "a-quiet-quarter-of-a-minute", False)
    assert [one["held"] for one in said["expectations"]] == [True, False, False, True, True, True, True]
    row, _, elected, budget, *_ = [(one["key"], one["wanted"], one["seen"]) for one in said["expectations"]]
    assert row[:2] == ("situation S-10", "situation S-10, before 10 s")
    assert len(row[2]) == 1
    assert elected == ("elected", "west", "east")
    assert budget == ("two_writable_primaries_s", 0.0, 0.0)
    assert said["counts"]["no_primary_s"] == {"spent": 0.0, "budget": 0.0}
    assert "journal first_elected" in [line["text"] for line in said["story"]]


def test_an_invariant_that_broke_is_a_failure_too(capsys: pytest.CaptureFixture[str]) -> None:
    played = Played(
        scenario=parse_scenarios(QUIET)[0],
        story=Story(),
        counts=TrueCounts(),
        checks=(Check(what="all is well"),),
        refused=(),
        broken=("I1 broken at 3.0 s: promote west is sent while east is a writable primary",),
    )
    tell(played, Voice(sys.stdout, float), again="", is_short=False)
    assert not played.has_held
    assert "FAILED  I1 broken at 3.0 s" in capsys.readouterr().out


def test_an_invariant_that_broke_says_what_it_asks_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = '[[fault]]\nat = "8s"\nkind = "crash"\ntarget = "cluster:east"\n'
    assert lab.main(["run", written(tmp_path, QUIET + lost)]) == 1
    said = capsys.readouterr().out
    assert f"(the rule: {RULES['I6']})" in said


def test_every_invariant_that_can_break_has_its_rule() -> None:
    source = inspect.getsource(invariants)
    assert set(re.findall(r'_break\("(\w+)"', source)) | {"I3", "I5"} == set(RULES)


def test_with_real_processes_no_more_is_said_than_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    scenario = parse_scenarios(QUIET)[0]
    held = Played(
        scenario=scenario,
        story=Story(),
        counts=TrueCounts(),
        checks=(Check(what="all is well"),),
        refused=(),
        broken=(),
    )
    sum_up(held, Voice(sys.stdout, float), again="", held=HELD_FOR_REAL)
    said = capsys.readouterr().out
    assert "every invariant" not in said
    assert "no promote too many (I3)" in said
    assert again("own.toml", scenario, is_real=True) == "watchdogd-lab run own.toml --seed 1 --live"


def test_nothing_can_be_kept_of_what_is_played_in_virtual_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab.main(["run", written(tmp_path, QUIET), "--keep"]) == lab.USAGE
    assert "--keep: there is a directory to keep with --live only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("region-lots", "no scenario 'region-lots': did you mean region-lost"),
        ("region-lots", "? `watchdogd-lab scenarios` lists them"),
        ("xyzzy", "no scenario 'xyzzy': `watchdogd-lab scenarios` lists them; or give the path of a file"),
        ("nowhere.toml", "nowhere.toml: No such file or directory"),
        ("region-lost[half]", "region-lost: no case 'half': it has no cases"),
        ("old-primary-back-under-its-fence[half]", "no case 'half': one of promote-leaves, "),
    ],
)
def test_a_scenario_that_there_is_not_is_refused_with_what_there_is(
    wanted: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab.main(["run", wanted]) == lab.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[[fault]]\nat = '3s'\nkind = 'krash'\ntarget = 'region:east'", "fault 1: no fault 'krash'"),
        ("[world]\npromote = 3", "[world] unknown promote: did you mean promote_s?"),
        ("[pair]\ncolour = 'red'", "[pair] unknown colour: known are "),
        ("[world]\npromot_s = 3", "own.toml: [world] unknown promot_s"),
        ("[pair]\nfailover = 'maybe'", "own.toml: [pair] failover: 'maybe': one of observe, approve, auto"),
        ("[pair]\ntiming = 'quick'", "[pair] timing: 'quick': one of demo, coarse, default"),
        ("[cases.one]\n[pair]\ncutover_dns = 'no'", "own.toml[one]: [pair] cutover_dns: 'no': one of "),
        ("[pair]\ntwo_secondaries = 'last_primary'", "two_secondaries: 'last_primary': one of alert, last-primary"),
        ("[pair]\naccept_partition = 'yes'", "own.toml: [pair] accept_partition: 'yes': true or false"),
        ("[pair]\nsealed_is_down = 1", "[pair] sealed_is_down: 1: true or false"),
        ("[pair]\nwitness = 'third'", "[pair] witness: 'third': true or false"),
        ("[pair]\nfence = true", "[pair] fence: true: a text"),
        ("[pair]\nfailover = ['auto']", "[pair] failover: ['auto']: one of observe, approve, auto"),
        ("[pair]\nmax_loss_s = '60s'", "[pair] max_loss_s: '60s': a number from 0 on"),
        ("[pair]\ndown_after_s = -1", "[pair] down_after_s: -1: a number from 0 on"),
        ("[pair]\ninterval_s = 0", "[pair] interval_s: 0: a number from 0.001 on"),
        ("[pair]\ndown_rounds = 2.5", "[pair] down_rounds: 2.5: a whole number from 1 on"),
        ("[pair]\ntokens = 'a'", "[pair] tokens: 'a': a list of a, b, wrong"),
        ("[pair]\ntokens = ['c']", "[pair] tokens: ['c']: a list of a, b, wrong"),
        ("[pair]\nshares = 4", "[pair] shares: 4: a whole number from 0 to 3"),
        ("[world]\npromote_s = '2s'", "own.toml: [world] promote_s=2s: a number from 0 on"),
        ("[world]\npromote_s = -1", "own.toml: [world] promote_s=-1: a number from 0 on"),
        ("[world]\nrole_window = 'rest'", "[world] role_window=rest: one of 503, 500, reset"),
        ("[world]\nvault_version = 'new'", "[world] vault_version: 'new' is no version of Vault: as 1.19.0"),
        ("[world]\nvault_version_of_west = 1.19", "[world] vault_version_of_west: 1.19: a text"),
        ("[world]\npropagation_s = 'soon'", "[world] propagation_s: 'soon': a number from 0 on"),
        ("[world]\nwriters = 1.5", "[world] writers: 1.5: a whole number from 0 to 100"),
        ("[fence]\nonn = ['exit 0']", "[fence] unknown onn: known are check, off, on, takes_s"),
        ("[fence]\ntakes_s = '1s'", "[fence] takes_s: '1s': a number from 0 on"),
        ("[fence]\non = 'exit 0'", "[fence] on: a list of exit 0, "),
        ("[[act]]\nat = '3s'\ndo = 'adopt'\ncluster = 'wset'", "own.toml: act 1 cluster: 'wset': one of east, west"),
        ("[[act]]\nat = '3s'\ndo = 'start'\ncluster = 'west'\nrunbook = 'fail'", "act 1 runbook: 'fail': one of fail"),
        ("[[act]]\nat = '3s'\ndo = 'failover'\ncluster = 'west'\nwaive = 'loss'", "act 1 waive: 'loss': a list of "),
        ("[[act]]\nat = '3s'\ndo = 'failover'\ncluster = 'west'\nwaive = ['los']", "act 1 waive: ['los']: a list of "),
        ("[[act]]\nat = '3s'\ndo = 'ack'\nrefused = 'blokced'", "act 1 refused: 'blokced': one of "),
        ("[[act]]\nat = '3s'\ndo = 'ack'\nrefused = true", "act 1.refused: a text is needed"),
        ("[[act]]\nat = '3s'\ndo = 'slow-journal'\nfor = '1s'\nentry = 'x'", "act 1 entry: 'x': one of "),
        ("[[act]]\nat = '3s'\ndo = 'spoil-token'\ntoken = 'c'", "act 1 token: 'c': one of a, b, root, share_1"),
        ("[[act]]\nat = '3s'\ndo = 'step-clock'\nseconds = '2s'", "act 1 seconds: '2s': a number"),
        ("[[expect]]\nrun = 'failovr'\nnever = true", "run 'failovr': no such runbook: one of failover, "),
        ("[[expect]]\npage = ''\nnever = 'yes'", "expect 2.never: true or false, not 'yes'"),
        ("[[expect]]\npage = ''\nsince = 3", "expect 2.since: a text is needed"),
        ("[[expect]]\npage = ''\ngates = ['los']\nnever = true", "gates: no gate 'los': one of level, "),
        ("[[expect]]\nsituation = 'S-98'", "own.toml: situation 'S-98': no such row: one of S-01, S-02, S-05, S-08, "),
        ("[[expect]]\nname_row = 'N-11'\nnever = true", "name_row 'N-11': no such row: one of N-10, "),
        ("[[act]]\nwhen = 'situation S-98'\ndo = 'kill'", "situation 'S-98': no such row"),
        (
            "[[act]]\nwhen = 'daemon started'\npluss = '2s'\ndo = 'kill'",
            "act 1: unknown pluss: known here are at, do, for, nth, plus, refused, when",
        ),
        ("[fence]\non = ['exit 3']", "[fence] on: a list of exit 0, "),
        ("[[fault]", "not TOML"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused_with_its_place(
    more: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab.main(["run", written(tmp_path, QUIET + more)]) == lab.USAGE
    refusal = capsys.readouterr().err
    assert said in refusal
    assert refusal.count("\n") == 1


def test_a_file_that_is_no_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe")
    assert lab.main(["run", str(tmp_path / "own.toml")]) == lab.USAGE
    assert capsys.readouterr().err.endswith("own.toml: no text file\n")


def test_the_shipped_scenarios_are_listed_with_what_they_stand_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["scenarios"]) == lab.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  (")[0] for line in lines if not line.startswith(" ")] == list(shipped())
    assert "old-primary-back-under-its-fence  (6 cases)" in lines
    about = lines[lines.index("region-lost") + 1]
    assert about.startswith("    ")
    assert about.endswith(".")


def test_every_shipped_scenario_is_known_by_its_name() -> None:
    assert "region-lost" in shipped()
    assert len(shipped()) > 50
