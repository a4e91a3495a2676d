"""Every endpoint of the reference is answered by the lab, or its guide says that it is not; and what it says holds."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from tests.unit.lab.asking import Asker, asker
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.routes import routes_of

ROOT = Path(__file__).parents[3]
HEADING = "### What of Vault's API is here"
GUESS, KNOBS = re.compile(r"a guess: |guesses: |UNCONFIRMED: "), re.compile(r"`(\w+)`")
PATH = re.compile(r"`((?:sys|auth|identity)/[a-z0-9/-]+)`")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the list."""

    section: str
    may_be_left_out: bool
    method: str
    path: str


def listed() -> list[Endpoint]:
    text = (ROOT / "tests" / "data" / "vault" / "endpoints.txt").read_text(encoding="utf-8")
    words = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return [Endpoint(w[0], w[1] == "B", w[-2], w[-1]) for w in words]


def left_out() -> list[str]:
    """The paths in the last column of the guide's table; one that ends in a slash stands for all below it."""
    return [path for cell in last_column() for path in PATH.findall(cell)]


def last_column() -> list[str]:
    table = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8").partition(HEADING)[2].partition("\n## ")[0]
    return [line.split("|")[-2] for line in table.splitlines() if line.startswith("| ")]


def is_left_out(path: str) -> bool:
    return any(path == there or (there.endswith("/") and path.startswith(there)) for there in left_out())


def is_answered(a: Asker, method: str, path: str) -> bool:
    """Whether somebody asked who is allowed everything is told anything but that there is no such path or verb."""
    if routes_of(path) and not any(method in route.methods.split() for route, _ in routes_of(path)):
        return False
    said = a.ask("east/1", path, method, token=a.has["root_token"], body={} if method == "PUT" else None)
    text = said.exchange.body.decode(errors="replace")
    return said.status not in (403, 405) and "unsupported path" not in text and "no handler for route" not in text


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def guesses() -> list[str]:
    """What the last column calls guesses, one by one: they stand at its end, with semicolons between them."""
    said = [GUESS.split(cell, maxsplit=1)[1] for cell in last_column() if GUESS.search(cell)]
    return [guess.strip() for text in said for guess in text.split(";")]


def test_every_guess_that_the_guide_names_is_a_knob_for_whoever_knows_better() -> None:
    knobs = {field.name for field in fields(Knobs)}
    named = {guess: KNOBS.findall(guess.partition("knob")[2]) for guess in guesses()}
    assert len(named) > 10
    assert [guess for guess, found in named.items() if not found or not set(found) <= knobs] == []


@pytest.mark.parametrize("endpoint", [e for e in listed() if not is_left_out(e.path)], ids=name)
def test_an_endpoint_of_the_reference_is_answered(endpoint: Endpoint) -> None:
    assert is_answered(asker(), endpoint.method, endpoint.path)


@pytest.mark.parametrize("endpoint", [e for e in listed() if is_left_out(e.path)], ids=name)
def test_an_endpoint_that_the_guide_leaves_out_is_not_answered_and_may_be_left_out(endpoint: Endpoint) -> None:
    assert endpoint.may_be_left_out
    assert not is_answered(asker(), endpoint.method, endpoint.path)


def test_the_guide_leaves_nothing_out_that_the_list_does_not_know() -> None:
    known = [e.path for e in listed()]
    assert [there for there in left_out() if not any(p == there or p.startswith(there) for p in known)] == []


def test_the_list_has_each_endpoint_once_and_every_section_with_endpoints() -> None:
    assert len({(e.method, e.path) for e in listed()}) == len(listed())
    assert {e.section for e in listed()} == {"1", "2", "3", "4", "5", "8"}
