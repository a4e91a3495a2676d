"""The end of the process: a thread that hangs, and the program that it waits for, hold it up for a moment at most.

Python itself waits at the end for every thread of every pool, however long. What is to be durable is so by then.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import structlog

from watchdogd.adapters.clock import SystemClock

GRACE_S = 1.0  # for all threads together, before and after what they wait for was told to end

log = structlog.get_logger()


class UnwaitedThreads(ThreadPoolExecutor):
    """For `asyncio.to_thread`: the end of the loop waits for none of them, one may hang in a file of a dead mount."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more, whatever is asked for."""
        super().shutdown(wait=False, cancel_futures=True)


def end_what_hangs(code: int, before: Collection[threading.Thread]) -> None:
    """Return when no thread is left but those of `before`; else end the process with `code`, and its programs.

    The programs get TERM; systemd kills what is left of them. Source: systemd.kill(5), KillMode=mixed.
    """
    if not _left(before):
        return
    for child in _children():
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    if not (left := _left(before)):
        return
    log.warning("threads_left", error=f"not waited for: {', '.join(sorted(thread.name for thread in left))}")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _left(before: Collection[threading.Thread]) -> list[threading.Thread]:
    """The threads that Python would wait for and that have not ended within GRACE_S."""
    waited_for = [thread for thread in threading.enumerate() if not thread.daemon and thread not in before]
    clock = SystemClock()
    end_s = clock.now_s() + GRACE_S
    for thread in waited_for:
        thread.join(max(0.0, end_s - clock.now_s()))
    return [thread for thread in waited_for if thread.is_alive()]


def _children() -> Iterator[int]:
    """The processes that this one started and that have not ended. Source: proc_pid_task(5), children."""
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            yield from map(int, task.read_text(encoding="ascii").split())
