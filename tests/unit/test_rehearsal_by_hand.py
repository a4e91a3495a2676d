"""What a person asks Vault in a scenario: how it leaves, and how the answer is judged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from watchdogd.lab.scenario import Ask
from watchdogd.rehearsal.by_hand import sent, take

ASK = Ask(
    target="west/1",
    method="POST",
    path="sys/replication/dr/secondary/update-primary",
    caller="root_token",
    body='{"token": "$activation", "addrs": ["$address", "plain"], "force": true}',
    status=200,
    says=('"ttl": 1800',),
    lacks=("west-2",),
    keep={"nonce": "data.nonce"},
)
VALUES = {"root_token": "hvs.root", "activation": "ey.a", "address": "https://127.3.1.1:8201"}
RIGHT = b'{"ttl":1800,"data":{"nonce":"n-1"}}'


def test_every_value_is_in_its_place_when_it_leaves() -> None:
    leaving = sent(ASK, VALUES)
    assert leaving.path_and_query == "/v1/sys/replication/dr/secondary/update-primary"
    assert leaving.headers == {"X-Vault-Token": "hvs.root"}
    assert json.loads(leaving.body) == {"token": "ey.a", "addrs": ["https://127.3.1.1:8201", "plain"], "force": True}


def test_nothing_leaves_without_a_value_that_nobody_kept() -> None:
    with pytest.raises(KeyError, match="activation"):
        sent(ASK, {"root_token": "hvs.root"})


def test_without_a_caller_and_a_body_nothing_is_sent_along() -> None:
    leaving = sent(replace(ASK, caller="", body=""), {})
    assert (leaving.headers, leaving.body) == ({}, b"")


def test_what_a_right_answer_gives_is_kept() -> None:
    kept = {"before": "b"}
    assert take(ASK, 200, RIGHT, kept) == ()
    assert kept == {"before": "b", "nonce": "n-1"}


@pytest.mark.parametrize(
    ("status", "body", "wrong"),
    [
        (500, RIGHT, "200 wanted"),
        (200, b'{"data":{"nonce":"n-1"}}', "'\"ttl\": 1800' wanted"),
        (200, b'{"ttl":1800,"id":"west-2","data":{"nonce":"n-1"}}', "no 'west-2' wanted"),
        (200, b'{"ttl":1800,"data":{"nonce":7}}', "without a text data.nonce"),
        (200, b'{"ttl":1800,"data":null}', "without a text data.nonce"),
        (0, b"SSH-2.0", "was answered 0 SSH-2.0"),
    ],
)
def test_an_answer_that_is_not_what_the_scenario_says_is_told_and_nothing_of_it_is_kept(
    status: int, body: bytes, wrong: str
) -> None:
    kept: dict[str, str] = {}
    (told,) = take(ASK, status, body, kept)
    assert told.startswith("POST sys/replication/dr/secondary/update-primary at west/1 was answered")
    assert wrong in told
    assert kept == {}
