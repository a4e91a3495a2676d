"""Processes that belong together: started in sessions of their own, logged to files, stopped in the opposite order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

import watchdogd

STOP_S_MAX = 15.0  # a daemon stops at its next safe point; here none is far
ROOT = Path(watchdogd.__file__).parents[1]
PROC = Path("/proc")
REQUEST_FAILED = (aiohttp.ClientError, TimeoutError)


class Unmet(Exception):
    """An expectation that did not hold. `sentence` is for people; `look_at` names the files that tell more."""

    def __init__(self, sentence: str, *look_at: Path) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.look_at = look_at


def cause(exc: BaseException, lab_log: Path) -> BaseException:
    """The one thing that made everything else stop; a request that failed is it when there is nothing else."""
    raised = [*_single(exc)]
    first = next((one for one in raised if not isinstance(one, REQUEST_FAILED)), raised[0])
    if isinstance(first, REQUEST_FAILED):
        return Unmet(f"the lab does not answer: {str(first) or type(first).__name__}", lab_log)
    return first


def _single(exc: BaseException) -> Iterator[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        for one in exc.exceptions:
            yield from _single(one)
    else:
        yield exc


@dataclass(slots=True, kw_only=True, eq=False)
class Child:
    """One of the processes."""

    name: str
    process: Process
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def must_run(self) -> None:
        """Raises Unmet when it has ended."""
        if self.process.returncode is not None:
            ended = f"{self.name} ended by itself with status {self.process.returncode}"
            raise Unmet(f"{ended}: {last_line(self.log)}", self.log)


class Stage:
    """Starts processes inside the block; leaving it stops every one that still runs, the newest first."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self.children: list[Child] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def start(
        self, name: str, argv: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> Child:
        """Standard output and error go to `log`. The environment is `environment` alone, plus what Python needs."""
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=DEVNULL,
                stdout=file,
                stderr=file,
                cwd=log.parent,
                env=clean_environment() | dict(environment or {}),
                start_new_session=True,  # Ctrl-C is for whoever started them, which stops the others in their order
            )
        child = Child(name=name, process=process, log=log)
        self.children.append(child)
        self._stack.push_async_callback(self.stop, child)
        return child

    async def stop(self, child: Child) -> int:
        """TERM, and KILL after STOP_S_MAX. Returns the exit status; again: the same one."""
        if child.process.returncode is None:
            with suppress(ProcessLookupError):
                child.process.terminate()
        try:
            async with asyncio.timeout(STOP_S_MAX):
                return await child.process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            return await child.process.wait()

    def must_run(self) -> None:
        """Raises Unmet when any process has ended."""
        for child in self.children:
            child.must_run()


def last_line(log: Path) -> str:
    """The last thing that a process wrote."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def new_lines(path: Path, read_to: int) -> tuple[Sequence[str], int]:
    """The whole lines after `read_to`, and where the next one begins."""
    try:
        with path.open("rb") as file:
            file.seek(read_to)
            whole, newline, _ = file.read().rpartition(b"\n")
    except FileNotFoundError:
        return [], read_to
    return whole.decode("utf-8", "replace").splitlines() if newline else [], read_to + len(whole) + len(newline)


def clean_environment() -> dict[str, str]:
    """What every process gets: no proxy, no AWS profile and no Vault token of whoever runs the demo."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR") if name in os.environ}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}


def command(name: str, module: str, directory: Path) -> str:
    """The path of a command line of ours: the installed script, or one in `directory` for a tree that is not."""
    installed = Path(sys.executable).with_name(name)
    if os.access(installed, os.X_OK):
        return str(installed)
    script = directory / name
    if not script.exists():
        directory.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m {module} "$@"\n')
        script.chmod(0o700)
    return str(script)


def left_running(directory: Path) -> Sequence[str]:
    """The command lines of processes that name `directory`, ourselves excepted. Empty where there is no /proc."""
    found = []
    for entry in PROC.glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = entry.read_bytes().decode("utf-8", "replace").split("\0")
            if int(entry.parent.name) != os.getpid() and any(str(directory) in word for word in words[1:]):
                found.append(f"{entry.parent.name}: {' '.join(words).strip()}")
    return found


def none_left(directory: Path) -> None:
    """Raises Unmet while a process names `directory`."""
    if left := left_running(directory):
        raise Unmet(f"still running: {'; '.join(left)}")


def spent_by(child: Child) -> tuple[float, float] | None:
    """Seconds of CPU and resident MiB of a running process, as the kernel counts them.

    None where there is no /proc. Source: proc(5), stat and statm.
    """
    try:
        fields = (PROC / str(child.pid) / "stat").read_text().rpartition(")")[2].split()
        pages = int((PROC / str(child.pid) / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return cpu_s, pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def obeying_signals(interrupted: list[signal.Signals]) -> Iterator[None]:
    """The first one cancels; the others are ignored, because what was started is then being stopped."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def cancel(signum: signal.Signals) -> None:
        if not interrupted and task is not None:
            task.cancel()
        interrupted.append(signum)

    obeyed = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for signum in obeyed:
        loop.add_signal_handler(signum, cancel, signum)
    try:
        yield
    finally:
        for signum in obeyed:
            loop.remove_signal_handler(signum)
