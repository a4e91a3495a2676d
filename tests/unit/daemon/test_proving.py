"""How often a credential is proven, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from tests.support.pair import WEST, Rounds, policy_of
from tests.unit.daemon.test_proofs import PAIR, ScriptedHands
from watchdogd.core.facts import Facts
from watchdogd.core.model import NodeSeen
from watchdogd.daemon.pace import Pace
from watchdogd.daemon.proofs import ProofBook, ProvenHands
from watchdogd.daemon.proving import PROVE_AGAIN_S, PROVE_EVERY_S, Proving
from watchdogd.errors import Refusal
from watchdogd.rehearsal.memory import DictMemory

pytestmark = pytest.mark.looptime


class LoopClock:
    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def wall_utc(self) -> datetime:
        return datetime.fromtimestamp(self.now_s(), UTC)


@dataclass(slots=True)
class CountingHands(ScriptedHands):
    proven_at_s: list[float] = field(default_factory=list)

    async def prove(self, at: NodeSeen, credential: str) -> None:
        self.proven_at_s.append(asyncio.get_running_loop().time())
        self._answer()


@dataclass(slots=True, kw_only=True)
class Bench:
    hands: CountingHands
    pace: Pace
    proving: Proving


def healthy() -> Facts:
    *_, (_, facts, _) = Rounds().run(30.0)
    return facts


@asynccontextmanager
async def bench(refusal: Refusal | None = None) -> AsyncIterator[Bench]:
    hands, book, pace = CountingHands(refusal=refusal), ProofBook(PAIR, DictMemory()), Pace()
    proven = ProvenHands(hands, book, lambda credential: None)
    proving = Proving(policy_of(), hands=proven, learn_expiry=None, book=book, clock=LoopClock(), pace=pace)
    proving.notice(healthy())
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(proving.watch())
        yield Bench(hands=hands, pace=pace, proving=proving)
        watching.cancel()


async def test_what_is_proven_is_proven_anew_every_three_minutes_and_much_sooner_while_it_is_tense() -> None:
    async with bench() as one:
        await asyncio.sleep(PROVE_EVERY_S - 1)
        assert len(one.hands.proven_at_s) == 1
        await asyncio.sleep(PROVE_EVERY_S)
        assert len(one.hands.proven_at_s) == 2
        one.pace.is_tense = True
        await asyncio.sleep(PROVE_EVERY_S)
        assert len(one.hands.proven_at_s) >= 2 + PROVE_EVERY_S / (3 * PROVE_AGAIN_S)


@pytest.mark.parametrize("refusal", Refusal)
async def test_what_was_refused_is_asked_again_soon_and_was_never_proven(refusal: Refusal) -> None:
    # Without raft a secondary has no endpoint to prove anything on: UNSUPPORTED is no proof either.
    async with bench(refusal) as one:
        await asyncio.sleep(2 * PROVE_AGAIN_S + 1)
        assert len(one.hands.proven_at_s) == 3
        assert one.proving.proven_s == {}
        (seen,) = one.proving.judged(WEST, 2_000_000_000.0)
        assert not seen.is_proven
