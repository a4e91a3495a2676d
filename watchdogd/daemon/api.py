"""The socket API, declared once: the server routes by it, requests are read by it, and its document is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel

from watchdogd.daemon import bodies, outcomes, shapes
from watchdogd.daemon.protocol import (
    ACCEPTED,
    BLOCKED,
    CONFLICT,
    MALFORMED,
    NOT_ALLOWED,
    NOT_FOUND,
    OK,
    STARTING,
    TOO_LARGE,
    TOO_MANY,
)

REFUSED: Mapping[int, str] = MappingProxyType(
    {
        MALFORMED: "cannot be read, or is no such thing",
        NOT_ALLOWED: "the caller may look but not act",
        NOT_FOUND: "no such pair, cluster or run",
        CONFLICT: "another run is open, already primary, not so any more, or a request_id of another request",
        TOO_LARGE: "the body is too large",
        BLOCKED: "a gate, a veto, or the state of the pair forbids it; nothing was done",
        TOO_MANY: "too many requests of this user",
        STARTING: "not decided yet, not writable, or no answer in time (`slow`: it may have been done)",
    }
)
ANY = frozenset({TOO_MANY, STARTING})
ACT = ANY | {MALFORMED, NOT_ALLOWED, CONFLICT, TOO_LARGE}
BY_HAND = "`update-primary` by hand, see the manual, chapter 5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One verb: where it is asked for, with what, and what may come back.

    `instead` says what to do until its procedure exists; it is refused until then.
    """

    verb: str
    method: Literal["GET", "POST"]
    path: str
    says: str
    answer: type[BaseModel]
    query: type[bodies.Query] | None = None
    body: type[bodies.Body] | None = None
    status: int = OK
    refused: frozenset[int] = ANY
    for_every: type[BaseModel] | None = None  # the answer where `{pair}` may be `*`
    or_else: type[BaseModel] | None = None  # another answer with the same status
    instead: str = ""

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status that may come back, ascending: none below 400 where it is always refused."""
        named = {NOT_FOUND} if "{" in self.path else frozenset()
        return (*(() if self.instead else (self.status,)), *sorted(self.refused | named))


def _read(
    verb: str, path: str, answer: type[BaseModel], says: str, *refused: int, query: type[bodies.Query] | None = None
) -> Route:
    told = ANY | {*refused} | ({MALFORMED} if query is not None else set())
    return Route(verb=verb, method="GET", path=path, says=says, answer=answer, query=query, refused=told)


def _act(
    verb: str,
    path: str,
    body: type[bodies.Body],
    answer: type[BaseModel],
    says: str,
    *refused: int,
    for_every: type[BaseModel] | None = None,
    or_else: type[BaseModel] | None = None,
    instead: str = "",
) -> Route:
    return Route(
        verb=verb,
        method="POST",
        path=path,
        says=says,
        answer=answer,
        body=body,
        status=ACCEPTED if answer is outcomes.Started else OK,
        refused=ACT | {*refused},
        for_every=for_every,
        or_else=or_else,
        instead=instead,
    )


ROUTES: tuple[Route, ...] = (
    _read("status", "/status", shapes.Status, "every pair in a few words"),
    _read("timing", "/timing", shapes.Timed, "the worst case of the running config, by name and number"),
    _read("version", "/version", shapes.Version, "the version of the daemon and of this API"),
    _read("openapi", "/openapi.json", shapes.Document, "this document"),
    _read("history", "/history", shapes.History, "the journal, newest first", query=bodies.OfHistory),
    _read("explain", "/pairs/{pair}/explain", shapes.Explained, "why it does what it does, or why it does not"),
    _read(
        "plan", "/pairs/{pair}/plan", shapes.Planned, "what a run would do now, and its hash", CONFLICT, BLOCKED,
        query=bodies.OfPlan,
    ),
    _read("run", "/runs/{run_id}", shapes.RunTold, "one run, and what was written down of it"),
    _act(
        "pause", "/pairs/{pair}/pause", bodies.Pausing, outcomes.Paused, "nothing starts from now on",
        for_every=outcomes.EveryPair,
    ),
    _act(
        "resume", "/pairs/{pair}/resume", bodies.Reasoned, outcomes.Resumed, "the pause is over",
        for_every=outcomes.EveryPair,
    ),
    _act(
        "failover", "/pairs/{pair}/failover", bodies.FailingOver, outcomes.Started, "promote the named cluster", BLOCKED
    ),
    _act(
        "start", "/pairs/{pair}/start", bodies.Starting, outcomes.Started, "start what a row asks for and waits with",
        BLOCKED,
    ),
    _act(
        "approve", "/pairs/{pair}/approve", bodies.Approving, outcomes.Started, "start the run of a plan, and no other",
        BLOCKED, or_else=outcomes.Approved,
    ),
    _act(
        "switchover", "/pairs/{pair}/switchover", bodies.NotThereYet, outcomes.Started, "change roles, as planned",
        BLOCKED, instead="demote, promote and the name by hand, see the manual, chapter 5",
    ),
    _act(
        "rejoin", "/pairs/{pair}/rejoin", bodies.NotThereYet, outcomes.Started, "replicate again after a failover",
        BLOCKED, instead=BY_HAND,
    ),
    _act(
        "heal", "/pairs/{pair}/heal", bodies.NotThereYet, outcomes.Started, "mend a link that is broken for long",
        BLOCKED, instead=BY_HAND,
    ),
    _act("ack", "/pairs/{pair}/ack", bodies.Reasoned, outcomes.Acknowledged, "a human has looked"),
    _act("adopt", "/pairs/{pair}/adopt", bodies.OfCluster, outcomes.Elected, "the named cluster counts", BLOCKED),
    _act(
        "forgive", "/pairs/{pair}/debt/forgive", bodies.OfCluster, outcomes.Forgiven, "the cluster never comes back",
        BLOCKED,
    ),
    _act("run-retry", "/runs/{run_id}/retry", bodies.Excused, outcomes.Started, "try the parked step again", BLOCKED),
    _act("run-skip", "/runs/{run_id}/skip", bodies.Reasoned, outcomes.Started, "pass over the parked step", BLOCKED),
    _act(
        "run-proceed", "/runs/{run_id}/proceed", bodies.Proceeding, outcomes.Started, "go on with gates waived", BLOCKED
    ),
    _act(
        "run-abort", "/runs/{run_id}/abort", bodies.Reasoned, outcomes.Started, "give up, and undo what can be undone"
    ),
    _act(
        "run-adopt", "/runs/{run_id}/adopt", bodies.OfCluster, outcomes.Elected, "take the world as it is", BLOCKED
    ),
    _act(
        "reload", "/reload", bodies.Excused, outcomes.Reloaded, "read the config again, all of it or nothing", BLOCKED
    ),
)  # fmt: skip
VERBS: Mapping[str, Route] = MappingProxyType({route.verb: route for route in ROUTES})
