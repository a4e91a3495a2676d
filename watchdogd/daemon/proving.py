"""The credentials of one pair, looked at in the background: which are there, how long they live, whether they are good.

Each is proven on the secondary, which needs no primary. How long a token lives only a living primary says.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import structlog

from watchdogd.core.facts import CredentialSeen, Facts
from watchdogd.core.model import ClusterId
from watchdogd.core.policy import PairPolicy
from watchdogd.daemon.gear import LearnExpiry
from watchdogd.daemon.pace import Pace
from watchdogd.daemon.proofs import CANNOT_SAY, ProofBook, shares_seen
from watchdogd.errors import Refusal, Refused
from watchdogd.ports import Clock, Hands

PROVE_EVERY_S, PROVE_AGAIN_S, PROVE_FIRST_S = 180.0, 15.0, 1.0

log = structlog.get_logger()


class Proving:
    """`proven_s` says when each was proven last, by credential and cluster; on our clock, and since the start."""

    def __init__(
        self,
        policy: PairPolicy,
        *,
        hands: Hands,
        learn_expiry: LearnExpiry | None,
        book: ProofBook,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._policy = policy
        self._learn = learn_expiry
        self._hands = hands
        self._book = book
        self._clock = clock
        self._pace = pace
        self._facts: Facts | None = None
        self._present: Mapping[str, str] = {}  # credential -> fingerprint
        self._asked_expiry_of: dict[str, str] = {}  # credential -> fingerprint
        self._tried: set[tuple[str, ClusterId]] = set()
        self.proven_s: dict[tuple[str, ClusterId], float] = {}

    def notice(self, facts: Facts) -> None:
        """What the newest decision was made on: it says where to ask."""
        self._facts = facts

    def judged(self, partner: ClusterId, server_utc_s: float | None) -> tuple[CredentialSeen, ...]:
        """Every prepared credential that can be read, judged for a promotion of `partner`."""
        prepared = tuple(
            self._book.judge(name, fingerprint, partner, server_utc_s) for name, fingerprint in self._present.items()
        )
        return prepared + shares_seen(self._policy)

    async def watch(self) -> None:
        """Read which are there, and prove each on the secondary, for ever."""
        while True:
            self._present = self._readable()
            for name in self._present:
                await self._learn_expiry(name)
                await self._prove_if_due(name)
            soon_s = PROVE_AGAIN_S if self._is_each_tried() else PROVE_FIRST_S
            await self._pace.wait(soon_s, soon_s)

    def _readable(self) -> Mapping[str, str]:
        found = {}
        for name in self._hands.credentials():
            with suppress(Refused):  # gone between the two reads
                found[name] = self._hands.fingerprint(name)
        return found

    def _is_each_tried(self) -> bool:
        facts = self._facts
        return all(facts is not None and (name, facts.partner.cluster) in self._tried for name in self._present)

    async def _learn_expiry(self, name: str) -> None:
        """Once per token, until it was answered."""
        learn, elected = self._learn, self._facts.elected if self._facts is not None else None
        if learn is None or elected is None or elected.active is None or not elected.is_active_primary:
            return
        if self._asked_expiry_of.get(name) == self._present[name]:
            return
        self._asked_expiry_of[name] = self._present[name]
        try:
            await learn(elected.active, name)
        except Refused as no:
            if no.kind is Refusal.NOT_YET:
                del self._asked_expiry_of[name]
        except CANNOT_SAY:  # a lost answer must not cost the warning of its end for as long as the daemon runs
            del self._asked_expiry_of[name]

    async def _prove_if_due(self, name: str) -> None:
        facts = self._facts
        partner = facts.partner if facts is not None else None
        if partner is None or partner.active is None or not partner.is_active_secondary:
            return
        place = (name, partner.cluster)
        seen = self._book.judge(name, self._present[name], partner.cluster, server_utc_s(facts))
        if seen.is_proven and self._was_proven_lately(place):
            return
        self._tried.add(place)
        try:
            await self._hands.prove(partner.active, name)
        except CANNOT_SAY as no:
            log.warning("credential_not_proven", pair=self._policy.pair, credential=name, error=str(no))
        else:
            self.proven_s[place] = self._clock.now_s()

    def _was_proven_lately(self, place: tuple[str, ClusterId]) -> bool:
        if place not in self.proven_s:
            return False
        lately_s = 2 * PROVE_AGAIN_S if self._pace.is_tense else PROVE_EVERY_S
        return self._clock.now_s() - self.proven_s[place] < lately_s


def server_utc_s(facts: Facts | None) -> float | None:
    """The partner's own clock now, by its newest answer and its age; None where it did not answer."""
    node = facts.partner.active if facts is not None else None
    if facts is None or node is None or node.health is None:
        return None
    return node.health.server_time_utc_s + (facts.now.at_s - node.ended_s)
