"""A program of somebody else's in a virtual environment of its own, built once from a hashed lock file."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "tests" / "real"
BUILD_TIMEOUT_S = 300


class NotHere(Exception):
    """A server cannot be built or started on this machine; the text says why."""


def program(lock: str, name: str) -> Path:
    """The console script `name` of the environment of `tests/real/LOCK.lock`. Raises NotHere.

    It is built anew when the lock file is not the one that it was built from; two test runs never build it at once.
    """
    venv, file = ROOT / ".cache" / f"{lock}-venv", LOCKS / f"{lock}.lock"
    stamp, wanted = venv / ".lock-sha256", hashlib.sha256(file.read_bytes()).hexdigest()
    venv.parent.mkdir(exist_ok=True)
    with (venv.parent / f"{lock}.building").open("wb") as building:
        fcntl.flock(building, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text(encoding="ascii") != wanted:
            shutil.rmtree(venv, ignore_errors=True)
            for command in _build_commands(venv, file):
                _run(lock, command)
            stamp.write_text(wanted, encoding="ascii")
    return venv / "bin" / name


def stop(process: subprocess.Popen[bytes], *, timeout_s: float = 5.0) -> None:
    """Ask a process of ours to end, and end it when it does not."""
    process.terminate()
    try:
        process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=timeout_s)


def _build_commands(venv: Path, lock: Path) -> list[list[str]]:
    python = str(venv / "bin" / "python")
    beside = Path(sys.executable).with_name("uv")
    if uv := shutil.which("uv") or (str(beside) if beside.is_file() else None):
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(venv)],
            [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(lock)],
        ]
    return [
        [sys.executable, "-m", "venv", str(venv)],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)],
    ]


def _run(lock: str, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NotHere(f"{lock} cannot be installed: {exc}") from exc
    if done.returncode != 0:
        raise NotHere(f"{lock} cannot be installed ({command[0]} {command[1]}): {done.stderr.strip()[-300:]}")
