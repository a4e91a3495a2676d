"""A witness command leaves nothing behind, however it ends: it is asked again every few seconds, for ever."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from watchdogd.core.model import ClusterId, PairId
from watchdogd.daemon.witnesses import ExecWitness

pytestmark = pytest.mark.live


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it may end between two looks, and between opening and reading
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("last", "sees", "why"),
    [("wait", False, "no answer within 2 s"), ("exit 0", True, "exit 0"), ("exit 3", False, "exit 3: it says nothing")],
    ids=["it hangs", "it sees", "it fails"],
)
async def test_what_a_witness_started_ends_with_it(tmp_path: Path, last: str, sees: bool, why: str) -> None:
    child = tmp_path / "child"
    script = f"echo $$ > {tmp_path}/shell; sleep 600 & echo $! > {child}.new; mv {child}.new {child}; {last}"
    witness = ExecWitness(
        pair=PairId("prod"), argv=("/bin/sh", "-c", script), timeout_s=2.0 if last == "wait" else 30.0
    )
    said = await witness(ClusterId("east"))
    assert (said.sees, said.why) == (sees, why)
    shell = int((tmp_path / "shell").read_text())
    assert not is_there(shell), "reaped, too"
    pid = int(child.read_text())
    try:
        async with asyncio.timeout(5.0):
            while is_running(pid):
                await asyncio.sleep(0.01)
    finally:
        if is_running(pid):
            os.kill(pid, 9)
