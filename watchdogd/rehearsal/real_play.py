"""A scenario played with real processes: the served lab, `watchdogd run` on a config file, the fence command, clients.

Seconds are real. What the file expects is judged from the lab's own truth and from what the daemon writes down, with a
few seconds of grace. Of the invariants only those are asked that can be seen from outside.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from watchdogd.adapters.clock import SystemClock
from watchdogd.adapters.config import load_config
from watchdogd.errors import ConfigError
from watchdogd.lab.doubts import shown
from watchdogd.lab.lab_file import LabFile
from watchdogd.lab.scenario import Scenario
from watchdogd.lab.story import Line, Story, checks
from watchdogd.rehearsal.acts import Acts
from watchdogd.rehearsal.asking import Asking
from watchdogd.rehearsal.by_hand import promotes
from watchdogd.rehearsal.free_ports import free_port
from watchdogd.rehearsal.limits import CannotBeReal, reasons
from watchdogd.rehearsal.observing import Observer
from watchdogd.rehearsal.place import Place, lab_is_up, start_daemon, start_lab, start_writer
from watchdogd.rehearsal.play import Played
from watchdogd.rehearsal.processes import ROOT, Child, Stage, Unmet, cause
from watchdogd.rehearsal.real_hands import RealHands
from watchdogd.rehearsal.settings_file import TTL_S, write_settings
from watchdogd.rehearsal.site import WORLD_KEYS, fence_plan_of, writers_of
from watchdogd.rehearsal.starting import Anchor, aws_environment, must_fit
from watchdogd.rehearsal.time_line import TimeLine

SLACK_S = 3.0  # of a busy machine, in every span of time and every budget of seconds
UP_WITHIN_S = 30.0
PASS_S, POLL_S = 0.05, 0.1
WRITE_EVERY_S, WRITE_TIMEOUT_S = 1.0, 5.0  # as the clients of virtual time


async def play_for_real(scenario: Scenario, directory: Path, on_line: Callable[[Line], None]) -> Played:
    """Play it in `directory`, which must be empty; every line is handed to `on_line` when it is known.

    Raises: CannotBeReal, and nothing was started; Unmet for a process that does not come up or ends by itself.
    """
    if why := reasons(scenario):
        raise CannotBeReal("\n".join(why))
    async with Stage() as stage, AsyncExitStack() as stack:
        anchor = Anchor()
        await stack.enter_async_context(anchor)
        place = _place(scenario, directory, anchor)
        lab = await _lab_up(scenario, stage, place)
        write_settings(scenario, lab, place)
        try:
            load_config(str(place.config))
        except ConfigError as exc:
            raise CannotBeReal(f"the config of this scenario is none: {exc}") from exc
        ask = await stack.enter_async_context(Asking(lab, place.socket))
        play = RealPlay(scenario, stage, place, lab, ask, anchor, on_line)
        await play.run()
        return play.played()


class RealPlay:
    """One scenario on its stage of processes."""

    def __init__(
        self,
        scenario: Scenario,
        stage: Stage,
        place: Place,
        lab: LabFile,
        ask: Asking,
        anchor: Anchor,
        on_line: Callable[[Line], None],
    ) -> None:
        self.scenario, self.place, self.lab, self.ask, self.anchor = scenario, place, lab, ask, anchor
        self.story = Story()
        self.refused: list[str] = []
        self.otherwise: list[str] = []
        self._stage, self._on_line = stage, on_line
        self._time_line = TimeLine(scenario)
        self._began_s = asyncio.get_running_loop().time()
        self._daemon: Child | None = None
        self._writers: list[Child] = []
        self.observer = Observer(ask, place.daemon_log, self._seen, self.now_s)

    def now_s(self) -> float:
        """Seconds of the scenario."""
        return asyncio.get_running_loop().time() - self._began_s

    def tell(self, text: str, more: str = "") -> None:
        """One more line, of now."""
        self._seen(text, more, self.now_s())

    def _seen(self, text: str, more: str, at_s: float) -> None:
        line = self.story.add(max(at_s, 0.0), text, more)
        self._on_line(line)
        for begun in self._time_line.begun_by(line, self.story):
            self._acts.happen(begun)

    # -- running -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """From the first second to the last. Raises: Unmet."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._acts = Acts(RealHands(self), tasks)
                await self._begin()
                observer = self.observer
                loops = (
                    observer.follow_lab(),
                    observer.follow_log(),
                    observer.follow_journal(),
                    observer.follow_standing(lambda state: self.story.states.append((self.now_s(), state))),
                )
                following = [tasks.create_task(loop) for loop in loops]
                await self._pass()
                self._acts.stop()
                for task in following:
                    task.cancel()
            await self._end()
        except (BaseExceptionGroup, aiohttp.ClientError) as exc:
            raise cause(exc, self.place.log("lab.log")) from exc

    async def _begin(self) -> None:
        for number in range(writers_of(self.scenario)):
            writer = start_writer(
                self._stage, self.place, f"writer-{number}", every_s=WRITE_EVERY_S, timeout_s=WRITE_TIMEOUT_S
            )
            self._writers.append(await writer)
        self.place.daemon_log.touch()
        child = await self._start_process()
        await self._until_it_answers(child)
        self._began_s = asyncio.get_running_loop().time()
        self.tell("daemon started")
        await self.observer.begin(SystemClock().wall_utc().timestamp())

    async def _pass(self) -> None:
        while (now_s := self.now_s()) < self.scenario.until_s:
            for _, line in self._time_line.take(now_s):
                self._acts.happen(line)
            self._stage.must_run()
            await asyncio.sleep(PASS_S)

    async def _end(self) -> None:
        self.observer.read_log()
        await self.observer.read_journal()
        await self.observer.look()
        self.story.states.append((self.now_s(), self.observer.state()))
        for child in [*self._writers, *([self._daemon] if self._daemon is not None else [])]:
            if await self._stage.stop(child) != 0:
                self.refused.append(f"{child.name} ended with {child.process.returncode} when it was told to")

    def played(self) -> Played:
        """What came of it."""
        counts, scenario = self.observer.counts(), self.scenario
        found = checks(scenario, self.story, counts, slack_s=SLACK_S, budget_slack_s=SLACK_S)
        broken = (*self.observer.crashes, *self._told_secrets(), *self._promoted_twice())
        return Played(
            scenario=scenario,
            story=self.story,
            counts=counts,
            checks=found,
            refused=(*self.refused, *self.otherwise),
            is_otherwise=bool(self.otherwise),
            broken=broken,
        )

    def _told_secrets(self) -> Sequence[str]:
        """I5, in everything that was written."""
        secrets = [value for value in self.lab.credentials.values() if len(value) >= 8]
        written = self.place.daemon_log.read_text(encoding="utf-8", errors="replace") + self.story.text()
        return ["I5 broken: a secret was written down"] if any(secret in written for secret in secrets) else []

    def _promoted_twice(self) -> Sequence[str]:
        """I3, as far as it shows outside: no more promotes than failovers and roll-backs, and those by hand."""
        runs = sum(len([*self.story.of(f"run {name} opened")]) for name in ("failover", "roll-back"))
        by_hand = len(promotes(self.story))
        applied = self.observer.applied.count("promote")
        return [f"I3 broken: {applied} promotes were applied by {runs} runs"] if applied > 2 * runs + by_hand else []

    # -- processes ---------------------------------------------------------------------------------------------------

    async def start_daemon(self) -> None:
        """A new process of it, on what the one before left."""
        self.observer.begin_anew()
        child = await self._start_process()
        await self._until_it_answers(child)
        self.tell("daemon started")

    async def stop_daemon(self) -> None:
        """TERM; it ends by itself."""
        if (child := self._daemon) is not None:
            self._let_go(child)
            status = await self._stage.stop(child)
            self.tell("daemon stopped", f"status {status}")

    async def kill_daemon(self, gone_s: float) -> None:
        """KILL, and another one after a while."""
        if (child := self._daemon) is not None:
            self._let_go(child)
            child.process.kill()
            await child.process.wait()
        await asyncio.sleep(gone_s)
        await self.start_daemon()

    def _let_go(self, child: Child) -> None:
        """From now on it may end."""
        self._daemon = None
        self._stage.children.remove(child)

    def signal_daemon(self, signum: signal.Signals) -> None:
        """Any signal."""
        if self._daemon is not None:
            self._daemon.process.send_signal(signum)

    async def _start_process(self) -> Child:
        lab = self.lab
        aws = aws_environment(
            access_key_id=lab.aws_access_key_id, secret_access_key=lab.aws_secret_access_key, region=lab.aws_region
        )
        self._daemon = await start_daemon(self._stage, self.place, aws)
        return self._daemon

    async def _until_it_answers(self, child: Child) -> None:
        end_s = asyncio.get_running_loop().time() + UP_WITHIN_S
        while (await self.ask.daemon("GET", "/version"))[0] != 200:
            child.must_run()
            if asyncio.get_running_loop().time() > end_s:
                raise Unmet(f"the daemon did not answer within {UP_WITHIN_S:.0f} s", child.log)
            await asyncio.sleep(POLL_S)


# -- the stage -------------------------------------------------------------------------------------------------------


def _place(scenario: Scenario, directory: Path, anchor: Anchor) -> Place:
    for name in ("log", "bin"):
        (directory / name).mkdir()
    place = Place(
        directory=directory,
        fence=_fence(scenario, directory),
        anchors=[anchor.address],
        status_page=f"127.0.0.1:{free_port()}",
    )
    must_fit(place.socket)
    return place


def _fence(scenario: Scenario, directory: Path) -> Sequence[str]:
    """The fence of the lab, or one that ends as the scenario says; the cluster and the verb are appended."""
    script, lab = directory / "bin" / "fence", directory / "lab"
    if scenario.fence:
        plan = fence_plan_of(scenario.fence)
        kept = directory / "fence-plan.json"
        kept.write_text(json.dumps({"on": plan.on, "off": plan.off, "check": plan.check}), encoding="utf-8")
        words = f'-m watchdogd.rehearsal.fence_program "{kept}" "{lab}" "$@"'
    else:
        words = f'-m watchdogd.cli.lab fence "$@" --dir "{lab}"'
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" {words}\n', encoding="utf-8")
    script.chmod(0o700)
    return [str(script)]


async def _lab_up(scenario: Scenario, stage: Stage, place: Place) -> LabFile:
    given = scenario.world
    words = ["--seed", str(scenario.seed), "--ttl", f"{TTL_S}s"]
    words += ["--propagation", f"{float(str(given.get('propagation_s', 5.0))):g}s"]
    words += ["--vault-version", str(given.get("vault_version", "1.19.0"))]
    words += ["--promote", f"{float(str(given.get('promote_s', 10.0))):g}s"]
    others = [name for name in given if name not in WORLD_KEYS | {"promote_s"}]
    words += [word for name in others for word in ("--knob", f"{name}={shown(given[name])}")]
    child = await start_lab(stage, place, port=free_port(), words=words)
    if not await lab_is_up(place, child):
        child.must_run()
    return LabFile.read(place.lab)
