"""The documentation says what the code does: every table of it is read and compared."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from watchdogd.adapters.metrics import TABLE
from watchdogd.cli import ctl, lab, main, performing
from watchdogd.core.budget import worst_case
from watchdogd.core.gates import GATES, is_waivable
from watchdogd.core.parked import NEVER_SKIPPED
from watchdogd.core.policy import Timing
from watchdogd.core.situations import LEFT_FENCE, NAMES, SITUATIONS
from watchdogd.daemon.exits import Exit
from watchdogd.lab.fault_shapes import SHAPES
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.policies import parse
from watchdogd.lab.setup import DR_POLICY
from watchdogd.rehearsal.files import shipped
from watchdogd.runbooks.catalog import PROCEDURES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = [page for page in PAGES if page.name != "architecture.md"]  # what people type stands in these
MANUAL = (ROOT / "docs" / "manual.md").read_text(encoding="utf-8")
LAB = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "watchdogd").rglob("*.py")))
PARSERS = {"watchdogd": main._parser(), "watchdogctl": ctl.parser(), "watchdogd-lab": lab._parser()}
PLACEHOLDERS = {"ACTION": "cutover-dns", "N": "1", "SEQ": "1", "HASH": "00ff"}
CODE = re.compile(r"`([^`\n]+)`")
FENCED = re.compile(r"^[ ]*```\w*\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)


def section(text: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    level = heading.split(" ")[0]
    start = text.index(f"\n{heading}\n") + len(heading) + 2
    end = re.search(rf"^#{{1,{len(level)}}} ", text[start:], flags=re.MULTILINE)
    return text[start : start + end.start()] if end else text[start:]


def rows(text: str) -> list[list[str]]:
    """The cells of every line of a table that is neither its head nor its rule."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = {i for i, row in enumerate(cells) if set("".join(row)) <= set("-: ") and "-" in "".join(row)}
    return [row for i, row in enumerate(cells) if i not in rules and i + 1 not in rules]


def bare(cell: str) -> str:
    return cell.strip("`* ")


# ------------------------------------------------------------------------------------------------------------- links


def slugs(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in slugs(target)):
            broken.append(link)
    assert broken == []


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if page.name not in index] == []


# ---------------------------------------------------------------------------------------------------------- commands


def verbs(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every verb, as it is typed."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                below = list(verbs(inner))
                yield from (f"{name} {verb}" for verb in below) if below else (name,)


def commands() -> Iterator[tuple[str, str]]:
    """Every command line of ours in the pages: the page, and what is typed."""
    for page in OURS:
        text = page.read_text(encoding="utf-8")
        typed = [line.strip() for block in FENCED.findall(text) for line in block.splitlines()]
        typed += CODE.findall(FENCED.sub("", text))
        for line in typed:
            command = re.sub(r"[\[\]]", "", re.split(r";|  #| 2?> | &$", line)[0]).strip()
            if command.split(" ")[0] in PARSERS and " " in command and "|" not in command:
                yield page.name, command


def is_typed_right(command: str) -> bool:
    program, *words = shlex.split(command)
    words = [PLACEHOLDERS.get(word, word) for word in words]
    if " ".join(words) in verbs(PARSERS[program]) or words == ["--json"]:
        return True  # a verb or an option that is talked about, not typed
    try:
        PARSERS[program].parse_args(words)
    except SystemExit as end:
        return end.code == 0
    return True


def test_every_command_of_the_pages_can_be_typed() -> None:
    found = sorted(set(commands()))
    assert len(found) > 40
    assert [(page, command) for page, command in found if not is_typed_right(command)] == []


@pytest.mark.parametrize("program", PARSERS)
def test_every_verb_is_in_the_pages(program: str) -> None:
    text = MANUAL + LAB
    missing = [v for v in verbs(PARSERS[program]) if f"{program} {v}" not in text and f"`{v}`" not in text]
    assert missing == []


def test_every_entry_point_is_in_the_readme_and_the_manual() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert set(scripts) == set(PARSERS)
    assert [name for name in scripts if name not in MANUAL] == []


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {target for page in OURS for target in re.findall(r"\bmake ([a-z]+)\b`", page.read_text(encoding="utf-8"))}
    assert {target for target in named if not re.search(rf"^{target}:", makefile, flags=re.MULTILINE)} == set()


# -------------------------------------------------------------------------------------------------------- exit codes


def test_every_exit_code_of_watchdogctl_is_in_the_manual() -> None:
    table = section(MANUAL, "## 11. Verbs and exit codes").partition("exit of `watchdogctl`")[2]
    assert {int(row[0]) for row in rows(table) if row[0].isdigit()} == {code.value for code in ctl.Exit}


def test_every_exit_code_of_watchdogd_is_in_the_manual() -> None:
    sentence = re.search(r"Exit: (.*?)\n\n", MANUAL, flags=re.DOTALL)
    assert sentence is not None
    assert {int(n) for n in re.findall(r"\b(\d+) ", sentence[1])} == {code.value for code in Exit}


def test_every_exit_code_of_the_lab_is_in_its_guide() -> None:
    codes = {int(row[0]) for row in rows(section(LAB, "## Exit codes of `watchdogd-lab`"))}
    assert codes == {lab.OK, lab.USAGE, lab.TRY_AGAIN, performing.BROKEN}
    means = {int(row[0]): row[1] for row in rows(section(LAB, "## Exit codes of `watchdogd-lab`"))}
    assert "expectation" in means[performing.BROKEN]
    assert "usage" in means[lab.USAGE]


# ---------------------------------------------------------------------------------------- situations, gates, runbooks


def test_the_manual_has_every_situation_in_the_order_of_evaluation() -> None:
    written = [row[0] for row in rows(section(MANUAL, "## 3. Situations"))]
    assert written == [*dict.fromkeys(row.id for row in SITUATIONS), *NAMES]


def test_the_pages_name_no_situation_that_does_not_exist() -> None:
    known = {row.id for row in SITUATIONS} | set(NAMES) | {"S-28", LEFT_FENCE.id}  # beside other rows
    named = {one for page in OURS for one in re.findall(r"\b[SN]-\d\d\b", page.read_text(encoding="utf-8"))}
    assert named - known == set()


def test_the_manual_has_every_gate_and_whether_it_can_be_waived() -> None:
    written = {bare(row[0]): row[3] for row in rows(section(MANUAL, "## 4. Gates and waivers"))}
    assert list(written) == [*GATES, "node:ADDRESS", "witness:NAME"]
    said = {gate: waivable.startswith(("yes", "only")) for gate, waivable in written.items()}
    assert said == {gate: is_waivable(gate) for gate in written}


def seconds(cell: str) -> float | None:
    found = re.search(r"(\d+) (s|min)", cell)
    return float(found[1]) * {"s": 1, "min": 60}[found[2]] if found else None


def test_the_manual_has_every_step_with_its_settle_time_and_deadline() -> None:
    table = rows(section(MANUAL, "## 5. Runs and steps").partition("The point of no return")[0])
    written: dict[str, list[list[str]]] = {}
    for row in table:
        if row[0].startswith("**"):
            written[bare(row[0])] = []
        else:
            written[list(written)[-1]].append(row)
    assert set(written) == set(PROCEDURES)
    for runbook, procedure in PROCEDURES.items():
        steps = written[runbook]
        assert [bare(row[0]) for row in steps] == [step.name for step in procedure.steps]
        for row, step in zip(steps, procedure.steps, strict=True):
            assert seconds(row[3]) == (step.settle_s or None), (runbook, step.name)
            assert not row[4] or seconds(row[4].split(";")[0].split(":")[0]) == step.deadline_s, (runbook, step.name)


def test_the_manual_names_the_steps_that_are_never_skipped() -> None:
    row = next(row for row in rows(section(MANUAL, "### A parked run")) if row[0].startswith("`watchdogctl run skip"))
    assert set(CODE.findall(row[1])) == NEVER_SKIPPED


# ------------------------------------------------------------------------------------------- metrics, events, numbers


def test_the_manual_has_every_metric_with_its_labels() -> None:
    written = {bare(row[0].replace("\\*", "")): row for row in rows(section(MANUAL, "## 12. Metrics"))}
    assert list(written) == [spec.name for spec in TABLE]
    for spec in TABLE:
        row = written[spec.name]
        assert CODE.findall(row[1]) == [label for label in spec.labels if label != "pair"], spec.name
        assert row[0].endswith("\\*") is ("pair" not in spec.labels), spec.name


def test_the_metrics_of_the_first_alerts_exist() -> None:
    named = set(re.findall(r"watchdogd_([a-z_]+)", MANUAL)) - {""}
    assert named - {spec.name for spec in TABLE} == set()


def test_the_events_of_the_manual_are_logged() -> None:
    cells = [row[0] for row in rows(section(MANUAL, "## 13. Logs and notices"))]
    assert [event for cell in cells for event in CODE.findall(cell) if f'"{event}"' not in SOURCE] == []


def test_the_numbers_of_the_manual_are_those_of_the_defaults() -> None:
    section_9 = section(MANUAL, "## 9. Timing")
    without, with_fence = (worst_case(Timing(), fence_timeout_s=s) for s in (None, 10.0))
    ours_s = without.total_s - without.detection_s - without.assumed.promotion_s - without.assumed.propagation_s
    for number in (without.detection_s, ours_s, without.total_s, with_fence.total_s):
        assert f"{number:.1f}".removesuffix(".0") + " s" in section_9


# ------------------------------------------------------------------------------------------------------------ config


def config_keys() -> set[str]:
    schema = json.loads((ROOT / "config" / "watchdogd.schema.json").read_text(encoding="utf-8"))
    tables = [schema, *schema["$defs"].values()]
    return {key for table in tables for key in table.get("properties", {})}


def test_the_commented_config_has_every_key_and_no_other() -> None:
    text = (ROOT / "config" / "watchdogd.toml").read_text(encoding="utf-8")
    written = set(re.findall(r"(?:^(?:# )?|[{,] )([a-z_0-9]+) += ", text, flags=re.MULTILINE))
    written |= {
        part for header in re.findall(r"^(?:# )?\[+([\w.]+)\]+$", text, re.MULTILINE) for part in header.split(".")
    }
    of_the_example = {"prod", "east", "west"}
    assert {key for key in config_keys() if not re.search(rf"\b{key}\b", text)} == set()
    assert written - config_keys() == of_the_example


def test_the_pages_name_no_config_key_that_does_not_exist() -> None:
    named = {
        key
        for page in OURS
        for code in CODE.findall(page.read_text(encoding="utf-8"))
        for key in re.findall(r"(?:^|[{,] )([a-z_]+) = ", code)
    }
    assert named - config_keys() == set()


def test_the_policy_to_copy_grants_what_the_simulated_world_was_tried_with() -> None:
    text = (ROOT / "config" / "policies" / "watchdogd-dr.hcl").read_text(encoding="utf-8")
    assert parse(text) == parse(DR_POLICY)


# --------------------------------------------------------------------------------------------------------------- lab


def test_the_guide_to_the_lab_has_every_fault() -> None:
    table = rows(section(LAB, "### What each fault really does"))
    assert [bare(row[0]) for row in table] == [kind.value for kind in FaultKind]


@pytest.mark.parametrize("row", rows(section(LAB, "### What each fault really does")), ids=lambda row: bare(row[0]))
def test_the_guide_to_the_lab_says_where_a_fault_may_hang_and_what_it_stands_for(row: list[str]) -> None:
    shape = SHAPES[FaultKind(bare(row[0]))]
    assert set(row[1].split(", ")) == shape.targets
    assert [int(number) for number in row[4].split(", ") if number] == list(shape.modes)
    assert set(re.findall(r"(\w+)=", row[2])) == shape.params


def test_the_guide_to_the_lab_has_every_option_of_up() -> None:
    options = {option for row in rows(section(LAB, "## Start it")) for option in re.findall(r"--[a-z-]+", row[0])}
    up = lab._parser().parse_args(["up"])
    assert options == {f"--{name.replace('_', '-')}" for name in vars(up) if name != "run"}


def test_no_row_of_the_guide_to_the_lab_stands_twice() -> None:
    """A script that edits one table by the number of its rows edits every table that has such a number."""
    found = Counter(line for line in LAB.splitlines() if line.startswith("| ") and len(line) > 40)
    assert [line for line, times in found.items() if times > 1] == []


def shown_by(cell: str) -> Iterator[tuple[str, str]]:
    """`fault `a`, `b`; scenario `c`` as (fault, a), (fault, b), (scenario, c)."""
    for part in cell.split(";"):
        word = part.split("`")[0].strip()
        yield from ((word, name) for name in CODE.findall(part) if "=" not in name and not name.endswith(":"))


def test_every_failure_mode_of_the_list_stands_in_its_table_once() -> None:
    lines = (ROOT / "tests" / "data" / "failure-modes.txt").read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert [f"{row[0]} {row[1]}" for row in rows(section(LAB, "## Failure modes"))] == listed


@pytest.mark.parametrize("row", rows(section(LAB, "## Failure modes")), ids=lambda row: row[0])
def test_what_shows_a_failure_mode_exists_and_what_shows_nothing_says_why(row: list[str]) -> None:
    number, _, shown, lacks = row
    known = {"fault": set(FaultKind), "knob": {knob.name for knob in fields(Knobs)}, "scenario": set(shipped())}
    for what, name in shown_by(shown):
        assert (ROOT / name).is_file() if what == "test" else name in known.get(what, ()), f"{what} {name}"
    is_played = any(what == "scenario" for what, _ in shown_by(shown))
    assert is_played or lacks.startswith("cannot be shown"), "neither a scenario nor why there is none"
    named = {name for what, name in shown_by(shown) if what == "fault"}
    claimed = {kind.value for kind, shape in SHAPES.items() if int(number) in shape.modes}
    assert claimed <= named, "a fault that stands for it by its own table is missing here"
