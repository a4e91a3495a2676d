"""`watchdogd-lab follow`: what really happens in a served lab, in words, for a rehearsal with a daemon of one's own.

It tells the lab's own truth and what a client sees, and nothing about the daemon: that tells its own story.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import aiohttp

from watchdogd.cli.demo_config import LabFacts, Site
from watchdogd.cli.demo_narrator import Narrative
from watchdogd.cli.demo_voice import Tone, Voice
from watchdogd.cli.demo_watch import Event, Watch

OK, USAGE = 0, 2
BANNER = "SIMULATOR: what really happens in the lab, in its own seconds; Ctrl-C ends this, not the lab"
HEALTH = "/v1/sys/health?standbyok=true&perfstandbyok=true"  # any node that hands writes on serves a client
TRUTH_EVERY_S, CLIENT_EVERY_S, CLIENT_TIMEOUT_S = 0.25, 1.0, 2.0
NOW = "now: "  # how it was found, whenever it became so
ROLES = ("dr", "performance")
# By `how` of the event: how a fault came to its end.
OVER: Mapping[str, str] = {
    "cleared": "is cleared",
    "ended": "is over, its time has passed",
    "used_up": "is over, it has happened as often as it was to",
}
# Of the lab's counts: what it means that one grows.
GROWS: Mapping[str, str] = {
    "two_writable_primaries_s": "clients can write to two primaries",
    "no_primary_s": "clients reach no primary, although a cluster could serve them",
    "name_at_non_primary_s": "the name publishes a cluster that is not primary",
}
LOST: Mapping[str, str] = {
    "acknowledged_writes_lost": "acknowledged writes are not on the elected primary",
    "writes_discarded": "writes were thrown away by a cluster that follows again",
}


class Follower(Narrative):
    """The words of the demo for what the lab did, and further ones for its truth and for the clients."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(voice, ("", ""), silence_s=0.0)
        self._before: Mapping[str, Any] = {}
        self._growing: dict[str, float] = {}  # count -> what it was when it began to grow
        self._view = ""

    def lab_did(self, event: Event) -> None:
        """As the demo tells it; and faults, applied role changes and failures of the lab."""
        detail = event.detail
        match event.what:
            case "fault_added":
                self._say(event, "fault", _fault(detail), tone=Tone.BAD)
            case "fault_cleared":
                text = f"{detail['id']} {OVER[detail['how']]}: {detail['kind']} {detail['target']}"
                self._say(event, "fault", text, tone=Tone.GOOD)
            case "applied":
                text = f"{detail['cluster']} accepted {detail['verb']} ({detail['kind']})"
                self._say(event, "lab", text, tone=Tone.TITLE)
            case "crashed":
                text = f"the lab itself failed at {detail['method']} {detail['path']}: {detail['error']}"
                self._say(event, "lab", text, tone=Tone.BAD)
            case _:
                super().lab_did(event)

    def truth(self, at_s: float, now: Mapping[str, Any]) -> None:
        """What the lab says of itself now; a line for what is new."""
        before, self._before = self._before, now
        since = "" if before else NOW
        for name, cluster in now["clusters"].items():
            was = before["clusters"][name] if before else {}
            for text, tone in _changes(name, was, cluster):
                self._voice.say("lab", f"{since}{text}", at_s=at_s, tone=tone)
        for name, text in LOST.items():
            count = now["counts"].get(name, 0)
            if count > (before["counts"].get(name, 0) if before else 0):
                self._voice.say("writes", f"{since}{count} {text}", at_s=at_s, tone=Tone.BAD)
        if before:
            self._count(at_s, before["counts"], now["counts"])

    def _count(self, at_s: float, before: Mapping[str, float], now: Mapping[str, float]) -> None:
        for name, text in GROWS.items():
            is_growing, began = now[name] > before[name], self._growing.get(name)
            if is_growing and began is None:
                self._growing[name] = before[name]
                self._voice.say("counts", f"from now on {text}", at_s=at_s, tone=Tone.BAD)
            elif not is_growing and began is not None:
                del self._growing[name]
                self._voice.say("counts", f"no longer so, after {now[name] - began:.1f} s: {text}", at_s=at_s)

    def client_saw(self, at_s: float, view: str, *, is_served: bool) -> None:
        """What a client meets behind the service name; a line when it is otherwise than before."""
        if view != self._view:
            since = "" if self._view else NOW
            self._view = view
            self._voice.say("clients", f"{since}{view}", at_s=at_s, tone=Tone.GOOD if is_served else Tone.BAD)


def _fault(detail: Mapping[str, Any]) -> str:
    """As it was typed."""
    params = "".join(
        f" {name}={value:g}" if isinstance(value, float) else f" {name}={value}"
        for name, value in detail["params"].items()
    )
    place = f" --from {detail['place']}" if detail["place"] else ""
    for_s = f" --for {detail['for_s']:g}s" if detail["for_s"] is not None else ""
    return f"{detail['id']}: {detail['kind']} {detail['target']}{params}{place}{for_s}"


def _changes(name: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Tone]]:
    for kind in ROLES:
        if was and was[kind] != now[kind]:
            yield f"{name} is {kind} {now[kind]}, no longer {was[kind]}", Tone.ACT
    if not was or was["active"] != now["active"]:
        roles = " and ".join(f"{kind} {now[kind]}" for kind in ROLES if now[kind] != "disabled")
        active = f"{now['active']} is active" if now["active"] else f"{name} has no active node"
        yield f"{active}{f' ({name} is {roles})' if roles else ''}", Tone.PLAIN if now["active"] else Tone.WARN
    for node, how in now["nodes"].items():
        if was and was["nodes"].get(node) != how:
            yield f"{node} is {how}", Tone.PLAIN if how == "up" else Tone.WARN


def follow(directory: Path, out: TextIO | None = None) -> int:
    """Until interrupted, or until the lab ends; the exit status."""
    try:
        lab = LabFacts.read(directory / "lab.json")
    except (OSError, ValueError, KeyError) as exc:
        way_out = f"start one with `watchdogd-lab up --dir {directory}`"
        why = exc.strerror if isinstance(exc, OSError) else exc
        print(f"watchdogd-lab: no lab in {directory}: {why} ({directory / 'lab.json'}); {way_out}", file=sys.stderr)
        return USAGE
    return asyncio.run(_until_the_end(lab, out or sys.stdout))


async def _until_the_end(lab: LabFacts, out: TextIO) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, task.cancel if task is not None else sys.exit)
    with suppress(asyncio.CancelledError):
        await tell(lab, out)
    return OK


async def tell(lab: LabFacts, out: TextIO) -> None:
    """Everything since the lab began, and then as it happens; returns when the lab does not answer any more.

    Raises: BrokenPipeError, when nobody reads on.
    """
    began_s = asyncio.get_running_loop().time()
    ahead_s = [0.0]  # of the lab's clock, once it is known: all times are the lab's

    def now_s() -> float:
        return asyncio.get_running_loop().time() - began_s + ahead_s[0]

    nowhere = Site(directory=Path("/nonexistent"), fence=(), anchors=(), status_page="")
    voice = Voice(out, now_s)
    voice.line(BANNER, Tone.MUTED)
    follower = Follower(voice)
    is_read = True
    try:
        async with Watch(nowhere, lab, now_s) as watch, asyncio.TaskGroup() as tasks:
            ahead_s[0] = watch.adopt_lab_clock()
            for loop in (
                watch.follow_lab(follower),
                watch.follow_name(follower),
                _follow_truth(watch, follower),
                _follow_client(watch, follower),
                voice.flow(),
            ):
                tasks.create_task(loop)
    except* BrokenPipeError:
        is_read = False
    except* (aiohttp.ClientError, TimeoutError, OSError):
        if is_read:
            voice.line("the lab does not answer any more", Tone.WARN)
    finally:
        if is_read:
            voice.flush()
    if not is_read:
        raise BrokenPipeError


async def _follow_truth(watch: Watch, follower: Follower) -> None:
    while True:
        follower.truth(watch.now_s(), await watch.ask_lab("GET", "/status"))
        await asyncio.sleep(TRUTH_EVERY_S)


async def _follow_client(watch: Watch, follower: Follower) -> None:
    """Asks for the health of what the name names, from the clients' place, over a new connection each time."""
    tls = ssl.create_default_context(cafile=watch.lab.ca_file)
    timeout = aiohttp.ClientTimeout(total=CLIENT_TIMEOUT_S)
    while True:
        target = watch.names[-1][1] if watch.names else ""
        addresses = [one.client_address for one in watch.lab.clusters.values() if one.dns_name == target]
        if target:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                view, is_served = await _view(session, target, addresses, tls)
            follower.client_saw(watch.now_s(), view, is_served=is_served)
        await asyncio.sleep(CLIENT_EVERY_S)


async def _view(
    session: aiohttp.ClientSession, target: str, addresses: Sequence[str], tls: ssl.SSLContext
) -> tuple[str, bool]:
    if not addresses:
        return f"the name leads to {target}, which is no cluster of the lab", False
    try:
        async with session.get(f"{addresses[0]}{HEALTH}", ssl=tls) as reply:
            if reply.status == 200:
                return f"are served by {target}", True
            return f"get status {reply.status} from {target}", False
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        return f"do not reach {target}: {type(exc).__name__}", False
