"""The document of the socket API: one declaration, which the server routes and reads by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jsonschema_rs
import pytest

from watchdogd.daemon.api import REFUSED, ROUTES, VERBS
from watchdogd.daemon.bodies import Excused, FailingOver, Order, Reasoned, Startable, Unreadable, read
from watchdogd.daemon.openapi import document, document_text
from watchdogd.daemon.orders import ACTING
from watchdogd.daemon.protocol import STATUS_OF, Code
from watchdogd.runbooks.catalog import PROCEDURES

ROOT = Path(__file__).parents[3]
DOCUMENT: Any = document()


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        value = list(value.values())
    for inner in value if isinstance(value, list) else []:
        yield from refs(inner)


def test_the_document_that_is_kept_is_the_one_of_the_code() -> None:
    kept = (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")
    assert kept == document_text(), "run `make schema`"


def test_whatever_the_document_refers_to_is_in_it() -> None:
    named = {ref.removeprefix("#/components/schemas/") for ref in refs(DOCUMENT)}
    assert named == set(DOCUMENT["components"]["schemas"])
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def test_what_can_be_started_is_what_has_a_procedure() -> None:
    assert set(get_args(Startable)) == {runbook.value for runbook in PROCEDURES}


def test_every_code_has_a_status_that_the_document_explains() -> None:
    assert set(STATUS_OF) == set(Code)
    assert set(STATUS_OF.values()) == set(REFUSED)


def test_every_operation_says_what_it_may_answer() -> None:
    for route in ROUTES:
        said = DOCUMENT["paths"]["/v1" + route.path][route.method.lower()]
        statuses = {int(status) for status in said["responses"]}
        assert statuses - set(REFUSED) == (set() if route.instead else {route.status}), route.verb
        assert {429, 503} <= statuses
        if route.method == "POST":
            assert {400, 403, 409, 413} <= statuses


BODIES = [route for route in ROUTES if route.body is not None]


def test_every_act_is_given_the_body_that_its_route_reads() -> None:
    given = {verb: get_type_hints(act)["order"] for verb, act in ACTING.items()}
    assert given == {verb: Order[VERBS[verb].body] for verb in ACTING}  # type: ignore[name-defined,misc]


def wrong_with(body: Any, given: dict[str, object]) -> str:
    try:
        read(body, given)
    except Unreadable as exc:
        return str(exc)
    return ""


@pytest.mark.parametrize("route", BODIES, ids=lambda route: route.verb)
@pytest.mark.parametrize(
    "body",
    [
        {"reason": "x", "target": "west", "runbook": "failover", "cluster": "west", "waive": "loss"},
        {"reason": " \t", "target": "west", "cluster": "west", "waive": "loss"},
        {"reason": "x", "target": 1, "cluster": None, "waive": {"loss": True}, "for_s": True},
        {"reason": "x", "for_s": 0},
        {"reason": "x", "for_s": 1e9},
        {"reason": "x", "target": "west", "waive": ["loss", "node:https://10.1.0.1:8200"]},
        {"reason": "x", "plan_hash": "00ff00ff00ff00ff"},
        {"plan_hash": "00FF00FF00FF00FF"},
        {"reason": "x", "request_id": "r" * 129},
        {"reason": "x", "request_id": None},
        {"reason": "x", "nonsense": 1},
        {},
    ],
)
def test_the_daemon_reads_exactly_what_the_document_allows(route: Any, body: dict[str, object]) -> None:
    schema = {"$ref": f"#/components/schemas/{route.body.__name__}", "components": DOCUMENT["components"]}
    assert jsonschema_rs.Draft202012Validator(schema).is_valid(body) is (wrong_with(route.body, body) == "")


REASON_NEEDED = "reason: a reason is needed: it is journalled with your uid"


@pytest.mark.parametrize(
    ("body", "given", "said"),
    [
        (Reasoned, {}, REASON_NEEDED),
        (Reasoned, {"reason": " "}, REASON_NEEDED),
        (Reasoned, {"reason": 5}, "reason: Input should be a valid string"),
        (Excused, {"reason": 5}, "reason: Input should be a valid string"),
        (FailingOver, {"reason": "x", "target": " "}, "target: it must not be blank"),
    ],
)
def test_what_cannot_be_read_is_said_for_people(body: Any, given: dict[str, object], said: str) -> None:
    assert wrong_with(body, given) == said
