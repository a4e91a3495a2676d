"""The control socket asked by schemathesis, from the document that the daemon itself serves.

The real server on a real unix socket, in front of a daemon in a simulated world on virtual time; once about any pair
and once about the one there is. Every operation is asked at the edges of its schema, with random valid requests,
with requests that break the schema, and in chains of what answers name. Checked of every answer: it is no crash; its
status, content type and shape are documented; what breaks the schema is refused, and what keeps it is not called
malformed. At the end: no run was begun, and nothing was sent to a cluster.

Not checked: that an undocumented method gets 405 (the API says 404), and authentication (the kernel's, by the socket).
"""

from __future__ import annotations

import asyncio
import queue
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from yarl import URL

from tests.support.configs import good, put
from tests.support.memory import ListNotifier
from tests.support.stage import Stage
from watchdogd.adapters.config import parse_config
from watchdogd.core.policy import Level
from watchdogd.daemon import control
from watchdogd.daemon.control import ControlServer
from watchdogd.rehearsal.site import PAIR

pytestmark = [pytest.mark.live, pytest.mark.looptime(noop_cycles=1, idle_timeout=5), pytest.mark.timeout(300)]

READY_S = 25.0
THINKS_S_MAX = 60.0  # schemathesis, between two requests
SEED = 1
HTTP = {200: "200 OK", 202: "202 Accepted"}
CONFIG = {
    "seed": SEED,
    "continue-on-failure": True,
    "generation": {"max-examples": 10, "database": "none", "deterministic": True, "no-shrink": True},
    "checks": {
        "unsupported_method": {"enabled": False},
        "ignored_auth": {"enabled": False},
        # Refused by the state of the pair, not by the schema: documented as 422, and 503 before the first decision.
        "positive_data_acceptance": {"expected-statuses": ["200", "202", "403", "404", "409", "422"]},
        "negative_data_rejection": {"expected-statuses": ["400", "404", "413"]},
        "not_a_server_error": {"expected-statuses": ["200", "202", "400", "403", "404", "409", "413", "422", "429"]},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request on its way from schemathesis to the socket."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    answer: Future[tuple[int, str, bytes]]


class Bridge:
    """A WSGI application whose answers come from the socket: schemathesis asks in a thread, the loop sends.

    While schemathesis thinks, the loop waits in `take`, and with it the whole simulated world: no time passes.
    """

    def __init__(self) -> None:
        self._sent: queue.Queue[Sent | None] = queue.Queue(maxsize=1)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        answer: Future[tuple[int, str, bytes]] = Future()
        query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        self._sent.put(
            Sent(
                method=environ["REQUEST_METHOD"],
                target=environ["REQUEST_URI"].partition("?")[0] + query,
                headers={"Content-Type": environ["CONTENT_TYPE"]} if environ.get("CONTENT_TYPE") else {},
                body=environ["wsgi.input"].read(length),
                answer=answer,
            )
        )
        status, kind, body = answer.result(timeout=THINKS_S_MAX)
        start_response(HTTP.get(status, f"{status} Refused"), [("Content-Type", kind)])
        return [body]

    def take(self) -> Sent | None:
        return self._sent.get(timeout=THINKS_S_MAX)

    def over(self) -> None:
        self._sent.put(None)


async def passed_on(sent: Sent, session: aiohttp.ClientSession) -> int:
    """The status that came back for one request."""
    url = URL(f"http://watchdogd{sent.target}", encoded=True)
    async with session.request(sent.method, url, data=sent.body or None, headers=sent.headers) as reply:
        sent.answer.set_result((reply.status, reply.headers["Content-Type"], await reply.read()))
        return reply.status


def failures(bridge: Bridge, fixed: dict[str, str]) -> list[str]:
    """Let schemathesis ask everything; what it found."""
    try:
        config = SchemathesisConfig.from_dict({**CONFIG, "parameters": fixed})
        schema = schemathesis.openapi.from_wsgi("/v1/openapi.json", bridge, config=config)
        found = []
        for event in from_schema(schema).execute():
            if isinstance(event, FatalError | NonFatalError):
                found.append(str(event.info) if isinstance(event, NonFatalError) else str(event.exception))
            elif isinstance(event, ScenarioFinished) and event.status in (Status.FAILURE, Status.ERROR):
                checks = [check for made in event.recorder.checks.values() for check in made]
                found += [
                    f"{event.phase.value} {event.label}: {why.failure}\n{why.code_sample}"
                    for check in checks
                    if (why := check.failure_info) is not None
                ]
        return found
    finally:
        bridge.over()


@pytest.mark.parametrize("fixed", [{}, {"path.pair": PAIR}], ids=["any-pair", "the-pair"])
async def test_every_operation_keeps_what_the_document_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixed: dict[str, str]
) -> None:
    read = parse_config(good(put("control", {"socket": str(tmp_path / "s" / "control.sock")})))
    monkeypatch.setattr(control, "REQUESTS_PER_S_MAX", 1_000_000)  # the limit has tests of its own
    bridge, statuses = Bridge(), Counter[int]()
    async with Stage(level=Level.AUTO) as stage:
        await stage.run_until(READY_S)
        async with (
            ControlServer(stage.orders, read, ListNotifier(), lambda _verb, _answer: None),
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(read.control_socket)) as session,
        ):
            asking = asyncio.get_running_loop().run_in_executor(None, failures, bridge, fixed)
            while (sent := bridge.take()) is not None:
                statuses[await passed_on(sent, session)] += 1
                await stage.run_for(0.05)
            found = await asking
        assert not found, "\n\n".join(found)
        assert {200, 400, 404, 409, 422} <= set(statuses)
        assert "run_opened" not in stage.journal.kinds
        assert stage.world.applied == []
