"""`watchdogd-lab knobs`: what nobody could confirm, for people."""

from __future__ import annotations

from dataclasses import fields

import pytest

from watchdogd.cli import lab
from watchdogd.lab.doubts import DOUBTS
from watchdogd.lab.knob_text import meanings_of_knobs
from watchdogd.lab.knobs import Knobs


def test_every_doubt_is_listed_with_its_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["knobs"]) == lab.OK
    printed = capsys.readouterr().out
    assert "  role_window = 500 | 503 | reset\n" in printed
    assert [knob for knob in DOUBTS if f"  {knob} = " not in printed] == []
    assert [doubt.item for doubt in DOUBTS.values() if f"{doubt.item}\n" not in printed] == []


def test_every_knob_is_listed_with_its_default_and_what_it_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["knobs", "--all"]) == lab.OK
    printed = capsys.readouterr().out
    assert "catching_up_s = 0.0\n    promote answers 503 for this long" in printed
    assert "max_lease_ttl_s = 2764800.0\n" in printed
    assert "    the longest life that a token gets\n    takes a number from 1 on\n" in printed
    assert "role_window = 500\n    UNCONFIRMED: what nodes answer while a role change" in printed
    assert [line.split()[0] for line in printed.splitlines() if line[0] != " "] == [knob.name for knob in fields(Knobs)]
    assert [name for name, text in meanings_of_knobs().items() if text in ("", "UNCONFIRMED")] == []
