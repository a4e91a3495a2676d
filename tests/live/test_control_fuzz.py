"""The control socket asked at random: whatever comes, an answer of the API comes back, and nothing starts by accident.

The real server on a real unix socket, in front of a daemon in a simulated world; on virtual time, so that its limit of
requests a second costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.configs import good, put
from tests.support.memory import ListNotifier
from tests.support.stage import PAIR, Stage
from watchdogd.adapters.config import parse_config
from watchdogd.core.policy import Level
from watchdogd.daemon.api import ROUTES
from watchdogd.daemon.control import ControlServer
from watchdogd.daemon.protocol import API

pytestmark = [pytest.mark.live, pytest.mark.looptime(noop_cycles=1, idle_timeout=5)]

STATUSES = {200, 202, 400, 403, 404, 409, 413, 422, 429, 503}
READY_S = 25.0
WORDS = st.one_of(
    st.sampled_from([PAIR, "*", "west", "east", "nobody", "", "proof", "anchors", "-1", "1", "true", "failover"]),
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
REQUESTS = st.tuples(
    st.sampled_from(ROUTES), WORDS, st.sampled_from(["", "", "", "GET", "POST", "PUT", "DELETE"]), QUERIES, BODIES
)


def path_of(template: str, word: str) -> str:
    """The path with `word` in its place, or with the pair there is where the word would change the path."""
    safe = word if word.isalnum() or word == "*" else PAIR
    return API + template.replace("{pair}", safe).replace("{run_id}", safe)


async def answer_of(session: aiohttp.ClientSession, request: tuple[Any, ...]) -> tuple[int, Mapping[str, Any]]:
    route, word, other, query, body = request
    async with session.request(
        other or route.method, f"http://watchdogd{path_of(route.path, word)}", params=query, data=body
    ) as reply:
        return reply.status, json.loads(await reply.read())


def is_of_the_api(status: int, body: Mapping[str, Any]) -> bool:
    """A status of INTERFACES 6, and an error body with its code and message exactly where it is an error."""
    error = body.get("error", {})
    is_error = status >= 400
    return status in STATUSES and is_error is ("error" in body) and (not is_error or {"code", "message"} <= set(error))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests=st.lists(REQUESTS, min_size=5, max_size=20))
async def test_any_request_is_answered_in_the_shape_of_the_api(tmp_path: Path, requests: list[tuple[Any, ...]]) -> None:
    read = parse_config(good(put("control", {"socket": str(tmp_path / "s" / "control.sock")})))
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(READY_S)
        async with (
            ControlServer(stage.orders, read, ListNotifier(), lambda _verb, _answer: None),
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(read.control_socket)) as session,
        ):
            for request in requests:
                assert is_of_the_api(*await answer_of(session, request)), request
                await stage.run_for(0.2)
            await stage.run_for(5)
        assert stage.world.applied == [], "the primary lives: no request may move anything"
        assert stage.world.primary() == "east"
