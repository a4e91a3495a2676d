"""Where a demo or a play with real processes keeps its files, and the processes that both of them start there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdogd.rehearsal.processes import Child, Stage, Unmet, command

LAB_UP_WITHIN_S, POLL_S = 30.0, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One directory, and at which addresses is listened."""

    directory: Path
    fence: Sequence[str]  # the command, before the cluster is named
    anchors: Sequence[str]  # HOST:PORT
    status_page: str  # HOST:PORT

    @property
    def lab(self) -> Path:
        """The directory of the lab."""
        return self.directory / "lab"

    @property
    def bin(self) -> Path:
        """Command lines of ours, for a tree that is not installed."""
        return self.directory / "bin"

    @property
    def config(self) -> Path:
        return self.directory / "watchdogd.toml"

    @property
    def socket(self) -> Path:
        return self.directory / "run" / "control.sock"

    @property
    def daemon_log(self) -> Path:
        return self.log("daemon.jsonl")

    def log(self, name: str) -> Path:
        return self.directory / "log" / name

    def secret(self, name: str) -> Path:
        return self.directory / "credentials" / name.replace("_", "-")


async def start_lab(stage: Stage, place: Place, *, port: int, words: Sequence[str]) -> Child:
    """`watchdogd-lab up`; its `lab.json` is there a little later: `lab_is_up`."""
    program = command("watchdogd-lab", "watchdogd.cli.lab", place.bin)
    argv = [program, "up", "--dir", str(place.lab), "--port", str(port), *words]
    return await stage.start("the lab", argv, log=place.log("lab.log"))


async def lab_is_up(place: Place, child: Child) -> bool:
    """Whether `lab.json` is there, once that is known: false where the lab ended without one. Raises: Unmet."""
    end_s = asyncio.get_running_loop().time() + LAB_UP_WITHIN_S
    while not (place.lab / "lab.json").exists():
        if child.process.returncode is not None:
            return False
        if asyncio.get_running_loop().time() > end_s:
            raise Unmet(f"the lab was not up within {LAB_UP_WITHIN_S:.0f} s", child.log)
        await asyncio.sleep(POLL_S)
    return True


async def start_daemon(stage: Stage, place: Place, aws: Mapping[str, str]) -> Child:
    """`watchdogd run` on the config file."""
    program = command("watchdogd", "watchdogd.cli.main", place.bin)
    return await stage.start("watchdogd", [program, "run", str(place.config)], log=place.daemon_log, environment=aws)


async def start_writer(stage: Stage, place: Place, name: str, *, every_s: float, timeout_s: float) -> Child:
    """A program that writes numbered secrets; what became of each stands in `NAME.jsonl`."""
    log = place.log(f"{name}.jsonl")
    log.touch()
    words = ["--dir", str(place.lab), "--log", str(log), "--name", name]
    words += ["--every", str(every_s), "--timeout", str(timeout_s)]
    argv = [sys.executable, "-m", "watchdogd.lab.client_program", *words]
    return await stage.start(name, argv, log=place.log(f"{name}.log"))
