"""The container image of this tree, built and run: its commands, and a daemon that guards a lab from within it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from tests.support.configs import Table, good, put, toml
from tests.support.image import IMAGE, Buildah, Container, made_image
from tests.support.live_pair import config_of, served_world

pytestmark = [pytest.mark.image, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

USER = 977
READY_S_MAX = 90.0


class Host(Protocol):
    def program(self, name: str, *, package: str) -> str: ...

    def root(self, why: str) -> None: ...


@pytest.fixture(scope="module")
def buildah(need: Host) -> Buildah:
    need.root("an image is built in a chroot")
    buildah = Buildah(program=need.program("buildah", package="buildah"))
    made_image(buildah, need.program("mmdebstrap", package="mmdebstrap"))
    return buildah


@pytest_asyncio.fixture(loop_scope="module")
async def container(buildah: Buildah) -> AsyncIterator[Container]:
    name = await asyncio.to_thread(buildah.run, "from", "--pull-never", IMAGE)
    shared = Path(tempfile.mkdtemp(prefix="watchdogd-image-"))
    try:
        yield Container(buildah=buildah, name=name, shared=shared)
    finally:
        await asyncio.to_thread(buildah.run, "rm", name)
        shutil.rmtree(shared)


def give_to_the_image(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, USER, USER)


def pids_of(program: str, folder: Path) -> list[int]:
    """The processes that run `program` for this very folder, as the kernel shows them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(word.endswith(program) for word in words[:2]) and any(str(folder) in word for word in words):
            found.append(int(entry.name))
    return found


async def test_it_runs_as_nobody_in_particular_and_says_its_version(container: Container) -> None:
    status, said = await container.run("watchdogd", "--version")
    assert (status, said.split()[0]) == (0, "watchdogd")
    assert (await container.run("id", "-u"))[1].strip() == str(USER)
    assert (await container.run("touch", "/opt/watchdogd/x"))[0] != 0


async def test_its_health_check_asks_how_the_pairs_fare(buildah: Buildah) -> None:
    config = json.loads(json.loads(buildah.run("inspect", "--type", "image", IMAGE))["Config"])["config"]
    assert config["Healthcheck"]["Test"] == ["CMD", "watchdogctl", "status", "--check"]
    assert (config["User"], config["StopSignal"]) == (f"{USER}:{USER}", "SIGTERM")
    assert (config["Entrypoint"], config["Cmd"]) == (["watchdogd"], ["run"])


async def test_it_checks_a_config(container: Container) -> None:
    config = container.shared / "watchdogd.toml"
    config.write_bytes(good())
    give_to_the_image(container.shared)
    status, said = await container.run("watchdogd", "check-config", str(config))
    assert status == 0, said
    config.write_bytes(good(put("surprise", 1)))
    status, said = await container.run("watchdogd", "check-config", str(config))
    assert status == 2
    assert "surprise" in said


async def test_a_daemon_in_it_guards_a_pair_and_stops_at_term(container: Container) -> None:
    folder = container.shared
    async with served_world(folder) as world:
        table: Table = config_of(world)
        for cluster in ("east", "west"):
            put(f"./cluster/{cluster}/fence", {"waived": "a test of the image"})(table)
        put("./levels/accept_two_primaries_on_partition", True)(table)
        socket = Path(table["control"]["socket"])
        socket.parent.mkdir(exist_ok=True)
        world.config.write_text(toml(table), encoding="utf-8")
        give_to_the_image(folder)
        aws = [f"{key}={value}" for key, value in world.environ.items()]
        words = container.words("env", *aws, "watchdogd", "run", str(world.config))
        status, log = await stopped_by_term(words, container, socket)
        assert status == 0
        assert b'"code": 0, "event": "stopped"' in log


async def stopped_by_term(words: list[str], container: Container, socket: Path) -> tuple[int | None, bytes]:
    """Run it until it is healthy, then send TERM to the daemon itself: its exit status, and its log."""
    daemon = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.TaskGroup() as tasks:
        said = tasks.create_task(daemon.communicate())
        try:
            await until_healthy(container, socket)
        finally:
            for pid in pids_of("/watchdogd", container.shared):
                os.kill(pid, signal.SIGTERM)
    return daemon.returncode, said.result()[1]


async def until_healthy(container: Container, socket: Path) -> None:
    """By the very command of the health check."""
    seen = (0, "")
    try:
        async with asyncio.timeout(READY_S_MAX):
            while (seen := await container.run("watchdogctl", "--socket", str(socket), "status", "--check"))[0] != 0:
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise AssertionError(f"not healthy: {seen}") from None
