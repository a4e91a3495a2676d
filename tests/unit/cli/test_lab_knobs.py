"""`watchdogd-lab knobs`: what nobody could confirm, for people."""

from __future__ import annotations

import pytest

from watchdogd.cli import lab
from watchdogd.lab.doubts import DOUBTS


def test_every_doubt_is_listed_with_its_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["knobs"]) == lab.OK
    printed = capsys.readouterr().out
    assert "  role_window = 500 | 503 | reset\n" in printed
    assert [knob for knob in DOUBTS if f"  {knob} = " not in printed] == []
    assert [doubt.item for doubt in DOUBTS.values() if f"{doubt.item}\n" not in printed] == []
