"""`watchdogd-lab run FILE --live`: one file, played with real processes in real time, and what cannot be is refused."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.live, pytest.mark.timeout(160)]
ROOT = Path(__file__).parents[2]
FAILED_OVER = """
title = "a-region-dies"
stands_for = "The fence confirms late, the promotion is quick, and the name moves."
until = "36s"
[world]
promote_s = 2.0
propagation_s = 1.0
[fence]
on = ["exit 75", "exit 0"]
[budget]
no_primary_s = 27
name_at_non_primary_s = 12
acknowledged_writes_lost = 2
[[fault]]
at = "4s"
kind = "crash"
target = "region:east"
[[expect]]
situation = "S-30"
between = ["14s", "26s"]
[[expect]]
step = "failover.fence not_yet"
times = 1
[[expect]]
sent = "promote west"
times = 1
[[expect]]
published = "west"
since = "run failover succeeded"
before = "10s"
[[expect]]
at = "end"
elected = "west"
epoch = 1
debt = "owed"
fenced = ["east"]
primaries = ["west"]
promotes = 1
"""
ORDERED = """
title = "people-at-work"
stands_for = "Orders, a fault that is cleared, a name that is moved by hand; a daemon that is killed."
until = "20s"
[pair]
failover = "approve"
[[act]]
at = "2s"
do = "pause"
for = "1h"
[[act]]
at = "4s"
do = "failover"
cluster = "west"
refused = "blocked"
[[fault]]
at = "3s"
kind = "drop"
target = "repl:east>west"
[[act]]
at = "5s"
do = "clear"
kind = "drop"
[[act]]
at = "5s"
do = "point-name"
target = "elsewhere.example.net"
[[act]]
at = "6s"
do = "cut-anchors"
[[act]]
at = "8s"
do = "kill"
for = "1s"
[[expect]]
published = "nothing of ours"
[[expect]]
run = "failover"
never = true
[[expect]]
at = "end"
paused = true
elected = "west"
"""


@pytest.fixture
def room() -> Iterator[Path]:
    # Not tmp_path: the path of a unix socket is short.
    path = Path(tempfile.mkdtemp(prefix="wd-"))
    yield path
    shutil.rmtree(path)


def begun(room: Path, text: str) -> subprocess.Popen[str]:
    file = room / "own.toml"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "watchdogd.cli.lab", "run", str(file), "--live", "--json"]
    environment = {**os.environ, "TMPDIR": str(room), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=room, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def played(room: Path, text: str) -> tuple[int, str, str]:
    with begun(room, text) as process:
        told, why = process.communicate(timeout=150)
    return process.returncode, told, why


def has_daemon(room: Path) -> bool:
    return any(path.is_socket() for path in room.glob("watchdogd-run-*/run/control.sock"))


async def until_has_daemon(room: Path) -> None:
    async with asyncio.timeout(30):
        while not has_daemon(room):
            await asyncio.sleep(0.1)


def pid_of_the_lab(room: Path) -> int:
    (described,) = room.glob("watchdogd-run-*/lab/lab.json")
    return int(json.loads(described.read_text(encoding="utf-8"))["pid"])


def test_a_failover_goes_with_real_processes_as_its_file_says(room: Path) -> None:
    status, told, why = played(room, FAILED_OVER)
    assert status == 0, told + why
    said: Any = json.loads(told)[0]
    assert said["counts"]["two_writable_primaries_s"]["spent"] == 0
    assert [path.name for path in room.iterdir()] == ["own.toml"]  # nothing is left behind


def test_orders_and_hands_are_real_and_what_does_not_hold_is_told(room: Path) -> None:
    status, told, why = played(room, ORDERED)
    assert status == 1, told + why
    said: Any = json.loads(told)[0]
    wrong = [one["why"] for one in said["expectations"] if not one["held"]]
    assert wrong == ["at 20 s elected is east, wanted west"], told
    assert [line["text"] for line in said["story"]].count("daemon started") == 2
    assert said["refused"] == said["invariants_broken"] == []
    assert "kept: " in why


def test_what_cannot_be_done_with_real_processes_is_refused_by_name_before_anything_starts(room: Path) -> None:
    text = ORDERED + '[[act]]\nat = "7s"\ndo = "step-clock"\nseconds = 5\n'
    text += '[[act]]\nwhen = "sent promote west"\ndo = "kill"\n'
    status, told, why = played(room, text)
    assert (status, told) == (2, "")
    assert "people-at-work: act step-clock: the wall clock of this machine is not ours to move" in why
    assert "people-at-work: when 'sent promote west': the very moment cannot be hit from outside" in why
    assert [path.name for path in room.iterdir()] == ["own.toml"]


def test_a_lab_that_dies_is_told_in_a_sentence_and_everything_else_is_stopped(room: Path) -> None:
    with begun(room, ORDERED) as process:
        asyncio.run(until_has_daemon(room))
        os.kill(pid_of_the_lab(room), signal.SIGKILL)
        told, why = process.communicate(timeout=60)
    assert process.returncode == 1, told + why
    assert "FAILED: the lab " in why
    assert "/log/lab.log" in why
    assert "Traceback" not in why
    assert "kept: " in why
