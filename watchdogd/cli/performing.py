"""What is played with processes of its own: in a directory of its own, within its time, told how it ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TextIO

import aiohttp

from watchdogd.rehearsal.processes import Unmet, cause, obeying_signals

BROKEN = 1


def performed(
    prefix: str, play: Callable[[Path], Awaitable[int]], *, within_s: float, is_kept: bool, out: TextIO
) -> int:
    """Play it in a new directory, and clean up. How it failed, and what is kept, is said to `out`.

    The exit status: what `play` says; 1 for whatever is unmet, and the directory is kept; 128 + signal when
    interrupted, which a reader who left counts as.
    """
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    interrupted: list[signal.Signals] = []
    status = BROKEN
    try:
        status = asyncio.run(_within(within_s, play, directory, interrupted))
    except Unmet as unmet:
        _say_what_failed(unmet, directory, out)
    except asyncio.CancelledError:
        if not interrupted:
            raise
        status = 128 + interrupted[0]
        print(f"\ninterrupted by {interrupted[0].name}: everything was stopped", file=sys.stderr)
    except BrokenPipeError:
        status = 128 + signal.SIGPIPE
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads; it is flushed at the end
    finally:
        if is_kept or status == BROKEN:
            print(f"\nkept: {directory} (it holds made-up tokens only)", file=out)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return status


async def _within(
    within_s: float, play: Callable[[Path], Awaitable[int]], directory: Path, interrupted: list[signal.Signals]
) -> int:
    """Raises one thing: Unmet; asyncio.CancelledError when interrupted; BrokenPipeError; or what nobody foresaw."""
    deadline = asyncio.timeout(within_s)
    try:
        with obeying_signals(interrupted):
            async with deadline:
                return await play(directory)
    except (BaseExceptionGroup, TimeoutError, aiohttp.ClientError) as exc:
        if deadline.expired():
            raise Unmet(f"the whole of it took longer than {within_s:.0f} s", directory / "log") from exc
        raise cause(exc, directory / "log" / "lab.log") from exc


def _say_what_failed(unmet: Unmet, directory: Path, out: TextIO) -> None:
    print(f"\nFAILED: {unmet.sentence}", file=out)
    for path in unmet.look_at:
        print(f"  look at {path}", file=out)
    print(f"  and at  {directory}/log, {directory}/watchdogd.toml", file=out)
