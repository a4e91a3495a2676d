"""Scenario files: what they may say, and that every mistake names its place and the way out."""

from __future__ import annotations

import pytest

from watchdogd.lab.counts import TrueCounts
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.scenario import CREDENTIALS, Ask, Do, Scenario, Tag, Value
from watchdogd.lab.scenario_cases import BadScenario
from watchdogd.lab.scenario_file import parse_scenarios
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.story import Story, checks
from watchdogd.lab.world import World
from watchdogd.rehearsal.files import scenarios_of, shipped

GOOD = """
title = "a-title"
stands_for = "what it is about"
until = "60s"
[[fault]]
at = "30s"
kind = "crash"
target = "region:east"
[[expect]]
situation = "S-30"
between = ["40s", "50s"]
"""
ASK = "[[act]]\nat = '3s'\ndo = 'ask'\n"
GET = ASK + "target = 'east'\npath = 'sys/health'\nanswers = 200\n"


def good(text: str = "") -> Scenario:
    return parse_scenarios(GOOD + text)[0]


def wrong_in(scenario: Scenario, story: Story, counts: TrueCounts) -> list[str]:
    return [check.wrong for check in checks(scenario, story, counts) if check.wrong]


def test_a_file_is_a_time_line_of_faults_acts_and_expectations() -> None:
    scenario = good('[[act]]\nwhen = "step failover.fence done"\nplus = "2s"\ndo = "kill"\nfor = "5s"')
    assert (scenario.name, scenario.until_s, scenario.seed) == ("a-title", 60.0, 1)
    assert (scenario.faults[0].when.at_s, scenario.faults[0].fault.kind) == (30.0, FaultKind.CRASH)
    act = scenario.acts[0]
    assert (act.do, act.when.seen, act.when.plus_s, act.number("for")) == (
        Do.KILL,
        "step failover.fence done",
        2.0,
        5.0,
    )
    assert (scenario.expected[0].seen, scenario.expected[0].before_s) == ("situation S-30", 50.0)


def test_a_person_asks_and_what_an_answer_gave_is_there_for_the_next() -> None:
    first = GET + "says = '\"a\": 1'\nkeep = { nonce = 'data.nonce' }\n"
    second = ASK + "target = 'west/2'\npath = 'x'\nas = 'root_token'\nbody = { key = '$nonce' }\nanswers = 400\n"
    asks = [act.ask for act in good(first + second).acts]
    assert asks == [
        Ask(
            target="east",
            method="GET",
            path="sys/health",
            caller="",
            body="",
            status=200,
            says=('"a": 1',),
            lacks=(),
            keep={"nonce": "data.nonce"},
        ),
        Ask(
            target="west/2",
            method="POST",
            path="x",
            caller="root_token",
            body='{"key": "$nonce"}',
            status=400,
            says=(),
            lacks=(),
            keep={},
        ),
    ]


def test_a_person_was_given_what_the_world_gives() -> None:
    assert World(WorldSpec(), seed=1).credentials().keys() == CREDENTIALS


def test_cases_and_a_matrix_are_crossed_and_fill_their_names_in() -> None:
    text = """
[cases.early]
at = "10s"
[cases.late]
at = "20s"
[matrix]
by = [0.1, 0.2]
[[fault]]
at = "{at}"
kind = "loss"
target = "link:bastion>east"
probability = "{by}"
[[act]]
only = ["case=late", "by!=0.1"]
at = "5s"
do = "kill"
"""
    found = {one.case: one for one in parse_scenarios(GOOD + text)}
    assert list(found) == ["early,0.1", "early,0.2", "late,0.1", "late,0.2"]
    late = found["late,0.2"]
    assert (late.faults[1].when.at_s, late.faults[1].fault.number("probability")) == (20.0, 0.2)
    assert [len(one.acts) for one in found.values()] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour = 1", "unknown colour"),
        ("[[fault]]\nat = '3s'\nkind = 'krash'\ntarget = 'region:east'", "fault 2: no fault 'krash'"),
        ("[[fault]]\nat = '3s'\nkind = 'crash'\ntarget = 'region:mars'", "fault 2: no target 'region:mars'"),
        ("[[fault]]\nat = '3s'\nkind = 'loss'\ntarget = 'lb:east'", "loss needs probability"),
        ("[[fault]]\nkind = 'crash'\ntarget = 'region:east'", 'give at = "60s", or when'),
        ("[[fault]]\nat = '99s'\nkind = 'crash'\ntarget = 'region:east'", "it would never be"),
        ("[[fault]]\nat = 'soon'\nkind = 'crash'\ntarget = 'region:east'", "'soon' is no duration"),
        ("[[act]]\nat = '3s'\ndo = 'dance'", "act 1.do: no act 'dance'"),
        ("[[act]]\nat = '3s'\ndo = 'adopt'", "act 1: adopt needs cluster"),
        ("[[act]]\nat = '3s'\ndo = 'ack'\ncluster = 'east'", "act 1: unknown cluster"),
        ("[[act]]\nat = '3s'\nnth = 2\ndo = 'ack'", "nth and plus belong to when"),
        ("[[act]]\nat = '3s'\ndo = 'clear'\nkind = 'krash'", "no fault 'krash'"),
        (ASK + "target = 'mars'\npath = 'sys/health'\nanswers = 200", "act 1.target: no node and no cluster 'mars'"),
        (ASK + "target = 'east/lb'\npath = 'sys/health'\nanswers = 200", "act 1.target: no node and no cluster"),
        (ASK + "target = 'east'\npath = 'sys/health'", "act 1: ask needs answers"),
        (ASK + "target = 'east'\npath = '/v1/sys/health'\nanswers = 200", "act 1.path: what follows /v1/"),
        (ASK + "target = 'east'\npath = 'sys/health'\nanswers = 20", "act 1.answers: the status of the answer"),
        (GET + "method = 'BREW'", "act 1.method: no method 'BREW': one of GET"),
        (GET + "says = 3", "act 1.says: a text, or a list of texts"),
        (GET + "lacks = ['']", "act 1.lacks: a text, or a list of texts"),
        (GET + "token = 'x'", "act 1: unknown token"),
        (GET + "as = 'Root'", "act 1.as: the name of a value"),
        (GET + "as = 'nonce'", "act 1.as: no value 'nonce' is kept above: there are client_token"),
        (GET + "body = 'x'", "act 1.body: a table"),
        (GET + "body = { at = 12:00:00 }", "act 1.body: no JSON"),
        (GET + "body = { a = [{ b = '$nonce' }] }", "act 1.body: no value 'nonce' is kept above"),
        (GET + "keep = { nonce = 3 }", "act 1.keep.nonce: the path of a field"),
        (GET + "keep = { share_1 = 'x' }", "act 1.keep.share_1: is what a person was given already"),
        (GET + "keep = ['nonce']", "act 1.keep: a table"),
        ("[[expect]]\nbefore = '3s'", "expect 2: one of situation"),
        ("[[expect]]\nsituation = 'S-30'\nbetween = ['3s']", "two times"),
        ("[[expect]]\nsituation = 'S-30'\nbetween = ['3s', '5s']\nbefore = '4s'", "between is after and before"),
        ("[[expect]]\nsituation = 'S-30'\nbefore = '90s'", "the scenario ends earlier"),
        ("[[expect]]\nat = 'end'", "say what must stand then"),
        ("[[expect]]\nat = 'end'\nepoch = 'one'", "expect 2.epoch: int wanted"),
        ("[[expect]]\nat = 'end'\nmood = 'fine'", "unknown mood"),
        ("[budget]\ntwo_writable_primaries_s = 3", "only where tags names"),
        ("[budget]\nmoney = 3", "unknown money"),
        ("[budget]\nno_primary_s = -1", "a number from 0 up"),
        ("[cases.a]\nx = 1\n[[fault]]\nat = '{y}'\nkind = 'crash'\ntarget = 'region:east'", "{y} is no value"),
        ("[matrix]\nx = []", "each name a list"),
        ("[[fault]", "not TOML"),
    ],
)  # fmt: skip
def test_every_mistake_names_its_place_and_the_way_out(text: str, said: str) -> None:
    with pytest.raises(BadScenario) as refused:
        parse_scenarios(GOOD + text)
    assert said in str(refused.value)


@pytest.mark.parametrize("missing", ["title", "stands_for", "until"])
def test_a_file_without_what_every_scenario_has_is_refused(missing: str) -> None:
    text = "\n".join(line for line in GOOD.splitlines() if not line.startswith(missing))
    with pytest.raises(BadScenario, match=missing):
        parse_scenarios(text)


def test_an_expectation_without_words_means_every_line_about_its_subject() -> None:
    scenario = good("[[expect]]\npage = ''\nnever = true")
    story = Story()
    story.add(45.0, "situation S-30")
    assert wrong_in(scenario, story, TrueCounts()) == []
    story.add(50.0, "page S-32")
    assert wrong_in(scenario, story, TrueCounts()) == ["'page' must not be, but was at 50.0 s"]


def test_a_scenario_that_expects_nothing_is_refused() -> None:
    with pytest.raises(BadScenario, match="cannot fail"):
        parse_scenarios(GOOD[: GOOD.index("[[expect]]")])


def test_a_tag_is_one_of_two() -> None:
    assert parse_scenarios('tags = ["unfenced-return"]\n' + GOOD)[0].tags == {Tag.UNFENCED_RETURN}
    with pytest.raises(BadScenario, match="no tag 'whatever'"):
        parse_scenarios('tags = ["whatever"]\n' + GOOD)


@pytest.mark.parametrize(
    ("line", "seen", "wrong"),
    [
        ("fences = []", ("east",), "fences is east, wanted none"),
        ("fenced = ['east', 'west']", (), "fenced is none, wanted east, west"),
        ("steady = false", True, "steady is yes, wanted no"),
        ("epoch = 2", 1, "epoch is 1, wanted 2"),
        ("run = 'failover'", "", "run is none, wanted failover"),
        ("debt = 'owed'", None, "debt is unknown, wanted owed"),
    ],
)
def test_how_things_stood_is_said_in_words(line: str, seen: Value | tuple[str, ...] | None, wrong: str) -> None:
    scenario = good(f"[[expect]]\nat = 'end'\n{line}")
    story = Story()
    story.add(45.0, "situation S-30")
    story.states.append((60.0, {} if seen is None else {line.partition(" ")[0]: seen}))
    assert wrong_in(scenario, story, TrueCounts()) == [f"at 60 s {wrong}"]


def test_what_was_not_as_expected_is_said_in_sentences() -> None:
    scenario = good(
        "[[expect]]\nrun = 'failover'\nnever = true\n[[expect]]\nsent = 'promote'\ntimes = 2\n"
        "[[expect]]\npage = 'S-32'\ngates = ['loss']\n[[expect]]\nat = 'end'\nelected = 'west'\n"
        "[[expect]]\npublished = 'west'\nsince = 'applied promote west'\nbefore = '5s'\n"
        "[[act]]\nwhen = 'never told'\ndo = 'kill'"
    )
    story = Story()
    story.add(12.0, "situation S-30")
    story.add(13.0, "run failover opened")
    story.add(14.0, "page S-32", "gate ack is closed: not yet")
    story.add(15.0, "sent promote west")
    story.states.append((60.0, {"elected": "east"}))
    counts = TrueCounts(no_primary_s=3.0)
    found = "\n".join(wrong_in(scenario, story, counts))
    assert "'situation S-30' wanted between" in found
    assert "seen: 12.0" in found
    assert "'run failover' must not be, but was at 13.0 s" in found
    assert "'sent promote' wanted 2 times, seen 1 times" in found
    assert "'page S-32' with gates loss wanted" in found
    assert "at 60 s elected is east, wanted west" in found
    assert "'applied promote west' was never seen, so 'published west' cannot be counted from it" in found
    assert "no_primary_s is 3, the budget is 0" in found
    assert "something waited for 'never told' number 1, which never came" in found


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_file_is_named_like_its_title(name: str) -> None:
    assert {scenario.title for scenario in scenarios_of(name)} == {name}


def test_only_scenarios_of_the_two_tags_may_cost_two_writable_primaries() -> None:
    costly = [s for name in shipped() for s in scenarios_of(name) if s.budget.two_writable_primaries_s]
    assert costly
    assert all(scenario.tags for scenario in costly)
