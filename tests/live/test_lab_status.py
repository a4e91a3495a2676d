"""`watchdogd-lab status` and `fault`, as a person reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.test_follow import promote_west
from tests.support.served_lab import served_lab
from watchdogd.cli import lab
from watchdogd.cli.demo_config import LabFacts

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]
ASKED_MAX = 1000  # times, while a promote takes 0.1 s
Type = Callable[..., str]


@pytest.fixture
def typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Type]:
    """What a verb prints."""

    def type_it(*words: str) -> str:
        assert lab.main([*words, "--dir", str(tmp_path)]) == lab.OK
        return capsys.readouterr().out

    with served_lab(tmp_path):
        yield type_it


def test_a_node_that_sleeps_and_one_that_is_removed_are_not_up(typed: Type) -> None:
    typed("fault", "add", "stopped", "node:east/2")
    typed("fault", "add", "removed", "node:east/3")
    assert "nodes 1:up 2:asleep 3:removed\n" in typed("status")


def test_no_primary_and_two_of_them_are_told_apart(typed: Type, tmp_path: Path) -> None:
    assert "  primary: east\n" in typed("status")
    asyncio.run(promote_west(LabFacts.read(tmp_path / "lab.json")))
    assert any("  primary: east AND west\n" in typed("status") for _ in range(ASKED_MAX))
    typed("fault", "add", "crash", "region:west")
    typed("fault", "add", "crash", "region:east")
    assert "  primary: none\n" in typed("status")


def test_what_was_cleared_is_said_so_that_a_number_is_no_count(typed: Type) -> None:
    assert typed("fault", "list") == "no faults\n"
    for _ in range(4):
        typed("fault", "add", "aws_dead", "aws")
    assert typed("fault", "clear", "3") == "cleared fault 3\n"
    assert typed("fault", "clear") == "cleared 3 faults\n"
    assert typed("fault", "clear") == "no faults\n"
