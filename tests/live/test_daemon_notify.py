"""What the daemon tells systemd, heard on a real datagram socket: its loops go on, hang, or meet a failing disk."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.configs import Table, put, toml
from tests.support.live_daemon import DaemonProcess, started
from tests.support.live_pair import ServedWorld, config_of, served_world
from tests.support.live_stories import Told, names_asked_for, told_together
from watchdogd.rehearsal.free_ports import free_port

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
HANGING = str(ROOT / "tests" / "support" / "hanging.py")
HEARD_S_MAX = 60.0
FED = {"WATCHDOG": "1"}
Message = Mapping[str, str]


class Listening:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, heard: socket.socket, address: str) -> None:
        self._heard = heard
        self.address = address

    async def next(self) -> Message:
        """One datagram, by its keys."""
        async with asyncio.timeout(HEARD_S_MAX):
            raw = await asyncio.get_running_loop().sock_recv(self._heard, 8192)
        return dict(line.split("=", 1) for line in raw.decode().splitlines())

    async def until(self, wanted: Callable[[Message], bool]) -> list[Message]:
        """Everything up to the first message that is wanted, that one included."""
        heard = [await self.next()]
        while not wanted(heard[-1]):
            heard.append(await self.next())
        return heard


def says(part: str) -> Callable[[Message], bool]:
    return lambda message: part in message.get("STATUS", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A daemon of its own on the shared world, and what it tells."""

    daemon: DaemonProcess
    listening: Listening
    folder: Path

    def hang(self) -> None:
        """The part that was chosen hangs from now on."""
        (self.folder / "hang").touch()


@asynccontextmanager
async def watched(world: ServedWorld, folder: Path, *, hangs: str = "") -> AsyncIterator[Watched]:
    """It only watches: several look at one world."""
    table: Table = config_of(world)
    for change in (
        put("state_dir", str(folder / "state")),
        put("control/socket", str(folder / "c.sock")),
        put("listen/http", f"127.0.0.1:{free_port()}"),
        put("./levels/failover", "observe"),
    ):
        change(table)
    (folder / "state").mkdir(mode=0o700)
    config = folder / "watchdogd.toml"
    config.write_text(toml(table), encoding="utf-8")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        address = f"watchdogd-{os.getpid()}-{folder.name}"
        heard.bind("\0" + address)
        heard.setblocking(False)
        environ = {**world.environ, "NOTIFY_SOCKET": f"@{address}", "WATCHDOG_USEC": "30000000"}
        program = (HANGING, hangs, str(folder / "hang")) if hangs else ("-m", "watchdogd.cli.main")
        environ["PYTHONPATH"] = str(ROOT)
        async with started(config, folder / "c.sock", environ=environ, program=program) as daemon:
            yield Watched(daemon=daemon, listening=Listening(heard, address), folder=folder)


# ---------------------------------------------------------------------------------------------------------- stories


async def from_start_to_stop(world: ServedWorld, folder: Path) -> None:
    async with watched(world, folder) as it:
        assert await it.listening.next() == {"READY": "1", "STATUS": "watching prod"}
        healthy = "prod: steady, east primary, west streaming; failover observe"
        assert FED in await it.listening.until(lambda message: message == {"STATUS": healthy})
        it.daemon.send(signal.SIGTERM)
        heard = await it.listening.until(lambda message: "STOPPING" in message)
        assert heard[-1]["STATUS"] == "stopping at a safe point"
        assert await it.daemon.ended() == 0
        assert "threads_left" not in {line["event"] for line in it.daemon.log}


async def assert_starved_by(it: Watched, who: str) -> None:
    """Fed; then `who` hangs: named in status and log, and never fed again."""
    await it.listening.until(FED.__eq__)
    it.hang()
    hung = f"no round was finished lately by {who}"
    heard = await it.listening.until(says(hung))
    heard += await it.listening.until(says(hung))
    first = next(n for n, message in enumerate(heard) if hung in message.get("STATUS", ""))
    assert FED not in heard[first:]
    assert any(line["event"] == "watchdog_not_fed" and who in line["why"] for line in it.daemon.log)


async def the_decision_loop_hangs(world: ServedWorld, folder: Path) -> None:
    async with watched(world, folder, hangs="decision") as it:
        await assert_starved_by(it, "prod: decision")


async def the_probe_loops_hang(world: ServedWorld, folder: Path) -> None:
    async with watched(world, folder, hangs="probe") as it:
        await assert_starved_by(it, "prod: probe of https://")


async def the_journal_hangs(world: ServedWorld, folder: Path) -> None:
    async with watched(world, folder, hangs="journal") as it:
        await assert_starved_by(it, "the journal")
        it.daemon.send(signal.SIGABRT)  # what systemd does then
        assert await it.daemon.ended() == -signal.SIGABRT
        assert any("slow_answer" in line for line in it.daemon.raw), "where it hung is in the log"


async def the_journal_fails(world: ServedWorld, folder: Path) -> None:
    """A disk that answers with errors is a gate, a metric and a page: no restart loop."""
    async with watched(world, folder) as it:
        await it.listening.until(FED.__eq__)
        resource.prlimit(it.daemon.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        status, body = await it.daemon.post("/pairs/prod/pause", {"reason": "cannot be written"})
        assert status == 503, json.dumps(body)
        heard = await it.listening.until(says("S-08"))
        heard += [await it.listening.next() for _ in range(4)]
        assert heard.count(FED) >= 2
        assert not [line for line in it.daemon.log if line["event"] == "watchdog_not_fed"]


STORIES = {
    story.__name__: story
    for story in (
        from_start_to_stop,
        the_decision_loop_hangs,
        the_probe_loops_hang,
        the_journal_hangs,
        the_journal_fails,
    )
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    async with served_world(tmp_path_factory.mktemp("world")) as world:
        stories = {name: partial(story, world) for name, story in STORIES.items()}
        async with told_together(stories, names_asked_for(request), tmp_path_factory.mktemp) as telling:
            yield telling


@pytest.mark.parametrize("name", STORIES)
async def test_systemd_is_told(told: Told, name: str) -> None:
    if (failure := await told[name]) is not None:
        raise failure
