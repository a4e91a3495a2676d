"""What the demo sees with eyes of its own: the lab's truth, the daemon's words, a resolver, and the clients' logs.

Nothing here is told by one side about the other: the lab's events carry the lab's clock, a client's line the client's.
All times are seconds of one clock, that of the loop, since the demo began.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp
import dns.asyncquery
import dns.exception
import dns.message
import dns.rdatatype

from watchdogd.adapters.clock import SystemClock
from watchdogd.cli.demo_config import PAIR, LabFacts, Site
from watchdogd.rehearsal.processes import new_lines

LAB_EVERY_S, EXPLAIN_EVERY_S, NAME_EVERY_S, TAIL_EVERY_S = 0.1, 0.5, 0.2, 0.1
EVENTS_WAIT_S = 5.0
ASK_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of the lab, or one line of the daemon's log."""

    at_s: float
    what: str
    detail: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Writer:
    """One client program, as its own log tells it. `acknowledged`: number -> (when, address of the server)."""

    name: str
    log: Path
    acknowledged: dict[int, tuple[float, str]] = field(default_factory=dict)
    unanswered_s: list[float] = field(default_factory=list)  # when writes were given up that may have been applied
    is_served: bool | None = None
    address: str = ""
    read_to: int = 0

    def first_at(self, address: str) -> float | None:
        """When a write was acknowledged by the server at `address` for the first time."""
        return min((at_s for at_s, where in self.acknowledged.values() if where == address), default=None)

    def latest_at(self, address: str) -> float | None:
        """The same for the last time."""
        return max((at_s for at_s, where in self.acknowledged.values() if where == address), default=None)


class Narrator(Protocol):
    """Who is told what was seen, at once."""

    def lab_did(self, event: Event) -> None: ...
    def daemon_said(self, line: Event) -> None: ...
    def name_answered(self, at_s: float, target: str) -> None: ...
    def writer_changed(self, at_s: float, writer: Writer, error: str) -> None: ...
    def explained(self, at_s: float, explained: Mapping[str, Any]) -> None: ...


class Watch:
    """Everything that was seen so far. Inside the block the two HTTP sessions are open; the loops are the caller's."""

    def __init__(self, site: Site, lab: LabFacts, now_s: Callable[[], float]) -> None:
        self.lab = lab
        self.events: list[Event] = []
        self.said: list[Event] = []
        self.names: list[tuple[float, str]] = []
        self.writers: dict[str, Writer] = {}
        self.status: Mapping[str, Any] = {}
        self.explained: Mapping[str, Any] = {}
        self.primary_since_s: dict[str, float] = {}
        self.was_primary_again = False  # the cluster that was left was seen active as primary beside the new one
        self.balanced_s: float | None = None  # since when the partner's load balancer sends clients to a primary
        self._site = site
        self.now_s = now_s
        self._wall_offset_s = now_s() - SystemClock().wall_utc().timestamp()
        self._lab_offset_s = 0.0
        self._stack = AsyncExitStack()
        self._control: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=EVENTS_WAIT_S + ASK_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self.lab.control_token}"}
        async with AsyncExitStack() as stack:
            control = aiohttp.ClientSession(self.lab.control_url, headers=headers, timeout=timeout)
            self._control = await stack.enter_async_context(control)
            path = aiohttp.UnixConnector(str(self._site.socket))
            limit = aiohttp.ClientTimeout(ASK_TIMEOUT_S)
            daemon = aiohttp.ClientSession("http://daemon", connector=path, timeout=limit)
            self._socket = await stack.enter_async_context(daemon)
            before_s = self.now_s()
            self.status = await self.ask_lab("GET", "/status")
            self._stack = stack.pop_all()
        self._lab_offset_s = (before_s + self.now_s()) / 2 - float(self.status["now_s"])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def adopt_lab_clock(self) -> float:
        """From now on all times are the lab's. Returns how far its clock is ahead of the one that was given."""
        ahead_s, self._lab_offset_s = -self._lab_offset_s, 0.0
        return ahead_s

    # -- asking ------------------------------------------------------------------------------------------------------

    async def ask_lab(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """One request to the lab's control endpoint. Raises aiohttp.ClientError."""
        assert self._control is not None, "only inside the block"  # noqa: S101  a mistake of ours, not an input
        async with self._control.request(method, path, json=body) as reply:
            reply.raise_for_status()
            return await reply.json()

    async def ask_daemon(self, path: str) -> Any:
        """One GET on the daemon's socket; None while it does not answer."""
        assert self._socket is not None, "only inside the block"  # noqa: S101  a mistake of ours, not an input
        try:
            async with self._socket.get(f"/v1{path}") as reply:
                return await reply.json() if reply.ok else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def resolve(self, server: str) -> str:
        """What the service name is a CNAME for, as `server` (HOST:PORT) answers who asks for an address; or empty."""
        host, _, port = server.partition(":")
        query = dns.message.make_query(self.lab.service_name, dns.rdatatype.A)
        try:
            reply = await dns.asyncquery.udp(query, host, port=int(port), timeout=ASK_TIMEOUT_S)
        except (dns.exception.DNSException, OSError):
            return ""
        aliases = [rrset for rrset in reply.answer if rrset.rdtype == dns.rdatatype.CNAME]
        targets = [record.target.to_text().rstrip(".") for rrset in aliases for record in rrset]
        return targets[0] if targets else ""

    async def balancer_serves(self, session: aiohttp.ClientSession) -> bool:
        """Whether clients reach a primary at the partner's load balancer: any node of it that forwards writes."""
        try:
            async with session.get("/v1/sys/health") as reply:
                health = await reply.json()
                return not health["sealed"] and health["replication_dr_mode"] == "primary"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError):
            return False

    # -- what was seen -----------------------------------------------------------------------------------------------

    def first(self, what: str, *, after_s: float = 0.0, **detail: str) -> Event | None:
        """The first event of the lab of this kind whose detail is as given."""
        return next((event for event in self.events if _is(event, what, after_s, detail)), None)

    def count(self, what: str, **detail: str) -> int:
        """How many there were."""
        return sum(_is(event, what, 0.0, detail) for event in self.events)

    def decided(self, situation: str, *, after_s: float = 0.0) -> Event | None:
        """The first decision of this row that the daemon's log showed; the time is ours."""
        return next((e for e in self.said if _is(e, "decision", after_s, {"situation": situation})), None)

    def active_primaries(self) -> Sequence[str]:
        """The clusters whose active node is primary now, by the lab's truth."""
        clusters = self.status["clusters"].items()
        return [name for name, cluster in clusters if cluster["dr"] == "primary" and cluster["active"]]

    # -- loops -------------------------------------------------------------------------------------------------------

    async def follow_lab(self, narrator: Narrator) -> None:
        """Every event of the lab, as it happens."""
        seq = 0
        while not is_told_to_stop():
            found = await self.ask_lab("GET", f"/events?after={seq}&wait_s={EVENTS_WAIT_S:g}")
            for given in found["events"]:
                seq = given["seq"]
                event = Event(at_s=given["at_s"] + self._lab_offset_s, what=given["what"], detail=given)
                self.events.append(event)
                narrator.lab_did(event)

    async def follow_truth(self) -> None:
        """The lab's status, and since when a cluster has been an active primary."""
        while not is_told_to_stop():
            self.status = await self.ask_lab("GET", "/status")
            primaries, at_s = self.active_primaries(), self.now_s()
            self.primary_since_s = {name: self.primary_since_s.get(name, at_s) for name in primaries}
            self.was_primary_again |= len(primaries) > 1 and self.first("fault_cleared") is not None
            await asyncio.sleep(LAB_EVERY_S)

    async def follow_explanations(self, narrator: Narrator) -> None:
        while not is_told_to_stop():
            found = await self.ask_daemon(f"/pairs/{PAIR}/explain")
            if found is not None:
                self.explained = found
                narrator.explained(self.now_s(), found)
            await asyncio.sleep(EXPLAIN_EVERY_S)

    async def follow_name(self, narrator: Narrator) -> None:
        """The answer of the caching resolver that the clients use."""
        while not is_told_to_stop():
            target = await self.resolve(self.lab.client_resolver)
            if target and (not self.names or self.names[-1][1] != target):
                self.names.append((self.now_s(), target))
                narrator.name_answered(self.now_s(), target)
            await asyncio.sleep(NAME_EVERY_S)

    async def follow_balancer(self) -> None:
        """Looks at the partner's load balancer, as its clients do, until it sends them to a primary."""
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=self.lab.ca_file))
        timeout = aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)
        address = self.lab.clusters[self.lab.partner].client_address
        async with aiohttp.ClientSession(address, connector=connector, timeout=timeout) as session:
            while not await self.balancer_serves(session):
                await asyncio.sleep(NAME_EVERY_S)
        self.balanced_s = self.now_s()

    async def follow_daemon(self, log: Path, narrator: Narrator) -> None:
        """The daemon's log, line by line; the time of a line is when it was seen here."""
        read_to = 0
        while not is_told_to_stop():
            lines, read_to = new_lines(log, read_to)
            for text in lines:
                with suppress(ValueError):
                    given = json.loads(text)
                    line = Event(at_s=self.now_s(), what=str(given.get("event", "")), detail=given)
                    self.said.append(line)
                    narrator.daemon_said(line)
            await asyncio.sleep(TAIL_EVERY_S)

    async def follow_writers(self, narrator: Narrator) -> None:
        while not is_told_to_stop():
            for writer in self.writers.values():
                self.read_writer(writer, narrator)
            await asyncio.sleep(TAIL_EVERY_S)

    def read_writer(self, writer: Writer, narrator: Narrator) -> None:
        """What is new in a client's log. A change is that writes begin to fail or to be served, or by somebody else."""
        lines, writer.read_to = new_lines(writer.log, writer.read_to)
        for text in lines:
            given = json.loads(text)
            at_s = given["at_utc_s"] + self._wall_offset_s
            is_served = given["fate"] == "acknowledged"
            before = (writer.is_served, writer.address)
            writer.is_served = is_served
            if is_served:
                writer.address = given["address"]
                writer.acknowledged[given["number"]] = (at_s, given["address"])
            if given["fate"] == "unknown":
                writer.unanswered_s.append(at_s)
            if before != (writer.is_served, writer.address):
                narrator.writer_changed(at_s, writer, given["error"] or f"status {given['status']}")


def _is(event: Event, what: str, after_s: float, detail: Mapping[str, str]) -> bool:
    return (
        event.what == what
        and event.at_s >= after_s
        and all(event.detail.get(name) == value for name, value in detail.items())
    )


def is_told_to_stop() -> bool:
    """Whether the running task was cancelled: also where that was swallowed.

    `asyncio.wait_for` of Python 3.11, which dnspython waits with, returns an answer that comes at the very moment.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
