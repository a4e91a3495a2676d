"""A knob that is typed is the knob that is set, for every kind of value that there is."""

from __future__ import annotations

from dataclasses import fields
from math import inf

import pytest

from watchdogd.cli import lab as cli
from watchdogd.lab.knob_text import BadKnob, knobs_in
from watchdogd.lab.knobs import Knobs, RoleWindow

TYPED = {
    "promote_s=0.5": 0.5,
    "catching_up_s=inf": inf,
    "seal_shares=3": 3,
    "poison_pill=no": False,
    "reports_canary=yes": True,
    "reports_canary=none": None,
    "connection_state_when_demoted=none": None,
    "connection_state_when_demoted=shutdown": "shutdown",
    "role_window=reset": RoleWindow.RESET,
    "last_kind_wal_since=1,16": (1, 16),
    "open_on_dr_secondary=sys/seal,sys/step-down": frozenset({"sys/seal", "sys/step-down"}),
    "open_on_dr_secondary=": frozenset(),
    "invalid_dr_token_text=no, not = this": "no, not = this",
}
REFUSED = {
    "nonsense=1": "no knob 'nonsense': `watchdogd-lab knobs --all` lists them",
    "promot_s=1": "no knob 'promot_s': did you mean promote_s",
    "promote_s": "promote_s=: could not convert",
    "promote_s=fast": "promote_s=fast: could not convert",
    "poison_pill=maybe": "poison_pill=maybe: one of true, yes, false, no",
    "role_window=502": "role_window=502: one of 503, 500, reset",
}


@pytest.mark.parametrize("text", TYPED)
def test_a_knob_is_read_as_its_type_wants(text: str) -> None:
    (value,) = knobs_in([text]).values()
    assert (value, type(value)) == (TYPED[text], type(TYPED[text]))


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_knob_or_no_value_of_it_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadKnob) as refused:
        knobs_in([text])
    assert str(refused.value).startswith(REFUSED[text])


def test_every_knob_can_be_typed_as_it_stands() -> None:
    def typed(value: object) -> str:
        if isinstance(value, tuple | frozenset):
            return ",".join(map(str, value)) if len(value) != 1 else str(next(iter(value)))
        return str(value).lower() if isinstance(value, bool | None) else str(value)

    # A text with commas in it stands for several, where a knob takes several.
    own = [f for f in fields(Knobs) if f.name != "invalid_token_texts"]
    assert knobs_in(f"{f.name}={typed(f.default)}" for f in own) == {f.name: f.default for f in own}


def test_a_world_is_served_with_the_knobs_that_were_typed(capsys: pytest.CaptureFixture[str]) -> None:
    given = cli._parser().parse_args(["up", "--knob", "enable_s=0.5", "--knob", "poison_pill=no", "--promote", "2s"])
    knobs = cli._spec(given).knobs
    assert (knobs.enable_s, knobs.poison_pill, knobs.promote_s) == (0.5, False, 2.0)
    assert cli.main(["up", "--knob", "nonsense=1"]) == cli.USAGE
    assert "no knob 'nonsense'" in capsys.readouterr().err
