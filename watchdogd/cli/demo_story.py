"""The story of the demo, act by act. It only looks, breaks, mends and waits: what is done about it, the daemon does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from watchdogd.cli.demo_config import PROMOTE_S, PROPAGATION_S, TTL_S, Site
from watchdogd.cli.demo_voice import Tone, Voice
from watchdogd.cli.demo_watch import Watch
from watchdogd.core.budget import WorstCase
from watchdogd.rehearsal.processes import Stage, Unmet

POLL_S = 0.05
SLACK_S = 3.0  # of a busy machine, in waits; what is measured is compared without it
HEALTHY_WITHIN_S = 45.0
PROMOTE_SENT_WITHIN_S = 15.0
REGAIN_WITHIN_S = 2 * TTL_S + 10.0  # the resolver's cache, the client's, and a connection that times out
SETTLED_WITHIN_S = 30.0
PAUSE_S = 1.0  # between two acts, for the eye
DIAL_TIMEOUT_S = 0.5
CLOSED_WHILE_IT_LIVES = frozenset({"window", "secondary-sees", "level"})  # gates that only a dead primary opens


@dataclass(frozen=True, slots=True, kw_only=True)
class Props:
    """What every act needs."""

    site: Site
    stage: Stage
    watch: Watch
    voice: Voice
    worst: WorstCase
    now_s: Callable[[], float]

    async def until(self, holds: Callable[[], bool], *, within_s: float, otherwise: Callable[[], str]) -> None:
        """Wait until `holds`. Raises Unmet with what `otherwise` says after `within_s`, or when a process has ended."""
        end_s = self.now_s() + within_s
        while not holds():
            self.stage.must_run()
            if self.now_s() > end_s:
                raise Unmet(f"not within {within_s:.0f} s: {otherwise()}", self.site.daemon_log)
            await asyncio.sleep(POLL_S)


async def healthy_pair(props: Props) -> None:
    """Waits until the pair is healthy, published, written to, and a failover would not be held; shows both sides."""
    watch, voice, lab = props.watch, props.voice, props.watch.lab
    voice.title("1. A healthy pair")
    await props.until(
        lambda: all(writer.is_served for writer in watch.writers.values()),
        within_s=HEALTHY_WITHIN_S,
        otherwise=lambda: "the clients' writes were not acknowledged",
    )
    await props.until(
        lambda: _is(watch, "S-10") and watch.decided("S-10") is not None,
        within_s=HEALTHY_WITHIN_S,
        otherwise=lambda: _standing(watch),
    )
    if closed := _holding(watch):
        voice.say("daemon", f"a failover would still be held by: {', '.join(closed)}")
    await props.until(lambda: _is_ready(watch), within_s=HEALTHY_WITHIN_S, otherwise=lambda: _standing(watch))
    voice.say("daemon", "ready: a failover would not be held", tone=Tone.GOOD)
    voice.line()
    for cluster in watch.explained["facts"]["clusters"]:
        _show_cluster(voice, cluster)
    _show_beside(voice, watch.explained)
    published = [await watch.resolve(server) for server in lab.authoritative]
    target = lab.clusters[lab.home].dns_name
    if published != [target] * len(published):
        raise Unmet(f"the name servers publish {published}, not {target}", props.site.log("lab.log"))
    voice.line(f"    {'name':<8} {lab.service_name} -> {target}, by {len(published)} name servers")


def _is(watch: Watch, situation: str) -> bool:
    return bool(watch.explained) and watch.explained["situation"] == situation


def _holding(watch: Watch) -> Sequence[str]:
    """The gates that would hold a failover, were the primary to die now."""
    return [
        gate["gate"]
        for gate in watch.explained["gates"]
        if not gate["open"] and gate["gate"] not in CLOSED_WHILE_IT_LIVES
    ]


def _is_ready(watch: Watch) -> bool:
    is_published = watch.explained["facts"]["name"]["situation"] == "N-10"
    return _is(watch, "S-10") and is_published and not _holding(watch)


def _show_cluster(voice: Voice, cluster: Mapping[str, Any]) -> None:
    nodes = "   ".join(f"{urlsplit(node['node']).hostname} {node['reading']}" for node in cluster["nodes"])
    is_elected = cluster["part"] == "elected"
    wal = f"last WAL {cluster['last_wal']}" if is_elected else f"last remote WAL {cluster['last_remote_wal']}"
    said = [cluster["mode"], *([] if is_elected else [cluster["state"]]), wal, f"Vault {cluster['version']}"]
    voice.line(f"    {cluster['cluster']:<8} {'elected' if is_elected else 'its partner'}: {', '.join(map(str, said))}")
    voice.line(f"    {'':<8} {nodes}")


def _show_beside(voice: Voice, explained: Mapping[str, Any]) -> None:
    said = [(piece["source"], piece["seen"]) for piece in explained["evidence"] if "probe" not in piece["source"]]
    for source, seen in said:
        voice.line(f"    {'':<8} {source}: {seen}", Tone.MUTED)


async def region_dies(props: Props) -> None:
    """Takes the region of the home cluster away from everybody, and waits for the decision."""
    watch, voice, home = props.watch, props.voice, props.watch.lab.home
    await asyncio.sleep(PAUSE_S)
    voice.title(f"2. The region of {home} dies: for the bastion, for {watch.lab.partner}, and for every client")
    await watch.ask_lab("POST", "/faults", {"kind": "blackout", "target": f"region:{home}"})
    await props.until(
        lambda: watch.first("fault_added") is not None, within_s=SLACK_S, otherwise=lambda: "the lab broke nothing"
    )
    death = watch.first("fault_added")
    voice.zero_s = death.at_s if death else None
    voice.say("lab", f"region {home} is gone: nothing gets in or out", at_s=voice.zero_s, tone=Tone.BAD)
    await props.until(
        lambda: watch.decided("S-30") is not None,
        within_s=props.worst.detection_s + SLACK_S,
        otherwise=lambda: f"no decision to fail over; {_standing(watch)}",
    )


async def failed_over(props: Props) -> None:
    """Waits for the promotion, the name, and the clients."""
    watch, voice, lab = props.watch, props.voice, props.watch.lab
    partner = lab.clusters[lab.partner]
    voice.title(f"3. {lab.partner} takes over (a promotion takes {PROMOTE_S:g} s here: a knob of the lab)")
    await props.until(
        lambda: watch.first("applied", verb="promote", cluster=lab.partner) is not None,
        within_s=PROMOTE_SENT_WITHIN_S,
        otherwise=lambda: f"no promote reached {lab.partner}; {_standing(watch)}",
    )
    await props.until(
        lambda: watch.first("name_published", cluster=lab.partner) is not None,
        within_s=PROMOTE_S + PROPAGATION_S + 20.0,
        otherwise=lambda: f"{watch.lab.service_name} was not published for {lab.partner}; {_standing(watch)}",
    )
    await props.until(
        lambda: bool(watch.names) and watch.names[-1][1] == partner.dns_name,
        within_s=REGAIN_WITHIN_S,
        otherwise=lambda: f"the clients' resolver still answers {watch.names[-1][1]}",
    )
    await props.until(
        lambda: all(writer.first_at(partner.client_host) is not None for writer in watch.writers.values()),
        within_s=REGAIN_WITHIN_S,
        otherwise=lambda: f"not every client's writes were acknowledged by {lab.partner}",
    )


async def previous_primary_returns(props: Props) -> None:
    """Gives the region back: its cluster believes that it is primary, and is demoted at first sighting."""
    watch, voice, home = props.watch, props.voice, props.watch.lab.home
    await asyncio.sleep(PAUSE_S)
    voice.title(f"4. The region of {home} comes back, and its cluster believes that it is primary")
    await watch.ask_lab("DELETE", "/faults")
    await props.until(
        lambda: watch.was_primary_again,
        within_s=10.0,
        otherwise=lambda: f"the lab never saw {home} active as primary again",
    )
    voice.say("lab", f"{home} is back as an active primary, beside {watch.lab.partner}", tone=Tone.WARN)
    met = await _dial(watch.lab.clusters[home].client_address)
    voice.say("client", f"one that still dials {home} meets: {met}", tone=Tone.PLAIN)
    if met == "connected":
        raise Unmet(f"clients reach {home} while it believes that it is primary", props.site.log("lab.log"))
    await props.until(
        lambda: _is_settled(watch), within_s=SETTLED_WITHIN_S, otherwise=lambda: f"not settled; {_standing(watch)}"
    )
    voice.say("daemon", f"no debt is open and no fence holds; {home} is secondary", tone=Tone.GOOD)
    voice.say("human", f"left to one: acknowledge the failover, and have {home} follow {watch.lab.partner} again")


def _is_settled(watch: Watch) -> bool:
    facts, home = watch.explained["facts"], watch.lab.home
    cluster = watch.status["clusters"][home]
    is_open = watch.first("unfenced", cluster=home) is not None and not cluster["client_network_closed"]
    ended = any(line.what == "run_ended" and line.detail["runbook"] == "settle-debt" for line in watch.said)
    return cluster["dr"] == "secondary" and is_open and ended and not facts["debts"] and not facts["fences"]


async def _dial(address: str) -> str:
    """What a client's connect to `address` (a URL) meets now."""
    parts = urlsplit(address)
    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except TimeoutError:
        return f"no answer within {DIAL_TIMEOUT_S:g} s, the fence holds"
    except OSError as exc:
        return exc.strerror or type(exc).__name__
    writer.close()
    return "connected"


def _standing(watch: Watch) -> str:
    """What the daemon says now, in one sentence."""
    explained = watch.explained
    if not explained:
        return "the daemon does not answer on its socket"
    closed = ", ".join(gate["gate"] for gate in explained["gates"] if not gate["open"])
    said = [f"the daemon says {explained['situation']} {explained['why']}: {explained['decision']['sentence']}"]
    steps = [line.detail for line in watch.said if line.what == "step_finished"]
    if explained["facts"]["run"] is not None and steps:
        said.append(f"its step {steps[-1]['step']}: {steps[-1]['outcome']}, {steps[-1]['why']}")
    if closed:
        said.append(f"gates closed: {closed}")
    return "; ".join(said)
