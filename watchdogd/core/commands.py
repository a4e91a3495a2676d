"""The verbs of `watchdogctl`, and its command lines as an operator types them. Whoever names one takes it from here."""

from __future__ import annotations

import re
from enum import StrEnum

PROGRAM = "watchdogctl"
DEFAULT_SOCKET = "/run/watchdogd/control.sock"


class Command(StrEnum):
    """Every verb, as it is typed."""

    STATUS = "status"
    EXPLAIN = "explain"
    HISTORY = "history"
    PLAN = "plan"
    TIMING = "timing"
    VERSION = "version"
    PAUSE = "pause"
    RESUME = "resume"
    FAILOVER = "failover"
    APPROVE = "approve"
    ACK = "ack"
    ADOPT = "adopt"
    RELOAD = "reload"
    DEBT_LIST = "debt list"
    DEBT_FORGIVE = "debt forgive"
    RUN_SHOW = "run show"
    RUN_RETRY = "run retry"
    RUN_SKIP = "run skip"
    RUN_PROCEED = "run proceed"
    RUN_ABORT = "run abort"
    RUN_ADOPT = "run adopt"

    @property
    def name_below(self) -> str:
        """Its name among the verbs that begin with the same word, where there are several."""
        return self.split(" ")[-1]


READING = frozenset(
    {
        Command.STATUS, Command.EXPLAIN, Command.HISTORY, Command.PLAN, Command.TIMING, Command.VERSION,
        Command.DEBT_LIST, Command.RUN_SHOW,
    }
)  # fmt: skip


def line(command: Command, *words: str, **options: str) -> str:
    """All of it, with its reason left to whoever types it. An option that is empty is left out."""
    given = [f"--{name} {value}" for name, value in options.items() if value]
    reason = [] if command in READING or command is Command.RELOAD else ["--reason '...'"]
    return " ".join([PROGRAM, command, *words, *given, *reason])


_BEGINNING = re.compile(rf"\b{PROGRAM} (?=(?:{'|'.join(sorted({verb.split(' ')[0] for verb in Command}))})\b)")


def at_socket(text: str, socket: str) -> str:
    """`text` with every command line in it asking at `socket`, a path as a shell takes it; the default goes unsaid."""
    if socket == DEFAULT_SOCKET:
        return text
    return _BEGINNING.sub(lambda _: f"{PROGRAM} --socket {socket} ", text)
