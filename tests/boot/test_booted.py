"""The installed unit on a booted systemd: start, ready, reload, a hung loop, a stop in the middle of a run."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from tests.support.configs import Table, put, toml
from tests.support.live_pair import DETECTED_S_MAX, ServedWorld, config_of, happened, served_world, write_script
from tests.support.machine import SUITE, Machine, booted, installed_root, system_python
from watchdogd.lab.events import What

pytestmark = [pytest.mark.boot, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

HANGING = Path(__file__).parents[1] / "support" / "hanging.py"
HEALTHY = "prod: steady, east primary, west streaming; failover auto"
READY_S_MAX = 90.0
CTL = "/usr/local/bin/watchdogctl"


class Host(Protocol):
    def program(self, name: str, *, package: str) -> str: ...

    def root(self, why: str) -> None: ...


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(need: Host, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    need.root("a system is booted in a container")
    nspawn = need.program("systemd-nspawn", package="systemd-container")
    mmdebstrap = need.program("mmdebstrap", package="mmdebstrap")
    if system_python() != "3.11":
        pytest.skip(f"/usr/bin/python3 is {system_python() or 'missing'}, that of {SUITE} is 3.11")
    installed = await asyncio.to_thread(installed_root, mmdebstrap)
    root = tmp_path_factory.mktemp("machine") / "root"
    await asyncio.to_thread(subprocess.run, ["cp", "-a", "--reflink=auto", str(installed), str(root)], check=True)
    # Neither below /tmp nor below a home: the unit sees neither.
    shared = opened(Path(tempfile.mkdtemp(prefix="watchdogd-boot-", dir="/srv")))
    try:
        async with booted(nspawn, root, shared) as machine:
            yield machine
    finally:
        shutil.rmtree(shared)
        await asyncio.to_thread(shutil.rmtree, root)


@asynccontextmanager
async def site(machine: Machine, *, fence: str = "") -> AsyncIterator[ServedWorld]:
    """A world, and the daemon of the machine configured for it, not started. `fence`: what its command does before."""
    await machine.reset()
    folder = Path(tempfile.mkdtemp(dir=machine.shared))
    async with served_world(folder) as world:
        table: Table = config_of(world)
        for cluster in ("east", "west"):
            lab = f"/opt/watchdogd/bin/watchdogd-lab fence {cluster} --dir {folder / 'lab'}"
            write_script(folder / f"fence-{cluster}", f'{fence}\nexec {lab} "$1"')
            put(f"./cluster/{cluster}/fence/timeout", "60s")(table)
        put("state_dir", "/var/lib/watchdogd")(table)
        put("control/socket", "/run/watchdogd/control.sock")(table)
        config = machine.root / "etc/watchdogd/watchdogd.toml"
        config.write_text(toml(table), encoding="utf-8")
        aws = [f"{key}={value}" for key, value in world.environ.items()]
        machine.drop_in("site", f"Environment={' '.join(aws)}\nReadWritePaths={folder}")
        await machine.systemctl("daemon-reload")
        give_to(machine.uid_of("watchdogd"), folder)
        yield world


def opened(folder: Path) -> Path:
    folder.chmod(0o755)
    return folder


def give_to(uid: int, folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid)


async def started(machine: Machine) -> None:
    await machine.systemctl("start", "watchdogd")
    await machine.until("StatusText", HEALTHY, timeout_s=READY_S_MAX)


# ------------------------------------------------------------------------------------------------------------- tests


async def test_it_starts_as_a_user_that_may_do_little_and_says_how_the_pair_fares(machine: Machine) -> None:
    async with site(machine):
        await started(machine)
        shown = await machine.shown("ActiveState", "SubState", "NRestarts", "User", "Result")
        assert shown == {
            "ActiveState": "active", "SubState": "running", "NRestarts": "0", "User": "watchdogd", "Result": "success",
        }  # fmt: skip
        assert HEALTHY in (await machine.run("systemctl", "status", "watchdogd")).text
        uid = machine.uid_of("watchdogd")
        for path, mode in (
            ("var/lib/watchdogd", 0o700),
            ("run/watchdogd", 0o750),
            ("run/watchdogd/control.sock", 0o660),
        ):
            said = await machine.run("stat", "--format=%u %g %a", f"/{path}")
            assert said.text.split() == [str(uid), str(uid), f"{mode:o}"], path
        assert (await machine.run(CTL, "status", "--check")).status == 0


async def test_the_groups_decide_who_may_look_and_who_may_act(machine: Machine) -> None:
    async with site(machine):
        await started(machine)
        for user, groups in (("viewer", "watchdogd"), ("sre", "watchdogd,watchdogd-operators"), ("nobody2", "")):
            await machine.run("useradd", "--groups", groups, user) if groups else await machine.run("useradd", user)
        pause = (CTL, "pause", "--reason", "a test")
        codes = {
            (user, words[1]): (await machine.run("runuser", "-u", user, "--", *words)).status
            for user in ("viewer", "sre", "nobody2")
            for words in ((CTL, "status"), pause)
        }
        assert codes == {
            ("viewer", "status"): 0, ("viewer", "pause"): 5,
            ("sre", "status"): 0, ("sre", "pause"): 0,
            ("nobody2", "status"): 5, ("nobody2", "pause"): 5,
        }  # fmt: skip


async def test_the_journal_has_the_priority_of_every_line(machine: Machine) -> None:
    async with site(machine):
        await started(machine)
        raw = (await machine.run("journalctl", "--unit=watchdogd", "--output=json", "--no-pager")).text
        kept = [json.loads(line) for line in raw.splitlines()]
        ours = [(json.loads(one["MESSAGE"]), one["PRIORITY"]) for one in kept if one["MESSAGE"].startswith("{")]
        assert {(said["level"], priority) for said, priority in ours} >= {("info", "6"), ("warning", "4")}


async def test_a_bad_config_ends_it_with_2_and_nothing_starts_it_again(machine: Machine) -> None:
    async with site(machine):
        (machine.root / "etc/watchdogd/watchdogd.toml").write_text("surprise = 1\n", encoding="utf-8")
        assert (await machine.run("systemctl", "start", "watchdogd")).status != 0
        shown = await machine.shown("ActiveState", "ExecMainStatus", "NRestarts")
        assert shown == {"ActiveState": "failed", "ExecMainStatus": "2", "NRestarts": "0"}
        assert "surprise" in await machine.journal()


async def test_a_reload_takes_a_good_config_and_fails_on_a_bad_one_which_changes_nothing(machine: Machine) -> None:
    async with site(machine):
        await started(machine)
        config, pid = machine.root / "etc/watchdogd/watchdogd.toml", (await machine.shown("MainPID"))["MainPID"]
        good = config.read_text(encoding="utf-8")
        observe = good.replace('"failover" = "auto"', '"failover" = "observe"')
        assert observe != good
        config.write_text(observe, encoding="utf-8")
        await machine.systemctl("reload", "watchdogd")
        told = HEALTHY.replace("failover auto", "failover observe")
        await machine.until("StatusText", told, timeout_s=READY_S_MAX)
        config.write_text("surprise = 1\n", encoding="utf-8")
        assert (await machine.run("systemctl", "reload", "watchdogd")).status != 0
        assert "surprise" in await machine.journal()
        await machine.until("StatusText", told, timeout_s=READY_S_MAX)
        assert await machine.shown("ActiveState", "MainPID") == {"ActiveState": "active", "MainPID": pid}


async def test_a_loop_that_hangs_is_killed_and_the_next_daemon_watches_on(machine: Machine) -> None:
    async with site(machine) as world:
        program, due = world.folder / "hanging.py", world.folder / "hang"
        shutil.copy(HANGING, program)
        start = f"ExecStart=\nExecStart=/opt/watchdogd/bin/python {program} decision {due} run"
        machine.drop_in("hang", f"{start}\nWatchdogSec=12s")
        await machine.systemctl("daemon-reload")
        await started(machine)
        due.touch()
        await machine.until("NRestarts", "1")
        due.unlink()
        told = await machine.journal()
        assert "no round" in told or "watchdog_not_fed" in told
        assert "Watchdog timeout" in told
        assert "Current thread" in told, "where it hung is in the journal"
        await machine.until("StatusText", HEALTHY, timeout_s=READY_S_MAX)


async def test_a_stop_in_the_middle_of_a_run_waits_for_the_fence_and_the_next_start_ends_the_run(
    machine: Machine,
) -> None:
    wait = 'if [ "$1" = on ]; then touch "${0}.began"; while [ ! -e "${0}.go" ]; do sleep 0.1; done; fi'
    async with site(machine, fence=wait) as world:
        await started(machine)
        world.lose_region("east")
        began, go = world.folder / "fence-east.began", world.folder / "fence-east.go"
        async with asyncio.timeout(DETECTED_S_MAX):
            while not began.exists():
                await asyncio.sleep(0.1)
        await machine.systemctl("stop", "--no-block", "watchdogd")
        await machine.until("ActiveState", "deactivating")
        go.touch()
        await world.seen(happened(What.FENCED, cluster="east"), timeout_s=30.0)
        await machine.until("ActiveState", "inactive", timeout_s=85.0)
        told = await machine.journal()
        assert "Deactivated successfully" in told
        assert '"code": 0, "event": "stopped"' in told
        assert not (machine.root / "run/watchdogd").exists()
        assert world.applied("promote") <= 1
        await machine.systemctl("start", "watchdogd")
        await world.seen(happened(What.NAME_PUBLISHED, cluster="west"), timeout_s=DETECTED_S_MAX)
        assert world.applied("promote") == 1
        assert world.lab.world.counts.two_writable_primaries_s == 0


async def test_what_was_written_down_survives_a_restart(machine: Machine) -> None:
    async with site(machine):
        await started(machine)
        assert (await machine.run(CTL, "pause", "--reason", "for the night")).status == 0
        await machine.systemctl("restart", "watchdogd")
        await machine.until("StatusText", f"{HEALTHY}, held by paused...", timeout_s=READY_S_MAX)
        mode = stat.S_IMODE((machine.root / "var/lib/watchdogd/journal.db").stat().st_mode)
        assert mode == 0o600
        assert "for the night" in (await machine.run(CTL, "status")).text
