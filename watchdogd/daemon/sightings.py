"""What is looked at beside the probes, in the background, and kept: the decision only ever reads what was seen last.

Anchors, witnesses, fence checks, the service name and the proofs of credentials. Nothing here needs the primary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from watchdogd.core.facts import AnchorSeen, CredentialSeen, Facts, FenceSeen, WitnessSeen
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import ClusterId
from watchdogd.core.naming import NameFact, name_fact
from watchdogd.core.policy import ClusterPolicy, OnFenceFailure
from watchdogd.core.situations import Phase
from watchdogd.daemon.gear import PairGear, Sighting
from watchdogd.daemon.proofs import CANNOT_SAY, ProofBook, shares_seen
from watchdogd.errors import Refusal, Refused
from watchdogd.ports import Answers, Clock, FenceOutcome, FenceVerb, Hands

ANCHORS_EVERY_S = 5.0
ANCHOR_TOO_OLD_S = 30.0
FENCE_EVERY_S, FENCE_EVERY_S_TENSE = 60.0, 10.0
FENCE_TOO_OLD_S = 180.0
NAME_EVERY_S, NAME_EVERY_S_TENSE = 10.0, 2.0
NAME_TOO_OLD_S = 60.0
PROVIDER_EVERY_S, PROVIDER_AGAIN_S = 300.0, 30.0
PROVE_EVERY_S, PROVE_AGAIN_S, PROVE_FIRST_S = 180.0, 15.0, 1.0
TURN_S = 0.5  # how soon a change of phase is noticed

log = structlog.get_logger()


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
    present: dict[str, str] = field(default_factory=dict)  # credential -> fingerprint
    denied: dict[tuple[str, ClusterId], str] = field(default_factory=dict)  # (credential, cluster) -> why
    asked_expiry_of: dict[str, str] = field(default_factory=dict)  # credential -> fingerprint
    proven_s: dict[tuple[str, ClusterId], float] = field(default_factory=dict)


class Sightings:
    """The background looks of one pair. `tense` is set by the decision while the pair is not steady."""

    def __init__(self, gear: PairGear, *, hands: Hands, book: ProofBook, clock: Clock) -> None:
        self._gear = gear
        self._policy = gear.policy
        self._hands = hands
        self._book = book
        self._clock = clock
        self._facts: Facts | None = None
        self._ledger = Ledger()
        self.seen = Seen()
        self.is_tense = False
        self._is_name_stale = False
        self._asked: set[tuple[str, ClusterId | None]] = set()
        for anchor in gear.anchors:
            self.seen.anchors[anchor.address] = AnchorSeen(
                address=anchor.address, place=anchor.place, is_reachable=None
            )
        for cluster in self._policy.clusters.values():
            self.seen.fences[cluster.cluster] = fence_unasked(cluster)

    def notice(self, facts: Facts, phase: Phase) -> None:
        """What the newest decision was made on: it says where to look and how often."""
        self._facts = facts
        self._ledger = facts.ledger
        self.is_tense = phase is not Phase.STEADY

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

    def credentials(self, partner: ClusterId, server_utc_s: float | None) -> tuple[CredentialSeen, ...]:
        """Every prepared credential that can be read, judged for a promotion of `partner`."""
        prepared = tuple(
            self._book.judge(name, fingerprint, partner, server_utc_s)
            for name, fingerprint in self.seen.present.items()
        )
        return prepared + shares_seen(self._policy)

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
            await self._wait(FENCE_EVERY_S, FENCE_EVERY_S_TENSE)

    async def _check_fence(self, cluster: ClusterPolicy) -> None:
        result = await self._gear.fence(FenceVerb.CHECK, cluster.cluster, epoch=self._ledger.epoch, run_id="")
        answers = result.outcome is FenceOutcome.DONE
        self.seen.fences[cluster.cluster] = FenceSeen(
            is_configured=True,
            answers=answers,
            why="" if answers else result.why or result.output[:200] or result.outcome.value,
            blocks_on_failure=cluster.fence.on_failure is OnFenceFailure.BLOCK,
        )
        self.seen.fence_at_s[cluster.cluster] = self._clock.now_s()

    async def watch_name(self) -> None:
        """Ask the authoritative servers, for ever."""
        while self._policy.record:
            self._is_name_stale = False
            answers = await self._gear.dns_watch.authoritative()
            if self._is_name_stale:
                continue  # a run ended meanwhile: it may have been asked before the name was moved
            self.seen.answers, self.seen.answers_at_s = answers, self._clock.now_s()
            await self._wait(NAME_EVERY_S, NAME_EVERY_S_TENSE)

    def forget_name(self) -> None:
        """What was seen of the name is from before a run of ours ended: ask again before anything is made of it."""
        self.seen.answers = None
        self._is_name_stale = True

    async def watch_provider(self) -> None:
        """Read the record at its provider while the pair is steady, for ever: who refuses that refuses the cut-over."""
        while self._policy.record:
            if not self.is_tense:
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

    async def watch_credentials(self) -> None:
        """Read which credentials are there, and prove each on the secondary, for ever."""
        while True:
            self.seen.present = self._readable()
            for name in self.seen.present:
                await self._learn_expiry(name)
                await self._prove_if_due(name)
            is_open = any((name, self._partner_id) not in self._asked for name in self.seen.present)
            soon_s = PROVE_FIRST_S if is_open else PROVE_AGAIN_S
            await self._wait(soon_s, soon_s)

    @property
    def _partner_id(self) -> ClusterId | None:
        return self._facts.partner.cluster if self._facts is not None else None

    def _readable(self) -> dict[str, str]:
        found = {}
        for name in self._hands.credentials():
            with suppress(Refused):  # gone between the two reads
                found[name] = self._hands.fingerprint(name)
        return found

    async def _learn_expiry(self, name: str) -> None:
        """Once per token, until it was answered: how long it lives is a thing that only a living primary says."""
        learn, elected = self._gear.learn_expiry, self._facts.elected if self._facts is not None else None
        if learn is None or elected is None or elected.active is None or not elected.is_active_primary:
            return
        if self.seen.asked_expiry_of.get(name) == self.seen.present[name]:
            return
        self.seen.asked_expiry_of[name] = self.seen.present[name]
        try:
            await learn(elected.active, name)
        except Refused as no:
            if no.kind is Refusal.NOT_YET:
                del self.seen.asked_expiry_of[name]
        except CANNOT_SAY:  # a lost answer must not cost the warning of its end for as long as the daemon runs
            del self.seen.asked_expiry_of[name]

    async def _prove_if_due(self, name: str) -> None:
        facts = self._facts
        partner = facts.partner if facts is not None else None
        if partner is None or partner.active is None or not partner.is_active_secondary:
            return
        place = (name, partner.cluster)
        seen = self._book.judge(name, self.seen.present[name], partner.cluster, server_utc_s(facts))
        newest_s = self.seen.proven_s.get(place)
        is_young = newest_s is not None and self._clock.now_s() - newest_s < PROVE_EVERY_S
        if seen.is_proven and is_young and not self._became_tense_since(newest_s):
            return
        self._asked.add(place)
        try:
            await self._hands.prove(partner.active, name)
        except CANNOT_SAY as no:
            self.seen.denied[place] = str(no)
            if isinstance(no, Refused) and no.kind is Refusal.UNSUPPORTED:
                self.seen.proven_s[place] = self._clock.now_s()  # asking again soon would say the same
            log.warning("credential_not_proven", pair=self._policy.pair, credential=name, error=str(no))
        else:
            self.seen.denied.pop(place, None)
            self.seen.proven_s[place] = self._clock.now_s()

    def _became_tense_since(self, at_s: float | None) -> bool:
        return self.is_tense and at_s is not None and self._clock.now_s() - at_s >= 2 * PROVE_AGAIN_S

    async def _wait(self, calm_s: float, tense_s: float) -> None:
        """Sleep for `calm_s`, or until the pair has become tense; for `tense_s` while it is."""
        waited_s, began_tense, forgotten = 0.0, self.is_tense, self._is_name_stale
        while waited_s < (tense_s if self.is_tense else calm_s):
            await asyncio.sleep(TURN_S)
            waited_s += TURN_S
            if (self.is_tense and not began_tense) or (self._is_name_stale and not forgotten):
                return


def fence_unasked(cluster: ClusterPolicy) -> FenceSeen:
    """The fence of a cluster before its command was ever asked."""
    return FenceSeen(
        is_configured=bool(cluster.fence.command),
        waived=cluster.fence.waived,
        blocks_on_failure=cluster.fence.on_failure is OnFenceFailure.BLOCK,
    )


def server_utc_s(facts: Facts | None) -> float | None:
    """The partner's own clock now, by its newest answer and its age; None where it did not answer."""
    node = facts.partner.active if facts is not None else None
    if facts is None or node is None or node.health is None:
        return None
    return node.health.server_time_utc_s + (facts.now.at_s - node.ended_s)
