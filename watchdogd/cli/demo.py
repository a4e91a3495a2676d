"""`watchdogd-lab demo`: a region is lost, and the real daemon fails over; told as it happens, checked, and cleaned up.

Everything is a process of its own in one temporary directory. The daemon is started from a config file that looks like
a user's; it knows the world by the wire and by the fence command of its config, and nothing else.

Exit status: 0 every expectation held; 1 one did not, and the directory is kept; 128 + signal when interrupted, which
a reader who left counts as.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path

from watchdogd.cli import demo_story as story
from watchdogd.cli.demo_config import (
    PROMOTE_S,
    PROPAGATION_S,
    TTL_S,
    WRITE_EVERY_S,
    WRITE_TIMEOUT_S,
    LabFacts,
    Site,
    write_config,
)
from watchdogd.cli.demo_narrator import Narrative
from watchdogd.cli.demo_story import Props
from watchdogd.cli.demo_summary import Bounds, Expectation, Moments, expectations, read_back, show_counts, show_numbers
from watchdogd.cli.demo_voice import Tone, Voice
from watchdogd.cli.demo_watch import Watch, Writer
from watchdogd.cli.performing import performed
from watchdogd.rehearsal.free_ports import free_port, is_free
from watchdogd.rehearsal.place import lab_is_up, start_daemon, start_lab, start_writer
from watchdogd.rehearsal.processes import (
    Child,
    Stage,
    Unmet,
    command,
    last_line,
    none_left,
    spent_by,
)
from watchdogd.rehearsal.starting import Anchor, must_fit

DEADLINE_S = 180.0
KNOBS = ("--ttl", f"{TTL_S}s", "--promote", f"{PROMOTE_S:g}s", "--propagation", f"{PROPAGATION_S:g}s")
LAB_PORT, PORTS_TRIED = 8200, 4
WRITERS = 3
OK = 0


class Break(StrEnum):
    """What `--break` spoils, so that an expectation fails."""

    FENCE = "fence"  # the command exits 1 when it is told to close


def demo(*, is_kept: bool, broken: str | None) -> int:
    """Perform, and clean up; the exit status."""
    perform = partial(_perform, broken=broken)
    return performed("watchdogd-demo-", perform, within_s=DEADLINE_S, is_kept=is_kept, out=sys.stdout)


async def _perform(directory: Path, broken: str | None) -> int:
    """Raises Unmet."""
    start_s = asyncio.get_running_loop().time()

    def now_s() -> float:
        return asyncio.get_running_loop().time() - start_s

    voice = Voice(sys.stdout, now_s)
    try:
        async with Stage() as stage:
            await _play(directory, broken, voice, stage)
    finally:
        voice.flush()
    none_left(directory)
    voice.line(f"every expectation held; nothing is left running; {now_s():.0f} s", Tone.GOOD)
    return OK


# ----------------------------------------------------------------------------------------------------------- the stage


async def _play(directory: Path, broken: str | None, voice: Voice, stage: Stage) -> None:
    voice.line("The main job of watchdogd: a primary's region is lost, and the pair fails over unattended", Tone.TITLE)
    voice.line("SIMULATOR: no Vault, no AWS and no DNS of anybody is touched; everything is on 127.0.0.0/8", Tone.MUTED)
    async with AsyncExitStack() as stack:
        site = await _site(directory, broken, stack)
        lab = await _lab_up(site, stage, voice)
        write_config(site, lab)
        bounds = Bounds.of(site)
        watch = Watch(site, lab, voice.now_s)
        props = Props(
            site=site, stage=stage, watch=await stack.enter_async_context(watch), voice=voice, worst=bounds.here,
            now_s=watch.now_s,
        )  # fmt: skip
        await _tell(props, bounds)


async def _site(directory: Path, broken: str | None, stack: AsyncExitStack) -> Site:
    """Listeners that stand for anchors, and the fence command. Raises Unmet for a directory that is too deep."""
    (directory / "log").mkdir()
    fence = command("watchdogd-lab", "watchdogd.cli.lab", directory / "bin")
    anchors = [(await stack.enter_async_context(Anchor())).address for _ in range(3)]
    site = Site(
        directory=directory,
        fence=[_spoilt(fence, directory) if broken == Break.FENCE else fence, "fence"],
        anchors=anchors,
        status_page=f"127.0.0.1:{free_port()}",
    )
    must_fit(site.socket)
    return site


def _spoilt(fence: str, directory: Path) -> str:
    """A fence command that answers, and that cannot close anything."""
    script = directory / "spoilt-fence"
    script.write_text(f'#!/bin/sh\nfor verb; do :; done\n[ "$verb" = on ] && exit 1\nexec {fence} "$@"\n')
    script.chmod(0o700)
    return str(script)


async def _lab_up(site: Site, stage: Stage, voice: Voice) -> LabFacts:
    """Raises Unmet when no port works."""
    for attempt in range(PORTS_TRIED):
        port = LAB_PORT if attempt == 0 and is_free(LAB_PORT) else free_port()
        child = await start_lab(stage, site, port=port, words=KNOBS)
        if await lab_is_up(site, child):
            lab = LabFacts.read(site.lab / "lab.json")
            nodes = sum(len(cluster.nodes) for cluster in lab.clusters.values())
            voice.say(
                "lab",
                f"process {child.pid}: {' and '.join(lab.clusters)}, {nodes} nodes over TLS with a CA of their own, "
                f"a load balancer each, Route 53, {len(lab.authoritative)} name servers, resolvers; port {port}",
            )
            return lab
        stage.children.remove(child)
    raise Unmet(f"the lab could not be started: {last_line(site.log('lab.log'))}", site.log("lab.log"))


async def _start_writers(props: Props) -> Sequence[Child]:
    site, stage, watch = props.site, props.stage, props.watch
    children = []
    for number in range(1, WRITERS + 1):
        name = f"writer-{number}"
        child = await start_writer(stage, site, name, every_s=WRITE_EVERY_S, timeout_s=WRITE_TIMEOUT_S)
        watch.writers[name] = Writer(name=name, log=site.log(f"{name}.jsonl"))
        children.append(child)
    pids = ", ".join(str(child.pid) for child in children)
    props.voice.say("clients", f"processes {pids}: each writes numbered secrets to {watch.lab.service_url}")
    return children


async def _start_daemon(props: Props) -> Child:
    site = props.site
    child = await start_daemon(props.stage, site, props.watch.lab.aws)
    worst = props.worst
    props.voice.say(
        "daemon",
        f"process {child.pid}: watchdogd run watchdogd.toml",
        "it knows the world by the wire and by the fence command of its config, and by nothing else",
        f"a region loss costs at most {worst.detection_s:.1f} s of detection with the timing of the demo",
        f"while this runs, its page is http://{site.status_page}/",
    )
    return child


# ------------------------------------------------------------------------------------------------------------ the acts


async def _tell(props: Props, bounds: Bounds) -> None:
    watch, voice, site = props.watch, props.voice, props.site
    writers = await _start_writers(props)
    daemon = await _start_daemon(props)
    narrator = Narrative(voice, (watch.lab.home, watch.lab.partner), silence_s=bounds.silence_s)
    async with _watching(props, narrator):
        await story.healthy_pair(props)
        await story.region_dies(props)
        await story.failed_over(props)
        await story.previous_primary_returns(props)
        await asyncio.sleep(story.PAUSE_S)
    voice.title("5. What it cost")
    stopped = {child.name: await props.stage.stop(child) for child in writers}
    for writer in watch.writers.values():
        watch.read_writer(writer, narrator)
    moments = Moments.of(watch, site)
    counted = await read_back(watch, moments)
    watch.status = await watch.ask_lab("GET", "/status")
    cost = spent_by(daemon)
    stopped[daemon.name] = await props.stage.stop(daemon)
    show_numbers(voice, moments, bounds)
    voice.line()
    show_counts(voice, watch, counted)
    if cost is not None:
        voice.line(
            f"  {'the daemon took':<24}{cost[0]:.1f} s of a processor in {watch.now_s():.0f} s, {cost[1]:.0f} MiB"
        )
    for lab in [child for child in props.stage.children if child.name == "the lab"]:
        stopped[lab.name] = await props.stage.stop(lab)
    await _check([*expectations(watch, moments, counted, bounds, site), *_ends(stopped, site)], voice)


def _ends(stopped: dict[str, int], site: Site) -> Iterator[Expectation]:
    wrong = ", ".join(f"{name} with {status}" for name, status in stopped.items() if status != 0)
    found = wrong or "status 0, each of them"
    yield Expectation(what="every process ended when told to", is_met=not wrong, found=found, look_at=site.log(""))


async def _check(checks: Sequence[Expectation], voice: Voice) -> None:
    """Raises Unmet with every expectation that does not hold."""
    voice.title("6. What was expected")
    for check in checks:
        mark, tone = ("ok    ", Tone.GOOD) if check.is_met else ("FAILED", Tone.BAD)
        voice.line(f"  {mark}  {check.what}: {check.found}", tone)
    voice.line()
    unmet = [check for check in checks if not check.is_met]
    if unmet:
        raise Unmet("; ".join(f"{check.what}: {check.found}" for check in unmet), *{check.look_at for check in unmet})


@asynccontextmanager
async def _watching(props: Props, narrator: Narrative) -> AsyncIterator[None]:
    """Every loop of the watch, and the voice, while the block runs."""
    watch, voice = props.watch, props.voice
    loops = (
        watch.follow_lab(narrator),
        watch.follow_truth(),
        watch.follow_explanations(narrator),
        watch.follow_name(narrator),
        watch.follow_balancer(),
        watch.follow_daemon(props.site.daemon_log, narrator),
        watch.follow_writers(narrator),
        voice.flow(),
    )
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(loop) for loop in loops]
        yield
        for task in started:
            task.cancel()
