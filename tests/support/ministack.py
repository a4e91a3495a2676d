"""ministack, an independent simulator of AWS, as its own process in its own virtual environment.

The referee for the lab's Route 53: what we believe of the service, checked by somebody else's reading of its reference.
It pins a botocore of its own, hence the environment of its own, built once from a hashed lock file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "tests" / "real" / "ministack.lock"
VENV = ROOT / ".cache" / "ministack-venv"
BUILD_TIMEOUT_S, START_TIMEOUT_S, STOP_TIMEOUT_S = 300, 30, 5


class NotHere(Exception):
    """It cannot be built or started on this machine; the text says why."""


@contextmanager
def running(scratch: Path) -> Iterator[str]:
    """The URL of a fresh ministack with Route 53 only; the process is gone when the block is left. Raises NotHere."""
    program, port = _program(), _free_port()
    with (
        (scratch / "ministack.log").open("wb") as log,
        subprocess.Popen([program], env=_environment(port, scratch), stdout=log, stderr=log, cwd=scratch) as process,
    ):
        try:
            _wait_until_it_listens(process, port, scratch / "ministack.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(process)


def _environment(port: int, scratch: Path) -> dict[str, str]:
    """Loopback only, one service, and no Docker: it would remove containers that it takes for its own."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "route53",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{scratch}/no-docker.sock",
    }


def _program() -> str:
    """The console script, after building its environment if the lock file is not the one it was built from."""
    stamp, wanted = VENV / ".lock-sha256", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text(encoding="ascii") != wanted:
        shutil.rmtree(VENV, ignore_errors=True)
        for command in _build_commands():
            _run(command)
        stamp.write_text(wanted, encoding="ascii")
    return str(VENV / "bin" / "ministack")


def _build_commands() -> list[list[str]]:
    python = str(VENV / "bin" / "python")
    beside = Path(sys.executable).with_name("uv")
    if uv := shutil.which("uv") or (str(beside) if beside.is_file() else None):
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(VENV)],
            [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(LOCK)],
        ]
    return [
        [sys.executable, "-m", "venv", str(VENV)],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)],
    ]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NotHere(f"ministack cannot be installed: {exc}") from exc
    if done.returncode != 0:
        raise NotHere(f"ministack cannot be installed ({command[0]} {command[1]}): {done.stderr.strip()[-300:]}")


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.perf_counter() + START_TIMEOUT_S
    while time.perf_counter() < deadline_s and process.poll() is None:
        with socket.socket() as sock:
            sock.settimeout(1.0)
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
    raise NotHere(f"ministack does not start: {log.read_text(encoding='utf-8', errors='replace')[-300:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
