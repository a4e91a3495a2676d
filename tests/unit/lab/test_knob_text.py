"""A knob that is typed is the knob that is set, for every kind of value that there is."""

from __future__ import annotations

import json
from dataclasses import fields
from math import inf
from typing import Any

import pytest

from watchdogd.cli import lab as cli
from watchdogd.lab.knob_text import knob_of_file, knobs_in
from watchdogd.lab.knob_values import BadKnob
from watchdogd.lab.knobs import Knobs, RoleWindow

TEXTS = 'texts, commas between them, or as JSON: ["a, b", "c"]'
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
    "invalid_token_texts=permission denied,invalid token": ("permission denied", "invalid token"),
    'invalid_token_texts=["no, not this", "no\\n"]': ("no, not this", "no\n"),
    'open_on_dr_secondary=["sys/seal"]': frozenset({"sys/seal"}),
}
REFUSED = {
    "nonsense=1": "no knob 'nonsense': `watchdogd-lab knobs --all` lists them",
    "promot_s=1": "no knob 'promot_s': did you mean promote_s",
    "promote_s": "promote_s=: a number from 0 on",
    "promote_s=fast": "promote_s=fast: a number from 0 on",
    "promote_s=-1": "promote_s=-1.0: a number from 0 on",
    "promote_s=nan": "promote_s=nan: a number from 0 on",
    "promote_s=inf": "promote_s=inf: a number from 0 on",
    "catching_up_s=-1": "catching_up_s=-1.0: a number from 0 on, or inf",
    "merkle_sync_keys_per_s=0": "merkle_sync_keys_per_s=0.0: a number from 0.001 on",
    "heartbeat_s=0": "heartbeat_s=0.0: a number from 0.001 on",
    "seal_shares=0": "seal_shares=0: a whole number from 1 to 255",
    "seal_shares=2.5": "seal_shares=2.5: a whole number from 1 to 255",
    "utc_offset_minutes=2000": "utc_offset_minutes=2000: a whole number from -720 to 840",
    "disabled_path_status=200": "disabled_path_status=200: a whole number from 400 to 599",
    "revoke_secondary_status=404": "revoke_secondary_status=404: a whole number from 200 to 299",
    "last_kind_wal_since=1,-9": "last_kind_wal_since=(1, -9): whole numbers from 0 on, commas between them",
    "last_kind_wal_since=1.16": "last_kind_wal_since=1.16: whole numbers from 0 on, commas between them",
    "invalid_token_texts=": f"invalid_token_texts=(): {TEXTS}; one at least",
    "invalid_token_texts=[]": f"invalid_token_texts=(): {TEXTS}; one at least",
    'invalid_token_texts=["no"': f'invalid_token_texts=["no": {TEXTS}; one at least',
    "invalid_token_texts=[1]": f"invalid_token_texts=[1]: {TEXTS}; one at least",
    'open_on_dr_secondary=[["sys/seal"]]': f'open_on_dr_secondary=[["sys/seal"]]: {TEXTS}',
    "poison_pill=maybe": "poison_pill=maybe: true or false",
    "reports_canary=maybe": "reports_canary=maybe: true or false, or none",
    "role_window=502": "role_window=502: one of 503, 500, reset",
}
IN_A_FILE: tuple[tuple[str, object, object], ...] = (
    ("promote_s", 3, 3),
    ("poison_pill", False, False),
    ("role_window", "reset", RoleWindow.RESET),
    ("reports_canary", "none", None),
    ("connection_state_when_demoted", "none", None),
    ("invalid_dr_token_text", "none", "none"),
    ("last_kind_wal_since", "1,16", (1, 16)),
    ("last_kind_wal_since", ("1", "16"), (1, 16)),
    ("last_kind_wal_since", (1, 16), (1, 16)),
    ("open_on_dr_secondary", frozenset({"sys/seal"}), frozenset({"sys/seal"})),
    ("reports_canary", None, None),
    ("open_on_dr_secondary", ("sys/seal",), frozenset({"sys/seal"})),
    ("invalid_token_texts", ("no, not this", "no"), ("no, not this", "no")),
)
NOT_IN_A_FILE: tuple[tuple[str, object, str], ...] = (
    ("promote_s", "2s", "promote_s=2s: a number from 0 on"),
    ("promote_s", "2", "promote_s=2: a number from 0 on"),
    ("promote_s", True, "promote_s=True: a number from 0 on"),
    ("promote_s", -1, "promote_s=-1: a number from 0 on"),
    ("poison_pill", "yes", "poison_pill=yes: true or false"),
    ("poison_pill", 1, "poison_pill=1: true or false"),
    ("role_window", "rest", "role_window=rest: one of 503, 500, reset"),
    ("role_window", 503, "role_window=503: one of 503, 500, reset"),
    ("invalid_dr_token_text", 403, "invalid_dr_token_text=403: a text"),
)


@pytest.mark.parametrize("text", TYPED)
def test_a_knob_is_read_as_its_type_wants(text: str) -> None:
    (value,) = knobs_in([text]).values()
    assert (value, type(value)) == (TYPED[text], type(TYPED[text]))


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_knob_or_no_value_of_it_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadKnob) as refused:
        knobs_in([text])
    assert str(refused.value).startswith(REFUSED[text])


@pytest.mark.parametrize(("name", "given", "value"), IN_A_FILE)
def test_a_file_gives_a_knob_the_same_values(name: str, given: object, value: object) -> None:
    found = knob_of_file(name, given)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("name", "given", "said"), NOT_IN_A_FILE)
def test_a_value_of_the_wrong_type_in_a_file_is_refused_with_what_would_be_right(
    name: str, given: object, said: str
) -> None:
    with pytest.raises(BadKnob) as refused:
        knob_of_file(name, given)
    assert str(refused.value) == said


def test_no_world_is_made_with_what_no_knob_can_be() -> None:
    wrong: dict[str, Any] = {"promote_s": -1.0, "role_window": "rest", "poison_pill": "no", "catching_up_s": "for ever"}
    for name, value in wrong.items():
        with pytest.raises(BadKnob, match=f"^{name}={value}: "):
            Knobs(**{name: value})
    with pytest.raises(BadKnob, match="seal_threshold=3 with seal_shares=2: threshold cannot be larger than shares"):
        Knobs(seal_shares=2)


def test_every_knob_can_be_typed_as_it_stands() -> None:
    def typed(value: object) -> str:
        if isinstance(value, tuple) and isinstance(value[0], str):
            return json.dumps(value)
        if isinstance(value, tuple | frozenset):
            return ",".join(map(str, value))
        return str(value).lower() if isinstance(value, bool | None) else str(value)

    own = fields(Knobs)
    assert knobs_in(f"{f.name}={typed(f.default)}" for f in own) == {f.name: f.default for f in own}


def test_a_world_is_served_with_the_knobs_that_were_typed(capsys: pytest.CaptureFixture[str]) -> None:
    given = cli._parser().parse_args(["up", "--knob", "enable_s=0.5", "--knob", "poison_pill=no", "--promote", "2s"])
    knobs = cli._spec(given).knobs
    assert (knobs.enable_s, knobs.poison_pill, knobs.promote_s) == (0.5, False, 2.0)
    assert cli.main(["up", "--knob", "nonsense=1"]) == cli.USAGE
    assert "no knob 'nonsense'" in capsys.readouterr().err
    assert cli.main(["up", "--knob", "promote_s=-1"]) == cli.USAGE
    assert capsys.readouterr().err == "watchdogd-lab: promote_s=-1.0: a number from 0 on\n"
