"""Values as Vault reads them out of a request: Go's durations, whole numbers, whole days."""

import json

import pytest

from tests.unit.lab.asking import asker
from watchdogd.lab.call import duration_s
from watchdogd.lab.reply import Rejected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3600", 3600),
        ("30m", 1800),
        ("1h0m0s", 3600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("500ms", 0.5),
        ("2d", 172800),
        ("0s", 0),
        ("0", 0),
        ("+5s", 5),
        ("", 0),
    ],
)
def test_a_duration_is_read_as_go_writes_it(text: str, seconds: float) -> None:
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["1x", "h", "1h 30m", "1.5", "1.5d", "-1s", "-5", "1h30", "1e9", "inf", "nan", "s", "+"]
)
def test_what_go_cannot_read_is_refused_and_named(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        duration_s(text)
    assert refused.value.reply.status == 400
    assert text in json.loads(refused.value.reply.body)["errors"][0]


def test_a_duration_longer_than_go_can_count_is_refused() -> None:
    with pytest.raises(Rejected):
        duration_s("9999999999")


def test_a_token_may_be_asked_for_in_the_durations_of_the_command_line() -> None:
    a = asker()
    said = a.post("east/1", "auth/token/create", {"policies": ["default"], "ttl": "1h0m0s"}, token=a.has["root_token"])
    assert said.json["auth"]["lease_duration"] == 3600
