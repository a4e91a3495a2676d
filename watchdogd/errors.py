"""Six exceptions, each named by what the caller must do, each with a kind to decide on; messages are never parsed."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """Why a connection could not be made. TLS, NAME and LOCAL are our own fault and never evidence."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    RESET = "reset"
    TLS = "tls"
    NAME = "name"
    LOCAL = "local"


class Refusal(StrEnum):
    """How a request was refused. In every case it was certainly not applied."""

    DENIED = "denied"
    NOT_YET = "not_yet"
    CONFLICT = "conflict"
    UNSUPPORTED = "unsupported"


class Need(StrEnum):
    """What stopped a run until a human, or the world, moves."""

    DEADLINE = "deadline"  # a step did not come to its end in time
    VETO = "veto"  # something was seen that forbids the act
    JOURNAL = "journal"  # nothing can be written down, so nothing may be done
    CREDENTIAL = "credential"
    FENCE = "fence"
    REFUSED = "refused"  # definitely refused, and asking again would not help
    FOREIGN = "foreign"  # somebody else changed the world under the run
    STALE_RUN = "stale_run"  # untouched for too long before its point of no return
    OUTCOME_UNKNOWN = "outcome_unknown"
    STOPPED = "stopped"  # pause, TERM or tilt: parked at a safe point
    BUG = "bug"


class WatchdogError(Exception):
    """The root of the six. Never raised itself."""


class Unreachable(WatchdogError):
    """Nothing was sent: the connection could not be made."""

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}" if detail else str(cause))
        self.cause = cause
        self.detail = detail


class Refused(WatchdogError):
    """Certainly not applied; `kind` says whether asking again can help."""

    def __init__(self, kind: Refusal, detail: str = "", *, status: int | None = None) -> None:
        super().__init__(f"{kind}: {detail}" if detail else str(kind))
        self.kind = kind
        self.detail = detail
        self.status = status


class OutcomeUnknown(WatchdogError):
    """It may have been applied: observe first.

    `answered` is True when at least one byte of an answer was read before the exchange broke, `timed_out` when it was
    we who gave up.
    """

    def __init__(self, detail: str = "", *, answered: bool = False, timed_out: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.answered = answered
        self.timed_out = timed_out


class MalformedReply(WatchdogError):
    """The answer is not of the documented shape: treat as unknown, count and report it."""

    def __init__(self, endpoint: str, detail: str) -> None:
        super().__init__(f"{endpoint}: {detail}")
        self.endpoint = endpoint
        self.detail = detail


class NeedsOperator(WatchdogError):
    """The run parks: `detail` says in one sentence what is needed."""

    def __init__(self, need: Need, detail: str) -> None:
        super().__init__(f"{need}: {detail}")
        self.need = need
        self.detail = detail


class ConfigError(WatchdogError):
    """The configuration cannot be used. `problems` names each place and what would be right there."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
