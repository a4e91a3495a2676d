"""The fence command as a real process: every way in which it can end, or not end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.support.entries import EAST, PAIR, RUN, WEST
from watchdogd.adapters import fence
from watchdogd.adapters.fence import CommandFence, FenceCommand
from watchdogd.ports import FenceOutcome, FenceResult, FenceVerb

pytestmark = pytest.mark.live
COMMAND = Path(__file__).parents[1] / "support" / "fence_command.py"


# In sh, which has said its group before any time-out of a second; Python may not have begun by then.
HANGS = """printf '{"group": %d}\\n' $$; sleep 600"""
IGNORES_TERM = """trap '' TERM; sleep 600 & printf '{"group": %d}\\n' $$; sleep 600"""


def fence_that(how: str) -> CommandFence:
    argv = (sys.executable, str(COMMAND), how)
    return CommandFence(pair=PAIR, commands={EAST: FenceCommand(argv=argv, timeout_s=20.0)})


async def call(how: str, *, epoch: int = 3) -> FenceResult:
    return await fence_that(how)(FenceVerb.ON, EAST, epoch=epoch, run_id=RUN)


async def call_sh(script: str, *, timeout_s: float) -> FenceResult:
    command = FenceCommand(argv=("/bin/sh", "-c", script), timeout_s=timeout_s)
    return await CommandFence(pair=PAIR, commands={EAST: command})(FenceVerb.ON, EAST, epoch=3, run_id=RUN)


def report_of(result: FenceResult) -> dict[str, object]:
    report: dict[str, object] = json.loads(result.output.splitlines()[0])
    return report


def group_is_alive(group: int) -> bool:
    """True while a process of the group runs; a dead one that nobody has collected yet does not."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, in_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(in_group) == group and state not in "ZX":
            return True
    return False


async def wait_until_dead(group: int) -> None:
    async with asyncio.timeout(5):
        while await asyncio.to_thread(group_is_alive, group):
            await asyncio.sleep(0.02)


async def test_the_verb_comes_last_and_nothing_of_ours_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.secret")
    result = await call("tell")
    assert (result.outcome, result.why) == (FenceOutcome.DONE, "")
    report = report_of(result)
    assert report["argv"] == ["on"]
    assert report["environment"] == {
        "PATH": fence.SAFE_PATH,
        "WATCHDOGD_PAIR": "prod",
        "WATCHDOGD_CLUSTER": "east",
        "WATCHDOGD_EPOCH": "3",
        "WATCHDOGD_RUN_ID": "run-1",
    }
    assert report["cwd"] == "/"
    assert report["group"] == report["pid"] != os.getpgid(0)


@pytest.mark.parametrize(
    ("exit_status", "outcome"),
    [
        (0, FenceOutcome.DONE),
        (75, FenceOutcome.TRY_AGAIN),
        (1, FenceOutcome.FAILED),
        (74, FenceOutcome.FAILED),
        (255, FenceOutcome.FAILED),
    ],
)
async def test_the_exit_status_is_the_outcome(exit_status: int, outcome: FenceOutcome) -> None:
    assert (await call("exit", epoch=exit_status)).outcome is outcome


async def test_a_command_that_is_killed_has_failed() -> None:
    result = await call("die")
    assert (result.outcome, result.why) == (FenceOutcome.FAILED, "killed by signal 6")


async def test_its_standard_input_is_empty() -> None:
    assert (await call("read")).output.endswith("''")


async def test_of_a_huge_output_the_first_4_kib_are_kept_and_the_rest_is_read_away() -> None:
    result = await call("shout")
    assert result.outcome is FenceOutcome.DONE
    assert len(result.output) == 4096
    assert result.output.endswith("yyy")


async def test_tokens_in_the_output_are_redacted() -> None:
    result = await call("whisper")
    assert "token (redacted) old (redacted) on stdout" in result.output
    assert "and (redacted) on stderr" in result.output


async def test_a_command_that_hangs_is_stopped_and_its_outcome_is_unknown() -> None:
    result = await call_sh(HANGS, timeout_s=1.0)
    assert result.outcome is FenceOutcome.TIMED_OUT
    group = report_of(result)["group"]
    assert isinstance(group, int)
    await wait_until_dead(group)


async def test_a_command_that_ignores_term_is_killed_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "TERM_GRACE_S", 0.3)
    result = await call_sh(IGNORES_TERM, timeout_s=1.0)
    assert result.outcome is FenceOutcome.TIMED_OUT
    group = report_of(result)["group"]
    assert isinstance(group, int)
    await wait_until_dead(group)


async def test_a_grandchild_that_holds_the_output_delays_nothing() -> None:
    started_s = asyncio.get_running_loop().time()
    result = await call("leave-grandchild")
    assert result.outcome is FenceOutcome.DONE
    assert asyncio.get_running_loop().time() - started_s < 10
    group = report_of(result)["group"]
    assert isinstance(group, int)
    os.killpg(group, 9)


@pytest.mark.parametrize("how", ["hang", "ignore-term"])
async def test_a_cancelled_call_leaves_no_process_behind(
    how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fence, "TERM_GRACE_S", 0.3)
    said = tmp_path / "pid"
    script = f'echo $$ > {said}.new && mv {said}.new {said}; exec "$@"'
    argv = ("/bin/sh", "-c", script, "sh", sys.executable, str(COMMAND), how)
    calling = CommandFence(pair=PAIR, commands={EAST: FenceCommand(argv=argv, timeout_s=60.0)})
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(calling(FenceVerb.ON, EAST, epoch=1, run_id=RUN))
        async with asyncio.timeout(10):
            while not said.exists():
                await asyncio.sleep(0.02)
        task.cancel()
    assert task.cancelled()
    await wait_until_dead(int(said.read_text()))


@pytest.mark.parametrize("argv0", ["/no/such/command", "/etc/passwd", "/tmp", "nul\0byte"])
async def test_a_command_that_cannot_be_started_has_failed(argv0: str) -> None:
    calling = CommandFence(pair=PAIR, commands={EAST: FenceCommand(argv=(argv0,), timeout_s=5.0)})
    result = await calling(FenceVerb.CHECK, EAST, epoch=0, run_id="")
    assert result.outcome is FenceOutcome.FAILED
    assert "could not be started" in result.why


async def test_a_cluster_without_a_command_is_not_fenced() -> None:
    result = await fence_that("tell")(FenceVerb.ON, WEST, epoch=1, run_id=RUN)
    assert result.outcome is FenceOutcome.FAILED


async def open_descriptors() -> int:
    for _ in range(3):
        await asyncio.sleep(0)  # a transport closes in the next rounds of the loop
    return len(os.listdir("/proc/self/fd"))


async def test_no_descriptor_is_left_open() -> None:
    nowhere = CommandFence(pair=PAIR, commands={EAST: FenceCommand(argv=("/no/such",), timeout_s=5.0)})
    await call("tell")
    before = await open_descriptors()
    for _ in range(3):
        await call("tell")
        await nowhere(FenceVerb.OFF, EAST, epoch=1, run_id=RUN)
    assert await open_descriptors() == before
