"""What is looked at beside the probes, in the background, and kept: the decision only ever reads what was seen last.

Anchors, witnesses, fence checks and the service name; credentials stand in `proving`. Nothing needs the primary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdogd.core.facts import AnchorSeen, Facts, FenceSeen, WitnessSeen
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import ClusterId
from watchdogd.core.naming import NameFact, name_fact
from watchdogd.core.policy import ClusterPolicy, OnFenceFailure
from watchdogd.core.situations import Phase
from watchdogd.daemon.gear import PairGear, Sighting
from watchdogd.daemon.pace import Pace
from watchdogd.daemon.proofs import CANNOT_SAY, ProofBook
from watchdogd.daemon.proving import Proving
from watchdogd.errors import Refusal, Refused
from watchdogd.ports import Answers, Clock, FenceOutcome, FenceVerb, Hands
from watchdogd.runbooks.fencing import how_it_ended

ANCHORS_EVERY_S = 5.0
ANCHOR_TOO_OLD_S = 30.0
FENCE_EVERY_S, FENCE_EVERY_S_TENSE = 60.0, 10.0
FENCE_TOO_OLD_S = 180.0
NAME_EVERY_S, NAME_EVERY_S_TENSE = 10.0, 2.0
NAME_TOO_OLD_S = 60.0
PROVIDER_EVERY_S, PROVIDER_AGAIN_S = 300.0, 30.0


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was seen last of everything beside the probes."""

    anchors: dict[str, AnchorSeen] = field(default_factory=dict)
    witnesses: dict[str, WitnessSeen] = field(default_factory=dict)
    fences: dict[ClusterId, FenceSeen] = field(default_factory=dict)
    fence_at_s: dict[ClusterId, float] = field(default_factory=dict)
    answers: Answers | None = None
    answers_at_s: float = 0.0
    provider_why: str | None = None


class Sightings:
    """The background looks of one pair, sooner while the newest decision does not say that it is steady."""

    def __init__(self, gear: PairGear, *, hands: Hands, book: ProofBook, clock: Clock) -> None:
        self._gear = gear
        self._policy = gear.policy
        self._clock = clock
        self._ledger = Ledger()
        self._pace = Pace()
        self.seen = Seen()
        self.proving = Proving(
            gear.policy, hands=hands, learn_expiry=gear.learn_expiry, book=book, clock=clock, pace=self._pace
        )
        for anchor in gear.anchors:
            self.seen.anchors[anchor.address] = AnchorSeen(
                address=anchor.address, place=anchor.place, is_reachable=None
            )
        for cluster in self._policy.clusters.values():
            self.seen.fences[cluster.cluster] = fence_unasked(cluster)

    def notice(self, facts: Facts, phase: Phase) -> None:
        """What the newest decision was made on: it says where to look and how often."""
        self._ledger = facts.ledger
        self._pace.is_tense = phase is not Phase.STEADY
        self.proving.notice(facts)

    # -- what the decision reads -------------------------------------------------------------------------------------

    def anchors(self, now_s: float) -> tuple[AnchorSeen, ...]:
        """Every anchor; one that was not asked for too long is as if it never was."""
        return tuple(
            seen
            if now_s - seen.seen_s <= ANCHOR_TOO_OLD_S
            else AnchorSeen(address=seen.address, place=seen.place, is_reachable=None)
            for seen in self.seen.anchors.values()
        )

    def witnesses(self, now_s: float) -> tuple[WitnessSeen, ...]:
        """Every witness. What was seen too long ago is nothing."""
        keeps_s = self._policy.timing.witness_kept_s
        return tuple(
            seen
            if now_s - seen.seen_s <= keeps_s
            else WitnessSeen(name=seen.name, sees=False, why="did not answer", seen_s=seen.seen_s)
            for seen in self.seen.witnesses.values()
        )

    def fences(self, now_s: float) -> Mapping[ClusterId, FenceSeen]:
        """Every fence; an answer that is too old is no answer."""
        found = {}
        for cluster, seen in self.seen.fences.items():
            is_outdated = now_s - self.seen.fence_at_s.get(cluster, now_s) > FENCE_TOO_OLD_S
            found[cluster] = fence_unasked(self._policy.cluster(cluster)) if is_outdated else seen
        return found

    def name(self, now_s: float, elected: ClusterId | None) -> NameFact | None:
        """The service name as the authoritative servers publish it; None where the config has no name."""
        if not self._policy.record:
            return None
        is_outdated = now_s - self.seen.answers_at_s > NAME_TOO_OLD_S
        answers = self.seen.answers
        by_server = answers.by_server if answers is not None and not is_outdated else {}
        return name_fact(by_server, self._policy.dns_targets, elected)

    # -- the loops ---------------------------------------------------------------------------------------------------

    async def watch_anchors(self) -> None:
        """Ask every anchor, for ever."""
        while True:
            async with asyncio.TaskGroup() as tasks:
                for address in self.seen.anchors:
                    tasks.create_task(self._ask_anchor(address))
            await asyncio.sleep(ANCHORS_EVERY_S)

    async def _ask_anchor(self, address: str) -> None:
        reached = await self._gear.reach(address)
        place = self.seen.anchors[address].place
        self.seen.anchors[address] = AnchorSeen(
            address=address, place=place, is_reachable=reached, seen_s=self._clock.now_s()
        )

    async def watch_witnesses(self) -> None:
        """Ask every witness about the elected cluster, for ever; one that hangs keeps no other one waiting."""
        async with asyncio.TaskGroup() as tasks:
            for name in self._gear.witnesses:
                tasks.create_task(self._watch_witness(name))

    async def _watch_witness(self, name: str) -> None:
        while True:
            await self._ask_witness(name)
            await asyncio.sleep(self._policy.timing.interval_s)

    async def _ask_witness(self, name: str) -> None:
        guarded = self._ledger.guarded
        if guarded is None:
            return
        asked_s = self._clock.now_s()
        said: Sighting = await self._gear.witnesses[name](guarded)
        self.seen.witnesses[name] = WitnessSeen(
            name=name,
            sees=said.sees,
            why=said.why,
            seen_s=self._clock.now_s(),
            alive_s=asked_s if said.alive_s is None else said.alive_s,
        )

    async def watch_fences(self) -> None:
        """Run every fence's `check`, for ever; more often while the pair is not steady."""
        while True:
            configured = [c for c in self._policy.clusters.values() if c.fence.command]
            async with asyncio.TaskGroup() as tasks:
                for cluster in configured:
                    tasks.create_task(self._check_fence(cluster))
            await self._pace.wait(FENCE_EVERY_S, FENCE_EVERY_S_TENSE)

    async def _check_fence(self, cluster: ClusterPolicy) -> None:
        result = await self._gear.fence(FenceVerb.CHECK, cluster.cluster, epoch=self._ledger.epoch, run_id="")
        answers = result.outcome is FenceOutcome.DONE
        self.seen.fences[cluster.cluster] = FenceSeen(
            is_configured=True,
            answers=answers,
            why="" if answers else how_it_ended(result) or result.outcome.value,
            blocks_on_failure=cluster.fence.on_failure is OnFenceFailure.BLOCK,
        )
        self.seen.fence_at_s[cluster.cluster] = self._clock.now_s()

    async def watch_name(self) -> None:
        """Ask the authoritative servers, for ever."""
        while self._policy.record:
            self._pace.is_hurried = False
            answers = await self._gear.dns_watch.authoritative()
            if self._pace.is_hurried:
                continue  # a run ended meanwhile: it may have been asked before the name was moved
            self.seen.answers, self.seen.answers_at_s = answers, self._clock.now_s()
            await self._pace.wait(NAME_EVERY_S, NAME_EVERY_S_TENSE)

    def forget_name(self) -> None:
        """What was seen of the name is from before a run of ours ended: ask again before anything is made of it."""
        self.seen.answers = None
        self._pace.is_hurried = True

    async def watch_provider(self) -> None:
        """Read the record at its provider while the pair is steady, for ever: who refuses that refuses the cut-over."""
        while self._policy.record:
            if not self._pace.is_tense:
                await self._ask_provider()
            await asyncio.sleep(PROVIDER_AGAIN_S if self.seen.provider_why else PROVIDER_EVERY_S)

    async def _ask_provider(self) -> None:
        try:
            await self._gear.dns.observe()
        except CANNOT_SAY as no:
            if not (isinstance(no, Refused) and no.kind is Refusal.NOT_YET):
                self.seen.provider_why = str(no)
        else:
            self.seen.provider_why = ""


def fence_unasked(cluster: ClusterPolicy) -> FenceSeen:
    """The fence of a cluster before its command was ever asked."""
    return FenceSeen(
        is_configured=bool(cluster.fence.command),
        waived=cluster.fence.waived,
        blocks_on_failure=cluster.fence.on_failure is OnFenceFailure.BLOCK,
    )
