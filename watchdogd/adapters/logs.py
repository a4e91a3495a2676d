"""Logs: one JSON object a line on standard error, with the priority that the journal of systemd reads off it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from typing import TextIO

import structlog

from watchdogd.core.commands import DEFAULT_SOCKET, at_socket

# Source: sd-daemon(3), the kernel's levels: error, warning, information, debug.
PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}


def configure_logs(stream: TextIO, environ: Mapping[str, str], socket: str = DEFAULT_SOCKET) -> None:
    """Every structlog logger of this process writes to `stream` from now on; what it says to type asks at `socket`."""
    is_journal = is_read_by_journald(stream, environ)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _Typed(shlex.quote(socket)),
            *([_with_priority] if is_journal else [_without_priority]),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )


def is_read_by_journald(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """True when `stream` is the very pipe that $JOURNAL_STREAM names. Source: systemd.exec(5)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def configure_from_environment(socket: str = DEFAULT_SOCKET) -> None:
    """As `configure_logs`, for this very process: at its start, and once its config is read."""
    configure_logs(sys.stderr, os.environ, socket)


class _Typed:
    """Has the command lines of an event ask at the socket of this daemon."""

    def __init__(self, socket: str) -> None:
        self._socket = socket

    def __call__(
        self, logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        for key in event.keys() & {"command", "details"}:
            event[key] = self._typed(event[key])
        return event

    def _typed(self, said: object) -> object:
        if isinstance(said, list):
            return [self._typed(one) for one in said]
        return at_socket(said, self._socket) if isinstance(said, str) else said


_render = structlog.processors.JSONRenderer(serializer=json.dumps)


def _without_priority(logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict) -> str:
    rendered = _render(logger, name, event)
    return rendered if isinstance(rendered, str) else rendered.decode()


def _with_priority(logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict) -> str:
    return f"<{PRIORITIES.get(str(event.get('level')), 6)}>{_without_priority(logger, name, event)}"
