"""The first table of DESIGN section 4, row by row: what one probe round of one node counts as."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pair import EAST, REPLICATION_ID, VAULT_ID, health_of, names_of, nodes_of, status_of
from watchdogd.core.model import Attempt, Mode, Pins, Raw, RawRound, Reading
from watchdogd.core.readings import NO_ACTIVE_NODE, read

PINS = Pins(vault_id=VAULT_ID[EAST], replication_id=REPLICATION_ID)
SPOKE = Raw(attempt=Attempt.ANSWERED, status=200)
QUIET = Raw(attempt=Attempt.SILENT, detail="refused")
OURS = Raw(attempt=Attempt.OURS, detail="TLS")
SOME_BYTES = Raw(attempt=Attempt.BROKEN, detail="reset after 7 bytes")
ACTIVE = RawRound(
    cluster=EAST, node=nodes_of(EAST)[0], started_s=1.0, ended_s=1.1, health_raw=SPOKE, names_raw=SPOKE,
    status_raw=SPOKE, health=health_of(EAST), names=names_of(EAST, is_self=True), replication=status_of(Mode.PRIMARY),
)  # fmt: skip
STANDBY = replace(ACTIVE, health=health_of(EAST, standby=True), names=names_of(EAST, is_self=False))
NOBODY = replace(names_of(EAST, is_self=False), address="", cluster_address="")
DEAD = replace(ACTIVE, health_raw=QUIET, names_raw=QUIET, status_raw=QUIET, health=None, names=None, replication=None)


def unnamed(raw: RawRound, names_raw: Raw) -> RawRound:
    return replace(raw, names_raw=names_raw, names=None)


def failed(status: int, detail: str = "") -> Raw:
    return Raw(attempt=Attempt.ANSWERED, status=status, detail=detail)


TABLE = {
    "active": (ACTIVE, Reading.ACTIVE),
    "active, says 474 of itself": (
        replace(ACTIVE, health=health_of(EAST, ha_connection_healthy=False)), Reading.ACTIVE,
    ),
    "active without HA": (replace(ACTIVE, names=replace(NOBODY, ha_enabled=False)), Reading.ACTIVE),
    "ids redacted": (replace(ACTIVE, health=health_of(EAST, cluster_id=None)), Reading.ACTIVE),
    "standby": (STANDBY, Reading.FOLLOWS),
    "performance standby": (
        replace(STANDBY, health=health_of(EAST, standby=True, performance_standby=True)), Reading.FOLLOWS,
    ),
    "standby that names nobody": (replace(STANDBY, names=NOBODY), Reading.LEADERLESS),
    "standby that lost its active node (474)": (
        replace(STANDBY, health=health_of(EAST, standby=True, ha_connection_healthy=False)), Reading.LEADERLESS,
    ),
    "removed (530)": (replace(ACTIVE, health=health_of(EAST, removed_from_cluster=True)), Reading.LEADERLESS),
    "no active node found": (
        replace(STANDBY, health=None, health_raw=failed(500, f"1 error: {NO_ACTIVE_NODE}")), Reading.LEADERLESS,
    ),
    "standby, sys/leader knows no active node": (unnamed(STANDBY, failed(500, NO_ACTIVE_NODE)), Reading.LEADERLESS),
    "standby, sys/leader errs otherwise": (unnamed(STANDBY, failed(502)), Reading.STRANGE),
    "standby, sys/leader too slow": (unnamed(STANDBY, QUIET), Reading.STRANGE),
    "active by health, names nobody": (replace(ACTIVE, names=NOBODY), Reading.LEADERLESS),
    "active by health, sys/leader errs": (unnamed(ACTIVE, failed(500, "internal error")), Reading.LEADERLESS),
    "active by health, sys/leader answered by a proxy": (unnamed(ACTIVE, failed(502)), Reading.STRANGE),
    "active by health, sys/leader silent": (unnamed(ACTIVE, QUIET), Reading.LEADERLESS),
    "active by health, sys/leader forbidden": (unnamed(ACTIVE, failed(403)), Reading.STRANGE),
    "active by health, sys/leader rate-limited": (unnamed(ACTIVE, failed(429)), Reading.STRANGE),
    "active by health, sys/leader not by our fault": (unnamed(ACTIVE, OURS), Reading.OURS),
    "sealed": (replace(ACTIVE, health=health_of(EAST, sealed=True, cluster_id=None)), Reading.SEALED),
    "uninitialised": (replace(ACTIVE, health=health_of(EAST, initialized=False, sealed=True)), Reading.UNINIT),
    "silent": (DEAD, Reading.SILENT),
    "silent at an address that never worked": (replace(DEAD, ever_answered=False), Reading.OURS),
    "silent by health, answers elsewhere": (replace(DEAD, names_raw=SPOKE), Reading.STRANGE),
    "silent by health, some bytes elsewhere": (replace(DEAD, status_raw=SOME_BYTES), Reading.STRANGE),
    "silent by health, our own trouble elsewhere": (replace(DEAD, names_raw=OURS), Reading.OURS),
    "TLS": (replace(DEAD, health_raw=OURS), Reading.OURS),
    "half an answer": (replace(DEAD, health_raw=SOME_BYTES), Reading.STRANGE),
    "not JSON": (replace(DEAD, health_raw=Raw(attempt=Attempt.MALFORMED)), Reading.STRANGE),
    "an empty load balancer": (replace(DEAD, health_raw=failed(503)), Reading.STRANGE),
    "another cluster": (replace(ACTIVE, health=health_of(EAST, cluster_id="x")), Reading.STRANGE),
    "another replication": (replace(ACTIVE, replication=status_of(Mode.PRIMARY, cluster_id="x")), Reading.STRANGE),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_a_round_reads_as_the_table_says(case: str) -> None:
    raw, reading = TABLE[case]
    seen = read(raw, PINS)
    assert seen.reading is reading, seen.why
    assert seen.why or not raw.health_raw.detail


def test_only_what_says_active_while_nobody_is_named_is_active_by_health_alone() -> None:
    found = {case for case, (raw, _) in TABLE.items() if read(raw, PINS).active_by_health_alone}
    assert found == {
        "active by health, names nobody", "active by health, sys/leader errs", "active by health, sys/leader silent",
    }  # fmt: skip


def test_only_a_different_id_is_a_mismatch() -> None:
    found = {case for case, (raw, _) in TABLE.items() if read(raw, PINS).wrong_id}
    assert found == {"another cluster", "another replication"}


attempts = st.builds(
    Raw, attempt=st.sampled_from(Attempt), status=st.sampled_from([None, 200, 299, 403, 429, 500, 502]),
    detail=st.sampled_from(["", NO_ACTIVE_NODE]),
)  # fmt: skip
rounds = st.builds(
    RawRound, cluster=st.just(EAST), node=st.just(nodes_of(EAST)[0]), started_s=st.just(0.0), ended_s=st.just(1.0),
    health_raw=attempts, names_raw=attempts, status_raw=attempts,
    health=st.sampled_from([None, *(raw.health for raw, _ in TABLE.values())]),
    names=st.sampled_from([None, NOBODY, names_of(EAST, is_self=True), names_of(EAST, is_self=False)]),
    replication=st.sampled_from([None, status_of(Mode.PRIMARY), status_of(Mode.PRIMARY, cluster_id="x")]),
    ever_answered=st.booleans(),
)  # fmt: skip


gave_up = st.sampled_from([Raw(attempt=Attempt.SILENT, timed_out=True), Raw(attempt=Attempt.BROKEN, timed_out=True)])
with_time_outs = st.builds(
    replace, rounds, health_raw=attempts | gave_up, names_raw=attempts | gave_up, status_raw=attempts | gave_up,
    timeout_s=st.just(2.0),
)  # fmt: skip


@given(with_time_outs, st.floats(0.0, 10.0))
def test_what_timed_out_while_we_were_late_says_nothing_and_all_else_says_what_it_says(
    raw: RawRound, late_s: float
) -> None:
    punctual, seen = read(raw, PINS), read(replace(raw, late_s=late_s), PINS)
    given_up = [part for part in (raw.health_raw, raw.names_raw, raw.status_raw) if part.timed_out]
    if late_s < 0.5 or not given_up:
        assert seen == punctual
        return
    if seen.reading is Reading.SILENT:
        raise AssertionError("a part of the round has to be our fault")
    if seen.reading is Reading.LEADERLESS:
        assert not raw.health_raw.timed_out
        assert raw.names is not None or not raw.names_raw.timed_out
    assert seen.is_life is punctual.is_life
    assert seen.we_were_late is (seen.reading is Reading.OURS is not punctual.reading)
    assert "we were late" in seen.why or not seen.we_were_late


REFUSED, GAVE_UP = Raw(attempt=Attempt.SILENT, detail="refused"), Raw(attempt=Attempt.SILENT, timed_out=True)
DEAD_BY_TIME = replace(DEAD, health_raw=GAVE_UP, names_raw=GAVE_UP, status_raw=GAVE_UP, timeout_s=2.0)


@pytest.mark.parametrize(
    ("raw", "late_s", "reading"),
    [
        (DEAD_BY_TIME, 0.49, Reading.SILENT),
        (DEAD_BY_TIME, 0.5, Reading.OURS),
        (replace(DEAD, health_raw=REFUSED, names_raw=REFUSED, status_raw=REFUSED, timeout_s=2.0), 9.0, Reading.SILENT),
        (replace(DEAD, health_raw=REFUSED, names_raw=REFUSED, status_raw=GAVE_UP, timeout_s=2.0), 0.5, Reading.OURS),
        (replace(unnamed(ACTIVE, GAVE_UP), timeout_s=2.0), 0.49, Reading.LEADERLESS),
        (replace(unnamed(ACTIVE, GAVE_UP), timeout_s=2.0), 0.5, Reading.OURS),
        (replace(ACTIVE, timeout_s=2.0), 9.0, Reading.ACTIVE),
        (replace(ACTIVE, status_raw=GAVE_UP, replication=None, timeout_s=2.0), 9.0, Reading.ACTIVE),
    ],
)  # fmt: skip
def test_a_time_out_is_our_fault_from_a_quarter_of_the_round_on(raw: RawRound, late_s: float, reading: Reading) -> None:
    assert read(replace(raw, late_s=late_s), PINS).reading is reading


@given(rounds)
def test_anything_reads_as_something_and_silence_needs_silence_everywhere(raw: RawRound) -> None:
    # I8: garbage in is unknown, never a crash, never down, never up.
    seen = read(raw, PINS)
    if seen.reading is Reading.SILENT:
        assert raw.ever_answered
        assert {raw.health_raw.attempt, raw.names_raw.attempt, raw.status_raw.attempt} == {Attempt.SILENT}
    if seen.reading in (Reading.ACTIVE, Reading.FOLLOWS):
        assert raw.health is not None
        assert raw.names is not None
        assert not seen.wrong_id
