"""The end of the real process while something hangs that nobody can interrupt: it ends all the same."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support.configs import good, put
from tests.support.live_daemon import POLL_S, ROOT, started
from watchdogd.rehearsal.free_ports import free_port

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

SOON_S = 60.0
# `watchdogd`, which waits but a moment for its client of Route 53 at the start.
IMPATIENT = """
import sys
from watchdogd.adapters.dns import route53
from watchdogd.cli.main import main
route53.PREPARE_S_MAX = 0.2
sys.exit(main())
"""


def watching_nobody(folder: Path) -> Path:
    """A config whose clusters and provider do not answer: everything is dead, and the daemon starts all the same."""
    nowhere = f"127.0.0.1:{free_port()}"
    changes = [
        put("environment", "lab"),
        put("state_dir", str(folder / "state")),
        put("control/socket", str(folder / "control.sock")),
        put("listen/http", f"127.0.0.1:{free_port()}"),
        put("self_check/anchors", [{"address": nowhere, "place": "neutral"}]),
        put("./levels/failover", "observe"),
        put("./dns/endpoint_url", f"http://{nowhere}"),
    ]
    for number, cluster in enumerate(("east", "west"), start=1):
        nodes = [f"https://127.0.{number}.{node}:{free_port()}" for node in (1, 2, 3)]
        changes += [
            put(f"./cluster/{cluster}/address", f"https://127.0.{number}.100:{free_port()}"),
            put(f"./cluster/{cluster}/nodes", nodes),
            put(f"./cluster/{cluster}/tls", {}),
            put(f"./cluster/{cluster}/fence", {"waived": "a test"}),
        ]
    config = folder / "watchdogd.toml"
    config.write_bytes(good(*changes))
    (folder / "state").mkdir(mode=0o700)
    return config


def is_read(pipe: Path) -> bool:
    """Whether a process has the pipe open. Source: fifo(7): else opening it to write, without waiting, is ENXIO."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


async def test_a_program_for_credentials_that_hangs_is_ended_with_the_daemon_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    pipe, program = tmp_path / "pipe", tmp_path / "keys"
    os.mkfifo(pipe)
    # Source: docs.aws.amazon.com/sdkref, "Process credential provider".
    program.write_text(f"#!/bin/sh\nexec cat {pipe}\n", encoding="utf-8")
    program.chmod(0o700)
    (tmp_path / "aws").write_text(f"[default]\ncredential_process = {program}\n", encoding="utf-8")
    environ = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "aws"),
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }
    config, socket = watching_nobody(tmp_path), tmp_path / "control.sock"
    async with started(config, socket, environ=environ, program=("-c", IMPATIENT)) as daemon:
        await daemon.said(lambda line: line["event"] == "route53_client_not_built", timeout_s=SOON_S)
        await daemon.said(lambda line: line["event"] == "started", timeout_s=SOON_S)
        async with asyncio.timeout(SOON_S):
            while not is_read(pipe):
                await asyncio.sleep(POLL_S)
        assert await daemon.terminate() == 0
        async with asyncio.timeout(SOON_S):
            while is_read(pipe):
                await asyncio.sleep(POLL_S)


HANGS = """
import sys, threading
from watchdogd.daemon.leaving import end_what_hangs
before = threading.enumerate()
threading.Thread(target=threading.Event().wait, name="resolve_0").start()
print("said before")
end_what_hangs(3, before)
print("came back")
"""


async def test_a_thread_that_nothing_ends_is_left_and_what_was_said_is_not_lost() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HANGS, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(SOON_S):
        said, _ = await process.communicate()
    assert process.returncode == 3
    assert said.startswith(b"said before\n")
    assert b"not waited for: resolve_0" in said
    assert b"came back" not in said
