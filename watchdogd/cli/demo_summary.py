"""The numbers of the demo, and what is expected of them. They come from the clients and the lab, not from the daemon.

Only the moment of the decision is the daemon's: when its line came out of it, by our clock.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from watchdogd.adapters.config import load_config
from watchdogd.cli.demo_config import (
    FENCE_TIMEOUT_S,
    PAIR,
    PROMOTE_S,
    PROPAGATION_S,
    TTL_S,
    WRITE_EVERY_S,
    WRITE_TIMEOUT_S,
    Site,
)
from watchdogd.cli.demo_voice import Tone, Voice
from watchdogd.cli.demo_watch import Event, Watch, Writer
from watchdogd.core.budget import BUDGET_S, Assumed, WorstCase, worst_case
from watchdogd.core.model import PairId
from watchdogd.rehearsal.processes import Unmet

READERS = 8
NAME_WIDTH, RULE = 59, 98
TOLERANCE_S = 1.0  # of a busy machine: our clock, a poll, and processes that wait for a processor
RESOLUTION_S = 0.05  # of the lab's own counts: one step of its world
LOSS_S_MAX = 2.0  # how far before the death a write may be that was acknowledged and not yet replicated


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """When what happened."""

    death_s: float
    decided_s: float
    fenced_s: float
    promote_s: float
    promoted_s: float
    balanced_s: float
    changed_s: float
    published_s: float
    returned_s: float
    demoted_s: float
    unfenced_s: float

    @classmethod
    def of(cls, watch: Watch, site: Site) -> Moments:
        """Raises Unmet for one that never came."""
        home, partner = watch.lab.home, watch.lab.partner

        def at(event: Event | None, what: str) -> float:
            if event is None:
                raise Unmet(f"the lab never saw: {what}", site.daemon_log, site.lab / "events.jsonl")
            return event.at_s

        promoted_s = watch.primary_since_s.get(partner)
        if promoted_s is None:
            raise Unmet(f"{partner} is not an active primary", site.lab / "events.jsonl")
        return cls(
            death_s=at(watch.first("fault_added"), "the fault"),
            decided_s=at(watch.decided("S-30"), "the decision"),
            fenced_s=at(watch.first("fenced", cluster=home), "the fence"),
            promote_s=at(watch.first("applied", verb="promote", cluster=partner), "promote"),
            promoted_s=promoted_s,
            balanced_s=watch.balanced_s or promoted_s,
            changed_s=at(watch.first("name_changed"), "a change of the name"),
            published_s=at(watch.first("name_published", cluster=partner), "the name published"),
            returned_s=at(watch.first("fault_cleared"), "the region back"),
            demoted_s=at(watch.first("applied", verb="demote", cluster=home), "demote"),
            unfenced_s=at(watch.first("unfenced", cluster=home), "the fence off"),
        )

    @property
    def total_s(self) -> float:
        """From the death to the name at every name server."""
        return self.published_s - self.death_s

    @property
    def balancer_s(self) -> float:
        """How long the load balancer of the new primary sent clients nowhere; no more than the name waited for it."""
        return min(max(0.0, self.balanced_s - self.promoted_s), self.changed_s - self.promoted_s)

    @property
    def bounded_s(self) -> float:
        """What `watchdogd timing` has a bound for: it counts a load balancer as one exchange."""
        return self.total_s - self.balancer_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the clients' own logs say, after every acknowledged number was looked for on the surviving cluster."""

    acknowledged: int
    missing: Mapping[str, Sequence[int]]  # by client
    missing_from_s: float | None  # when the oldest of them was acknowledged
    in_flight: int  # writes that the death cut off: the lab may have acknowledged one into the void
    late_at_home: int  # acknowledged by the previous primary although it was dead, or no longer the elected one
    outages_s: Sequence[float]  # of each client, from its last write before to its first one after

    @property
    def lost(self) -> int:
        return sum(map(len, self.missing.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One thing that has to be so, and where to look when it is not."""

    what: str
    is_met: bool
    found: str
    look_at: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What `watchdogd timing` prints for the config of the demo, and for the same one with the default timing."""

    here: WorstCase
    at_defaults: WorstCase
    down_after_s: float
    silence_s: float  # the secondary has to have heard nothing for so long

    @classmethod
    def of(cls, site: Site) -> Bounds:
        """Raises ConfigError for a config that the daemon would refuse."""
        assumed = Assumed(promotion_s=PROMOTE_S, propagation_s=PROPAGATION_S)
        here, at_defaults = (
            load_config(str(path)).pairs[PairId(PAIR)].policy.timing for path in (site.config, site.config_at_defaults)
        )
        return cls(
            here=worst_case(here, fence_timeout_s=FENCE_TIMEOUT_S, assumed=assumed),
            at_defaults=worst_case(at_defaults, fence_timeout_s=FENCE_TIMEOUT_S, assumed=assumed),
            down_after_s=here.down_after_s,
            silence_s=max(here.down_after_s, here.heartbeat_stale_after_s),
        )


async def read_back(watch: Watch, moments: Moments) -> Counted:
    """Looks for every acknowledged number on the cluster that survived, as a client. Raises aiohttp.ClientError."""
    lab = watch.lab
    home, partner = lab.clusters[lab.home], lab.clusters[lab.partner]
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=lab.ca_file), limit=READERS)
    headers = {"X-Vault-Token": lab.credentials["client_token"]}
    async with aiohttp.ClientSession(partner.client_address, connector=connector, headers=headers) as session:
        writers = watch.writers.values()
        missing = {writer.name: await _missing(session, writer) for writer in writers}
    whens = [watch.writers[name].acknowledged[number][0] for name, numbers in missing.items() for number in numbers]
    late = [
        at_s
        for writer in writers
        for at_s, address in writer.acknowledged.values()
        if address == home.client_host and at_s > moments.death_s + TOLERANCE_S
    ]
    cut_off_s = moments.death_s + WRITE_TIMEOUT_S + WRITE_EVERY_S
    ends = [(writer.latest_at(home.client_host), writer.first_at(partner.client_host)) for writer in writers]
    return Counted(
        acknowledged=sum(len(writer.acknowledged) for writer in writers),
        missing=missing,
        missing_from_s=min(whens, default=None),
        in_flight=sum(at_s <= cut_off_s for writer in writers for at_s in writer.unanswered_s),
        late_at_home=len(late),
        outages_s=[first - latest for latest, first in ends if latest is not None and first is not None],
    )


async def _missing(session: aiohttp.ClientSession, writer: Writer) -> Sequence[int]:
    numbers = list(writer.acknowledged)
    found = await asyncio.gather(*(_exists(session, writer.name, number) for number in numbers))
    return [number for number, is_there in zip(numbers, found, strict=True) if not is_there]


async def _exists(session: aiohttp.ClientSession, client: str, number: int) -> bool:
    async with session.get(f"/v1/secret/data/clients/{client}/{number}") as reply:
        if reply.status == 404:
            return False
        reply.raise_for_status()
        return bool((await reply.json())["data"]["data"]["number"] == number)


# ------------------------------------------------------------------------------------------------------- the table


def show_numbers(voice: Voice, moments: Moments, bounds: Bounds) -> None:
    """What was measured, beside what `watchdogd timing` prints for this config and for the default timing."""
    worst = (bounds.here, bounds.at_defaults)
    voice.line(f"  {'':<{NAME_WIDTH}}{'measured':>9}{'worst case':>15}{'worst case':>15}")
    voice.line(f"  {'':<{NAME_WIDTH}}{'':>9}{'this timing':>15}{'the defaults':>15}", Tone.MUTED)
    for name, measured_s, names in _rows(moments):
        voice.line(_row(name, measured_s, [_bound(one, names) for one in worst]))
    voice.line("  " + "-" * RULE, Tone.MUTED)
    voice.line(_row("bounded by `watchdogd timing`", moments.bounded_s, [one.total_s for one in worst]))
    voice.line(_row("its load balancer notices that (knob: it looks every 2 s)", moments.balancer_s))
    voice.line("  " + "-" * RULE, Tone.MUTED)
    voice.line(_row("total, from the death to the published name", moments.total_s), Tone.TITLE)
    voice.line(_row("of what five nines leave in a quarter", BUDGET_S, digits=2))
    voice.line()
    voice.line("  (knob): set in the lab, and assumed in both worst cases. `watchdogd timing FILE` prints them whole.")


def _rows(moments: Moments) -> Iterator[tuple[str, float, tuple[str, ...]]]:
    """Name, measured, and the parts of the worst case (by how they begin) that it belongs to."""
    m = moments
    detection = ("interval", "probe_timeout", "window", "one tick of")
    before = ("last look", "credential", "fence")
    after = ("promotion seen", "one tick to", "publish", "DNS write")
    yield "detection, from the death to the decision", m.decided_s - m.death_s, detection
    yield "evidence again, credential, fence, last look", m.promote_s - m.decided_s, before
    yield f"Vault promotes (knob: {PROMOTE_S:g} s)", m.promoted_s - m.promote_s, ("promotion (",)
    yield "seen, checked, written to Route 53", m.changed_s - m.promoted_s - m.balancer_s, after
    yield f"every name server publishes it (knob: {PROPAGATION_S:g} s)", m.published_s - m.changed_s, ("propagation",)


def _bound(worst: WorstCase, names: tuple[str, ...]) -> float:
    return sum(part.seconds for part in worst.parts if part.name.startswith(names))


def _row(name: str, measured_s: float, bounds_s: Sequence[float] = (), *, digits: int = 1) -> str:
    bounds = "".join(f"{seconds:>13.1f} s" for seconds in bounds_s)
    return f"  {name:<{NAME_WIDTH}}{measured_s:>7.{digits}f} s{bounds}"


def show_counts(voice: Voice, watch: Watch, counted: Counted) -> None:
    """What it cost: by the clients' logs, and by the lab's own counts."""
    truth, partner = watch.status["counts"], watch.lab.partner
    shortest, longest = min(counted.outages_s, default=0.0), max(counted.outages_s, default=0.0)
    missing = f": {_listed(counted.missing)}" if counted.lost else ""
    rows = (
        ("acknowledged writes", f"{counted.acknowledged}, every one looked for on {partner} by its client's own log"),
        ("of them lost", f"{counted.lost}{missing} (the lab counts {truth['acknowledged_writes_lost']})"),
        ("", "replication is asynchronous: the last instant had not left the region") if counted.lost else ("", ""),
        ("clients went without", f"{shortest:.1f} to {longest:.1f} s, two caches of the name (TTL {TTL_S} s) included"),
        ("two writable primaries", f"{truth['two_writable_primaries_s']:.1f} s, by the lab's count"),
        ("name at a non-primary", f"{truth['name_at_non_primary_s']:.1f} s, by the lab's count"),
        ("no primary in reach", f"{truth['no_primary_s']:.1f} s, by the lab's count"),
    )
    for name, text in rows:
        if text:
            voice.line(f"  {name:<24}{text}")


def _listed(missing: Mapping[str, Sequence[int]]) -> str:
    return "; ".join(f"{name} {', '.join(map(str, numbers))}" for name, numbers in missing.items() if numbers)


# ------------------------------------------------------------------------------------------------- the expectations


def expectations(watch: Watch, moments: Moments, counted: Counted, bounds: Bounds, site: Site) -> Iterator[Expectation]:
    """Everything that has to be so."""
    daemon_log, events = site.daemon_log, site.lab / "events.jsonl"
    home, partner, truth = watch.lab.home, watch.lab.partner, watch.status["counts"]

    def expect(what: str, is_met: bool, found: str, look_at: Path) -> Expectation:
        return Expectation(what=what, is_met=is_met, found=found, look_at=look_at)

    before = [e.what for e in watch.events if e.at_s < moments.death_s and e.what != "fault_added"]
    yield expect("the healthy pair was left alone", not before, ", ".join(before) or "no act before the death", events)
    yield from _in_time(moments, bounds, daemon_log)
    fenced = moments.fenced_s < moments.promote_s
    gap = f"closed {moments.promote_s - moments.fenced_s:.1f} s before promote"
    yield expect(f"{home} was fenced before {partner} was promoted", fenced, gap, events)
    promotes = watch.count("applied", verb="promote")
    yield expect("promote was applied once", promotes == 1, f"{promotes} in all", events)
    demotes = watch.count("applied", verb="demote")
    at_once = moments.demoted_s - moments.returned_s
    found = f"{demotes} in all, {at_once:.1f} s after the region was back"
    yield expect(f"{home} was demoted once, at first sighting", demotes == 1 and at_once < 10, found, events)
    held = moments.unfenced_s > moments.demoted_s
    yield expect(
        f"the fence held until {home} was demoted",
        held,
        f"off {moments.unfenced_s - moments.demoted_s:.1f} s later",
        events,
    )
    yield from _losses(watch, moments, counted, site)
    two_s = float(truth["two_writable_primaries_s"])
    yield expect("never two writable primaries", two_s == 0, f"{two_s:.1f} s by the lab's count", events)
    at_non_primary_s, bound_s = float(truth["name_at_non_primary_s"]), moments.published_s - moments.promoted_s
    is_short = at_non_primary_s <= bound_s + RESOLUTION_S
    found = f"{at_non_primary_s:.1f} s by the lab's count"
    yield expect("the name left no longer than the cut-over takes", is_short, found, events)


def _in_time(moments: Moments, bounds: Bounds, look_at: Path) -> Iterator[Expectation]:
    first_s, at_least_s = moments.fenced_s - moments.death_s, bounds.down_after_s
    found = f"the first act {first_s:.1f} s after the death"
    is_met = first_s >= at_least_s
    yield Expectation(what=f"nothing was done for {at_least_s:g} s", is_met=is_met, found=found, look_at=look_at)
    for what, spent_s, bound_s in (
        ("detected within the printed worst case", moments.decided_s - moments.death_s, bounds.here.detection_s),
        ("published within it, the load balancer apart", moments.bounded_s, bounds.here.total_s),
        ("and within the budget of a quarter", moments.total_s, BUDGET_S),
    ):
        is_met = spent_s <= bound_s + (0.0 if bound_s == BUDGET_S else TOLERANCE_S)
        yield Expectation(what=what, is_met=is_met, found=f"{spent_s:.1f} of {bound_s:.1f} s", look_at=look_at)


def _losses(watch: Watch, moments: Moments, counted: Counted, site: Site) -> Iterator[Expectation]:
    logs, truth = site.log("writer-1.jsonl"), watch.status["counts"]
    by_lab = int(truth["acknowledged_writes_lost"])
    # The lab counts what it acknowledged, the clients what reached them: an answer can be lost with the region too.
    agree = counted.lost <= by_lab <= counted.lost + counted.in_flight
    found = f"{counted.lost} by the clients, {by_lab} by the lab; {counted.in_flight} answers were cut off"
    yield Expectation(what="both count the same losses", is_met=agree, found=found, look_at=logs)
    oldest_s = 0.0 if counted.missing_from_s is None else moments.death_s - counted.missing_from_s
    found = f"{counted.lost} lost" + (f", the oldest {oldest_s:.1f} s before the death" if counted.lost else "")
    is_recent = oldest_s <= LOSS_S_MAX
    yield Expectation(what="nothing lost but what was on its way", is_met=is_recent, found=found, look_at=logs)
    found = f"{counted.late_at_home} writes"
    what = f"nobody wrote to {watch.lab.home} after its death"
    yield Expectation(what=what, is_met=counted.late_at_home == 0, found=found, look_at=logs)
