"""What a pair remembers over a restart: written as JSON, read back whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.pair import EAST, WEST, policy_of, stamp
from watchdogd.core.known import Known, Loss
from watchdogd.core.model import StreamState
from watchdogd.daemon.keeping import known_kept, known_of, stamp_kept, stamp_of

KNOWN = Known(
    about=EAST,
    life=stamp(10.0),
    life_seen_by="our probe",
    state=StreamState.STREAM_WALS,
    state_at=stamp(9.0),
    loss=Loss(seconds=0.5, wal=3, told_by="WAL positions"),
    loss_at=stamp(9.5),
    follows_at=stamp(9.5),
    source_version="1.19.0+ent",
    confirmed=frozenset({EAST, WEST}),
    seen_primary=frozenset({EAST}),
    primary_at=stamp(10.0),
)


def through_json(known: Known) -> dict[str, object]:
    return dict(json.loads(json.dumps(known_kept(known, policy_of()))))


@pytest.mark.parametrize("known", [KNOWN, Known(), replace(KNOWN, loss=Loss(), life=None)])
def test_what_was_known_is_known_after_a_restart(known: Known) -> None:
    assert known_of(through_json(known), policy_of()) == known


def test_other_pins_in_the_config_make_everything_unknown() -> None:
    assert known_of(through_json(KNOWN), policy_of(replication_id="another")) == Known()


def test_what_cannot_be_read_is_as_if_it_was_never_written() -> None:
    good = through_json(KNOWN)
    assert known_of(None, policy_of()) == Known()
    for key in good.keys() - {"primary_at"}:
        broken = {k: v for k, v in good.items() if k != key}
        assert known_of(broken, policy_of()) == Known(), key
    earlier = {key: value for key, value in good.items() if key != "primary_at"}  # as an earlier version wrote it
    assert known_of(earlier, policy_of()) == replace(KNOWN, primary_at=None)
    assert known_of({**good, "state": "melting"}, policy_of()) == Known()
    assert known_of({**good, "loss_s": "much"}, policy_of()) == Known()


def test_a_stamp_survives_and_nonsense_is_no_stamp() -> None:
    assert stamp_of(stamp_kept(stamp(3.0))) == stamp(3.0)
    for nonsense in (None, 3, "now", {}, {"at_s": "x", "at_utc_s": 1.0, "boot_id": ""}):
        assert stamp_of(nonsense) is None
