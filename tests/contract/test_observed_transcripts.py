"""The lab told again what was observed of a real server (`obs:` in tests/data/vault/api-vectors.json), in order.

The recordings are of OpenBao 2.7.2, a fork of Vault without Enterprise. What the lab answers otherwise is listed here,
each with its reason; so is what it is not asked. An entry that no longer holds fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from itertools import product

import pytest

from tests.support.observed import TRANSCRIPTS, replay_of, transcript
from tests.support.vectors import Vector, vectors
from watchdogd.adapters.vault import parse
from watchdogd.core.model import Replication
from watchdogd.errors import MalformedReply

# Requests that the lab is not asked.
LEFT_OUT: Mapping[str, str] = {
    "obs:obs2:replication/status (openbao)": "OpenBao has no replication; Vault's is in the tests of the lab",
    "obs:obs2:replication/dr/status (openbao)": "OpenBao has no replication; Vault's is in the tests of the lab",
}

BUILT = "OpenBao tells commit_date, Vault build_date and not yet in this version (SEALDOC)"
ENTERPRISE = "a field of Vault Enterprise that the fork left out (HEALTHSRC, APILEADER, APIRAFT)"
MODES = "OpenBao calls itself performance primary; the world's cluster is a DR primary"
NEWER = "a field that OpenBao added"
STANDBY_READS = "standbys of OpenBao 2.7 serve reads; a standby of Vault without an active node answers 500 (HANDLER17)"
# (requests, difference as `where: recorded | of the lab`) -> why.
DIFFERENCES: Mapping[tuple[str, str], str] = {
    ("obs:*seal*", ".commit_date: str | absent"): BUILT,
    ("obs:*:*health*", ".performance_standby: absent | bool"): ENTERPRISE,
    ("obs:*:*leader*", ".performance_standby: absent | bool"): ENTERPRISE,
    ("obs:*:*leader*", ".performance_standby_last_remote_wal: absent | int"): ENTERPRISE,
    ("obs:obs1:leader active", ".last_wal: absent | int"): ENTERPRISE,
    ("obs:obs2:standby health", ".replication_performance_mode: 'primary' | 'unknown'"): (
        "just unsealed: no active node has told it yet (HEALTHDOC)"
    ),
    ("obs:obs2:standby health", ".replication_dr_mode: 'disabled' | 'unknown'"): (
        "just unsealed: no active node has told it yet (HEALTHDOC)"
    ),
    ("obs:obs2:standby health *", ".replication_performance_mode: 'primary' | 'disabled'"): MODES,
    ("obs:obs2:standby health *", ".replication_dr_mode: 'disabled' | 'primary'"): MODES,
    ("obs:obs2:raft autopilot state", ".data.optimistic_failure_tolerance: absent | int"): ENTERPRISE,
    ("obs:obs2:raft autopilot state", ".data.servers[].upgrade_version: absent | str"): ENTERPRISE,
    ("obs:obs2:raft autopilot state", ".data.failure_tolerance: 0 | 1"): "recorded with two nodes, told with three",
    (
        "obs:obs2:gr start bad otp",
        ".errors: ['OTP string has incorrect length'] | ['OTP string is wrong length']",
    ): "Vault's own text (GENROOT)",
    (
        "obs:obs2:gr start bad pgp",
        ".errors: ['error parsing PGP key: error decoding given PGP key: illegal base64 data at input byte 0']"
        " | ['error parsing PGP key: this world knows no PGP keys']",
    ): "the lab knows no PGP",
    ("obs:obs3:legacy policy read", ".allow_slashes_in_identity_templates: bool | absent"): NEWER,
    ("obs:obs3:legacy policy read", ".data.allow_slashes_in_identity_templates: bool | absent"): NEWER,
    ("obs:obs3:legacy policy read", ".allow_wildcards_in_identity_templates: bool | absent"): NEWER,
    ("obs:obs3:legacy policy read", ".data.allow_wildcards_in_identity_templates: bool | absent"): NEWER,
    ("obs:obs3:legacy policy read", ".cas_required: bool | absent"): NEWER,
    ("obs:obs3:legacy policy read", ".data.cas_required: bool | absent"): NEWER,
    ("obs:obs3:legacy policy read", ".modified: str | absent"): NEWER,
    ("obs:obs3:legacy policy read", ".data.modified: str | absent"): NEWER,
    ("obs:obs3:legacy policy read", ".version: int | absent"): NEWER,
    ("obs:obs3:legacy policy read", ".data.version: int | absent"): NEWER,
    ("obs:obs3:kv2 metadata", ".data.metadata_cas_required: bool | absent"): NEWER,
    ("obs:obs3:kv2 metadata", ".data.current_metadata_version: int | absent"): NEWER,
    (
        "obs:obs3:bad json",
        ".errors: [\"failed to decode JSON input: invalid character 'b' looking for beginning of value\"]"
        " | ['failed to parse JSON input: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)']",
    ): "Vault says `failed to parse` (HANDLER17); what follows is of the JSON reader",
    ("obs:obs5:quorum lost: read n1", "status: 200 | 500"): STANDBY_READS,
    ("obs:obs5:quorum lost: lookup-self", "status: 200 | 500"): STANDBY_READS,
    ("obs:obs5:approle login", ".auth.entity_id: 'UUID' | ''"): ("a world has no identities"),
}

# Documented and observed samples that are no longer true of any Vault that we look at: read, never modelled.
UUID_ERA = "before Vault 1.0 tokens were UUIDs; read by the daemon, never said by the lab"
FOSSILS: Mapping[str, str] = {
    "dr-secondary-promote-doc-stale": "the answer of before operation tokens, still printed in the documents",
    "dr-secondary-token-doc-stale": "a token of 2016: a bare UUID, where a JWT is given since",
    "drop-attempt-start-uuid-era": UUID_ERA,
    "drop-update-1of3-uuid-era": UUID_ERA,
    "drop-update-3of3-uuid-era": UUID_ERA,
    "drop-attempt-start-doc": "progress 1 right after the start and otp_length 24 were never observed",
    "xor-decode-uuid-era": UUID_ERA,
    "activation-jwt-payload-1.2": "the claims of before 1.10; the lab says those of 1.10 and later",
}


def listed(request: str, difference: str) -> list[tuple[str, str]]:
    return [(asked, told) for asked, told in DIFFERENCES if told == difference and fnmatchcase(request, asked)]


@pytest.fixture(scope="module")
def told() -> Mapping[str, list[str]]:
    """Every request of every transcript that the lab is asked, and how its answer differs."""
    seen: dict[str, list[str]] = {}
    for name in TRANSCRIPTS:
        replay = replay_of(name)
        seen |= {v.name: replay.repeat(v) for v in transcript(name) if v.name not in LEFT_OUT}
    return seen


def test_the_lab_answers_an_observed_transcript_as_the_real_server_did(told: Mapping[str, list[str]]) -> None:
    unlisted = [f"{name} {line}" for name, lines in told.items() for line in lines if not listed(name, line)]
    assert unlisted == []


def test_every_listed_difference_still_holds(told: Mapping[str, list[str]]) -> None:
    used = {entry for name, lines in told.items() for line in lines for entry in listed(name, line)}
    assert set(DIFFERENCES) - used == set()


def test_every_observed_request_is_asked_or_left_out_with_its_reason(told: Mapping[str, list[str]]) -> None:
    observed = {v.name for v in vectors() if v.name.startswith("obs:") and v.method != "-"}
    assert observed == set(told) | set(LEFT_OUT)
    assert len(told) > 100, "most of it is asked"


def test_fossils_are_there_and_are_documents_not_observations() -> None:
    by_name = {v.name: v for v in vectors()}
    assert all(not by_name[name].name.startswith("obs:") for name in FOSSILS)


PARSERS = {
    "health": parse.parse_health,
    "leader": parse.parse_names,
    "dr status": lambda body: parse.parse_replication_status(body, Replication.DR),
    "performance status": lambda body: parse.parse_replication_status(body, Replication.PERFORMANCE),
    "attempt": parse.parse_attempt,
    "autopilot": parse.parse_autopilot_state,
    "lookup-self": parse.parse_token_info,
}


@pytest.mark.parametrize("case", vectors(), ids=lambda case: case.name)
def test_every_body_through_every_parser_is_a_value_or_malformed(case: Vector) -> None:
    """Also the answer of another endpoint, which a proxy may send by mistake: never another exception (I8)."""
    for read in PARSERS.values():
        with suppress(MalformedReply):
            assert read(case.raw) is not None


def test_an_error_is_never_a_healthy_node_or_a_replication_status() -> None:
    refusals = [v for v in vectors() if isinstance(v.body, dict) and "errors" in v.body]
    readers = ("health", "leader", "dr status", "performance status", "attempt")
    for case, name in product(refusals, readers):
        with pytest.raises(MalformedReply):
            PARSERS[name](case.raw)
