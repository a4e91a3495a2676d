"""Whatever is asked, in whatever order, the world answers in Vault's shape, and nothing in it fails."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lab_requests import REQUESTS, LabRequest, filled_in, wrong_shape
from tests.unit.lab.asking import asker
from watchdogd.lab.wire import Outcome, Wire

MIXED = settings(max_examples=60, deadline=None)


@MIXED
@given(st.lists(REQUESTS, min_size=1, max_size=8), st.integers(0, 20))
def test_every_request_is_answered(requests: list[LabRequest], pause_s: int) -> None:
    a = asker()
    for request in requests:
        headers = dict(header.split(": ", 1) for header in request.headers)
        headers["X-Vault-Token"] = filled_in(request.token, a.has)
        wire = Wire(
            place="bastion",
            target=request.target,
            method=request.method,
            path_and_query="/v1/" + quote(request.path, safe="/?=&+$"),
            headers=headers,
            body=filled_in(request.body.decode("latin-1"), a.has).encode("latin-1"),
        )
        exchange = a.world.exchange(wire, now_s=a.world.now_s)
        assert a.world.crashed == []
        if exchange.outcome is Outcome.ANSWER:
            assert wrong_shape(request, exchange.status, exchange.body) == ""
        else:
            assert (exchange.outcome, request.path[:10]) == (Outcome.RESET, "sys/health")
        a.wait(pause_s)
