"""The fence command of the config: started, bounded, and its answer read (DESIGN section 6, INTERFACES section 4)."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import IO

from watchdogd.core.model import ClusterId, PairId
from watchdogd.ports import FenceOutcome, FenceResult, FenceVerb
from watchdogd.secret import redact

EXIT_TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
OUTPUT_BYTES_MAX = 4096
READ_BYTES_MAX = 2 * OUTPUT_BYTES_MAX  # a token across the cut is redacted as a whole
TERM_GRACE_S = 5.0
KILL_GRACE_S = 5.0
DRAIN_S = 0.5  # a grandchild may hold the pipe for ever: what the command said is there when it ends
POLL_S = 0.02
SAFE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceCommand:
    """One cluster's fence: the verb is appended to `argv` as its last argument."""

    argv: tuple[str, ...]
    timeout_s: float


class CommandFence:
    """The `Fence` port of one pair. A cluster without a command (waived in the config) reads FAILED."""

    def __init__(self, *, pair: PairId, commands: Mapping[ClusterId, FenceCommand], path: str = SAFE_PATH) -> None:
        self._pair = pair
        self._commands = dict(commands)
        self._path = path

    async def __call__(self, verb: FenceVerb, cluster: ClusterId, *, epoch: int, run_id: str) -> FenceResult:
        """Run the command and wait for it; bounded by its timeout and 10 s for the killing. Never raises.

        At the timeout, and when the caller is cancelled, its whole process group gets TERM, 5 s, KILL. The outcome is
        then unknown: TIMED_OUT. A grandchild that stays behind after an exit of its own is left alone and not waited
        for: it may be what keeps the fence up.
        """
        command = self._commands.get(cluster)
        if command is None:
            return FenceResult(outcome=FenceOutcome.FAILED, why=f"no fence command is configured for {cluster}")
        environment = {
            "PATH": self._path,
            "WATCHDOGD_PAIR": self._pair,
            "WATCHDOGD_CLUSTER": cluster,
            "WATCHDOGD_EPOCH": str(epoch),
            "WATCHDOGD_RUN_ID": run_id,
        }
        try:
            return await _run((*command.argv, verb.value), environment, command.timeout_s)
        except (OSError, ValueError) as exc:
            return FenceResult(outcome=FenceOutcome.FAILED, why=f"{command.argv[0]} could not be started: {exc}")


class _Output(asyncio.Protocol):
    """Keeps the beginning and reads on, so that a chatty command is never blocked."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._kept += data[: READ_BYTES_MAX - len(self._kept)]

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()

    @property
    def text(self) -> str:
        """The first 4 KiB, redacted."""
        whole = redact(self._kept.decode("utf-8", "replace"))
        return whole.encode()[:OUTPUT_BYTES_MAX].decode("utf-8", "ignore")


@asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[_Output, IO[bytes]]]:
    """Where the command writes. Our own pipe: asyncio's would make `wait` depend on grandchildren that hold it."""
    read_fd, write_fd = os.pipe()
    with os.fdopen(write_fd, "wb", 0) as writing:
        reading, output = await asyncio.get_running_loop().connect_read_pipe(_Output, os.fdopen(read_fd, "rb", 0))
        try:
            yield output, writing
        finally:
            reading.close()


async def _run(argv: tuple[str, ...], environment: Mapping[str, str], timeout_s: float) -> FenceResult:
    async with _pipe() as (output, writing):
        with writing:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=DEVNULL, stdout=writing, stderr=writing, env=environment, cwd="/", start_new_session=True
            )
        exit_status = await _bounded(process, timeout_s)
        await _drained(output)
    return _result(exit_status, output.text, timeout_s)


async def _bounded(process: Process, timeout_s: float) -> int | None:
    """The exit status, or None when it had to be stopped."""
    try:
        async with asyncio.timeout(timeout_s):
            return await process.wait()
    except TimeoutError:
        await _stop(process)
        return None
    except asyncio.CancelledError:
        await _stop(process)
        raise


async def _stop(process: Process) -> None:
    """TERM to the group, 5 s, KILL to whatever is left of it. A second cancellation only shortens the wait."""
    try:
        _signal_group(process, signal.SIGTERM)
        await _exits_within(process, TERM_GRACE_S)
    finally:
        _signal_group(process, signal.SIGKILL)
    await _exits_within(process, KILL_GRACE_S)


async def _exits_within(process: Process, bound_s: float) -> None:
    # asyncio.timeout cannot tell its own end from the caller's cancellation here (Python 3.11): look instead.
    now_s = asyncio.get_running_loop().time
    end_s = now_s() + bound_s
    while process.returncode is None and now_s() < end_s:
        await asyncio.sleep(POLL_S)


async def _drained(output: _Output) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await output.ended.wait()


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _result(exit_status: int | None, output: str, timeout_s: float) -> FenceResult:
    match exit_status:
        case None:
            outcome, why = FenceOutcome.TIMED_OUT, f"no answer within {timeout_s:g} s: stopped, what it did is unknown"
        case 0:
            outcome, why = FenceOutcome.DONE, ""
        case _ if exit_status == EXIT_TRY_AGAIN:
            outcome, why = FenceOutcome.TRY_AGAIN, "it asked to be tried again"
        case _ if exit_status < 0:
            outcome, why = FenceOutcome.FAILED, f"killed by signal {-exit_status}"
        case _:
            outcome, why = FenceOutcome.FAILED, f"exit {exit_status}"
    return FenceResult(outcome=outcome, output=output, why=why)
