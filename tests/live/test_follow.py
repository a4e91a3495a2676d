"""`watchdogd-lab follow`: a served lab is broken, fenced and promoted by hand, and every bit of it is told in words."""

from __future__ import annotations

import asyncio
import io
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from tests.support.lab_file import lab_file
from tests.support.served_lab import served_lab
from watchdogd.cli import lab
from watchdogd.cli.demo_config import LabFacts
from watchdogd.cli.lab_follow import tell

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]
WITHIN_S, POLL_S = 15.0, 0.05


async def until(holds: Callable[[], bool], out: io.StringIO) -> None:
    try:
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise AssertionError(out.getvalue()) from None


async def test_what_really_happens_is_told_as_it_happens_and_what_happened_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()

    def says(*texts: str) -> Callable[[], bool]:
        return lambda: all(text in out.getvalue() for text in texts)

    narrow = ["--from", "clients", "--for", "50s"]
    where = ["--dir", str(tmp_path)]
    with served_lab(tmp_path):
        await asyncio.to_thread(lab.main, ["fault", "add", "delay", "lb:west", "seconds=0.1", *narrow, *where])
        await asyncio.to_thread(lab.main, ["fault", "clear", "99", *where])
        facts = LabFacts.read(tmp_path / "lab.json")
        following = asyncio.create_task(tell(facts, out))  # noqa: TID251  a test's own
        await until(says("fault     1: delay lb:west seconds=0.1 --from clients --for 50s"), out)
        await until(says("now: east/1 is active (east is dr primary)", "now: are served by vault-east"), out)
        assert "the service name is vault-east.example.test" in out.getvalue()
        await asyncio.to_thread(lab.main, ["fence", "east", "on", *where])
        await until(says("the client network of east is closed", "do not reach vault-east.example.test"), out)
        await asyncio.to_thread(lab.main, ["fault", "add", "crash", "node:east/1", *where])
        await until(says("fault     2: crash node:east/1", "east has no active node", "east/1 is down"), out)
        await promote_west(facts)
        await until(says("west accepted promote (dr)", "west is dr primary, no longer secondary"), out)
        await until(says("from now on the name publishes a cluster that is not primary"), out)
        await asyncio.to_thread(lab.main, ["fault", "clear", *where])
        await until(says("fault     1 is cleared: delay lb:west", "fault     2 is cleared", "east/1 is up"), out)
        await ends_by_itself(facts, out, where)
        await asyncio.to_thread(lab.main, ["fault", "clear", *where])
        await asyncio.to_thread(lab.main, ["status", *where])
    await asyncio.wait_for(following, WITHIN_S)  # noqa: TID251  it ends when the lab does
    assert "the lab does not answer any more" in out.getvalue()
    assert out.getvalue().count("cleared") == 2, "neither what was refused nor what was not there"
    assert re.search(r"east +dr primary +performance disabled +active ", capsys.readouterr().out)


async def ends_by_itself(facts: LabFacts, out: io.StringIO, where: list[str]) -> None:
    brief = ["seconds=0.1", "--for", "300ms"]
    await asyncio.to_thread(lab.main, ["fault", "add", "delay", "lb:west", *brief, *where])
    await until(lambda: "fault     3 is over, its time has passed: delay lb:west" in out.getvalue(), out)
    once = ["path=sys/health", "method=GET", "status=400", "times=1"]
    await asyncio.to_thread(lab.main, ["fault", "add", "error_applied", "node:west/1", *once, *where])
    assert await health_of_west(facts) == 400
    used_up = "fault     4 is over, it has happened as often as it was to: error_applied node:west/1"
    await until(lambda: used_up in out.getvalue(), out)


async def promote_west(facts: LabFacts) -> None:
    url = f"{facts.clusters['west'].nodes[0]}/v1/sys/replication/dr/secondary/promote"
    body = {"dr_operation_token": facts.credentials["dr_token_a"]}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=body, ssl=ssl.create_default_context(cafile=facts.ca_file)) as reply:
            assert reply.status == 200, await reply.text()


async def health_of_west(facts: LabFacts) -> int:
    url, tls = f"{facts.clusters['west'].nodes[0]}/v1/sys/health", ssl.create_default_context(cafile=facts.ca_file)
    async with aiohttp.ClientSession() as session, session.get(url, ssl=tls) as reply:
        return reply.status


def test_without_a_lab_it_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["follow", "--dir", str(tmp_path)]) == lab.USAGE
    assert "start one with `watchdogd-lab up --dir " in capsys.readouterr().err


def test_a_lab_that_was_killed_is_told_so_and_nothing_else(tmp_path: Path) -> None:
    resolvers = dict.fromkeys(("bastion", "clients"), "127.1.0.53:1")
    replace(lab_file(tmp_path), control_url="http://127.1.0.99:1", resolvers=resolvers).write(tmp_path)
    follow = [sys.executable, "-m", "watchdogd.cli.lab", "follow", "--dir", str(tmp_path)]
    done = subprocess.run(follow, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    assert done.stdout.splitlines()[-1].endswith("the lab does not answer any more")
    assert done.stderr == ""


def test_when_nobody_reads_on_it_ends_without_a_word(tmp_path: Path) -> None:
    follow = [sys.executable, "-m", "watchdogd.cli.lab", "follow", "--dir", str(tmp_path)]
    with served_lab(tmp_path):
        following = subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert following.stdout is not None
        assert following.stdout.readline().startswith("SIMULATOR")
        following.stdout.close()
        assert following.wait(WITHIN_S) == 128 + signal.SIGPIPE
        assert following.stderr is not None
        with following.stderr as said:
            assert said.read() == ""
