"""`watchdogd-lab soak`: days and losses of a seed by the command line, what a failure prints, and how it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenarios.removals import removed
from tests.soak.test_short_stack import RASH
from watchdogd.cli import lab

SEED = 58  # its first day has one short stretch to be played, and its first loss is failed over
WAIT_S = 60.0
# The verb, with its state directories at a place of the test's.
SOAK_IN = """
import pathlib, sys
from watchdogd.cli import lab
from watchdogd.rehearsal import stack_play
stack_play.IN_RAM = pathlib.Path(sys.argv[1])
sys.exit(lab.main(sys.argv[2:]))
"""


def test_a_day_and_a_loss_are_played_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["soak", "--days", "1", "--losses", "1", "--seed", str(SEED)]) == lab.OK
    title, day, loss, last = capsys.readouterr().out.splitlines()
    assert title == f"SIMULATOR  1 x day, 1 x loss of seed {SEED}, in virtual time"
    assert day == "day 1 of 1: 1 stretches; 188 s played"
    assert loss.startswith("loss 1 of 1: 1 published within the bound; slowest ")
    assert last == f"seed {SEED}: nothing false, nothing missed"


def test_a_failure_is_told_with_the_line_that_repeats_it(capsys: pytest.CaptureFixture[str]) -> None:
    again = ["soak", "--loss", "18", "--seed", "1"]  # a node that we cannot read holds it back
    with removed(RASH):
        assert lab.main(again) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("FAILED  loss 18: ") and "although node holds it back" in line for line in lines)
    assert f"again: watchdogd-lab {' '.join(again)}" in lines
    assert lines[-1] == "seed 1: 1 failed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to soak"),
        (["--days", "0"], "nothing to soak"),
        (["--days", "-1"], "no whole number"),
        (["--days", "2", "--day", "1"], "not allowed with"),
        (["--losses", "2", "--loss", "1"], "not allowed with"),
    ],
)
def test_what_cannot_be_played_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status: object = lab.main(["soak", *words])
    except SystemExit as refused:
        status = refused.code
    assert status == lab.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_at_a_signal_and_leaves_nothing_behind(signum: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SOAK_IN, str(tmp_path), "soak", "--losses", "10000", "--seed", str(SEED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not any(tmp_path.iterdir()) and process.poll() is None:
            os.sched_yield()
        process.send_signal(signum)
        told, said = process.communicate(timeout=WAIT_S)
    assert told.startswith("SIMULATOR  10000 x loss")
    assert said.startswith("interrupted after loss ")
    assert process.returncode == 128 + signum
    assert list(tmp_path.iterdir()) == []
