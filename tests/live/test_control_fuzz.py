"""The control socket asked at random: whatever comes, an answer of the API comes back, and nothing starts by accident.

The real server on a real unix socket, in front of a daemon in a simulated world; on virtual time, so that its limit of
requests a second costs nothing. Some requests are garbage; most are such as an operator sends, and come as far as
the verbs themselves: each test demands that every kind of answer was seen.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.configs import good, put
from tests.support.memory import ListNotifier
from tests.support.stage import Stage
from watchdogd.adapters.config import parse_config
from watchdogd.core.entries import Runbook, RunOpened
from watchdogd.core.gates import WAIVABLE
from watchdogd.core.policy import Level
from watchdogd.daemon.api import ROUTES, Route
from watchdogd.daemon.control import ControlServer
from watchdogd.daemon.protocol import API
from watchdogd.rehearsal.site import PAIR

pytestmark = [pytest.mark.live, pytest.mark.looptime(noop_cycles=1, idle_timeout=5), pytest.mark.timeout(300)]

STATUSES = {200, 202, 400, 403, 404, 409, 413, 422, 429, 503}
READY_S = 25.0
LAST_PLAN, LAST_RUN = "the last plan", "the last run"
WORDS = st.one_of(
    st.sampled_from([PAIR, "*", "west", "east", "nobody", "", "proof", "anchors", "-1", "1", "true", "failover", "²"]),
    st.text(max_size=12),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)
NAMES = "target reason now waive request_id for_s accept_loss plan_hash cluster action step".split()
BODIES = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(st.one_of(st.sampled_from(NAMES), WORDS), JSON, max_size=6).map(lambda d: json.dumps(d).encode()),
)
QUERIES = st.dictionaries(st.sampled_from(["pair", "limit", "before", "action", "target", "x"]), WORDS, max_size=3)
METHODS = st.sampled_from(["", "", "", "GET", "POST", "PUT", "DELETE"])
GARBAGE = st.tuples(st.sampled_from(ROUTES), WORDS, METHODS, QUERIES, BODIES)

CLUSTERS = st.sampled_from(["west", "west", "east", "nobody"])
WAIVED = st.lists(st.sampled_from(sorted(WAIVABLE)), max_size=3) | st.sampled_from(["", "window", "window,loss", "ids"])
SENSIBLE: Mapping[str, st.SearchStrategy[Any]] = {
    "reason": st.just("a test"),
    "target": CLUSTERS,
    "cluster": CLUSTERS,
    "waive": WAIVED,
    "now": st.booleans(),
    "runbook": st.sampled_from(Runbook),
    "for_s": st.sampled_from([1, 5.5, 60]),
    "plan_hash": st.sampled_from([LAST_PLAN, LAST_PLAN, "00ff00ff00ff00ff"]),
    "request_id": st.sampled_from(["r1", "r2", "r3"]),
}
# What leads somewhere is asked more often than what only stops everything, or is always refused.
WEIGHTS = {"failover": 6, "plan": 6, "approve": 6, "start": 3, "resume": 6, "run": 3, "pause": 1}
WISE_ROUTES = [route for route in ROUTES for _ in range(WEIGHTS.get(route.verb, 2))]


@st.composite
def wise(draw: st.DrawFn) -> tuple[Route, str, str, dict[str, str], bytes]:
    """What an operator might send, right or not."""
    route = draw(st.sampled_from(WISE_ROUTES))
    word = LAST_RUN if "{run_id}" in route.path else PAIR
    query = {"target": draw(CLUSTERS), "waive": draw(st.sampled_from(["", "window"]))} if route.verb == "plan" else {}
    fields = route.body.model_fields if route.body is not None else {}
    is_there = {name: field.is_required() or draw(st.booleans()) for name, field in fields.items()}
    body = {name: draw(SENSIBLE[name]) for name, there in is_there.items() if there}
    return route, word, "", query, json.dumps(body).encode() if route.method == "POST" else b""


ROUTE = {route.verb: route for route in ROUTES}
FAILOVERS = [
    ((ROUTE["failover"], PAIR, "", {}, json.dumps({"target": target, "reason": "a test"}).encode()),)
    for target in ("west", "east")
]
PLAN_AND_APPROVE = (
    (ROUTE["plan"], PAIR, "", {"target": "west"}, b""),
    (ROUTE["approve"], PAIR, "", {}, json.dumps({"plan_hash": LAST_PLAN}).encode()),
)
# One of each answer that every test must meet: chance alone may leave one of them out.
ONE_OF_EACH = [
    (ROUTE["status"], PAIR, "", {}, b""),  # 200
    (ROUTE["failover"], PAIR, "", {}, b"[]"),  # 400
    (ROUTE["explain"], "nobody", "", {}, b""),  # 404
    *FAILOVERS[1],  # 409: east is the elected cluster
    (ROUTE["heal"], PAIR, "", {}, json.dumps({"reason": "a test"}).encode()),  # 422: not there yet
]
GARBLED, WISE = GARBAGE.map(lambda one: (one,)), wise().map(lambda one: (one,))
REQUESTS = st.lists(
    st.one_of(GARBLED, WISE, WISE, st.sampled_from([*FAILOVERS, PLAN_AND_APPROVE])), min_size=4, max_size=12
).map(lambda chunks: [request for chunk in chunks for request in chunk])


class Client:
    """Sends requests, and remembers what the answers named."""

    def __init__(self, session: aiohttp.ClientSession, seen: Counter[int]) -> None:
        self._session = session
        self._seen = seen
        self._plan, self._run = "0" * 16, "nobody"

    async def send(self, request: tuple[Any, ...]) -> None:
        """One request, and what must hold of every answer."""
        route, word, other, query, body = request
        url = f"http://watchdogd{self._path(route.path, word)}"
        body = body.replace(LAST_PLAN.encode(), self._plan.encode())
        async with self._session.request(other or route.method, url, params=query, data=body) as reply:
            status, answer = reply.status, json.loads(await reply.read())
        assert is_of_the_api(status, answer), (status, answer)
        self._seen[status] += 1
        self._plan = answer.get("plan_hash", self._plan)
        self._run = answer.get("run_id", self._run)

    def _path(self, template: str, word: str) -> str:
        """The path with `word` in its place, or with the pair there is where the word would change the path."""
        safe = self._run if word == LAST_RUN else word if word.isalnum() or word == "*" else PAIR
        return API + template.replace("{pair}", safe).replace("{run_id}", safe)


def is_of_the_api(status: int, body: Mapping[str, Any]) -> bool:
    """A status of INTERFACES 6, and an error body with its code and message exactly where it is an error."""
    error = body.get("error", {})
    is_error = status >= 400
    return status in STATUSES and is_error is ("error" in body) and (not is_error or {"code", "message"} <= set(error))


@asynccontextmanager
async def asked_of(stage: Stage, folder: Path, seen: Counter[int]) -> AsyncIterator[Client]:
    read = parse_config(good(put("control", {"socket": str(folder / "s" / "control.sock")})))
    async with (
        ControlServer(stage.orders, read, ListNotifier(), lambda _verb, _answer: None),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(read.control_socket)) as session,
    ):
        yield Client(session, seen)


@pytest.fixture
def seen() -> Iterator[Counter[int]]:
    """The statuses of all examples of one test. Those that every test must reach are looked for at its end."""
    statuses: Counter[int] = Counter()
    yield statuses
    assert {200, 400, 404, 409, 422} <= set(statuses), statuses


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests=REQUESTS)
@example(requests=ONE_OF_EACH)
@example(requests=[*FAILOVERS[0]])
async def test_whatever_is_asked_while_the_primary_lives_moves_nothing(
    tmp_path: Path, seen: Counter[int], requests: list[tuple[Any, ...]]
) -> None:
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_for(READY_S)
        async with asked_of(stage, tmp_path, seen) as client:
            for request in requests:
                await client.send(request)
                await stage.run_for(0.2)
            await stage.run_for(5)
        assert "run_opened" not in stage.journal.kinds
        assert stage.world.applied == []
        assert stage.world.primary() == "east"


@pytest.fixture
def begun() -> Iterator[Counter[str]]:
    """The orders by which runs were begun in all examples: the test must have come so far."""
    verbs: Counter[str] = Counter()
    yield verbs
    assert verbs


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests=REQUESTS)
@example(requests=ONE_OF_EACH)
@example(requests=[*FAILOVERS[0]])
async def test_whatever_is_asked_once_the_primary_is_lost_promotes_the_named_cluster_once_or_nothing(
    tmp_path: Path, seen: Counter[int], begun: Counter[str], requests: list[tuple[Any, ...]]
) -> None:
    async with Stage(level=Level.OBSERVE) as stage:
        await stage.run_for(READY_S)
        stage.lose("east")
        await stage.run_till("S-30", within_s=40)
        async with asked_of(stage, tmp_path, seen) as client:
            for request in requests:
                await client.send(request)
                await stage.run_for(0.5)
            await stage.run_for(20)
        promoted = [(effect.verb, effect.cluster) for effect in stage.world.applied]
        opened = [entry for entry in stage.journal.entries(PAIR) if isinstance(entry, RunOpened)]
        failovers = [entry for entry in opened if entry.runbook is Runbook.FAILOVER]
        assert promoted in ([], [("promote", "west")])
        assert all(entry.asked_by_uid is not None and entry.target == "west" for entry in failovers)
        for entry in failovers:
            begun["approve" if entry.why.startswith("plan ") else "failover"] += 1
