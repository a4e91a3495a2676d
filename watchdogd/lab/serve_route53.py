"""The Route 53 endpoint of the lab: plain HTTP on loopback, for any AWS client that is given an `endpoint_url`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from watchdogd.lab.names import Names
from watchdogd.lab.serve_http import Arrived, HttpFront
from watchdogd.lab.serve_socket import Door
from watchdogd.lab.wire import Exchange, Outcome

DOORS = {Outcome.ANSWER: Door.OPEN, Outcome.REFUSE: Door.CLOSED, Outcome.DROP: Door.BLOCKED}
"""What a connect meets, by what the world says it meets."""


def route53_front(
    names: Names, *, host: str, port: int, now_s: Callable[[], float], tasks: asyncio.TaskGroup
) -> HttpFront:
    """An HTTP front for the provider of `names`; its door is still closed."""

    async def answer(arrived: Arrived) -> Exchange:
        return names.aws(arrived.method, arrived.path_and_query, arrived.headers, arrived.body, now_s=now_s())

    return HttpFront(host, port, answer, tasks=tasks)
