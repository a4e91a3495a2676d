"""The words of the control socket, shared by the daemon and `watchdogctl`. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from watchdogd.core.explain import Shape
from watchdogd.errors import Need
from watchdogd.secret import without_secrets

API: Final = "/v1"
BODY_BYTES_MAX: Final = 64 * 1024
REQUESTS_PER_S_MAX: Final = 10
REQUEST_S_MAX: Final = 10.0
ANSWERS_KEPT_S: Final = 86_400.0
PAUSE_S_MAX: Final = 30 * 86_400.0
REQUEST_ID_MAX: Final = 128

OK, ACCEPTED, CREATED = 200, 202, 201
MALFORMED, NOT_ALLOWED, NOT_FOUND, CONFLICT = 400, 403, 404, 409
TOO_LARGE, BLOCKED, TOO_MANY, STARTING = 413, 422, 429, 503


class Code(StrEnum):
    """Why it was not done, for programs."""

    MALFORMED = "malformed"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    RUN_IN_PROGRESS = "run_in_progress"
    ALREADY_PRIMARY = "already_primary"
    STALE = "stale"
    TOO_LARGE = "too_large"
    BLOCKED = "blocked"
    TOO_MANY = "too_many"
    STARTING = "starting"
    SLOW = "slow"  # no answer in time: whether it was done is unknown


STATUS_OF: Mapping[Code, int] = MappingProxyType(
    {
        Code.MALFORMED: MALFORMED,
        Code.NOT_ALLOWED: NOT_ALLOWED,
        Code.NOT_FOUND: NOT_FOUND,
        Code.RUN_IN_PROGRESS: CONFLICT,
        Code.ALREADY_PRIMARY: CONFLICT,
        Code.STALE: CONFLICT,
        Code.TOO_LARGE: TOO_LARGE,
        Code.BLOCKED: BLOCKED,
        Code.TOO_MANY: TOO_MANY,
        Code.STARTING: STARTING,
        Code.SLOW: STARTING,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, as the kernel says it."""

    uid: int
    may_act: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent back: an HTTP status and a JSON object."""

    status: int = OK
    body: Shape = field(default_factory=dict)
    is_lasting: bool = True  # False: what it tells of is forgotten with the daemon, and so is the answer

    @property
    def is_error(self) -> bool:
        """True for everything that was not done."""
        return self.status >= MALFORMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came: the verb, what it names, and its body, a JSON object of which nothing was read yet."""

    verb: str
    pair: str = ""
    run_id: str = ""
    body: Shape = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)


def refuse(code: Code | Need, message: str, gates: Sequence[Shape] = ()) -> Answer:
    """An error in the shape of INTERFACES section 6. A need of ours has the status of what may be otherwise later."""
    status = STATUS_OF[code] if isinstance(code, Code) else STARTING
    error: Shape = {"code": code.value, "message": without_secrets(message), "gates": [*gates]}
    return Answer(status=status, body={"error": error})
