"""Every command that an operator is told to type is one that `watchdogctl` takes."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import watchdogd
from watchdogd.cli import ctl
from watchdogd.core.commands import DEFAULT_SOCKET, PROGRAM, READING, Command, at_socket, line
from watchdogd.core.decision import command_for
from watchdogd.core.entries import Runbook
from watchdogd.core.facts import GateAnswer
from watchdogd.core.gates import WAIVABLE
from watchdogd.core.model import ClusterId, RunId
from watchdogd.core.parked import RunVerb, command

PACKAGE = Path(watchdogd.__file__).parent
SAID_BY = [path for part in ("core", "runbooks", "daemon", "cli") for path in sorted((PACKAGE / part).glob("*.py"))]
WEST, RUN = ClusterId("west"), RunId("r-1-failover")


def takes(typed: str) -> bool:
    """Whether the parser of `watchdogctl` takes this line."""
    program, *words = shlex.split(typed)
    assert program == PROGRAM
    try:
        ctl.parsed(words)
    except SystemExit as end:
        return end.code == 0
    return True


def verbs(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                deeper = list(verbs(below))
                yield from (f"{name} {verb}" for verb in deeper) if deeper else (name,)


def test_the_parser_has_exactly_the_verbs_that_are_named_here() -> None:
    assert sorted(verbs(ctl.parser())) == sorted(Command)


def test_what_is_no_command_is_not_taken() -> None:
    assert not takes(f"{PROGRAM} promote west")
    assert not takes(line(Command.FAILOVER))


@pytest.mark.parametrize("runbook", Runbook)
@pytest.mark.parametrize("closed", [(), ("loss",), tuple(sorted(WAIVABLE))], ids=len)
def test_what_waits_for_a_command_names_one_that_is_taken(runbook: Runbook, closed: tuple[str, ...]) -> None:
    blocked = tuple(GateAnswer(gate=gate, is_open=False, why="") for gate in closed)
    typed = command_for(runbook, "prod", WEST, blocked)
    assert not typed or takes(typed)


@pytest.mark.parametrize("verb", RunVerb)
def test_what_a_parked_run_offers_is_taken(verb: RunVerb) -> None:
    words = ("west",) if verb is RunVerb.ADOPT else ()
    options = {"waive": "GATE"} if verb is RunVerb.PROCEED else {}
    assert takes(command(verb, RUN, *words, **options))


def test_what_only_reads_needs_no_reason() -> None:
    assert {command for command in Command if "--reason" not in line(command)} == {*READING, Command.RELOAD}


@pytest.mark.parametrize("command", Command)
def test_every_command_line_can_be_sent_to_another_socket_once(command: Command) -> None:
    said = f"an operator says so: {line(command, 'west')}; or `{line(Command.ACK)}`"
    sent = at_socket(said, "/tmp/w.sock")
    assert sent.count(f"{PROGRAM} --socket /tmp/w.sock ") == sent.count(PROGRAM) == 2
    assert at_socket(sent, "/tmp/w.sock") == sent
    assert at_socket(said, DEFAULT_SOCKET) == said


@pytest.mark.parametrize(
    "said", ["VAULT_ADDR=x vault write -f sys/replication/dr/primary/demote", "watchdogctl 0.1", "ack it", ""]
)
def test_what_is_no_command_line_is_sent_nowhere(said: str) -> None:
    assert at_socket(said, "/tmp/w.sock") == said


# -- whatever else is said ---------------------------------------------------------------------------------------------


def calls(path: Path) -> Iterator[tuple[str, str]]:
    """Every line that is put together in a file, with some word where it says something else each time."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "line"):
            continue
        named, *words = node.args
        if isinstance(named, ast.Attribute):
            options = {option.arg: "x" for option in node.keywords if option.arg}
            yield f"{path.name}:{node.lineno}", line(Command[named.attr], *map(word_for, words), **options)


def word_for(word: ast.expr) -> str:
    return "cutover-dns" if isinstance(word, ast.Name) and word.id == "runbook" else "west"


CALLS = dict(one for path in SAID_BY for one in calls(path))


@pytest.mark.parametrize("where", CALLS)
def test_every_line_that_is_put_together_is_taken(where: str) -> None:
    assert takes(CALLS[where])


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a file that may be said: all but the docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.lineno, node.value


TYPED = re.compile(rf"{PROGRAM} \w|`(?:{'|'.join(sorted(Command, key=len, reverse=True))}|abort|retry|skip|proceed)\b")


def test_no_text_has_a_command_that_was_typed_by_hand() -> None:
    found = [(path.name, at, text) for path in SAID_BY for at, text in texts(path) if TYPED.search(text)]
    assert found == []
