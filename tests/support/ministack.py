"""ministack, an independent simulator of AWS, as its own process in its own virtual environment.

The referee for the lab's Route 53: what we believe of the service, checked by somebody else's reading of its reference.
It pins a botocore of its own, hence the environment of its own, built once from a hashed lock file.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.own_venv import NotHere, program, stop
from watchdogd.rehearsal.free_ports import free_port

START_TIMEOUT_S = 30


@contextmanager
def running(scratch: Path) -> Iterator[str]:
    """The URL of a fresh ministack with Route 53 only; the process is gone when the block is left. Raises NotHere."""
    script, port = str(program("ministack", "ministack")), free_port()
    with (
        (scratch / "ministack.log").open("wb") as log,
        subprocess.Popen([script], env=_environment(port, scratch), stdout=log, stderr=log, cwd=scratch) as process,
    ):
        try:
            _wait_until_it_listens(process, port, scratch / "ministack.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(process)


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
