"""Every body that was documented or observed, both generations of everything, and the typing traps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.vectors import Vector, vector, vectors
from watchdogd.adapters.vault import parse
from watchdogd.core.model import ConnectionState, Health, Mode, Replication, StreamState
from watchdogd.errors import MalformedReply

DR, PERFORMANCE = Replication.DR, Replication.PERFORMANCE
ANSWERED = [v for v in vectors() if v.body is not None and (v.status or 0) < 300 and "errors" not in (v.body or {})]


def of(*parts: str) -> list[Vector]:
    return [v for v in ANSWERED if v.path and any(part in v.path for part in parts)]


def named(vector: Vector) -> str:
    return vector.name


def changed(name: str, **values: object) -> bytes:
    """The body of a vector with fields of its `data` (or of itself) set; `...` takes a field away."""
    body: dict[str, Any] = json.loads(vector(name).raw)
    part = body.get("data") or body
    part |= {k: v for k, v in values.items() if v is not ...}
    for key in [k for k, v in values.items() if v is ...]:
        part.pop(key, None)
    return json.dumps(body).encode()


@pytest.mark.parametrize("case", of("/sys/health"), ids=named)
def test_every_documented_health_body_is_read(case: Vector) -> None:
    health = parse.parse_health(case.raw)
    assert case.body["initialized"] is health.initialized  # type: ignore[index]
    assert case.body["sealed"] is health.sealed  # type: ignore[index]
    assert case.body.get("cluster_id") == health.cluster_id  # type: ignore[attr-defined]


@pytest.mark.parametrize("case", of("/sys/leader"), ids=named)
def test_every_documented_leader_body_is_read(case: Vector) -> None:
    names = parse.parse_names(case.raw)
    assert case.body["is_self"] is names.is_self  # type: ignore[index]
    assert case.body.get("leader_address", "") == names.address  # type: ignore[attr-defined]


@pytest.mark.parametrize("case", of("replication/status", "dr/status", "performance/status"), ids=named)
@pytest.mark.parametrize("kind", list(Replication))
def test_every_documented_replication_status_is_read(case: Vector, kind: Replication) -> None:
    data = case.body["data"]  # type: ignore[index]
    data = data.get(kind.value, data)
    status = parse.parse_replication_status(case.raw, kind)
    assert status.mode.value == data["mode"]
    assert status.cluster_id == data.get("cluster_id")
    assert status.last_remote_wal == data.get("last_remote_wal")
    assert status.state.value == data.get("state", "absent")
    peers = data.get("primaries" if data["mode"] == "secondary" else "secondaries")
    assert (status.peers is None) is (peers is None)


@pytest.mark.parametrize("case", of("generate-operation-token", "generate-root"), ids=named)
def test_every_documented_token_attempt_is_read(case: Vector) -> None:
    attempt = parse.parse_attempt(case.raw)
    assert attempt.started is case.body["started"]  # type: ignore[index]
    assert (attempt.otp.reveal() if attempt.otp else "") == case.body.get("otp", "")  # type: ignore[attr-defined]


@pytest.mark.parametrize("case", of("autopilot/state"), ids=named)
def test_every_documented_autopilot_state_is_read(case: Vector) -> None:
    state = parse.parse_autopilot_state(case.raw)
    assert state.active_server == case.body["data"]["leader"]  # type: ignore[index]
    assert dict(state.servers) == {k: v["healthy"] for k, v in case.body["data"]["servers"].items()}  # type: ignore[index]


@pytest.mark.parametrize("case", of("lookup-self"), ids=named)
def test_every_documented_lookup_self_is_read(case: Vector) -> None:
    info = parse.parse_token_info(case.raw)
    assert info.ttl_s == case.body["data"]["ttl"]  # type: ignore[index]
    assert (info.expires_utc_s is None) is (case.body["data"]["expire_time"] is None)  # type: ignore[index]


def test_numbers_come_as_numbers_or_as_strings() -> None:
    # Source: REPDOC: inside peers the milliseconds are strings, and -1 is a skew.
    status = parse.parse_replication_status(vector("replication-status-perf-secondary-and-dr-primary-doc-2024").raw, DR)
    assert status.peers is not None
    assert status.peers[0].clock_skew_ms == -1
    as_number = changed("dr-status-primary-doc-2024", last_dr_wal="224", ssct_generation_counter="0")
    assert parse.parse_replication_status(as_number, DR).last_kind_wal == 224


def test_the_wal_of_the_pair_s_own_kind_is_taken() -> None:
    body = changed("dr-status-primary-doc-2024", last_dr_wal=5, last_performance_wal=7)
    assert parse.parse_replication_status(body, DR).last_kind_wal == 5
    assert parse.parse_replication_status(body, PERFORMANCE).last_kind_wal == 7


def test_a_status_of_before_heartbeats_has_none() -> None:
    status = parse.parse_replication_status(vector("trace12-2-dr-secondary-healthy").raw, DR)
    assert status.peers is None
    assert status.connection_state is ConnectionState.ABSENT
    assert status.state is StreamState.STREAM_WALS


@pytest.mark.parametrize("peers", [None, ..., []], ids=["null", "absent", "empty"])
def test_peers_of_a_demoted_cluster_may_be_null_absent_or_empty(peers: object) -> None:
    body = changed("perf-status-secondary-doc", primaries=peers)
    assert parse.parse_replication_status(body, PERFORMANCE).peers == (() if peers == [] else None)


@pytest.mark.parametrize("beat", [None, "", "0001-01-01T00:00:00Z"])
def test_a_heartbeat_that_never_was_is_none(beat: str | None) -> None:
    body = changed("perf-status-secondary-doc", primaries=[{"api_address": "https://a", "last_heartbeat": beat}])
    peers = parse.parse_replication_status(body, PERFORMANCE).peers
    assert peers is not None
    assert peers[0].last_heartbeat_utc_s is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-03-04T10:05:56-05:00", 1709564756.0),
        ("2024-03-04T15:05:56Z", 1709564756.0),
        ("2024-03-04T15:05:56.5z", 1709564756.5),
        ("2018-06-18T17:22:07.129747708Z", 1529342527.129747),
    ],
)
def test_a_heartbeat_carries_the_offset_of_its_node(text: str, seconds: float) -> None:
    body = changed("perf-status-secondary-doc", primaries=[{"last_heartbeat": text}])
    peers = parse.parse_replication_status(body, PERFORMANCE).peers
    assert peers is not None
    assert peers[0].last_heartbeat_utc_s == pytest.approx(seconds, abs=1e-5)


@pytest.mark.parametrize(
    "text", ["2024-03-04", "yesterday", "2024-13-04T10:05:56Z", "2024-03-04T10:05:56", "1709564756"]
)
def test_a_heartbeat_that_is_no_time_is_malformed(text: str) -> None:
    with pytest.raises(MalformedReply):
        parse.parse_replication_status(changed("perf-status-secondary-doc", primaries=[{"last_heartbeat": text}]), DR)


def test_words_that_we_do_not_know_stay_unknown() -> None:
    body = changed("dr-status-primary-doc-2024", mode="observer", state="merkle-dance", connection_state="LOST")
    status = parse.parse_replication_status(body, DR)
    assert (status.mode, status.state, status.connection_state) == (
        Mode.UNKNOWN,
        StreamState.OTHER,
        ConnectionState.OTHER,
    )


def test_community_edition_answers_flat_and_bare_data_is_read_too() -> None:
    assert parse.parse_replication_status(vector("replication-status-ce").raw, PERFORMANCE).mode is Mode.DISABLED
    assert parse.parse_replication_status(b'{"mode":"secondary"}', DR).mode is Mode.SECONDARY


def test_a_sealed_node_shows_no_ids_and_unknown_modes() -> None:
    health = parse.parse_health(vector("obs:obs4:health after seal").raw)
    assert (health.sealed, health.cluster_id, health.dr_mode) == (True, None, Mode.UNKNOWN)


def test_redacted_fields_are_silence() -> None:
    health = parse.parse_health(changed("health-active-doc-0.9.2", version="", cluster_name="", cluster_id=""))
    assert (health.version, health.cluster_name, health.cluster_id) == ("", None, None)


def test_an_attempt_of_the_authenticated_route_may_stand_under_data() -> None:
    bare = vector("drop-attempt-start-doc")
    wrapped = json.dumps({"request_id": "x", "data": bare.body, "warnings": None}).encode()
    assert parse.parse_attempt(wrapped) == parse.parse_attempt(bare.raw)
    assert "2vPFYG8gUSW9npwzyvxXMug0" not in repr(parse.parse_attempt(bare.raw))


def health_with(**values: object) -> Callable[[], Health]:
    return lambda: parse.parse_health(changed("health-dr-secondary-1.9-doc", **values))


@pytest.mark.parametrize(
    "read",
    [
        health_with(sealed=1),
        health_with(sealed="false"),
        health_with(sealed=None),
        health_with(standby=...),
        health_with(server_time_utc=True),
        health_with(server_time_utc=1.5),
        health_with(server_time_utc=10**30),
        health_with(last_wal="13a"),
        health_with(license=[]),
        health_with(cluster_id=7),
        health_with(cluster_id="\ud800"),
        health_with(cluster_name="x" * 10_000),
    ],
)
def test_a_field_of_the_wrong_type_is_malformed(read: Callable[[], Health]) -> None:
    with pytest.raises(MalformedReply):
        read()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe{}",
        b"[]",
        b"null",
        b"true",
        b'"x"',
        b'{"initialized":NaN}',
        b"[" * 200_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b'{"server_time_utc":' + b"9" * 10_000 + b"}",
        b"<html>503 Service Unavailable</html>",
        b'{"initialized":true,"sealed":false,"standby":fal',
        b" " * (256 * 1024 + 1),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_not_one_json_object_is_malformed(body: bytes) -> None:
    for read in (parse.parse_health, parse.parse_names, parse.parse_attempt, parse.parse_autopilot_state):
        with pytest.raises(MalformedReply):
            read(body)


def test_mode_is_the_one_field_of_a_status_that_must_be_there() -> None:
    with pytest.raises(MalformedReply):
        parse.parse_replication_status(changed("dr-status-primary-doc-2024", mode=...), DR)
    assert parse.parse_replication_status(b'{"data":{"mode":"primary"}}', DR).mode is Mode.PRIMARY
