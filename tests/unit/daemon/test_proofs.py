"""A proof counts for one token, one cluster, and a whole run; a denial takes it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from tests.support.pair import EAST, REPLICATION_ID, WEST, active, policy_of, status_of
from watchdogd.core.model import Mode, NodeSeen, PairId
from watchdogd.core.policy import CredentialPolicy
from watchdogd.daemon.proofs import (
    FOR_PROMOTE,
    RUN_S_MAX,
    UNDATED_PROOF_S_MAX,
    Proof,
    ProofBook,
    ProvenHands,
    shares_seen,
)
from watchdogd.errors import Refusal, Refused, Unreachable
from watchdogd.ports import Ensure
from watchdogd.rehearsal.memory import DictMemory

PAIR = PairId("prod")
PROOF = Proof(fingerprint="f1", purpose=FOR_PROMOTE, cluster=WEST, at_utc_s=1000.0, expires_utc_s=10_000.0)
NODE = active(WEST, 1, 5.0, status_of(Mode.SECONDARY, cluster_id=REPLICATION_ID))


@dataclass(slots=True)
class ScriptedHands:
    """Hands that answer as told."""

    fingerprints: dict[str, str] = field(default_factory=lambda: {"a": "f1"})
    refusal: Refusal | None = None
    promoted: list[str] = field(default_factory=list)

    def _answer(self) -> None:
        if self.refusal is not None:
            raise Refused(self.refusal)

    async def demote(self, at: NodeSeen, credential: str, *, ensure: Ensure) -> None:
        self._answer()

    def demoters(self) -> Sequence[str]:
        return list(self.fingerprints)

    async def promote(self, at: NodeSeen, credential: str, *, ensure: Ensure, force: bool = False) -> None:
        self._answer()
        self.promoted.append(credential)

    async def prove(self, at: NodeSeen, credential: str) -> None:
        self._answer()

    def credentials(self) -> Sequence[str]:
        return list(self.fingerprints)

    async def generate_token(self, at: NodeSeen, on_started: Callable[[str], Awaitable[None]]) -> str:
        raise Refused(Refusal.UNSUPPORTED)

    async def delete_token(self, at: NodeSeen, credential: str) -> None:
        raise Unreachable("refused")  # type: ignore[arg-type]

    def fingerprint(self, credential: str) -> str:
        return self.fingerprints[credential]


@dataclass(slots=True)
class Kit:
    hands: ScriptedHands
    book: ProofBook
    proven: ProvenHands
    expiry: dict[str, float]


@pytest.fixture
def kit() -> Kit:
    hands, book, expiry = ScriptedHands(), ProofBook(PAIR, DictMemory()), dict[str, float]()
    return Kit(hands, book, ProvenHands(hands, book, expiry.get), expiry)


async def test_what_was_never_proven_says_so(kit: Kit) -> None:
    seen = kit.book.judge("a", "f1", WEST, 1000.0)
    assert (seen.is_proven, seen.why) == (False, "never accepted by west")


async def test_a_proof_is_good_for_that_token_and_that_cluster_only(kit: Kit) -> None:
    await kit.book.keep("a", PROOF)
    assert kit.book.judge("a", "f1", WEST, 1000.0).is_proven
    assert not kit.book.judge("a", "f2", WEST, 1000.0).is_proven
    assert not kit.book.judge("a", "f1", EAST, 1000.0).is_proven


async def test_a_proof_must_outlive_a_run_by_the_clock_of_the_cluster_that_judges(kit: Kit) -> None:
    await kit.book.keep("a", PROOF)
    assert kit.book.judge("a", "f1", WEST, 10_000.0 - RUN_S_MAX).is_proven
    assert not kit.book.judge("a", "f1", WEST, 10_000.0 - RUN_S_MAX + 1).is_proven


async def test_a_proof_of_a_token_of_which_no_end_is_known_is_good_for_a_day(kit: Kit) -> None:
    await kit.book.keep("a", replace(PROOF, at_utc_s=5000.0, expires_utc_s=None))
    until_s = 5000.0 + UNDATED_PROOF_S_MAX - RUN_S_MAX
    assert kit.book.judge("a", "f1", WEST, until_s).is_proven
    assert kit.book.judge("a", "f1", WEST, until_s + 1).why == "its proof is too old"


async def test_a_proof_survives_a_restart_and_nonsense_is_no_proof(kit: Kit) -> None:
    memory = DictMemory()
    await ProofBook(PAIR, memory).keep("a", PROOF)
    assert ProofBook(PAIR, memory).of("a", WEST) == PROOF
    for broken in ({}, {"withdrawn": True}, {"fingerprint": "f1"}):
        memory.values[(PAIR, "proof:west:a")] = broken
        assert ProofBook(PAIR, memory).of("a", WEST) is None


async def test_proving_writes_down_who_accepted_it_and_when(kit: Kit) -> None:
    kit.expiry["a"] = 5e9
    await kit.proven.prove(NODE, "a")
    assert NODE.health is not None
    proof = kit.book.of("a", WEST)
    assert proof == replace(PROOF, at_utc_s=float(NODE.health.server_time_utc_s), expires_utc_s=5e9)


async def test_an_expiry_that_the_primary_once_said_is_not_forgotten_by_a_later_proof(kit: Kit) -> None:
    kit.expiry["a"] = 5e9
    await kit.proven.prove(NODE, "a")
    kit.expiry.clear()
    await kit.proven.prove(NODE, "a")
    proof = kit.book.of("a", WEST)
    assert proof is not None
    assert proof.expires_utc_s == 5e9


@pytest.mark.parametrize(
    "ask",
    [lambda hands: hands.prove(NODE, "a"), lambda hands: hands.promote(NODE, "a", ensure=tuple)],
    ids=["prove", "promote"],
)
async def test_a_denial_takes_the_proof_back(kit: Kit, ask: Callable[[ProvenHands], Awaitable[None]]) -> None:
    await kit.book.keep("a", PROOF)
    kit.hands.refusal = Refusal.DENIED
    with pytest.raises(Refused):
        await ask(kit.proven)
    assert kit.book.of("a", WEST) is None


async def test_a_refusal_that_says_nothing_about_the_token_keeps_the_proof(kit: Kit) -> None:
    await kit.book.keep("a", PROOF)
    kit.hands.refusal = Refusal.NOT_YET
    with pytest.raises(Refused):
        await kit.proven.promote(NODE, "a", ensure=tuple)
    assert kit.book.of("a", WEST) == PROOF


def test_key_shares_are_a_way_in_that_is_not_proven() -> None:
    assert shares_seen(policy_of()) == ()
    (seen,) = shares_seen(policy_of(credentials=CredentialPolicy(key_shares=3)))
    assert (seen.is_present, seen.is_proven) == (True, False)
